// The learner that everything uses: batches, schedule and optimiser around an engine, behind core's
// interface.
#ifndef MANAKO_LEARN_TORCH_LEARNER_H_
#define MANAKO_LEARN_TORCH_LEARNER_H_

#include <memory>
#include <string>
#include <vector>

#include "core/image_store.h"
#include "core/learner.h"
#include "core/run_config.h"
#include "learn/batch.h"
#include "learn/engine.h"
#include "learn/feature_cache.h"
#include "learn/networks.h"

namespace manako {

// libtorch's and the fused engine's settings for the whole process: call once, before anything else
// of this module. `threads` is what one training or evaluation uses; how many of them run at once
// is the caller's choice. With 1, results do not depend on it.
void PrepareLibtorch(int threads);

// float32 or bfloat16: resolves "auto" to what this processor does fast. Says why in `reason` when
// it is not null.
std::string ResolvePrecision(const std::string& precision, const std::string& device,
                             std::string* reason);

// InvalidArgument when the device is "cuda" and this libtorch or machine has none.
absl::Status CheckDevice(const std::string& device);

class TorchLearner : public Learner {
 public:
  struct Options {
    TrainConfig
        train;  // precision, learning rate and length of a round resolved; the engine may be auto
    int rounds = 0;              // of the run, for the schedule
    bool keep_optimiser = true;  // false: the optimiser's state is forgotten before every round
    int batches_per_epoch = 0;   // 0: as many as train.batch makes
    double steps_per_round =
        0;  // > 0: instead of train.local_epochs; a fraction is made up for in later rounds
    std::vector<double> class_weights;  // of the loss, one for each class; empty: all 1
    uint64_t seed = 0;                  // of this site in this run
    Normalisation normalisation;
    int ahead = 1;  // batches prepared ahead
    // With frozen layers: theirs, of all images that the learner has; the engine is resolved. What
    // is trained and tested is then the rest of the network, and an update's frozen values are
    // those of its task to the bit. Null: the whole network.
    std::shared_ptr<FeatureCache> features = {};
  };
  // The pool must outlive the learner.
  TorchLearner(Options options, int classes, Examples train, Examples validation, Examples test,
               NetworkPool* pool);
  ~TorchLearner() override;

  absl::StatusOr<Update> Train(const TrainTask& task) override;
  absl::StatusOr<Predictions> Evaluate(const ParameterSet& model, ExampleSet set) override;
  LearnerState SaveState() const override;
  absl::Status RestoreState(LearnerState state) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Predictions of a model for any examples, in batches of `batch`.
absl::StatusOr<Predictions> Predict(NetworkPool* pool, const ParameterSet& model,
                                    const Examples& examples, int classes, int batch,
                                    const EngineOptions& engine,
                                    const Normalisation& normalisation);

}  // namespace manako

#endif  // MANAKO_LEARN_TORCH_LEARNER_H_
