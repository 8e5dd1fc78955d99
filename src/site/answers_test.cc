#include "site/answers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace manako {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

FederatedRunConfig AgreedRun(const std::string& report) {
  FederatedRunConfig config;
  config.run.classes = {"normal", "glaucoma"};
  config.run.report = report;
  config.run.bins = 4;
  return config;
}

SitePolicy Policy(const std::string& reports, int min_count = 0) {
  SitePolicy policy;
  policy.reports = reports;
  policy.min_count = min_count;
  return policy;
}

// Labels and probabilities of the second class.
Predictions Predicted(const std::vector<int>& labels, const std::vector<float>& p) {
  Predictions predictions;
  predictions.classes = 2;
  predictions.labels = labels;
  for (size_t i = 0; i < p.size(); ++i) {
    predictions.images.push_back(static_cast<int>(1000 + i));
    predictions.probabilities.insert(predictions.probabilities.end(), {1 - p[i], p[i]});
  }
  predictions.loss = 0.25;
  return predictions;
}

TEST(AucTest, ByHand) {
  const std::vector<double> scores = {0.1, 0.4, 0.35, 0.8};
  const std::vector<uint8_t> positive = {0, 0, 1, 1};
  EXPECT_DOUBLE_EQ(Auc(scores, positive), 0.75);
  const std::vector<double> ties = {0.5, 0.5, 0.5, 0.9};
  EXPECT_DOUBLE_EQ(Auc(ties, positive), 0.75);
  EXPECT_TRUE(std::isnan(Auc(scores, std::vector<uint8_t>{1, 1, 1, 1})));
  EXPECT_TRUE(std::isnan(Auc({}, {})));
}

TEST(AnswersTest, OnlyWhatRunAndPolicyAgreeUponLeaves) {
  const Predictions test = Predicted({1, 0, 1, 0}, {0.9f, 0.2f, 0.4f, 1.0f});
  const auto told = [&](const char* allowed, const char* asked) {
    return Answers(Policy(allowed)).Tested(AgreedRun(asked), "r", 3, "", nullptr, &test)->test;
  };
  const EvaluationResult metrics = told("metrics", "scores");
  EXPECT_EQ(metrics.images, 4);
  EXPECT_EQ(metrics.loss, 0.25);
  EXPECT_THAT(metrics.metrics,
              ElementsAre(testing::Pair("accuracy", 0.5), testing::Pair("auc", 0.5)));
  EXPECT_THAT(metrics.histogram, IsEmpty());
  EXPECT_THAT(metrics.labels, IsEmpty());
  EXPECT_THAT(metrics.probabilities, IsEmpty());
  const EvaluationResult histogram = told("histograms", "scores");
  EXPECT_THAT(histogram.histogram, ElementsAre(1, 0, 0, 1, 0, 1, 0, 1));
  EXPECT_THAT(histogram.labels, IsEmpty());
  const EvaluationResult scores = told("scores", "scores");
  EXPECT_THAT(scores.histogram, IsEmpty());
  EXPECT_THAT(scores.labels, ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(scores.probabilities,
              ElementsAre(0.0f, 1.0f, 0.8f, 0.2f, 1 - 0.9f, 0.9f, 0.6f, 0.4f));
}

TEST(AnswersTest, ScoresDoNotTellTheOrderOfTheImages) {
  const Answers answers(Policy("scores"));
  const Predictions one = Predicted({1, 0, 1, 0}, {0.9f, 0.2f, 0.4f, 1.0f});
  const Predictions other = Predicted({0, 1, 0, 1}, {1.0f, 0.4f, 0.2f, 0.9f});
  const auto text = [&](const Predictions& p) {
    return AnswerAsText(*answers.Tested(AgreedRun("scores"), "r", 1, "", nullptr, &p));
  };
  EXPECT_EQ(text(one), text(other));
}

TEST(AnswersTest, AClassOfFewImagesLeavesMetricsOnly) {
  const Predictions test = Predicted({1, 0, 0, 0, 0, 0}, {0.9f, 0.2f, 0.4f, 0.1f, 0.1f, 0.1f});
  const auto told =
      Answers(Policy("scores", 5)).Tested(AgreedRun("scores"), "r", 3, "", &test, &test);
  EXPECT_THAT(told->test.labels, IsEmpty());
  EXPECT_THAT(told->test.histogram, IsEmpty());
  EXPECT_THAT(told->validation.labels, IsEmpty());
  EXPECT_EQ(told->test.metrics.at("auc"), 1);
  // One class alone has no AUC, and that is not a number to send.
  const Predictions healthy = Predicted({0, 0}, {0.1f, 0.9f});
  const auto one =
      Answers(Policy("scores", 5)).Tested(AgreedRun("scores"), "r", 3, "", &healthy, nullptr);
  EXPECT_EQ(one->validation.images, 5);
  EXPECT_THAT(one->validation.metrics, ElementsAre(testing::Pair("accuracy", 0.5)));
  EXPECT_EQ(one->test.images, 0);
}

TEST(AnswersTest, NoNumbersIsAnError) {
  Predictions test = Predicted({1, 0}, {0.9f, NAN});
  EXPECT_EQ(Answers(Policy("scores"))
                .Tested(AgreedRun("scores"), "r", 3, "", nullptr, &test)
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
  test = Predicted({1, 7}, {0.9f, 0.1f});
  EXPECT_FALSE(
      Answers(Policy("scores")).Tested(AgreedRun("scores"), "r", 3, "", nullptr, &test).ok());
}

TEST(AnswersTest, OffersFailuresAndSubmissions) {
  const Answers answers(Policy("metrics", 5));
  EXPECT_EQ(
      AnswerAsText(answers.Ready("r", {{30, 2}, {3, 0}, {9, 9}})),
      R"({"answer":"offer","run":"r","state":"ready","test":[9,9],"train":[30,5],"validation":[5,0]})");
  EXPECT_EQ(AnswerAsText(answers.Refused("r", "no /srv/x.png")),
            R"j({"answer":"offer","run":"r","state":"refused","why":"no (file)"})j");
  EXPECT_EQ(AnswerAsText(answers.RefusedRound("r", 3, "no")),
            R"({"answer":"failure","refused":true,"round":3,"run":"r","why":"no"})");
  RoundTask task;
  task.run = "r";
  task.round = 2;
  task.model.sha256 = "abc";
  Update update;
  update.images = 3;
  update.visits = 60;
  update.metrics = {{"train_loss", 0.5}, {"patients", 17}};
  const Submission submission = answers.Trained(task, update, {"def", 9}, 1.5);
  EXPECT_EQ(submission.images, 5);
  EXPECT_EQ(submission.model_sha256, "abc");
  EXPECT_THAT(submission.metrics, ElementsAre(testing::Pair("train_loss", 0.5)));
}

}  // namespace
}  // namespace manako
