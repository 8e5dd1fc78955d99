#include "site/answers.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "core/classes.h"
#include "site/policy.h"

namespace manako {
namespace {

using nlohmann::json;

double OneVersusRest(const Predictions& predictions, int positive) {
  const size_t n = predictions.labels.size(), classes = static_cast<size_t>(predictions.classes);
  std::vector<double> scores(n);
  std::vector<uint8_t> is_positive(n);
  for (size_t i = 0; i < n; ++i) {
    scores[i] = predictions.probabilities[i * classes + static_cast<size_t>(positive)];
    is_positive[i] = predictions.labels[i] == positive;
  }
  return Auc(scores, is_positive);
}

double AreaOf(const Predictions& predictions, int positive) {
  if (positive >= 0) return OneVersusRest(predictions, positive);
  double sum = 0;
  for (int c = 0; c < predictions.classes; ++c) sum += OneVersusRest(predictions, c);
  return sum / predictions.classes;
}

// Of two classes: the positive one from 0.5 on; of more, the most probable.
double AccuracyOf(const Predictions& predictions, int positive) {
  const size_t n = predictions.labels.size(), classes = static_cast<size_t>(predictions.classes);
  size_t right = 0;
  for (size_t i = 0; i < n; ++i) {
    const float* row = predictions.probabilities.data() + i * classes;
    if (positive >= 0) {
      right += (row[positive] >= 0.5f) == (predictions.labels[i] == positive);
    } else {
      right += std::max_element(row, row + classes) - row == predictions.labels[i];
    }
  }
  return static_cast<double>(right) / static_cast<double>(n);
}

std::vector<int64_t> HistogramOf(const Predictions& predictions, int positive, int bins) {
  const size_t classes = static_cast<size_t>(predictions.classes);
  std::vector<int64_t> histogram(classes * static_cast<size_t>(bins));
  for (size_t i = 0; i < predictions.labels.size(); ++i) {
    const double p = predictions.probabilities[i * classes + static_cast<size_t>(positive)];
    const int bin = std::clamp(static_cast<int>(p * bins), 0, bins - 1);
    ++histogram[static_cast<size_t>(predictions.labels[i] * bins + bin)];
  }
  return histogram;
}

void TakeScores(const Predictions& predictions, EvaluationResult& result) {
  const size_t n = predictions.labels.size(), classes = static_cast<size_t>(predictions.classes);
  const auto row = [&](size_t i) { return predictions.probabilities.data() + i * classes; };
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    if (predictions.labels[a] != predictions.labels[b])
      return predictions.labels[a] < predictions.labels[b];
    return std::lexicographical_compare(row(a), row(a) + classes, row(b), row(b) + classes);
  });
  for (const size_t i : order) {
    result.labels.push_back(predictions.labels[i]);
    result.probabilities.insert(result.probabilities.end(), row(i), row(i) + classes);
  }
}

absl::Status Check(const Predictions& predictions, size_t classes) {
  if (static_cast<size_t>(predictions.classes) != classes ||
      predictions.probabilities.size() != predictions.labels.size() * classes) {
    return Internal("the learner's predictions are for {} classes, but the run has {}",
                    predictions.classes, classes);
  }
  for (const int label : predictions.labels) {
    if (label < 0 || label >= predictions.classes) return Internal("an image has class {}", label);
  }
  const bool finite =
      std::isfinite(predictions.loss) &&
      std::all_of(predictions.probabilities.begin(), predictions.probabilities.end(),
                  [](float p) { return std::isfinite(p); });
  if (!finite && !predictions.labels.empty()) {
    return InvalidArgument("the model gives no numbers (NaN or infinite) on the site's images");
  }
  return absl::OkStatus();
}

json ToJson(const EvaluationResult& result) {
  json out = {{"images", result.images}, {"loss", result.loss}, {"metrics", result.metrics}};
  if (!result.histogram.empty()) {
    out["bins"] = result.bins;
    out["histogram"] = result.histogram;
  }
  if (!result.labels.empty()) {
    out["labels"] = result.labels;
    out["probabilities"] = result.probabilities;
  }
  return out;
}

}  // namespace

double Auc(std::span<const double> scores, std::span<const uint8_t> positive) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] < scores[b]; });
  // Sum of the positives' midranks.
  double ranks = 0;
  size_t positives = 0;
  for (size_t i = 0; i < order.size();) {
    size_t end = i, among = 0;
    while (end < order.size() && scores[order[end]] == scores[order[i]])
      among += positive[order[end++]] != 0;
    ranks += static_cast<double>(among) * (static_cast<double>(i + 1 + end) / 2);
    positives += among;
    i = end;
  }
  const double p = static_cast<double>(positives), n = static_cast<double>(order.size()) - p;
  if (p == 0 || n == 0) return NAN;
  return (ranks - p * (p + 1) / 2) / (p * n);
}

OfferAnswer Answers::Ready(const std::string& run, const SiteCounts& counts) const {
  OfferAnswer answer;
  answer.run = run;
  answer.state = OfferAnswer::State::kReady;
  answer.counts = RoundedCounts(policy_, counts);
  return answer;
}

OfferAnswer Answers::Waits(const std::string& run) const {
  OfferAnswer answer;
  answer.run = run;
  answer.state = OfferAnswer::State::kWaitsForApproval;
  return answer;
}

OfferAnswer Answers::Refused(const std::string& run, std::string_view why) const {
  OfferAnswer answer;
  answer.run = run;
  answer.state = OfferAnswer::State::kRefused;
  answer.why = WordsThatMayLeave(policy_, why);
  return answer;
}

EvaluationResult Answers::Report(const FederatedRunConfig& config,
                                 const Predictions& predictions) const {
  EvaluationResult result;
  if (predictions.labels.empty()) return result;
  const int positive = PositiveClass(config.run.classes, config.run.positive);
  std::vector<int64_t> per_class(static_cast<size_t>(predictions.classes));
  for (const int label : predictions.labels) ++per_class[static_cast<size_t>(label)];
  const bool few = std::any_of(per_class.begin(), per_class.end(), [&](int64_t count) {
    return count != RoundedCount(policy_, count);
  });
  result.images = RoundedCount(policy_, static_cast<int64_t>(predictions.labels.size()));
  result.loss = predictions.loss;
  result.metrics["accuracy"] = AccuracyOf(predictions, positive);
  if (const double auc = AreaOf(predictions, positive); std::isfinite(auc))
    result.metrics["auc"] = auc;
  const ReportLevel level = few ? ReportLevel::kMetrics : AgreedReport(policy_, config.run);
  if (level == ReportLevel::kHistograms && positive >= 0) {
    result.bins = config.run.bins;
    result.histogram = HistogramOf(predictions, positive, config.run.bins);
  }
  if (level == ReportLevel::kScores) TakeScores(predictions, result);
  return result;
}

absl::StatusOr<Evaluation> Answers::Tested(const FederatedRunConfig& config, const std::string& run,
                                           int round, const std::string& trained_by,
                                           const Predictions* validation,
                                           const Predictions* test) const {
  Evaluation evaluation;
  evaluation.run = run;
  evaluation.round = round;
  evaluation.trained_by = trained_by;
  if (validation != nullptr) {
    MANAKO_RETURN_IF_ERROR(Check(*validation, config.run.classes.size()));
    evaluation.validation = Report(config, *validation);
  }
  if (test != nullptr) {
    MANAKO_RETURN_IF_ERROR(Check(*test, config.run.classes.size()));
    evaluation.test = Report(config, *test);
  }
  return evaluation;
}

Failure Answers::Failed(const std::string& run, int round, std::string_view why) const {
  return {run, round, WordsThatMayLeave(policy_, why), false};
}

Failure Answers::RefusedRound(const std::string& run, int round, std::string_view why) const {
  return {run, round, WordsThatMayLeave(policy_, why), true};
}

Submission Answers::Trained(const RoundTask& task, const Update& update, const ArtifactId& artifact,
                            double l2) const {
  Submission submission;
  submission.run = task.run;
  submission.round = task.round;
  submission.model_sha256 = task.model.sha256;
  submission.artifact = artifact;
  submission.images = RoundedCount(policy_, update.images);
  submission.visits = update.visits;
  submission.l2 = l2;
  const auto loss = update.metrics.find("train_loss");
  if (loss != update.metrics.end() && std::isfinite(loss->second)) submission.metrics.insert(*loss);
  return submission;
}

std::string AnswerAsText(const SiteAnswer& answer) {
  json out;
  if (const auto* offer = std::get_if<OfferAnswer>(&answer)) {
    static constexpr const char* kStates[] = {"ready", "refused", "waits for approval"};
    out = {{"answer", "offer"},
           {"run", offer->run},
           {"state", kStates[static_cast<int>(offer->state)]}};
    if (offer->state == OfferAnswer::State::kReady) {
      out["train"] = offer->counts.train;
      out["validation"] = offer->counts.validation;
      out["test"] = offer->counts.test;
    }
    if (!offer->why.empty()) out["why"] = offer->why;
  } else if (const auto* evaluation = std::get_if<Evaluation>(&answer)) {
    out = {{"answer", "evaluation"},
           {"run", evaluation->run},
           {"round", evaluation->round},
           {"trained_by", evaluation->trained_by},
           {"validation", ToJson(evaluation->validation)},
           {"test", ToJson(evaluation->test)}};
  } else if (const auto* end = std::get_if<EndAnswer>(&answer)) {
    out = {{"answer", "end"}, {"run", end->run}, {"model_sha256", end->model_sha256}};
  } else {
    const auto& failure = std::get<Failure>(answer);
    out = {{"answer", "failure"},
           {"run", failure.run},
           {"round", failure.round},
           {"why", failure.why},
           {"refused", failure.refused}};
  }
  // Texts of a learner or a server may be no UTF-8.
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string ContentsOf(const SiteAnswer& answer) {
  if (const auto* offer = std::get_if<OfferAnswer>(&answer)) {
    switch (offer->state) {
      case OfferAnswer::State::kReady:
        return "ready; counts of images";
      case OfferAnswer::State::kRefused:
        return "refused: " + offer->why;
      default:
        return "waits for approval";
    }
  }
  if (const auto* evaluation = std::get_if<Evaluation>(&answer)) {
    std::string contents = "metrics";
    for (const EvaluationResult* result : {&evaluation->validation, &evaluation->test}) {
      if (!result->labels.empty()) return "metrics, scores";
      if (!result->histogram.empty()) contents = "metrics, histogram";
    }
    return contents;
  }
  if (std::holds_alternative<EndAnswer>(answer)) return "the run has ended here too";
  const auto& failure = std::get<Failure>(answer);
  return (failure.refused ? "refused: " : "failed: ") + failure.why;
}

}  // namespace manako
