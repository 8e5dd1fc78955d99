#include "report/stats/roc.h"

#include <gtest/gtest.h>

#include <cmath>

#include "report/stats/test_fixtures.h"

namespace manako::stats {
namespace {

// Height of the curve at x; where it rises straight up, whether y lies on the rise.
bool OnCurve(const RocPoints& curve, double x, double y) {
  for (size_t i = 1; i < curve.fpr.size(); ++i) {
    const double x0 = curve.fpr[i - 1], x1 = curve.fpr[i];
    const double y0 = curve.tpr[i - 1], y1 = curve.tpr[i];
    if (x < x0 - 1e-12 || x > x1 + 1e-12) continue;
    if (x1 - x0 < 1e-12) {
      if (y >= y0 - 1e-12 && y <= y1 + 1e-12) return true;
    } else if (std::abs(y0 + (y1 - y0) * (x - x0) / (x1 - x0) - y) < 1e-12) {
      return true;
    }
  }
  return false;
}

TEST(Roc, AgreesWithScikitLearn) {
  const auto positive = FixtureFlags("sklearn.txt", "binary.positive");
  const RocPoints curve = RocCurve(Fixture("sklearn.txt", "binary.scores"), positive);
  const auto fpr = Fixture("sklearn.txt", "binary.fpr"), tpr = Fixture("sklearn.txt", "binary.tpr");
  for (size_t i = 0; i < fpr.size(); ++i) EXPECT_TRUE(OnCurve(curve, fpr[i], tpr[i])) << i;
  double area = 0;
  for (size_t i = 1; i < curve.fpr.size(); ++i) {
    area += (curve.fpr[i] - curve.fpr[i - 1]) * (curve.tpr[i] + curve.tpr[i - 1]) / 2;
  }
  EXPECT_NEAR(area, Fixture("sklearn.txt", "binary.auc")[0], 1e-12);
  EXPECT_LE(curve.fpr.size(), fpr.size());  // it drops collinear points only where steps are equal
}

TEST(Roc, CollinearPointsAreDropped) {
  // Two positives, then two negatives: the corner alone remains between the ends.
  const RocPoints curve =
      RocCurve(std::vector<double>{4, 3, 2, 1}, std::vector<uint8_t>{1, 1, 0, 0});
  EXPECT_EQ(curve.fpr, (std::vector<double>{0, 0, 1}));
  EXPECT_EQ(curve.tpr, (std::vector<double>{0, 1, 1}));
  const RocPoints tied = RocCurve(std::vector<double>{1, 1, 1}, std::vector<uint8_t>{1, 0, 0});
  EXPECT_EQ(tied.fpr, (std::vector<double>{0, 1}));
  EXPECT_TRUE(RocCurve(std::vector<double>{1, 2}, std::vector<uint8_t>{1, 1}).fpr.empty());
  EXPECT_TRUE(RocCurve({}, {}).fpr.empty());
}

TEST(Roc, YoudenAgreesWithScikitLearn) {
  const auto positive = FixtureFlags("sklearn.txt", "binary.positive");
  const auto scores = Fixture("sklearn.txt", "binary.scores");
  const double threshold = YoudenThreshold(scores, positive);
  double tp = 0, fp = 0, positives = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    positives += positive[i];
    if (scores[i] >= threshold) ++(positive[i] ? tp : fp);
  }
  const double youden = tp / positives - fp / (static_cast<double>(scores.size()) - positives);
  EXPECT_NEAR(youden, Fixture("sklearn.txt", "binary.youden")[0], 1e-12);
}

TEST(Roc, YoudenTakesTheMiddleAndOfEqualsTheMoreSensitive) {
  EXPECT_DOUBLE_EQ(
      YoudenThreshold(std::vector<double>{0.2, 0.4, 0.8, 0.9}, std::vector<uint8_t>{0, 0, 1, 1}),
      0.6);
  // Cut above 0.6 (1 of 2, 0 of 2) and above 0.2 (2 of 2, 1 of 2) are both 0.5.
  EXPECT_DOUBLE_EQ(
      YoudenThreshold(std::vector<double>{0.8, 0.6, 0.4, 0.2}, std::vector<uint8_t>{1, 0, 1, 0}),
      0.3);
}

TEST(Roc, YoudenUndefined) {
  EXPECT_TRUE(std::isnan(YoudenThreshold(std::vector<double>{1, 2}, std::vector<uint8_t>{1, 1})));
  EXPECT_TRUE(std::isnan(YoudenThreshold(std::vector<double>{1, 1}, std::vector<uint8_t>{1, 0})));
  EXPECT_TRUE(std::isnan(YoudenThreshold({}, {})));
  // Neighbouring doubles: the threshold still parts them.
  const double below = 0.5, above = std::nextafter(0.5, 1);
  const double t = YoudenThreshold(std::vector<double>{below, above}, std::vector<uint8_t>{0, 1});
  EXPECT_TRUE(above >= t && below < t);
}

}  // namespace
}  // namespace manako::stats
