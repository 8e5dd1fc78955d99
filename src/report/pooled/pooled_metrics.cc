#include "report/pooled/pooled_metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "report/stats/auc.h"

namespace manako {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double OneVsRest(const std::vector<EvaluationResult>& results, int classes, int positive) {
  std::vector<double> scores;
  std::vector<uint8_t> is_positive;
  for (const EvaluationResult& result : results) {
    if (result.images <= 0) continue;
    for (size_t i = 0; i < result.labels.size(); ++i) {
      scores.push_back(
          result.probabilities[i * static_cast<size_t>(classes) + static_cast<size_t>(positive)]);
      is_positive.push_back(result.labels[i] == positive);
    }
  }
  return stats::ComputeAuc(scores, is_positive).auc;
}

double ScoresAuc(const std::vector<EvaluationResult>& results, int classes, int positive) {
  if (classes == 2) return OneVsRest(results, classes, positive);
  double sum = 0;
  int defined = 0;
  for (int c = 0; c < classes; ++c) {
    const double auc = OneVsRest(results, classes, c);
    if (!std::isfinite(auc)) continue;
    sum += auc;
    ++defined;
  }
  return defined > 0 ? sum / defined : kNan;
}

bool HasScores(const EvaluationResult& r, int classes) {
  const size_t n = r.labels.size();
  return n > 0 && static_cast<int64_t>(n) == r.images &&
         r.probabilities.size() == n * static_cast<size_t>(classes) &&
         std::all_of(r.labels.begin(), r.labels.end(),
                     [&](int c) { return c >= 0 && c < classes; }) &&
         std::all_of(r.probabilities.begin(), r.probabilities.end(),
                     [](float p) { return p >= 0 && p <= 1; });
}

bool HasHistogram(const EvaluationResult& r, int bins) {
  if (bins <= 0 || r.bins != bins || r.histogram.size() != 2 * static_cast<size_t>(bins))
    return false;
  int64_t left = r.images;
  for (const int64_t count : r.histogram) {
    if (count < 0 || count > left) return false;
    left -= count;
  }
  return left == 0;
}

}  // namespace

const char* NameOf(Given given) {
  static constexpr const char* kNames[] = {"metrics", "histograms", "scores"};
  return kNames[static_cast<size_t>(given)];
}

Given GivenOf(const EvaluationResult& result, int classes, int bins) {
  return HasScores(result, classes)                   ? Given::kScores
         : classes == 2 && HasHistogram(result, bins) ? Given::kHistograms
                                                      : Given::kMetrics;
}

stats::BinnedScores BinnedOf(const EvaluationResult& result, int bins, int positive) {
  stats::BinnedScores binned;
  const auto size = static_cast<size_t>(bins);
  binned.negative.assign(size, 0);
  binned.positive.assign(size, 0);
  const Given given = GivenOf(result, 2, bins);
  if (given == Given::kScores) {
    for (size_t i = 0; i < result.labels.size(); ++i) {
      const double p = result.probabilities[2 * i + static_cast<size_t>(positive)];
      const auto bin = std::min(size - 1, static_cast<size_t>(p * bins));
      ++(result.labels[i] == positive ? binned.positive : binned.negative)[bin];
    }
  } else if (given == Given::kHistograms) {
    const auto of = [&](int label) {
      const auto begin = result.histogram.begin() + label * bins;
      return std::vector<int64_t>(begin, begin + bins);
    };
    binned.negative = of(1 - positive);
    binned.positive = of(positive);
  }
  return binned;
}

double ToldAuc(const EvaluationResult& result) {
  const auto found = result.metrics.find("auc");
  const bool good = found != result.metrics.end() && found->second >= 0 && found->second <= 1;
  return good ? found->second : kNan;
}

PooledMetrics PoolResults(const std::vector<EvaluationResult>& results, int classes, int positive,
                          int bins) {
  PooledMetrics pooled;
  Given given = Given::kScores;
  double auc_sum = 0, auc_images = 0;
  for (const EvaluationResult& result : results) {
    if (result.images <= 0) continue;
    const auto images = static_cast<double>(result.images);
    pooled.images += result.images;
    pooled.loss += result.loss * images;
    given = std::min(given, GivenOf(result, classes, bins));
    if (const double auc = ToldAuc(result); std::isfinite(auc)) {
      auc_sum += auc * images;
      auc_images += images;
    }
  }
  pooled.loss = pooled.images > 0 ? pooled.loss / static_cast<double>(pooled.images) : kNan;
  pooled.auc = kNan;
  if (pooled.images == 0) return pooled;
  pooled.method = NameOf(given);
  if (given == Given::kScores) {
    pooled.auc = ScoresAuc(results, classes, positive);
  } else if (given == Given::kHistograms) {
    stats::BinnedScores sums;
    for (const EvaluationResult& result : results) {
      if (result.images > 0) sums.Add(BinnedOf(result, bins, positive));
    }
    pooled.auc = stats::BinnedAuc(sums).value;
  } else {
    pooled.auc = auc_images > 0 ? auc_sum / auc_images : kNan;
  }
  return pooled;
}

}  // namespace manako
