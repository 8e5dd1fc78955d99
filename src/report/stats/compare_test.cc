#include "report/stats/compare.h"

#include <gtest/gtest.h>

#include <cmath>

#include "report/stats/auc.h"
#include "report/stats/test_fixtures.h"

namespace manako::stats {
namespace {

// VanDyke's data (spin-echo against cine MRI, five readers), whose analysis is the standard
// published example of the Obuchowski-Rockette method with Hillis's degrees of freedom (OR-DBM
// MRMC 2.5; RJafroc): the readers' trapezoidal AUCs and the averaged covariances, and what follows
// from them.
Joint VanDyke() {
  Joint joint;
  joint.value = {0.91964573, 0.85877617, 0.90386473, 0.97310789, 0.82979066,
                 0.94782609, 0.90531401, 0.92173913, 0.99935588, 0.92995169};
  const double var = 0.00080228827, cov1 = 0.00034661371, cov3 = 0.00023902837;
  const double cov2_of_arm[2] = {0.00048396180, 0.00020418785};
  joint.covariance.resize(100);
  for (size_t i = 0; i < 10; ++i) {
    for (size_t j = 0; j < 10; ++j) {
      const bool same_arm = i / 5 == j / 5, same_reader = i % 5 == j % 5;
      joint.covariance[i * 10 + j] = i == j        ? var
                                     : same_arm    ? cov2_of_arm[i / 5]
                                     : same_reader ? cov1
                                                   : cov3;
    }
  }
  return joint;
}

TEST(Compare, PublishedObuchowskiRockette) {
  const Measured d = ObuchowskiRocketteDifference(VanDyke());
  EXPECT_NEAR(d.value, -0.043800322, 5e-9);
  EXPECT_NEAR(d.standard_error, 0.020748618, 5e-9);
  EXPECT_NEAR(d.df, 15.259675, 5e-5);
  EXPECT_NEAR(PValue(d), 0.051665686, 5e-8);
  const Estimate interval = PlainInterval(d, 0.95, -1, 1);
  EXPECT_NEAR(interval.low, -0.087959499, 5e-8);
  EXPECT_NEAR(interval.high, 0.00035885444, 5e-8);
}

TEST(Compare, PublishedSingleArm) {
  const Joint both = VanDyke();
  const double se[] = {0.033173597, 0.021566368}, df[] = {12.744648, 12.710190};
  const double low[] = {0.82522360, 0.89413783};
  for (size_t arm = 0; arm < 2; ++arm) {
    Joint one;
    for (size_t i = 0; i < 5; ++i) {
      one.value.push_back(both.value[arm * 5 + i]);
      for (size_t j = 0; j < 5; ++j) one.covariance.push_back(both.cov(arm * 5 + i, arm * 5 + j));
    }
    const Measured mean = ObuchowskiRocketteMean(one);
    EXPECT_NEAR(mean.standard_error, se[arm], 5e-9);
    EXPECT_NEAR(mean.df, df[arm], 5e-5);
    EXPECT_NEAR(PlainInterval(mean, 0.95, 0, 1).low, low[arm], 5e-8);
  }
}

Joint SixOfProc() {
  return {Fixture("proc.txt", "six.auc"), Fixture("proc.txt", "six.covariance")};
}

TEST(Compare, ObuchowskiRocketteAgreesWithRsAnova) {
  const Measured d = ObuchowskiRocketteDifference(SixOfProc());
  const auto expected = Fixture("proc.txt", "six.or_difference_se_df_p");
  EXPECT_NEAR(d.value, expected[0], 1e-12);
  EXPECT_NEAR(d.standard_error, expected[1], 1e-12);
  EXPECT_NEAR(d.df, expected[2], 1e-8);
  EXPECT_NEAR(PValue(d), expected[3], 1e-10);
  const Estimate interval = PlainInterval(d, 0.90, -1, 1);
  const auto bounds = Fixture("proc.txt", "six.or_low90_high90");
  EXPECT_NEAR(interval.low, bounds[0], 1e-9);
  EXPECT_NEAR(interval.high, bounds[1], 1e-9);
  EXPECT_NEAR(TostPValue(d, 0.1), Fixture("proc.txt", "six.tost_p_margin_0.1")[0], 1e-9);

  const Joint six = SixOfProc();
  Joint arm{{six.value.begin(), six.value.begin() + 3}, {}};
  for (size_t i = 0; i < 3; ++i) {
    for (size_t j = 0; j < 3; ++j) arm.covariance.push_back(six.cov(i, j));
  }
  const Measured mean = ObuchowskiRocketteMean(arm);
  const auto expected_mean = Fixture("proc.txt", "six.or_mean_se_df");
  EXPECT_NEAR(mean.value, expected_mean[0], 1e-12);
  EXPECT_NEAR(mean.standard_error, expected_mean[1], 1e-12);
  EXPECT_NEAR(mean.df, expected_mean[2], 1e-6);
}

TEST(Compare, OneRepeatIsThePairedDifference) {
  const Joint joint{{0.9, 0.8}, {0.0004, 0.0001, 0.0001, 0.0009}};
  const Measured d = ObuchowskiRocketteDifference(joint);
  EXPECT_DOUBLE_EQ(d.value, 0.9 - 0.8);
  EXPECT_NEAR(d.standard_error, std::sqrt(0.0011), 1e-15);
  EXPECT_EQ(d.df, kNormal);
}

TEST(Compare, IdenticalRepeatsLeaveTheTestSamplesVariance) {
  // Every seed gave the same models: MS = 0, and the variance is that of the paired difference.
  Joint joint{{0.9, 0.9, 0.8, 0.8}, {}};
  const double v[2][2] = {{0.0004, 0.0001}, {0.0001, 0.0009}};
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) joint.covariance.push_back(v[i / 2][j / 2]);
  }
  const Measured d = ObuchowskiRocketteDifference(joint);
  EXPECT_NEAR(d.standard_error, std::sqrt(0.0011), 1e-12);
  EXPECT_EQ(d.df, kNormal);
}

TEST(Compare, CorrectedResampledTByHand) {
  // Mean 0.03, s^2 = 0.0001 over 3; (1/3 + 1/4) * 0.0001.
  const Measured m = CorrectedResampledT(std::vector<double>{0.02, 0.03, 0.04}, 0.25);
  EXPECT_NEAR(m.value, 0.03, 1e-15);
  EXPECT_NEAR(m.standard_error, std::sqrt(0.0001 * (1.0 / 3 + 0.25)), 1e-12);
  EXPECT_EQ(m.df, 2);
  // t = 3.92792, whose tail of Student's t with two degrees of freedom is (1 - t / sqrt(t^2 + 2))
  // / 2.
  const double t = m.value / m.standard_error;
  EXPECT_NEAR(PValue(m), 1 - t / std::sqrt(t * t + 2), 1e-12);
  EXPECT_TRUE(std::isnan(CorrectedResampledT(std::vector<double>{0.1}, 0.25).standard_error));
  EXPECT_TRUE(std::isnan(CorrectedResampledT({}, 0.25).value));
  EXPECT_TRUE(
      std::isnan(CorrectedResampledT(std::vector<double>{1, 2}, kUndefined).standard_error));
}

TEST(Compare, Verdicts) {
  EXPECT_EQ(JudgeInterval(-0.01, 0.015, 0.02), Verdict::kEquivalent);
  EXPECT_EQ(JudgeInterval(-0.02, 0.015, 0.02), Verdict::kInconclusive);  // touching is not inside
  EXPECT_EQ(JudgeInterval(-0.01, 0.02, 0.02), Verdict::kNotInferior);
  EXPECT_EQ(JudgeInterval(0.03, 0.05, 0.02), Verdict::kNotInferior);
  EXPECT_EQ(JudgeInterval(-0.05, -0.03, 0.02), Verdict::kInferior);
  EXPECT_EQ(JudgeInterval(-0.05, 0.03, 0.02), Verdict::kInconclusive);
  EXPECT_EQ(JudgeInterval(kUndefined, kUndefined, 0.02), Verdict::kInconclusive);
  EXPECT_STREQ(VerdictName(Verdict::kNotInferior), "not_inferior");
}

TEST(Compare, TostAndIntervalSayTheSame) {
  for (const double value : {-0.03, -0.012, 0.0, 0.008, 0.013, 0.04}) {
    for (const double df : {2.0, 11.0, kNormal}) {
      const Measured d{value, 0.006, df};
      const Estimate i = PlainInterval(d, 0.90, -1, 1);
      EXPECT_EQ(TostPValue(d, 0.02) < 0.05,
                JudgeInterval(i.low, i.high, 0.02) == Verdict::kEquivalent);
    }
  }
  EXPECT_EQ(TostPValue({0, 0, kNormal}, 0.02), 0);
  EXPECT_TRUE(std::isnan(TostPValue({0, kUndefined, kNormal}, 0.02)));
}

TEST(Compare, DegenerateVariance) {
  const Measured same = PairedDifference({{0.9, 0.9}, {0.001, 0.001, 0.001, 0.001}});
  EXPECT_EQ(same.standard_error, 0);
  EXPECT_EQ(PValue(same), 1);
  EXPECT_TRUE(std::isnan(PairedDifference({{0.9, 0.8}, {kUndefined, 0, 0, 0}}).standard_error));
}

}  // namespace
}  // namespace manako::stats
