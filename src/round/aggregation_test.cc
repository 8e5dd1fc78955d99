#include "round/aggregation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "round/fedavg.h"
#include "round/testing.h"

namespace manako {
namespace {

using testing::HasSubstr;

std::string Text(const absl::Status& status) { return std::string(status.message()); }

class AggregationTest : public testing::Test {
 protected:
  FedAvg strategy_{Weighting::kImages};
  ClearAggregation aggregation_{TinySpec(), &strategy_, 2};
  GlobalState begin_ = GlobalState::Begin(strategy_, Shared(TinyModel(0, 0, 0)));
};

TEST_F(AggregationTest, ArrivalOrderDoesNotReachTheBits) {
  const auto mean = [&](std::vector<std::string> order) {
    for (const std::string& site : order) {
      const auto k = static_cast<float>(site[0] - 'a');
      EXPECT_TRUE(
          aggregation_.Receive(site, TinyUpdate(TinyModel(0.1f + k, 1e8f * k, -k / 3), 7)).ok());
    }
    return aggregation_.Finish(1, begin_)->model->Digest();
  };
  EXPECT_EQ(mean({"a", "b", "c"}), mean({"c", "a", "b"}));
}

TEST_F(AggregationTest, BadUpdatesAreRefusedAndSpoilNothing) {
  ASSERT_TRUE(aggregation_.Receive("a", TinyUpdate(TinyModel(1, 2, 3), 1)).ok());
  EXPECT_THAT(Text(aggregation_.Receive("a", TinyUpdate(TinyModel(9, 9, 9), 1))),
              HasSubstr("already"));
  EXPECT_THAT(Text(aggregation_.Receive("b", TinyUpdate(TinyModel(NAN, 0, 0), 1))),
              HasSubstr("tensor w"));
  EXPECT_THAT(Text(aggregation_.Receive("b", TinyUpdate(TinyModel(0, 0, INFINITY), 1))),
              HasSubstr("tensor mean"));
  EXPECT_THAT(Text(aggregation_.Receive("b", TinyUpdate(TinyModel(0, 0, 0), 0))),
              HasSubstr("weight"));
  const auto other =
      std::make_shared<ModelSpec>(*ModelSpec::Create({{"v", {2}, TensorKind::kParameter}}));
  EXPECT_THAT(Text(aggregation_.Receive("b", TinyUpdate(ParameterSet::Zero(other), 1))),
              HasSubstr("update of b"));
  EXPECT_EQ(aggregation_.Finish(1, begin_)->model->Digest(), TinyModel(1, 2, 3).Digest());
  EXPECT_FALSE(aggregation_.Finish(1, begin_).ok());
}

}  // namespace
}  // namespace manako
