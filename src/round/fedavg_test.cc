#include "round/fedavg.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "round/aggregation.h"
#include "round/testing.h"

namespace manako {
namespace {

// Three sites with 600, 300 and 100 images: the mean by hand is (6a + 3b + c) / 10, for buffers
// too.
TEST(FedAvgTest, HandComputedMean) {
  const FedAvg strategy(Weighting::kImages);
  ClearAggregation aggregation(TinySpec(), &strategy, 1);
  ASSERT_TRUE(aggregation.Receive("c", TinyUpdate(TinyModel(-10, 1, 100), 100)).ok());
  ASSERT_TRUE(aggregation.Receive("a", TinyUpdate(TinyModel(5, 1, 0), 600)).ok());
  ASSERT_TRUE(aggregation.Receive("b", TinyUpdate(TinyModel(0, 1, 20), 300)).ok());
  const GlobalState begin = GlobalState::Begin(strategy, Shared(TinyModel(0, 0, 0)));
  EXPECT_EQ(aggregation.Finish(1, begin)->model->Digest(), TinyModel(2, 1, 16).Digest());
}

TEST(FedAvgTest, UniformWeightingCountsSitesAlike) {
  const FedAvg strategy(Weighting::kUniform);
  ClearAggregation aggregation(TinySpec(), &strategy, 1);
  ASSERT_TRUE(aggregation.Receive("a", TinyUpdate(TinyModel(5, 1, 0), 600)).ok());
  ASSERT_TRUE(aggregation.Receive("b", TinyUpdate(TinyModel(0, 1, 20), 3)).ok());
  const GlobalState begin = GlobalState::Begin(strategy, Shared(TinyModel(0, 0, 0)));
  EXPECT_EQ(aggregation.Finish(1, begin)->model->Digest(), TinyModel(2.5, 1, 10).Digest());
}

TEST(FedAvgTest, UnknownStrategyIsRefusedByName) {
  FederationConfig config;
  config.strategy = "fedfoo";
  EXPECT_THAT(std::string(MakeStrategy(config).status().message()), testing::HasSubstr("fedfoo"));
}

}  // namespace
}  // namespace manako
