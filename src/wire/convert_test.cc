#include "wire/convert.h"

#include <gtest/gtest.h>

#include <cmath>

namespace manako {
namespace {

TEST(Convert, TasksComeBackAsTheyWere) {
  RoundTask round;
  round.run = "run-1";
  round.round = 3;
  round.rounds = 20;
  round.basis = {3, 1556, {778, 778}};
  round.site_index = 2;
  round.model = {std::string(64, 'a'), 46'800'000};
  round.evaluate = true;
  round.deadline_ms = 1'800'000'000'000;
  round.amended.emplace();
  round.amended->state = Receipt::State::kRefused;
  round.amended->why = "too large";
  const auto back = FromProto(ToProto(SiteTask(round)));
  ASSERT_TRUE(back.ok()) << back.status();
  const RoundTask& task = std::get<RoundTask>(*back);
  EXPECT_EQ(task.run, round.run);
  EXPECT_EQ(task.basis.per_class, round.basis.per_class);
  EXPECT_EQ(task.basis.images, 1556);
  EXPECT_EQ(task.site_index, 2);
  EXPECT_EQ(task.model.bytes, round.model.bytes);
  EXPECT_TRUE(task.evaluate);
  EXPECT_EQ(task.deadline_ms, round.deadline_ms);
  ASSERT_TRUE(task.amended.has_value());
  EXPECT_EQ(task.amended->state, Receipt::State::kRefused);
  EXPECT_EQ(task.amended->why, "too large");
  EXPECT_TRUE(std::holds_alternative<Wait>(*FromProto(ToProto(SiteTask(Wait{})))));
  EXPECT_EQ(std::get<TestTask>(
                *FromProto(ToProto(SiteTask(TestTask{"r", 2, "east", {"x", 1}, std::nullopt}))))
                .trained_by,
            "east");
  EXPECT_EQ(
      std::get<EndTask>(*FromProto(ToProto(SiteTask(EndTask{"r", "finished", "", 9, {"x", 1}}))))
          .round,
      9);
  EXPECT_EQ(std::get<OfferTask>(*FromProto(ToProto(SiteTask(OfferTask{"r", "[run]"})))).config,
            "[run]");
}

TEST(Convert, AnswersComeBackAsTheyWere) {
  const SiteAnswer ready =
      OfferAnswer{"r", OfferAnswer::State::kWaitsForApproval, {{1, 2}, {3, 4}, {5, 6}}, "why"};
  const auto offer = std::get<OfferAnswer>(*FromProto(ToProto(ready)));
  EXPECT_EQ(offer.state, OfferAnswer::State::kWaitsForApproval);
  EXPECT_EQ(offer.counts.validation, (std::vector<int64_t>{3, 4}));
  Evaluation evaluation;
  evaluation.run = "r";
  evaluation.round = 4;
  evaluation.test.images = 2;
  evaluation.test.loss = 0.5;
  evaluation.test.metrics = {{"auc", std::nan("")}};
  evaluation.test.bins = 1;
  evaluation.test.histogram = {1, 1};
  evaluation.test.labels = {0, 1};
  evaluation.test.probabilities = {0.25f, 0.75f, 0.5f, 0.5f};
  const auto back = std::get<Evaluation>(*FromProto(ToProto(SiteAnswer(evaluation))));
  EXPECT_EQ(back.test.probabilities, evaluation.test.probabilities);
  EXPECT_EQ(back.test.histogram, evaluation.test.histogram);
  EXPECT_TRUE(std::isnan(back.test.metrics.at("auc")));
  EXPECT_TRUE(
      std::get<Failure>(*FromProto(ToProto(SiteAnswer(Failure{"r", 1, "why", true})))).refused);
  EXPECT_EQ(std::get<EndAnswer>(*FromProto(ToProto(SiteAnswer(EndAnswer{"r", "x"})))).model_sha256,
            "x");
}

TEST(Convert, NonsenseIsRefused) {
  EXPECT_FALSE(FromProto(v1::AnswerRequest()).ok());
  v1::AnswerRequest offer;
  offer.mutable_offer()->set_run("r");
  EXPECT_FALSE(FromProto(offer).ok());
  EXPECT_FALSE(FromProto(v1::Receipt()).ok());
  v1::Task round;
  round.mutable_round()->set_round(5);
  round.mutable_round()->set_rounds(4);
  EXPECT_FALSE(FromProto(round).ok());
}

}  // namespace
}  // namespace manako
