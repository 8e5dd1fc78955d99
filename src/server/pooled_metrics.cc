#include "server/pooled_metrics.h"

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

}  // namespace

double HistogramAuc(const std::vector<int64_t>& negative, const std::vector<int64_t>& positive) {
  double below = 0, pairs = 0, positives = 0, negatives = 0;
  for (size_t bin = 0; bin < std::min(negative.size(), positive.size()); ++bin) {
    const auto n = static_cast<double>(negative[bin]), p = static_cast<double>(positive[bin]);
    pairs += p * (below + n / 2);
    below += n;
    negatives += n;
    positives += p;
  }
  return positives > 0 && negatives > 0 ? pairs / (positives * negatives) : kNan;
}

PooledMetrics PoolResults(const std::vector<EvaluationResult>& results, int classes, int positive) {
  PooledMetrics pooled;
  bool scores = true, histograms = true;
  double auc_sum = 0, auc_images = 0;
  for (const EvaluationResult& result : results) {
    if (result.images == 0) continue;
    pooled.images += result.images;
    pooled.loss += result.loss * static_cast<double>(result.images);
    const size_t n = result.labels.size();
    scores &= static_cast<int64_t>(n) == result.images &&
              result.probabilities.size() == n * static_cast<size_t>(classes);
    histograms &= classes == 2 && result.bins > 0 &&
                  result.histogram.size() == static_cast<size_t>(2 * result.bins) &&
                  (results.front().bins == result.bins || results.front().images == 0);
    if (const auto auc = result.metrics.find("auc");
        auc != result.metrics.end() && std::isfinite(auc->second)) {
      auc_sum += auc->second * static_cast<double>(result.images);
      auc_images += static_cast<double>(result.images);
    }
  }
  pooled.loss = pooled.images > 0 ? pooled.loss / static_cast<double>(pooled.images) : kNan;
  if (pooled.images == 0) {
    pooled.auc = kNan;
  } else if (scores) {
    pooled.method = "scores";
    pooled.auc = ScoresAuc(results, classes, positive);
  } else if (histograms) {
    pooled.method = "histograms";
    std::vector<int64_t> sums[2];
    for (const EvaluationResult& result : results) {
      for (int c = 0; c < 2 && result.images > 0; ++c) {
        sums[c].resize(static_cast<size_t>(result.bins));
        for (int bin = 0; bin < result.bins; ++bin)
          sums[c][static_cast<size_t>(bin)] +=
              result.histogram[static_cast<size_t>(c * result.bins + bin)];
      }
    }
    pooled.auc = HistogramAuc(sums[1 - positive], sums[positive]);
  } else {
    pooled.method = "metrics";
    pooled.auc = auc_images > 0 ? auc_sum / auc_images : kNan;
  }
  return pooled;
}

}  // namespace manako
