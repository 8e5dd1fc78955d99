#include "learn/batch_loader.h"

#include <gtest/gtest.h>

#include <map>

#include "learn/testing.h"

namespace manako {
namespace {

std::vector<Batch> All(const Examples& examples, const BatchPlan& plan, int ahead,
                       std::optional<AugmentConfig> augmentation = std::nullopt) {
  const PixelSource source(examples.store, {}, augmentation);
  BatchLoader loader(examples, plan, source, ahead);
  std::vector<Batch> batches(static_cast<size_t>(loader.size()));
  for (Batch& batch : batches) EXPECT_TRUE(loader.Next(batch));
  Batch extra;
  EXPECT_FALSE(loader.Next(extra));
  return batches;
}

TEST(BatchLoaderTest, EveryImageOnceAnEpochInEvenBatches) {
  const SquaresStore store(17, 8, 1);
  const Examples examples = store.Range(0, 17);
  BatchPlan plan;
  plan.epochs = 2;
  plan.batches_per_epoch = 2;
  const auto batches = All(examples, plan, 0);
  ASSERT_EQ(batches.size(), 4u);
  EXPECT_EQ(batches[0].labels.size(), 8u);
  EXPECT_EQ(batches[1].labels.size(), 9u);
  std::map<std::vector<float>, int> seen;
  const size_t floats = 8 * 8 * 3;
  for (const Batch& batch : batches) {
    for (size_t i = 0; i < batch.labels.size(); ++i) {
      ++seen[{batch.inputs.begin() + static_cast<long>(i * floats),
              batch.inputs.begin() + static_cast<long>((i + 1) * floats)}];
    }
  }
  EXPECT_EQ(seen.size(), 17u);
  for (const auto& [pixels, count] : seen) EXPECT_EQ(count, 2);
}

TEST(BatchLoaderTest, WorkingAheadChangesNothing) {
  const SquaresStore store(20, 16, 1);
  const Examples examples = store.Range(0, 20);
  BatchPlan plan;
  plan.epochs = 3;
  plan.batches_per_epoch = 4;
  plan.seed = 9;
  const auto now = All(examples, plan, 0, AugmentConfig()),
             ahead = All(examples, plan, 3, AugmentConfig());
  ASSERT_EQ(now.size(), ahead.size());
  for (size_t i = 0; i < now.size(); ++i) {
    EXPECT_EQ(now[i].labels, ahead[i].labels);
    EXPECT_EQ(now[i].inputs, ahead[i].inputs);
  }
  plan.seed = 10;
  EXPECT_NE(All(examples, plan, 0, AugmentConfig())[0].inputs, now[0].inputs);
}

TEST(BatchLoaderTest, StopsAtTheLimitAndWhenDroppedEarly) {
  const SquaresStore store(20, 16, 1);
  const Examples examples = store.Range(0, 20);
  BatchPlan plan;
  plan.epochs = 100;
  plan.batches_per_epoch = 4;
  plan.limit = 6;
  EXPECT_EQ(All(examples, plan, 2).size(), 6u);
  const PixelSource source(&store, {});
  BatchLoader dropped(examples, plan, source, 2);
  Batch batch;
  EXPECT_TRUE(dropped.Next(batch));
}

TEST(BatchLoaderTest, NoImagesNoBatches) {
  const Examples none{nullptr, {}, {}};
  EXPECT_TRUE(All(none, {}, 1).empty());
}

}  // namespace
}  // namespace manako
