#include "report/stats/binned.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "report/stats/auc.h"
#include "report/stats/test_fixtures.h"

namespace manako::stats {
namespace {

// Scores that are multiples of `step`, each in a bin of its own.
BinnedScores Bin(const std::vector<double>& scores, const std::vector<uint8_t>& positive,
                 double step) {
  const double most = *std::max_element(scores.begin(), scores.end());
  BinnedScores binned;
  binned.negative.assign(static_cast<size_t>(std::lround(most / step)) + 1, 0);
  binned.positive = binned.negative;
  for (size_t i = 0; i < scores.size(); ++i) {
    const auto bin = static_cast<size_t>(std::lround(scores[i] / step));
    ++(positive[i] ? binned.positive : binned.negative)[bin];
  }
  return binned;
}

// Measurements with two decimals, so that a histogram loses nothing: pROC's numbers must come out.
TEST(Binned, AucAndVarianceAreThoseOfProc) {
  const auto positive = FixtureFlags("proc.txt", "asah.positive");
  for (const std::string name : {"asah.s100b", "asah.ndka"}) {
    const Measured ours = BinnedAuc(Bin(Fixture("proc.txt", name), positive, 0.01));
    EXPECT_NEAR(ours.value, Fixture("proc.txt", name + ".auc")[0], 1e-13);
    EXPECT_NEAR(ours.standard_error * ours.standard_error,
                Fixture("proc.txt", name + ".variance")[0], 1e-13);
  }
  const BinnedScores wfns = Bin(Fixture("proc.txt", "asah.wfns"), positive, 1);
  EXPECT_NEAR(BinnedAuc(wfns).value, Fixture("proc.txt", "asah.wfns.auc")[0], 1e-13);
}

TEST(Binned, AucIsThatOfScikitLearn) {
  const BinnedScores binned = Bin(Fixture("sklearn.txt", "binary.scores"),
                                  FixtureFlags("sklearn.txt", "binary.positive"), 0.01);
  EXPECT_NEAR(BinnedAuc(binned).value, Fixture("sklearn.txt", "binary.auc")[0], 1e-13);
}

TEST(Binned, IntervalIsDeLongsAndSaysSo) {
  const auto positive = FixtureFlags("proc.txt", "asah.positive");
  const BinnedScores binned = Bin(Fixture("proc.txt", "asah.s100b"), positive, 0.01);
  const Estimate interval = BinnedAucInterval(binned);
  EXPECT_EQ(interval.method, "delong_binned");
  // By hand from pROC's AUC and variance, on the logit scale.
  const double a = Fixture("proc.txt", "asah.s100b.auc")[0];
  const double half =
      1.959963984540054 * std::sqrt(Fixture("proc.txt", "asah.s100b.variance")[0]) / (a * (1 - a));
  EXPECT_NEAR(interval.low, 1 / (1 + std::exp(-(std::log(a / (1 - a)) - half))), 1e-12);
  EXPECT_NEAR(interval.high, 1 / (1 + std::exp(-(std::log(a / (1 - a)) + half))), 1e-12);
  EXPECT_EQ(BinnedAucInterval({{3, 0}, {0, 3}}).method, "newcombe");  // perfect: no variance
  EXPECT_TRUE(std::isnan(BinnedAucInterval({{3, 1}, {0, 0}}).value));
  EXPECT_TRUE(std::isnan(BinnedAucInterval({}).value));
}

struct Sample {
  std::vector<double> scores;
  std::vector<uint8_t> positive;
  BinnedScores binned;
};

Sample Draw(uint64_t seed, size_t images, size_t bins) {
  Random random(seed, "binned");
  Sample sample;
  sample.binned.negative.assign(bins, 0);
  sample.binned.positive.assign(bins, 0);
  for (size_t i = 0; i < images; ++i) {
    const bool positive = random.Uniform() < 0.4;
    const double p = std::clamp(0.4 + 0.2 * positive + 0.2 * random.Normal(), 0.0, 0.9999);
    const auto bin = static_cast<size_t>(p * static_cast<double>(bins));
    ++(positive ? sample.binned.positive : sample.binned.negative)[bin];
    // As the histogram has it.
    sample.scores.push_back((static_cast<double>(bin) + 0.5) / static_cast<double>(bins));
    sample.positive.push_back(positive);
  }
  return sample;
}

// All of it is what the functions of single scores give for scores rounded to their bins.
TEST(Binned, IsTheSameAsScoresRoundedToTheirBins) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const size_t images = 15 + 17 * seed;
    const Sample sample = Draw(seed, images, seed % 2 == 0 ? 10 : 64);
    const AucComponents model = ComputeAuc(sample.scores, sample.positive);
    const Joint joint =
        AucCovariance(std::span(&model, 1), sample.positive, Clusters::Singles(images));
    const Measured ours = BinnedAuc(sample.binned);
    EXPECT_DOUBLE_EQ(ours.value, model.auc);
    EXPECT_NEAR(ours.standard_error, std::sqrt(joint.cov(0, 0)), 1e-14);

    const double bins = static_cast<double>(sample.binned.bins());
    const double threshold = YoudenThreshold(sample.scores, sample.positive);
    const int cut = BinnedYouden(sample.binned);
    const Decisions decided = Decide(sample.binned, cut);
    Decisions expected;
    for (size_t i = 0; i < images; ++i) {
      const bool called = sample.scores[i] >= threshold;
      if (sample.positive[i]) ++(called ? expected.true_positive : expected.false_negative);
      if (!sample.positive[i]) ++(called ? expected.false_positive : expected.true_negative);
    }
    EXPECT_NEAR(cut / bins, threshold, 0.5 / bins + 1e-9);
    EXPECT_EQ(decided.true_positive, expected.true_positive);
    EXPECT_EQ(decided.false_positive, expected.false_positive);
    EXPECT_EQ(decided.true_negative, expected.true_negative);
    EXPECT_EQ(decided.false_negative, expected.false_negative);

    const auto curve = BinnedCalibration(sample.binned);
    const auto reference =
        CalibrationCurve(sample.scores, sample.positive, Clusters::Singles(images));
    ASSERT_EQ(curve.size(), reference.size());
    for (size_t i = 0; i < curve.size(); ++i) {
      EXPECT_EQ(curve[i].count, reference[i].count);
      EXPECT_NEAR(curve[i].predicted, reference[i].predicted, 1e-12);
      EXPECT_NEAR(curve[i].observed.value, reference[i].observed.value, 1e-12);
      EXPECT_NEAR(curve[i].observed.low, reference[i].observed.low, 1e-12);
    }
    // The area below the polygon is the AUC.
    const RocPoints roc = BinnedRoc(sample.binned);
    double area = 0;
    for (size_t i = 1; i < roc.fpr.size(); ++i) {
      area += (roc.fpr[i] - roc.fpr[i - 1]) * (roc.tpr[i] + roc.tpr[i - 1]) / 2;
    }
    EXPECT_NEAR(area, ours.value, 1e-12);
  }
}

TEST(Binned, NothingIsMadeOfNothing) {
  EXPECT_EQ(BinnedYouden({{1, 2}, {0, 0}}), -1);
  EXPECT_EQ(BinnedYouden({{0, 2}, {0, 1}}), -1);  // all in one bin
  EXPECT_TRUE(BinnedRoc({{1, 2}, {0, 0}}).fpr.empty());
  EXPECT_TRUE(BinnedCalibration({}).empty());
  BinnedScores sums;
  sums.Add({{1, 2}, {3, 4}});
  sums.Add({{10, 20}, {30, 40}});
  EXPECT_EQ(sums.negative, (std::vector<int64_t>{11, 22}));
  EXPECT_EQ(sums.positives(), 77);
}

}  // namespace
}  // namespace manako::stats
