#include "site/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace manako {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

FederatedRunConfig AgreedRun() {
  FederatedRunConfig config;
  config.run.classes = {"normal", "glaucoma"};
  return config;
}

TEST(PolicyTest, WhatSpeaksAgainstARunBeforeAnyImageIsRead) {
  SitePolicy policy;
  FederatedRunConfig run = AgreedRun();
  EXPECT_THAT(ReasonsAgainst(policy, run, {"cnn3", "resnet18"}), IsEmpty());
  run.run.cross_site = true;
  EXPECT_THAT(ReasonsAgainst(policy, run, {"cnn3"}), ElementsAre(HasSubstr("run.cross_site")));
  policy.cross_site = true;
  for (const char* file : {"./net", "/srv/net.pt", "net.pt", "a\\b"}) {
    run.training.model.architecture = file;
    EXPECT_THAT(ReasonsAgainst(policy, run, {}), ElementsAre(HasSubstr("policy.torchscript")))
        << file;
  }
  run.training.model.architecture = "cnn3";
  EXPECT_THAT(ReasonsAgainst(policy, run, {}), IsEmpty());
  EXPECT_THAT(ReasonsAgainst(policy, run, {"resnet18"}),
              ElementsAre(HasSubstr("policy.torchscript")));
  policy.torchscript = true;
  EXPECT_THAT(ReasonsAgainst(policy, run, {"resnet18"}), IsEmpty());
}

TEST(PolicyTest, TooFewImagesAreSaidWithoutTheirNumber) {
  SitePolicy policy;
  policy.min_images_per_class = 20;
  FederatedRunConfig run = AgreedRun();
  EXPECT_THAT(TooFewImages(policy, run, {{20, 20}, {}, {}}), IsEmpty());
  EXPECT_THAT(
      TooFewImages(policy, run, {{20, 7}, {}, {}}),
      ElementsAre("fewer than 20 training images of class glaucoma (policy.min_images_per_class)"));
  run.run.min_images_per_class = 30;
  EXPECT_THAT(
      TooFewImages(policy, run, {{20}, {}, {}}),
      ElementsAre("fewer than 30 training images of class normal (run.min_images_per_class)",
                  "fewer than 30 training images of class glaucoma (run.min_images_per_class)"));
}

TEST(PolicyTest, Approval) {
  SitePolicy policy;
  policy.approval = "run";
  EXPECT_EQ(MayJoin(policy, Consent::kNone).gate, Gate::kAsk);
  EXPECT_EQ(MayJoin(policy, Consent::kGranted).gate, Gate::kOpen);
  EXPECT_EQ(MayJoin(policy, Consent::kRefused).gate, Gate::kClosed);
  EXPECT_EQ(MayTrain(policy, {}).gate, Gate::kOpen);
  policy.approval = "none";
  EXPECT_EQ(MayJoin(policy, Consent::kNone).gate, Gate::kOpen);
  EXPECT_EQ(MayTrain(policy, {}).gate, Gate::kOpen);
  policy.approval = "first_round";
  EXPECT_EQ(MayJoin(policy, Consent::kNone).gate, Gate::kOpen);
  EXPECT_EQ(MayTrain(policy, {0, true, Consent::kNone}).gate, Gate::kAsk);
  EXPECT_EQ(MayTrain(policy, {0, true, Consent::kRefused}).gate, Gate::kClosed);
  EXPECT_EQ(MayTrain(policy, {0, true, Consent::kGranted}).gate, Gate::kOpen);
  EXPECT_EQ(MayTrain(policy, {0, false, Consent::kNone}).gate, Gate::kOpen);
  policy.approval = "each_round";
  EXPECT_EQ(MayTrain(policy, {0, false, Consent::kNone}).gate, Gate::kAsk);
}

TEST(PolicyTest, RoundsInADay) {
  SitePolicy policy;
  policy.max_rounds_per_day = 3;
  EXPECT_EQ(MayTrain(policy, {2, false, Consent::kNone}).gate, Gate::kOpen);
  EXPECT_EQ(MayTrain(policy, {3, false, Consent::kNone}).gate, Gate::kClosed);
  EXPECT_EQ(MayTrain(policy, {3, true, Consent::kGranted}).gate, Gate::kClosed);
  policy.max_rounds_per_day = 0;
  EXPECT_EQ(MayTrain(policy, {3000, false, Consent::kNone}).gate, Gate::kOpen);
}

TEST(PolicyTest, CrossSiteTestsNeedBoth) {
  SitePolicy policy;
  FederatedRunConfig run = AgreedRun();
  TestTask task;
  EXPECT_EQ(MayTest(policy, run, task).gate, Gate::kOpen);
  task.trained_by = "west";
  EXPECT_THAT(MayTest(policy, run, task).why, HasSubstr("policy.cross_site"));
  policy.cross_site = true;
  EXPECT_THAT(MayTest(policy, run, task).why, HasSubstr("run.cross_site"));
  run.run.cross_site = true;
  EXPECT_EQ(MayTest(policy, run, task).gate, Gate::kOpen);
}

TEST(PolicyTest, TheLesserReportLeaves) {
  SitePolicy policy;
  RunSettings run = AgreedRun().run;
  const auto agreed = [&](const char* allowed, const char* asked) {
    policy.reports = allowed;
    run.report = asked;
    return AgreedReport(policy, run);
  };
  EXPECT_EQ(agreed("metrics", "scores"), ReportLevel::kMetrics);
  EXPECT_EQ(agreed("histograms", "scores"), ReportLevel::kHistograms);
  EXPECT_EQ(agreed("scores", "scores"), ReportLevel::kScores);
  EXPECT_EQ(agreed("scores", "histograms"), ReportLevel::kHistograms);
  EXPECT_EQ(agreed("scores", "metrics"), ReportLevel::kMetrics);
  run.classes.push_back("other");
  EXPECT_EQ(agreed("histograms", "scores"), ReportLevel::kMetrics);
}

TEST(PolicyTest, SmallCountsAreRoundedUp) {
  SitePolicy policy;
  policy.min_count = 5;
  EXPECT_THAT(RoundedCounts(policy, {{0, 1, 4, 5, 6}, {3}, {2}}).train, ElementsAre(0, 5, 5, 5, 6));
  EXPECT_THAT(RoundedCounts(policy, {{}, {3}, {2}}).test, ElementsAre(5));
  policy.min_count = 0;
  EXPECT_EQ(RoundedCount(policy, 1), 1);
}

TEST(PolicyTest, WordsLoseFilesAndSmallCounts) {
  SitePolicy policy;
  policy.min_count = 5;
  EXPECT_EQ(
      WordsThatMayLeave(policy, "cannot open /srv/images/Tanaka Taro.png: Permission\ndenied"),
      "cannot open (file) (file): Permission denied");
  EXPECT_EQ(
      WordsThatMayLeave(policy, "3 images are labelled cataract; 17 images are not, and 4 sites"),
      "fewer than 5 images are labelled cataract; 17 images are not, and 4 sites");
  EXPECT_EQ(WordsThatMayLeave(policy, "p0012.dcm, then 0.5 and train.learning_rate is 0.01."),
            "(file), then 0.5 and train.learning_rate is 0.01.");
  EXPECT_EQ(WordsThatMayLeave(policy, "data./etc/passwd"), "(file)");
  const std::string cut = WordsThatMayLeave(policy, std::string(299, 'a') + "眼眼");
  EXPECT_EQ(cut, std::string(297, 'a') + "...");
}

}  // namespace
}  // namespace manako
