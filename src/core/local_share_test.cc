#include "core/local_share.h"

#include <gtest/gtest.h>

namespace manako {
namespace {

RunConfig Resolved() {
  RunConfig config;
  config.train.batch = 30;
  config.train.learning_rate = 0.001;
  config.train.local_steps = 8;
  return config;
}

// 300 images at three sites are 10 steps of 30; each site makes 10 batches of its own 200, 75 or 25
// images.
TEST(LocalShare, DividesTheBatch) {
  const RunBasis basis{3, 300, {200, 100}};
  const RunConfig config = Resolved();
  EXPECT_EQ(ShareOf(config, basis, 200).batches_per_epoch, 10);
  EXPECT_EQ(ShareOf(config, basis, 75).batches_per_epoch, 10);
  EXPECT_EQ(ShareOf(config, basis, 8).batches_per_epoch, 4);  // batches of two at least
  EXPECT_DOUBLE_EQ(ShareOf(config, basis, 75).learning_rate, 0.002);
  EXPECT_DOUBLE_EQ(ShareOf(config, basis, 75).steps_per_round, 8);
}

TEST(LocalShare, WeighsRareClassesMore) {
  const LocalShare share = ShareOf(Resolved(), {3, 300, {200, 100, 0}}, 100);
  ASSERT_EQ(share.class_weights.size(), 3u);
  EXPECT_DOUBLE_EQ(share.class_weights[0], 0.75);
  EXPECT_DOUBLE_EQ(share.class_weights[1], 1.5);
  EXPECT_DOUBLE_EQ(share.class_weights[2], 1);  // nobody has it
}

// A site alone with a third of the images makes a third of the steps, with the whole batch and the
// usual rate.
TEST(LocalShare, AloneMakesFewerSteps) {
  const LocalShare share = ShareOf(Resolved(), {1, 300, {50, 50}}, 100);
  EXPECT_EQ(share.batches_per_epoch, 0);
  EXPECT_DOUBLE_EQ(share.learning_rate, 0.001);
  EXPECT_DOUBLE_EQ(share.steps_per_round, 8.0 * 4 / 10);
}

TEST(LocalShare, SgdNeedsNoFactor) {
  RunConfig config = Resolved();
  config.train.optimiser = "sgd";
  EXPECT_DOUBLE_EQ(ShareOf(config, {3, 300, {200, 100}}, 75).learning_rate, 0.001);
}

}  // namespace
}  // namespace manako
