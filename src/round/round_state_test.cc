#include "round/round_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "base/status_macros.h"

namespace manako {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Verdict = RoundState::Verdict;

RoundState::Options Rules(int rounds, int quorum = 0, int64_t deadline_ms = 0) {
  RoundState::Options options;
  options.rounds = rounds;
  options.quorum = quorum;
  options.deadline_ms = deadline_ms;
  return options;
}

RoundState Open(RoundState::Options options,
                const std::vector<std::string>& sites = {"a", "b", "c"}) {
  RoundState state(options);
  for (const std::string& site : sites) state.Join(site);
  EXPECT_TRUE(state.TryOpen(1000));
  return state;
}

bool IsOver(RoundState& state, int64_t now_ms) {
  bool extended = false;
  return state.IsOver(now_ms, &extended);
}

TEST(RoundState, WithoutAQuorumAllMustAnswer) {
  RoundState state = Open(Rules(2));
  EXPECT_TRUE(state.Wants("a"));
  state.Answered("a", {10, 10}, "sha-a", 1);
  EXPECT_FALSE(state.Wants("a"));
  state.Answered("b", {10, 10}, "sha-b", 1);
  EXPECT_FALSE(IsOver(state, 1'000'000'000));
  EXPECT_THAT(state.WaitingFor(), ElementsAre("c"));
  state.Gave("c", AskState::kFailed, "no memory");
  EXPECT_FALSE(IsOver(state, 1'000'000'000));  // the run waits, and says for whom
  EXPECT_THAT(state.WaitingFor(), ElementsAre("c"));
  state.Join("c");  // it is back
  EXPECT_TRUE(state.Wants("c"));
  state.Answered("c", {10, 10}, "sha-c", 1);
  EXPECT_TRUE(IsOver(state, 1001));
  EXPECT_THAT(state.Answers(), ElementsAre("a", "b", "c"));
  state.Close();
  EXPECT_EQ(state.round(), 2);
  EXPECT_FALSE(state.open());
}

TEST(RoundState, AQuorumIsEnoughAtTheDeadline) {
  RoundState state = Open(Rules(1, 2, 500));
  state.Answered("a", {1, 1}, "x", 1);
  state.Answered("b", {1, 1}, "y", 1);
  EXPECT_FALSE(IsOver(state, 1499));  // c may still come
  EXPECT_TRUE(IsOver(state, 1500));
}

TEST(RoundState, AQuorumIsEnoughWhenNobodyIsWaitedFor) {
  RoundState state = Open(Rules(1, 2, 500));
  state.Answered("a", {1, 1}, "x", 1);
  state.Answered("b", {1, 1}, "y", 1);
  state.Leave("c", "left");
  EXPECT_TRUE(IsOver(state, 1001));
  EXPECT_EQ(state.asks().at("c").state, AskState::kFailed);
}

TEST(RoundState, WithoutAQuorumNobodyWaitsForASiteThatIsGone) {
  RoundState state = Open(Rules(1));
  state.Answered("a", {1, 1}, "x", 1);
  state.Answered("b", {1, 1}, "y", 1);
  EXPECT_FALSE(IsOver(state, 1001));
  state.Leave("c", "revoked");
  EXPECT_TRUE(IsOver(state, 1001));
}

TEST(RoundState, WithoutItsQuorumTheDeadlineIsExtendedOnceAndTheRoundWaits) {
  RoundState::Options options = Rules(1, 2, 500);
  options.extension_ms = 300;
  RoundState state = Open(options);
  state.Answered("a", {1, 1}, "x", 1);
  bool extended = false;
  EXPECT_FALSE(state.IsOver(1500, &extended));
  EXPECT_TRUE(extended);
  EXPECT_EQ(state.NextDeadline(), 1800);
  EXPECT_FALSE(state.IsOver(1800, &extended));
  EXPECT_FALSE(extended);
  EXPECT_THAT(state.WaitingFor(), ElementsAre("b", "c"));
  state.Answered("c", {1, 1}, "y", 1);
  EXPECT_TRUE(IsOver(state, 99999));
}

TEST(RoundState, OpensOnlyWithItsQuorumReady) {
  RoundState state(Rules(1, 2, 500));
  EXPECT_FALSE(state.TryOpen(0));
  state.Join("a");
  EXPECT_FALSE(state.TryOpen(0));
  state.Join("b");
  EXPECT_TRUE(state.TryOpen(0));
  state.Join("late");  // from the next round on
  EXPECT_FALSE(state.Wants("late"));
}

TEST(RoundState, JudgesByRoundSiteAndBytes) {
  RoundState state = Open(Rules(3), {"a", "b"});
  EXPECT_EQ(*state.Judge("a", 1, "x"), Verdict::kCount);
  state.Answered("a", {1, 1}, "x", 1);
  EXPECT_EQ(*state.Judge("a", 1, "x"), Verdict::kDuplicate);
  EXPECT_THAT(std::string(MessageOf(state.Judge("a", 1, "other").status())),
              HasSubstr("already answered"));
  EXPECT_THAT(std::string(MessageOf(state.Judge("z", 1, "x").status())),
              HasSubstr("was not asked"));
  EXPECT_THAT(std::string(MessageOf(state.Judge("a", 2, "x").status())),
              HasSubstr("round 1 is the next"));
  state.Answered("b", {1, 1}, "y", 1);
  state.Close();
  EXPECT_EQ(*state.Judge("a", 1, "x"), Verdict::kLate);
}

TEST(RoundState, ALateUpdateCountsInTheOpenRoundWhereTheRunSaysSo) {
  RoundState::Options options = Rules(3, 1, 100);
  options.count_late = true;
  RoundState state = Open(options, {"a", "b"});
  state.Answered("a", {1, 1}, "x", 1);
  EXPECT_TRUE(IsOver(state, 1100));
  state.Close();
  EXPECT_EQ(*state.Judge("b", 1, "y"), Verdict::kLate);  // no round is open
  ASSERT_TRUE(state.TryOpen(1200));
  EXPECT_EQ(*state.Judge("b", 1, "y"), Verdict::kCount);
  state.Answered("b", {1, 1}, "y", 1, 1);
  EXPECT_EQ(*state.Judge("b", 1, "y"), Verdict::kLate);
  RoundState copy(options);
  ASSERT_TRUE(copy.FromJson(state.ToJson()).ok());
  EXPECT_EQ(copy.asks().at("b").trained_in, 1);
  state.Answered("a", {1, 1}, "x", 1);
  state.Close();
  ASSERT_TRUE(state.TryOpen(1300));
  EXPECT_EQ(*state.Judge("b", 2, "z"), Verdict::kCount);
  EXPECT_EQ(*state.Judge("b", 1, "z"), Verdict::kLate);  // two rounds behind
}

TEST(RoundState, RefusesAnUpdateThatIsFarLargerThanTheOthers) {
  RoundState::Options options = Rules(1, 2, 100);
  options.max_norm_ratio = 10;
  RoundState state = Open(options);
  state.Answered("a", {1, 1}, "x", 1.0);
  state.Answered("b", {1, 1}, "y", 2.0);
  state.Answered("c", {1, 1}, "z", 21.0);
  EXPECT_THAT(state.RefuseOutliers(), ElementsAre("c"));
  EXPECT_THAT(state.asks().at("c").why, HasSubstr("norm 21"));
  EXPECT_THAT(state.Answers(), ElementsAre("a", "b"));
  EXPECT_TRUE(IsOver(state, 1001));
  EXPECT_FALSE(state.Judge("c", 1, "z").ok());  // the same again is refused again
}

TEST(RoundState, ACohortIsDrawnAnewAndTheSameAgain) {
  RoundState::Options options = Rules(20);
  options.cohort_share = 0.5;
  options.seed = 7;
  std::set<std::string> seen;
  std::vector<std::string> names;
  for (char c = 'a'; c <= 'h'; ++c) names.emplace_back(1, c);
  RoundState one = Open(options, names), two = Open(options, names);
  for (int round = 1; round <= 20; ++round) {
    EXPECT_EQ(one.asks().size(), 4u);
    EXPECT_EQ(one.ToJson(), two.ToJson());
    for (const auto& [site, ask] : one.asks()) {
      seen.insert(site);
      one.Answered(site, {1, 1}, "x", 1);
      two.Answered(site, {1, 1}, "x", 1);
    }
    one.Close();
    two.Close();
    if (round < 20) {
      ASSERT_TRUE(one.TryOpen(0));
      ASSERT_TRUE(two.TryOpen(0));
    }
  }
  EXPECT_EQ(seen.size(), 8u);
  EXPECT_TRUE(one.finished());
  EXPECT_FALSE(one.TryOpen(0));
}

// Whatever happens in whatever order: every asked site is in exactly one state, a closed round had
// its quorum, and a state that went through JSON goes on the same.
TEST(RoundState, KeepsItsBooksUnderRandomEvents) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed, "events");
    RoundState::Options options = Rules(5, 1 + static_cast<int>(random.Below(3)), 50);
    options.extension_ms = static_cast<int64_t>(random.Below(2)) * 30;
    options.cohort_share = random.Below(2) == 0 ? 1.0 : 0.6;
    options.max_norm_ratio = 3;
    RoundState state(options);
    const std::vector<std::string> names = {"a", "b", "c", "d", "e"};
    int64_t now = 0;
    for (int event = 0; event < 300 && !state.finished(); ++event) {
      now += static_cast<int64_t>(random.Below(20));
      const std::string site = names[random.Below(names.size())];
      switch (random.Below(6)) {
        case 0:
          state.Join(site);
          break;
        case 1:
          if (random.Below(4) == 0) state.Leave(site, "gone");
          break;
        case 2:
          state.Gave(site, random.Below(2) == 0 ? AskState::kFailed : AskState::kRefused, "why");
          break;
        default:
          if (const auto verdict = state.Judge(site, state.round(), "sha");
              verdict.ok() && *verdict == Verdict::kCount) {
            state.Answered(site, {5, 5}, "sha", 1 + static_cast<double>(random.Below(4)));
          }
      }
      state.TryOpen(now);
      RoundState copy(options);
      ASSERT_TRUE(copy.FromJson(state.ToJson()).ok());
      ASSERT_EQ(copy.ToJson(), state.ToJson());
      if (!IsOver(state, now)) continue;
      state.RefuseOutliers();
      if (!IsOver(state, now)) continue;
      EXPECT_GE(static_cast<int>(state.Answers().size()), options.quorum);
      const int round = state.round();
      state.Close();
      EXPECT_EQ(state.round(), round + 1);
    }
  }
}

TEST(RoundState, NonsenseIsNoState) {
  RoundState state(Rules(1));
  for (
      const char* text :
      {"{}", "[]", "3", R"({"round":"x"})",
       R"({"round":1,"open":true,"extended":false,"deadline_ms":0,"ready":[],"asks":{"a":{"state":"odd","images":1,"visits":1,"sha256":"","l2":0,"why":""}}})"}) {
    EXPECT_EQ(state.FromJson(nlohmann::json::parse(text)).code(), absl::StatusCode::kDataLoss)
        << text;
  }
}

}  // namespace
}  // namespace manako
