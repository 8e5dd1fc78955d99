#include "round/coordinator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/status_macros.h"
#include "round/fedavg.h"
#include "round/testing.h"

namespace manako {
namespace {

using testing::HasSubstr;

std::string Text(const absl::Status& status) { return std::string(status.message()); }

Coordinator Make(
    int rounds, std::unique_ptr<Strategy> strategy = std::make_unique<FedAvg>(Weighting::kImages)) {
  return Coordinator({{"a", "b"}, rounds, 1}, std::move(strategy), Shared(TinyModel(0, 0, 0)));
}

TEST(CoordinatorTest, ARoundFromTaskToTask) {
  Coordinator coordinator = Make(2);
  const auto task = *coordinator.NextTask("a");
  ASSERT_TRUE(std::holds_alternative<TrainTask>(task));
  EXPECT_EQ(std::get<TrainTask>(task).round, 1);
  ASSERT_TRUE(coordinator.Submit("a", 1, TinyUpdate(TinyModel(1, 0, 0), 1)).ok());
  EXPECT_TRUE(std::holds_alternative<Wait>(*coordinator.NextTask("a")));
  EXPECT_FALSE(*coordinator.Tick());
  ASSERT_TRUE(coordinator.Submit("b", 1, TinyUpdate(TinyModel(3, 0, 0), 1)).ok());
  EXPECT_TRUE(*coordinator.Tick());
  EXPECT_EQ(coordinator.model()->Digest(), TinyModel(2, 0, 0).Digest());
  EXPECT_EQ(std::get<TrainTask>(*coordinator.NextTask("a")).round, 2);
  EXPECT_THAT(Text(coordinator.Submit("a", 1, TinyUpdate(TinyModel(1, 0, 0), 1))),
              HasSubstr("round 2 is open"));
  EXPECT_THAT(Text(coordinator.NextTask("z").status()), HasSubstr("z is no site"));
  for (const char* site : {"b", "a"}) {
    ASSERT_TRUE(coordinator.Submit(site, 2, TinyUpdate(TinyModel(1, 1, 1), 1)).ok());
  }
  EXPECT_TRUE(*coordinator.Tick());
  EXPECT_TRUE(coordinator.finished());
  EXPECT_TRUE(std::holds_alternative<Finished>(*coordinator.NextTask("a")));
}

// A strategy with state at the server, an array sent along and an array that comes back: what
// SCAFFOLD and FedAdam need.
class CountingStrategy : public FedAvg {
 public:
  CountingStrategy() : FedAvg(Weighting::kImages) {}
  std::vector<std::string> UpdateArrays() const override { return {"control"}; }
  std::vector<std::string> SentArrays() const override { return {"control"}; }
  std::vector<std::string> KeptArrays() const override { return {"rounds"}; }
  void Apply(Stretch& stretch) const override {
    for (float& value : stretch.kept[0]) value += 1;
    std::copy(stretch.further[0].begin(), stretch.further[0].end(), stretch.sent[0].begin());
    FedAvg::Apply(stretch);
  }
};

TEST(CoordinatorTest, AStrategyMayHaveStateOnBothSides) {
  Coordinator coordinator = Make(3, std::make_unique<CountingStrategy>());
  EXPECT_THAT(Text(coordinator.Submit("a", 1, TinyUpdate(TinyModel(0, 0, 0), 1))),
              HasSubstr("control"));
  float k = 1;
  for (const char* site : {"a", "b"}) {
    Update update = TinyUpdate(TinyModel(0, 0, 0), 1);
    update.extra.push_back({"control", FlatArray(TinySpec()->size())});
    update.extra[0].values.data()[0] = k++;
    ASSERT_TRUE(coordinator.Submit(site, 1, std::move(update)).ok());
  }
  ASSERT_TRUE(*coordinator.Tick());
  EXPECT_EQ(coordinator.global().kept[0].values.data()[0], 1);
  EXPECT_EQ((*std::get<TrainTask>(*coordinator.NextTask("a")).extra)[0].values.data()[0], 1.5f);
}

TEST(CoordinatorTest, RestoreContinuesBehindTheSavedRound) {
  Coordinator coordinator = Make(3);
  ASSERT_TRUE(
      coordinator
          .Restore(2, {std::make_shared<const ParameterSet>(TinyModel(7, 0, 0)), nullptr, {}})
          .ok());
  const auto task = std::get<TrainTask>(*coordinator.NextTask("b"));
  EXPECT_EQ(task.round, 3);
  EXPECT_EQ(task.model->Digest(), TinyModel(7, 0, 0).Digest());
  EXPECT_FALSE(
      coordinator
          .Restore(4, {std::make_shared<const ParameterSet>(TinyModel(7, 0, 0)), nullptr, {}})
          .ok());
}

}  // namespace
}  // namespace manako
