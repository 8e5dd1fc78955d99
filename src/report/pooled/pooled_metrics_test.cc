#include "report/pooled/pooled_metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>

#include "base/random.h"
#include "report/stats/auc.h"

namespace manako {
namespace {

constexpr int kBins = 200;

// By hand: positives in bins 1, 2, 2; negatives in bins 0, 1. Pairs: (1 > 0) 1, (1 = 1) 1/2, and 2
// for each of the others.
TEST(PooledMetrics, HistogramAucByHand) {
  EvaluationResult result;
  result.images = 5;
  result.bins = 3;
  result.histogram = {1, 1, 0, 0, 1, 2};
  EXPECT_DOUBLE_EQ(PoolResults({result}, 2, 1, 3).auc, (1 + 0.5 + 2 + 2) / 6.0);
  result.histogram = {1, 1, 3, 0, 0, 0};
  EXPECT_TRUE(std::isnan(PoolResults({result}, 2, 1, 3).auc));
}

std::vector<EvaluationResult> RandomResults(int bins) {
  std::vector<EvaluationResult> results;
  for (uint64_t site = 0; site < 3; ++site) {
    Random random(site, "scores");
    EvaluationResult result;
    result.images = 200;
    result.loss = static_cast<double>(site);
    result.bins = bins;
    result.histogram.assign(static_cast<size_t>(2 * bins), 0);
    for (int i = 0; i < 200; ++i) {
      const int label = random.Uniform() < 0.4 ? 1 : 0;
      const double score = std::clamp(0.3 + 0.25 * label + 0.2 * random.Normal(), 0.0, 0.999);
      result.labels.push_back(label);
      result.probabilities.push_back(static_cast<float>(1 - score));
      result.probabilities.push_back(static_cast<float>(score));
      ++result.histogram[static_cast<size_t>(label * bins + static_cast<int>(score * bins))];
    }
    result.metrics["auc"] = 0.8;
    results.push_back(result);
  }
  return results;
}

TEST(PooledMetrics, ScoresGiveTheExactAucOfAllImages) {
  const auto results = RandomResults(kBins);
  std::vector<double> scores;
  std::vector<uint8_t> positive;
  for (const auto& result : results) {
    for (size_t i = 0; i < result.labels.size(); ++i) {
      scores.push_back(result.probabilities[2 * i + 1]);
      positive.push_back(result.labels[i] == 1);
    }
  }
  const PooledMetrics pooled = PoolResults(results, 2, 1, kBins);
  EXPECT_EQ(pooled.method, "scores");
  EXPECT_DOUBLE_EQ(pooled.auc, stats::ComputeAuc(scores, positive).auc);
  EXPECT_EQ(pooled.images, 600);
  EXPECT_DOUBLE_EQ(pooled.loss, 1.0);
}

TEST(PooledMetrics, HistogramsComeCloseAndSayThatTheyAreHistograms) {
  auto results = RandomResults(kBins);
  const double exact = PoolResults(results, 2, 1, kBins).auc;
  for (auto& result : results) {
    result.labels.clear();
    result.probabilities.clear();
  }
  const PooledMetrics pooled = PoolResults(results, 2, 1, kBins);
  EXPECT_EQ(pooled.method, "histograms");
  EXPECT_NEAR(pooled.auc, exact, 0.003);
  EXPECT_NEAR(PoolResults(results, 2, 0, kBins).auc, 1 - pooled.auc, 1e-12);
}

TEST(PooledMetrics, OneSiteWithoutHistogramMakesItAMeanOfSites) {
  auto results = RandomResults(kBins);
  for (auto& result : results) {
    result.labels.clear();
    result.probabilities.clear();
  }
  results[1].bins = 0;
  results[1].histogram.clear();
  results[1].metrics["auc"] = 0.5;
  const PooledMetrics pooled = PoolResults(results, 2, 1, kBins);
  EXPECT_EQ(pooled.method, "metrics");
  EXPECT_NEAR(pooled.auc, 0.7, 1e-12);
}

// Some sites send scores, the others histograms: all are counted in bins.
TEST(PooledMetrics, ScoresBesideHistogramsAreBinned) {
  auto results = RandomResults(kBins);
  auto histograms = results;
  for (auto& result : histograms) {
    result.labels.clear();
    result.probabilities.clear();
  }
  const double binned = PoolResults(histograms, 2, 1, kBins).auc;
  results[1] = histograms[1];
  const PooledMetrics mixed = PoolResults(results, 2, 1, kBins);
  EXPECT_EQ(mixed.method, "histograms");
  EXPECT_DOUBLE_EQ(mixed.auc, binned);
}

// What does not fit together was not given.
TEST(PooledMetrics, NonsenseCountsAsNotGiven) {
  const auto good = RandomResults(kBins)[0];
  auto result = good;
  result.probabilities[3] = std::nanf("");
  EXPECT_EQ(GivenOf(result, 2, kBins), Given::kHistograms);
  for (const int64_t count : {int64_t{-1}, int64_t{201}, INT64_MAX, INT64_MIN}) {
    result.histogram = good.histogram;
    result.histogram[0] = count;
    EXPECT_EQ(GivenOf(result, 2, kBins), Given::kMetrics) << count;
  }
  // Counts whose sum would wrap around to the number of images.
  result.histogram.assign(static_cast<size_t>(2 * kBins), 0);
  result.histogram[0] = result.histogram[1] = INT64_MAX;
  result.histogram[2] = 202;
  EXPECT_EQ(GivenOf(result, 2, kBins), Given::kMetrics);
  result.metrics["auc"] = 7;
  EXPECT_TRUE(std::isnan(PoolResults({result}, 2, 1, kBins).auc));
}

}  // namespace
}  // namespace manako
