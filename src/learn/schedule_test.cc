#include "learn/schedule.h"

#include <gtest/gtest.h>

namespace manako {
namespace {

TEST(ScheduleTest, CosineWithWarmup) {
  TrainConfig config;
  config.warmup_share = 0.1;
  EXPECT_DOUBLE_EQ(ScheduleFactor(config, 0, 100, 10), 1.0 / 11);
  EXPECT_DOUBLE_EQ(ScheduleFactor(config, 9, 100, 10), 10.0 / 11);
  EXPECT_DOUBLE_EQ(ScheduleFactor(config, 10, 100, 10), 1);
  EXPECT_NEAR(ScheduleFactor(config, 55, 100, 10), 0.5, 1e-12);
  EXPECT_GT(ScheduleFactor(config, 99, 100, 10), 0);
  EXPECT_LT(ScheduleFactor(config, 99, 100, 10), 0.001);
}

TEST(ScheduleTest, StepFallsEveryFewRounds) {
  TrainConfig config;
  config.warmup_share = 0;
  config.schedule = "step";
  config.step_rounds = 2;
  config.step_factor = 0.5;
  EXPECT_DOUBLE_EQ(ScheduleFactor(config, 19, 100, 10), 1);
  EXPECT_DOUBLE_EQ(ScheduleFactor(config, 20, 100, 10), 0.5);
  EXPECT_DOUBLE_EQ(ScheduleFactor(config, 40, 100, 10), 0.25);
}

TEST(ScheduleTest, ConstantStaysOne) {
  TrainConfig config;
  config.warmup_share = 0;
  config.schedule = "constant";
  EXPECT_EQ(ScheduleFactor(config, 73, 100, 10), 1);
}

}  // namespace
}  // namespace manako
