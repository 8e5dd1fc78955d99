#include "study/round_metrics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace manako {
namespace {

Predictions TwoImages(int first, int second) {
  Predictions predictions;
  predictions.classes = 2;
  predictions.images = {0, 1};
  predictions.labels = {first, second};
  predictions.probabilities = {0.8f, 0.2f, 0.3f, 0.7f};
  return predictions;
}

TEST(RoundMetricsTest, AucOfOneClassIsUndefined) {
  EXPECT_EQ(RoundAuc(TwoImages(0, 1), 1), 1);
  EXPECT_EQ(RoundAuc(TwoImages(1, 0), 1), 0);
  EXPECT_TRUE(std::isnan(RoundAuc(TwoImages(1, 1), 1)));
  EXPECT_TRUE(std::isnan(RoundAuc(TwoImages(1, 1), -1)));
}

}  // namespace
}  // namespace manako
