#include "core/federated_run_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status_macros.h"

namespace manako {
namespace {

using ::testing::HasSubstr;

FederatedRunConfig TwoClasses() {
  FederatedRunConfig config;
  config.run.classes = {"detached", "normal"};
  return config;
}

TEST(FederatedRunConfig, TomlKeepsEveryField) {
  FederatedRunConfig config = TwoClasses();
  config.run.name = "Retinal detachment, \"first\" run";
  config.run.sites = {"east", "west"};
  config.run.quorum = 1;
  config.run.deadline_minutes = 1.5;
  config.run.encoding = "bfloat16";
  config.run.seed = 77;
  config.training.train.batch = 24;
  config.training.federation.rounds = 9;
  config.training.data.image_size = 128;
  const auto read = FederatedRunConfig::FromToml(config.ToToml(), "run.toml");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->ToToml(), config.ToToml());
  EXPECT_EQ(read->run.sites, config.run.sites);
  EXPECT_EQ(read->training.train.batch, 24);
  EXPECT_EQ(read->training.data.image_size, 128);
  EXPECT_TRUE(read->Validate().ok()) << read->Validate();
}

// Where a site's images are is the site's own: a run that would say it is refused, not obeyed.
TEST(FederatedRunConfig, KnowsNothingOfASitesFolders) {
  const auto read = FederatedRunConfig::FromToml("[data]\npath = \"/srv/images\"\n", "run.toml");
  ASSERT_FALSE(read.ok());
  EXPECT_THAT(std::string(MessageOf(read.status())),
              HasSubstr("run.toml: line 2: data.path is no setting"));
}

TEST(FederatedRunConfig, RefusesWhatCannotGoTogether) {
  FederatedRunConfig config = TwoClasses();
  config.run.quorum = 2;
  EXPECT_THAT(std::string(MessageOf(config.Validate())), HasSubstr("give a deadline"));
  config.run.deadline_minutes = 10;
  EXPECT_TRUE(config.Validate().ok());
  config.run.sites = {"east"};
  EXPECT_THAT(std::string(MessageOf(config.Validate())), HasSubstr("no round would ever end"));
  config = TwoClasses();
  config.run.classes.push_back("other");
  EXPECT_THAT(std::string(MessageOf(config.Validate())), HasSubstr("run.report is histograms"));
  config.run.report = "metrics";
  EXPECT_TRUE(config.Validate().ok());
  config.run.positive = "nobody";
  EXPECT_THAT(std::string(MessageOf(config.Validate())), HasSubstr("run.positive is nobody"));
}

TEST(FederatedRunConfig, FrozenLayersNeedAnEncodingThatLeavesThemAsTheyAre) {
  FederatedRunConfig config = TwoClasses();
  config.run.encoding = "int8";
  EXPECT_TRUE(config.Validate().ok());
  config.training.train.freeze = "until:layer4";
  EXPECT_THAT(std::string(MessageOf(config.Validate())), HasSubstr("run.encoding int8"));
  config.run.encoding = "bfloat16";
  EXPECT_TRUE(config.Validate().ok());
}

TEST(FederatedRunConfig, TestsWhereAnEpochEnds) {
  FederatedRunConfig config = TwoClasses();
  config.training.train.batch = 10;
  config.training.train.local_steps = 4;
  config.training.federation.rounds = 7;
  // 100 images are 10 steps: rounds end behind steps 4, 8, 12, 16, 20, 24, 28.
  std::vector<int> tested;
  for (int round = 0; round <= 7; ++round) {
    if (IsTested(config, round, 100)) tested.push_back(round);
  }
  EXPECT_EQ(tested, (std::vector<int>{0, 3, 5, 7}));
  config.run.test_every = 2;
  EXPECT_TRUE(IsTested(config, 2, 100));
  EXPECT_FALSE(IsTested(config, 3, 100));
}

}  // namespace
}  // namespace manako
