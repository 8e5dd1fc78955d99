#include "report/stats/rates.h"

#include <gtest/gtest.h>

#include <cmath>

#include "report/stats/test_fixtures.h"

namespace manako::stats {
namespace {

TEST(Rates, WilsonPublishedExamples) {
  // Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3.
  struct {
    double hits, trials, low, high;
  } const published[] = {{81, 263, 0.2553, 0.3662},
                         {15, 148, 0.0624, 0.1605},
                         {0, 20, 0, 0.1611},
                         {1, 29, 0.0061, 0.1718}};
  for (const auto& p : published) {
    const Estimate e = WilsonInterval(p.hits, p.trials);
    EXPECT_NEAR(e.low, p.low, 5e-5);
    EXPECT_NEAR(e.high, p.high, 5e-5);
  }
  for (const auto& line : FixtureLines("sklearn.txt", "wilson")) {
    const Estimate e = WilsonInterval(line[0], line[1]);
    EXPECT_NEAR(e.low, line[2], 1e-12);
    EXPECT_NEAR(e.high, line[3], 1e-12);
  }
  EXPECT_TRUE(std::isnan(WilsonInterval(0, 0).value));
}

TEST(Rates, OneImageAPatientIsPlainWilson) {
  const std::vector<Tally> patients = {{1, 1}, {0, 1}, {1, 1}, {0, 0}, {1, 1}};
  const Estimate e = RateInterval(patients), plain = WilsonInterval(3, 4);
  EXPECT_EQ(e.method, "wilson");
  EXPECT_EQ(e.low, plain.low);
  EXPECT_EQ(e.high, plain.high);
}

TEST(Rates, CopiesOfAnImageAddNoPrecision) {
  // 30 patients, each with four images that are all right or all wrong: the interval is that of
  // about 30 images.
  std::vector<Tally> patients;
  for (int i = 0; i < 30; ++i) patients.push_back({i < 21 ? 4.0 : 0.0, 4});
  const Estimate e = RateInterval(patients);
  EXPECT_EQ(e.method, "wilson_clustered");
  EXPECT_DOUBLE_EQ(e.value, 0.7);
  const Estimate of_patients = WilsonInterval(0.7 * 29, 29);  // 30/29 is the small-sample factor
  EXPECT_NEAR(e.low, of_patients.low, 1e-12);
  EXPECT_NEAR(e.high, of_patients.high, 1e-12);
}

TEST(Rates, PerfectRateCountsPatientsNotImages) {
  const std::vector<Tally> patients(10, Tally{5, 5});
  const Estimate e = RateInterval(patients);
  EXPECT_NEAR(e.low, WilsonInterval(10, 10).low, 1e-12);
  EXPECT_EQ(e.high, 1);
}

TEST(Rates, CovarianceOfOneRepeatIsTheBinomials) {
  std::vector<std::vector<Tally>> repeats(2);
  for (int i = 0; i < 40; ++i) {
    repeats[0].push_back({i < 30 ? 1.0 : 0.0, 1});
    repeats[1].push_back({i < 10 ? 0.0 : 1.0, 1});
  }
  const Joint joint = RateCovariance(repeats);
  EXPECT_DOUBLE_EQ(joint.value[0], 0.75);
  EXPECT_NEAR(joint.cov(0, 0), 0.75 * 0.25 / 39, 1e-15);
  // 20 of 40 right in both: (0.5 - 0.75^2) / 39.
  EXPECT_NEAR(joint.cov(0, 1), (0.5 - 0.5625) / 39, 1e-15);
}

TEST(Rates, WilsonFromErrorAtTheBinomialErrorIsWilson) {
  const Estimate e = WilsonFromError({0.75, std::sqrt(0.75 * 0.25 / 40), kNormal}, 0.95);
  EXPECT_NEAR(e.low, WilsonInterval(30, 40).low, 1e-12);
  EXPECT_NEAR(e.high, WilsonInterval(30, 40).high, 1e-12);
  const Estimate t = WilsonFromError({0.75, std::sqrt(0.75 * 0.25 / 40), 2}, 0.95);
  EXPECT_LT(t.low, e.low);
  EXPECT_TRUE(std::isnan(WilsonFromError({0.75, kUndefined, 2}, 0.95).low));
}

TEST(Rates, BalancedAccuracy) {
  const auto positive = FixtureFlags("sklearn.txt", "binary.positive");
  const auto scores = Fixture("sklearn.txt", "binary.scores");
  double hits[2] = {0, 0}, trials[2] = {0, 0};
  for (size_t i = 0; i < scores.size(); ++i) {
    trials[positive[i]] += 1;
    hits[positive[i]] += (scores[i] >= 0.5) == (positive[i] != 0);
  }
  const std::vector<Estimate> parts = {WilsonInterval(hits[0], trials[0]),
                                       WilsonInterval(hits[1], trials[1])};
  const Estimate e = MeanOfRates(parts);
  EXPECT_NEAR(e.value, Fixture("sklearn.txt", "binary.balanced_accuracy_at_half")[0], 1e-12);
  EXPECT_NEAR(
      e.low,
      e.value - 0.5 * std::hypot(parts[0].value - parts[0].low, parts[1].value - parts[1].low),
      1e-12);
  EXPECT_TRUE(std::isnan(MeanOfRates(std::vector<Estimate>{parts[0], Estimate{}}).value));
  EXPECT_TRUE(std::isnan(MeanOfRates({}).value));
}

TEST(Rates, DifferenceByNewcombesExample) {
  // Newcombe, Statistics in Medicine 17 (1998) 873-890, table II, example (a), method 10: 56/70 -
  // 48/80.
  const Estimate d = DifferenceOfEstimates(WilsonInterval(56, 70), WilsonInterval(48, 80));
  EXPECT_NEAR(d.value, 0.2, 1e-12);
  EXPECT_NEAR(d.low, 0.0524, 5e-5);
  EXPECT_NEAR(d.high, 0.3339, 5e-5);
}

TEST(Rates, KappaAgreesWithScikitLearn) {
  const auto flat = Fixture("sklearn.txt", "multi.confusion");
  std::vector<std::vector<double>> counts(4, std::vector<double>(4));
  std::vector<Estimate> recalls;
  for (size_t i = 0; i < 4; ++i) {
    double row = 0;
    for (size_t j = 0; j < 4; ++j) row += counts[i][j] = flat[i * 4 + j];
    recalls.push_back(WilsonInterval(counts[i][i], row));
  }
  EXPECT_NEAR(QuadraticKappa(counts), Fixture("sklearn.txt", "multi.kappa")[0], 1e-12);
  EXPECT_NEAR(MeanOfRates(recalls).value, Fixture("sklearn.txt", "multi.balanced_accuracy")[0],
              1e-12);
  EXPECT_TRUE(std::isnan(QuadraticKappa({{5, 0}, {0, 0}})));
  EXPECT_TRUE(std::isnan(QuadraticKappa({{0, 0}, {0, 0}})));
  EXPECT_EQ(QuadraticKappa({{5, 0}, {0, 3}}), 1);
}

}  // namespace
}  // namespace manako::stats
