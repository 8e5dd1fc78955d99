#include "report/stats/auc.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "report/stats/compare.h"
#include "report/stats/test_fixtures.h"

namespace manako::stats {
namespace {

const char kProc[] = "proc.txt";

TEST(Auc, PublishedExampleAsah) {
  const auto positive = FixtureFlags(kProc, "asah.positive");
  const Clusters singles = Clusters::Singles(positive.size());
  for (const std::string name : {"asah.s100b", "asah.ndka", "asah.wfns"}) {
    const AucComponents model = ComputeAuc(Fixture(kProc, name), positive);
    const Joint joint = AucCovariance(std::span(&model, 1), positive, singles);
    EXPECT_NEAR(joint.value[0], Fixture(kProc, name + ".auc")[0], 1e-13);
    EXPECT_NEAR(joint.cov(0, 0), Fixture(kProc, name + ".variance")[0], 1e-13);
    const auto plain = Fixture(kProc, name + ".plain");
    const Estimate ours =
        PlainInterval({joint.value[0], std::sqrt(joint.cov(0, 0)), kNormal}, 0.95, 0, 1);
    EXPECT_NEAR(ours.low, plain[0], 1e-12);
    EXPECT_NEAR(ours.high, plain[1], 1e-12);
  }
}

TEST(Auc, PairedTestsAgreeWithProc) {
  const auto positive = FixtureFlags(kProc, "asah.positive");
  const std::vector<std::pair<std::string, std::string>> pairs = {{"s100b", "ndka"},
                                                                  {"wfns", "s100b"}};
  for (const auto& [a, b] : pairs) {
    const std::vector<AucComponents> models = {ComputeAuc(Fixture(kProc, "asah." + a), positive),
                                               ComputeAuc(Fixture(kProc, "asah." + b), positive)};
    const Measured d =
        PairedDifference(AucCovariance(models, positive, Clusters::Singles(positive.size())));
    const auto expected = Fixture(kProc, "asah." + a + "_" + b + ".z_p_low_high");
    EXPECT_NEAR(d.value / d.standard_error, expected[0], 1e-11);
    EXPECT_NEAR(PValue(d), expected[1], 1e-12);
    const Estimate interval = PlainInterval(d, 0.95, -1, 1);
    EXPECT_NEAR(interval.low, expected[2], 1e-12);
    EXPECT_NEAR(interval.high, expected[3], 1e-12);
  }
}

std::vector<AucComponents> SixModels(const std::vector<uint8_t>& positive) {
  const auto scores = Fixture(kProc, "six.scores");
  std::vector<AucComponents> models;
  for (size_t k = 0; k < 6; ++k) {
    std::vector<double> one;
    for (size_t i = 0; i < positive.size(); ++i) one.push_back(scores[i * 6 + k]);
    models.push_back(ComputeAuc(one, positive));
  }
  return models;
}

TEST(Auc, CovarianceOfSixModelsWithTiesAgreesWithProc) {
  const auto positive = FixtureFlags(kProc, "six.positive");
  const Joint joint = AucCovariance(SixModels(positive), positive, Clusters::Singles(60));
  const auto auc = Fixture(kProc, "six.auc"), covariance = Fixture(kProc, "six.covariance");
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_NEAR(joint.value[i], auc[i], 1e-13);
    for (size_t j = 0; j < 6; ++j) EXPECT_NEAR(joint.cov(i, j), covariance[i * 6 + j], 1e-14);
  }
}

TEST(Auc, MeanOfModelsIsTheLinearCombination) {
  const auto positive = FixtureFlags(kProc, "six.positive");
  const auto models = SixModels(positive);
  const Joint six = AucCovariance(models, positive, Clusters::Singles(60));
  const AucComponents mean = MeanOf(models);
  const Joint one = AucCovariance(std::span(&mean, 1), positive, Clusters::Singles(60));
  const Measured expected = Combine(six, std::vector<double>(6, 1.0 / 6));
  EXPECT_NEAR(one.value[0], expected.value, 1e-14);
  EXPECT_NEAR(std::sqrt(one.cov(0, 0)), expected.standard_error, 1e-14);
}

TEST(Auc, ClusteredAgreesWithObuchowskisDefinition) {
  const auto positive = FixtureFlags(kProc, "six.positive");
  const auto patient = Fixture(kProc, "six.patient");
  const std::vector<int64_t> ids(patient.begin(), patient.end());
  const auto models = SixModels(positive);
  const std::vector<AucComponents> two = {models[0], models[3]};
  const Joint joint = AucCovariance(two, positive, Clusters::From(ids));
  const auto expected = Fixture(kProc, "six.clustered");
  EXPECT_NEAR(joint.cov(0, 0), expected[0], 1e-14);
  EXPECT_NEAR(joint.cov(0, 1), expected[1], 1e-14);
  EXPECT_NEAR(joint.cov(1, 1), expected[2], 1e-14);
}

// Three copies of each image under one patient say nothing new: the variance must stay what it was.
TEST(Auc, CopiesOfAnImageAddNoPrecision) {
  const auto positive = FixtureFlags(kProc, "asah.positive");
  const auto scores = Fixture(kProc, "asah.ndka");
  std::vector<uint8_t> positive3;
  std::vector<double> scores3;
  std::vector<int64_t> ids;
  for (int copy = 0; copy < 3; ++copy) {
    for (size_t i = 0; i < scores.size(); ++i) {
      positive3.push_back(positive[i]);
      scores3.push_back(scores[i]);
      ids.push_back(static_cast<int64_t>(i));
    }
  }
  const AucComponents model = ComputeAuc(scores3, positive3);
  const Joint right = AucCovariance(std::span(&model, 1), positive3, Clusters::From(ids));
  EXPECT_NEAR(right.cov(0, 0), Fixture(kProc, "asah.ndka.variance")[0], 1e-13);
  const Joint naive = AucCovariance(std::span(&model, 1), positive3, Clusters::Singles(ids.size()));
  EXPECT_LT(naive.cov(0, 0), 0.4 * right.cov(0, 0));
}

TEST(Auc, ByHand) {
  const std::vector<uint8_t> positive = {1, 0, 1, 0, 1};
  // Pairs: 0.9 beats both; 0.4 ties 0.4 and beats 0.1; 0.2 beats 0.1 only: (2 + 1.5 + 1) / 6.
  const AucComponents model = ComputeAuc(std::vector<double>{0.9, 0.4, 0.4, 0.1, 0.2}, positive);
  EXPECT_DOUBLE_EQ(model.auc, 4.5 / 6);
  EXPECT_EQ(model.positive, (std::vector<double>{1, 0.75, 0.5}));
  EXPECT_NEAR(model.negative[0], 1.5 / 3, 1e-15);
  EXPECT_NEAR(model.negative[1], 1, 1e-15);
}

TEST(Auc, WithoutPositivesItIsUndefined) {
  const std::vector<uint8_t> positive = {0, 0, 0};
  const AucComponents model = ComputeAuc(std::vector<double>{1, 2, 3}, positive);
  EXPECT_TRUE(std::isnan(model.auc));
  const Joint joint = AucCovariance(std::span(&model, 1), positive, Clusters::Singles(3));
  EXPECT_TRUE(std::isnan(joint.cov(0, 0)));
  const Estimate e = AucInterval({joint.value[0], joint.cov(0, 0)}, {0, 3}, "delong");
  EXPECT_TRUE(std::isnan(e.value) && std::isnan(e.low));
  EXPECT_EQ(e.method, "");
  const AucComponents empty = ComputeAuc({}, {});
  EXPECT_TRUE(std::isnan(empty.auc));
}

TEST(Auc, PerfectModelOfFewImagesIsNotCertain) {
  const std::vector<uint8_t> positive = {1, 1, 1, 0, 0, 0};
  const AucComponents model = ComputeAuc(std::vector<double>{4, 5, 6, 1, 2, 3}, positive);
  const Joint joint = AucCovariance(std::span(&model, 1), positive, Clusters::Singles(6));
  EXPECT_EQ(model.auc, 1);
  EXPECT_EQ(joint.cov(0, 0), 0);
  const Estimate e = AucInterval({1, 0}, {3, 3}, "delong");
  EXPECT_EQ(e.method, "newcombe");
  EXPECT_LT(e.low, 0.6);
  EXPECT_EQ(e.high, 1);
}

TEST(Auc, NewcombeAgreesWithRootFinding) {
  for (const auto& line : FixtureLines("sklearn.txt", "newcombe")) {
    const Estimate e = NewcombeInterval(
        line[0], {static_cast<int64_t>(line[1]), static_cast<int64_t>(line[2])}, 0.95);
    EXPECT_NEAR(e.low, line[3], 1e-10);
    EXPECT_NEAR(e.high, line[4], 1e-10);
  }
}

TEST(Auc, LogitIntervalByHand) {
  // logit(0.8) = log 4; half width 1.959964 * 0.05 / 0.16 = 0.612489.
  const Estimate e = LogitInterval({0.8, 0.05, kNormal}, 0.95);
  EXPECT_NEAR(e.low, 4 * std::exp(-0.61248874) / (1 + 4 * std::exp(-0.61248874)), 1e-8);
  EXPECT_NEAR(e.high, 4 * std::exp(0.61248874) / (1 + 4 * std::exp(0.61248874)), 1e-8);
  const Estimate wide = LogitInterval({0.99, 0.3, 2}, 0.95);
  EXPECT_GE(wide.low, 0);
  EXPECT_LE(wide.high, 1);
}

TEST(Auc, SinglePatientOfAClassHasNoVarianceButAnInterval) {
  const std::vector<uint8_t> positive = {1, 0, 0, 0};
  const AucComponents model = ComputeAuc(std::vector<double>{2, 1, 3, 0}, positive);
  const Joint joint = AucCovariance(std::span(&model, 1), positive, Clusters::Singles(4));
  EXPECT_TRUE(std::isnan(joint.cov(0, 0)));
  const Estimate e = AucInterval({model.auc, std::sqrt(joint.cov(0, 0))}, {1, 3}, "delong");
  EXPECT_EQ(e.method, "newcombe");
  EXPECT_LT(e.low, 0.3);
  EXPECT_GT(e.high, 0.9);
}

}  // namespace
}  // namespace manako::stats
