// What a round is judged by, and how a finished model is kept.
#ifndef MANAKO_STUDY_ROUND_METRICS_H_
#define MANAKO_STUDY_ROUND_METRICS_H_

#include <memory>

#include "core/checkpoint.h"
#include "core/learner.h"
#include "study/model_run.h"

namespace manako {

// The AUC of class `positive`, or with positive < 0 the mean of the one-versus-rest AUCs of all
// classes. NaN where it is undefined (no images of a class).
double RoundAuc(const Predictions& predictions, int positive);

// A finished model as a checkpoint and back. The images and labels of the predictions come from the
// options' examples; DataLoss when the sizes do not fit them.
Checkpoint ResultCheckpoint(const ModelResult& result);
absl::Status RestoreResult(const Checkpoint& checkpoint, const ModelRun::Options& options,
                           const std::shared_ptr<const ModelSpec>& spec, ModelResult* result);

}  // namespace manako

#endif  // MANAKO_STUDY_ROUND_METRICS_H_
