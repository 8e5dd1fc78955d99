#include "study/round_metrics.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "base/status_macros.h"
#include "report/stats/auc.h"

namespace manako {
namespace {

double OneVersusRest(const Predictions& predictions, int positive) {
  const size_t n = predictions.labels.size(), classes = static_cast<size_t>(predictions.classes);
  std::vector<double> scores(n);
  std::vector<uint8_t> is_positive(n);
  for (size_t i = 0; i < n; ++i) {
    scores[i] = predictions.probabilities[i * classes + static_cast<size_t>(positive)];
    if (std::isnan(scores[i])) return NAN;
    is_positive[i] = predictions.labels[i] == positive;
  }
  return stats::ComputeAuc(scores, is_positive).auc;
}

FlatArray ToArray(const std::vector<float>& values) {
  FlatArray array(static_cast<int64_t>(values.size()));
  std::copy(values.begin(), values.end(), array.data());
  return array;
}

}  // namespace

double RoundAuc(const Predictions& predictions, int positive) {
  if (positive >= 0) return OneVersusRest(predictions, positive);
  double sum = 0;
  for (int c = 0; c < predictions.classes; ++c) sum += OneVersusRest(predictions, c);
  return sum / predictions.classes;
}

Checkpoint ResultCheckpoint(const ModelResult& result) {
  Checkpoint checkpoint;
  checkpoint.values = {{"best_round", result.best_round}, {"stopped", result.stopped}};
  checkpoint.arrays.push_back({"validation", ToArray(result.validation.probabilities)});
  checkpoint.arrays.push_back({"test", ToArray(result.test.probabilities)});
  checkpoint.arrays.push_back({"model", result.model->values.Clone()});
  return checkpoint;
}

absl::Status RestoreResult(const Checkpoint& checkpoint, const ModelRun::Options& options,
                           const std::shared_ptr<const ModelSpec>& spec, ModelResult* result) {
  const auto restore = [&](const char* name, const Examples& examples, Predictions* out) {
    const FlatArray* array = FindArray(checkpoint.arrays, name);
    if (array == nullptr ||
        array->size() != static_cast<int64_t>(examples.size()) * options.classes)
      return false;
    out->classes = options.classes;
    out->images = examples.images;
    out->labels = examples.labels;
    out->probabilities.assign(array->values().begin(), array->values().end());
    return true;
  };
  const FlatArray* model = FindArray(checkpoint.arrays, "model");
  if (!restore("validation", options.validation, &result->validation) ||
      !restore("test", options.test, &result->test) || model == nullptr ||
      model->size() != spec->size()) {
    return DataLoss("{}.done is of another run", options.state_path);
  }
  result->model = std::make_shared<const ParameterSet>(ParameterSet{spec, model->Clone()});
  result->best_round = checkpoint.values.value("best_round", 0);
  result->stopped = checkpoint.values.value("stopped", "");
  return absl::OkStatus();
}

}  // namespace manako
