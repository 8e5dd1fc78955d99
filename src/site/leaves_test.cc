#include "site/leaves.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace manako {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

FederatedRunConfig Config(const std::string& report) {
  FederatedRunConfig config;
  config.run.classes = {"normal", "glaucoma"};
  config.run.report = report;
  return config;
}

TEST(Leaves, ATestTellsWhatRunAndPolicyAgreeUponAndNoMore) {
  SitePolicy policy;
  policy.reports = "histograms";
  EXPECT_THAT(LeavesOf(Config("scores"), policy),
              Contains(HasSubstr("histograms of scores with 200 bins")));
  EXPECT_THAT(LeavesOf(Config("scores"), policy), Not(Contains(HasSubstr("every image"))));
  EXPECT_THAT(LeavesOf(Config("metrics"), policy),
              Contains("of each test: loss, accuracy and AUC"));
  policy.reports = "scores";
  EXPECT_THAT(LeavesOf(Config("scores"), policy),
              Contains(HasSubstr("class and scores of every image")));
}

TEST(Leaves, SmallCountsAndOwnModelsAreTold) {
  SitePolicy policy;
  FederatedRunConfig config = Config("metrics");
  EXPECT_THAT(LeavesOf(config, policy), Contains(HasSubstr("1 to 4 are told as 5")));
  policy.min_count = 1;
  EXPECT_THAT(LeavesOf(config, policy), Not(Contains(HasSubstr("are told as"))));
  config.run.cross_site = true;
  EXPECT_THAT(LeavesOf(config, policy), Not(Contains(HasSubstr("own last model"))));
  policy.cross_site = true;
  EXPECT_THAT(LeavesOf(config, policy), Contains(HasSubstr("own last model")));
  config.run.encoding = "int8";
  EXPECT_THAT(LeavesOf(config, policy), Contains(HasSubstr("(int8)")));
}

}  // namespace
}  // namespace manako
