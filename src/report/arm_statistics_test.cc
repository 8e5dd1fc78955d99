#include "report/arm_statistics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "report/stats/rates.h"

namespace manako {
namespace {

const ClassTask kBinary{2, 1};

// One model's scores for images with the labels 1, 1, ..., 0, 0, ...; each image its own patient.
ArmModel ModelOf(const std::vector<float>& scores, int positives, const std::string& arm,
                 const std::string& site = "") {
  auto test = std::make_shared<ModelPredictions>();
  ArmModel model;
  for (size_t i = 0; i < scores.size(); ++i) {
    test->image.push_back(static_cast<int32_t>(i));
    test->patient.push_back(static_cast<int32_t>(i));
    test->label.push_back(static_cast<int>(i) < positives);
    test->image_site.push_back(0);
    test->probability.push_back(1 - scores[i]);
    test->probability.push_back(scores[i]);
    model.predicted.push_back(scores[i] >= 0.5f);
  }
  model.name = {1, 1, arm, site};
  model.test = test;
  return model;
}

ArmCell CellOf(std::vector<ArmModel> models, int repeat = 1) {
  return {.repeat = repeat, .fold = 1, .test_over_train = 0.25, .models = std::move(models)};
}

stats::Estimate Find(const std::vector<std::pair<std::string, stats::Estimate>>& metrics,
                     const std::string& key) {
  for (const auto& [name, estimate] : metrics) {
    if (name == key) return estimate;
  }
  ADD_FAILURE() << key;
  return {};
}

const std::vector<std::string> kNames = {"well", "ill"};

TEST(ArmStatistics, RatesByHand) {
  // Positives: 0.9 0.8 0.3; negatives: 0.6 0.4 0.2 0.1.
  const std::vector<ArmCell> cells = {
      CellOf({ModelOf({0.9f, 0.8f, 0.3f, 0.6f, 0.4f, 0.2f, 0.1f}, 3, "pooled")})};
  const auto metrics = ArmMetrics(kBinary, cells, kNames);
  EXPECT_DOUBLE_EQ(Find(metrics, "sensitivity").value, 2.0 / 3);
  EXPECT_DOUBLE_EQ(Find(metrics, "specificity").value, 3.0 / 4);
  EXPECT_DOUBLE_EQ(Find(metrics, "accuracy").value, 5.0 / 7);
  EXPECT_DOUBLE_EQ(Find(metrics, "ppv").value, 2.0 / 3);
  EXPECT_DOUBLE_EQ(Find(metrics, "npv").value, 3.0 / 4);
  EXPECT_NEAR(Find(metrics, "balanced_accuracy").value, 17.0 / 24, 1e-12);
  EXPECT_NEAR(Find(metrics, "brier").value, (0.01 + 0.04 + 0.49 + 0.36 + 0.16 + 0.04 + 0.01) / 7,
              1e-7);
  EXPECT_EQ(Find(metrics, "sensitivity").method, "wilson");
  EXPECT_EQ(Find(metrics, "sensitivity").low, stats::WilsonInterval(2, 3).low);
  EXPECT_EQ(ArmConfusion(kBinary, cells), (std::vector<std::vector<int64_t>>{{3, 1}, {1, 2}}));
  // 0.9 and 0.8 beat all four, 0.3 beats two.
  EXPECT_DOUBLE_EQ(ArmAuc(kBinary, cells).value, 10.0 / 12);
}

// Five repeats that all said the same of the same images are one: the interval must not shrink.
TEST(ArmStatistics, RepeatsOfTheSameImagesAreNoNewImages) {
  std::vector<float> scores;
  for (int i = 0; i < 60; ++i)
    scores.push_back(static_cast<float>((i * 37) % 60 + (i < 30 ? 25 : 0)) / 90);
  std::vector<ArmCell> one = {CellOf({ModelOf(scores, 30, "pooled")})}, five;
  for (int r = 1; r <= 5; ++r) five.push_back(CellOf({ModelOf(scores, 30, "pooled")}, r));
  const auto a = ArmAuc(kBinary, one), b = ArmAuc(kBinary, five);
  EXPECT_EQ(a.method, "delong");
  EXPECT_EQ(b.method, "obuchowski_rockette");
  EXPECT_NEAR(a.low, b.low, 1e-12);
  const auto metrics1 = ArmMetrics(kBinary, one, kNames),
             metrics5 = ArmMetrics(kBinary, five, kNames);
  for (const char* key : {"sensitivity", "specificity", "accuracy", "ppv", "npv"}) {
    const auto m1 = Find(metrics1, key), m5 = Find(metrics5, key);
    EXPECT_DOUBLE_EQ(m1.value, m5.value) << key;
    // The covariance has n - 1 where the binomial has n.
    EXPECT_NEAR((m5.high - m5.low) / (m1.high - m1.low), 1, 0.03) << key;
    EXPECT_GE(m5.high - m5.low, m1.high - m1.low) << key;
  }
  EXPECT_NEAR(Find(metrics5, "brier").value, Find(metrics1, "brier").value, 1e-12);
}

TEST(ArmStatistics, SitesOfAloneAreNoNewImages) {
  std::vector<float> scores;
  for (int i = 0; i < 60; ++i)
    scores.push_back(static_cast<float>((i * 37) % 60 + (i < 30 ? 25 : 0)) / 90);
  const std::vector<ArmCell> one = {CellOf({ModelOf(scores, 30, "pooled")})};
  const std::vector<ArmCell> alone = {
      CellOf({ModelOf(scores, 30, "alone", "a"), ModelOf(scores, 30, "alone", "b"),
              ModelOf(scores, 30, "alone", "c")})};
  EXPECT_NEAR(ArmAuc(kBinary, one).low, ArmAuc(kBinary, alone).low, 1e-12);
  const auto m1 = Find(ArmMetrics(kBinary, one, kNames), "accuracy");
  const auto m3 = Find(ArmMetrics(kBinary, alone, kNames), "accuracy");
  EXPECT_EQ(m3.method, "wilson_clustered");
  EXPECT_DOUBLE_EQ(m1.value, m3.value);
  EXPECT_NEAR((m3.high - m3.low) / (m1.high - m1.low), 1, 0.02);
}

TEST(ArmStatistics, IdenticalArmsAreEquivalent) {
  const std::vector<ArmCell> a = {
      CellOf({ModelOf({0.9f, 0.4f, 0.5f, 0.1f, 0.7f}, 3, "federated")})};
  const ArmDifference d = CompareArms(kBinary, a, a, 0.02);
  EXPECT_EQ(d.estimate.value, 0);
  EXPECT_EQ(d.at90.low, 0);
  EXPECT_EQ(d.at90.high, 0);
  EXPECT_EQ(d.p_value, 1);
  EXPECT_EQ(d.tost_p_value, 0);
  EXPECT_EQ(d.test, "delong_paired");
}

TEST(ArmStatistics, TwoPerfectArmsOfFewImagesAreNot) {
  const std::vector<ArmCell> a = {
      CellOf({ModelOf({0.9f, 0.8f, 0.7f, 0.1f, 0.2f}, 3, "federated")})};
  const std::vector<ArmCell> b = {CellOf({ModelOf({0.8f, 0.9f, 0.7f, 0.3f, 0.2f}, 3, "pooled")})};
  const ArmDifference d = CompareArms(kBinary, a, b, 0.02);
  EXPECT_EQ(d.estimate.value, 0);
  EXPECT_EQ(d.estimate.method, "mover");
  EXPECT_LT(d.at90.low, -0.2);
  EXPECT_LT(d.estimate.low, d.at90.low);
  EXPECT_TRUE(std::isnan(d.p_value));
  EXPECT_EQ(stats::JudgeInterval(d.at90.low, d.at90.high, 0.02), stats::Verdict::kInconclusive);
}

TEST(ArmStatistics, NoPositives) {
  const std::vector<ArmCell> cells = {CellOf({ModelOf({0.9f, 0.2f}, 0, "pooled")})};
  EXPECT_TRUE(std::isnan(ArmAuc(kBinary, cells).value));
  const auto metrics = ArmMetrics(kBinary, cells, kNames);
  EXPECT_TRUE(std::isnan(Find(metrics, "sensitivity").value));
  EXPECT_EQ(Find(metrics, "specificity").value, 0.5);
  EXPECT_TRUE(std::isnan(CompareArms(kBinary, cells, cells, 0.02).estimate.value));
  EXPECT_TRUE(ArmMetrics(kBinary, {}, kNames).empty());
  EXPECT_TRUE(std::isnan(ArmAuc(kBinary, {}).value));
}

}  // namespace
}  // namespace manako
