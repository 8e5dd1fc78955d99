#include "core/run_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace manako {
namespace {

using testing::HasSubstr;

std::string Text(const absl::Status& status) { return std::string(status.message()); }

TEST(RunConfigTest, DefaultsAreValid) { EXPECT_TRUE(RunConfig().Validate().ok()); }

TEST(RunConfigTest, TomlRoundTripKeepsEveryField) {
  RunConfig config;
  config.data.path = "a \"quoted\\path\"\n眼";
  config.partition.proportions = {0.1, 1e-20, 3};
  config.train.learning_rate = 0.1 + 0.2;
  config.study.seed = 9007199254740993;  // not a double
  config.study.arms = {"alone"};
  const auto read = RunConfig::FromToml(config.ToToml(), "test");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->ToToml(), config.ToToml());
  EXPECT_EQ(read->data.path, config.data.path);
  EXPECT_EQ(read->study.seed, config.study.seed);
  EXPECT_EQ(read->train.learning_rate, config.train.learning_rate);
}

TEST(RunConfigTest, BadTomlNamesLineAndField) {
  const auto error = [](const char* text) {
    return Text(RunConfig::FromToml(text, "run.toml").status());
  };
  EXPECT_THAT(error("[train]\nbatch = \"x\"\n"),
              HasSubstr("run.toml: line 2: train.batch must be a whole number"));
  EXPECT_THAT(error("[train]\n\nbatches = 3\n"), HasSubstr("line 3: train.batches is no setting"));
  EXPECT_THAT(error("[train\n"), HasSubstr("line 1"));
  for (const char* malformed : {"[.a]", "[#", "a = [}", "[", "=", "\"", "a = {", "\xff"})
    EXPECT_FALSE(error(malformed).empty());
  EXPECT_THAT(error("batch = 3\n"), HasSubstr("outside every table"));
  EXPECT_THAT(error("[study]\nseed = -1\n"), HasSubstr("study.seed must be"));
  EXPECT_THAT(error("[train]\nbatch = 99999999999\n"), HasSubstr("train.batch"));
}

TEST(RunConfigTest, IntegerMayStandForANumber) {
  EXPECT_EQ(RunConfig::FromToml("[train]\nlearning_rate = 1\n", "x")->train.learning_rate, 1.0);
}

TEST(RunConfigTest, RoundsMakeTheEpochs) {
  RunConfig config;
  config.train.batch = 32;
  ResolveRounds(config, 1322);  // 42 steps an epoch
  EXPECT_EQ(config.train.local_steps, 4);
  EXPECT_EQ(config.federation.rounds, 210);
  config = {};
  ResolveRounds(config, 120);  // 4 steps: an epoch is a round
  EXPECT_EQ(config.train.local_steps, 0);
  EXPECT_EQ(config.train.local_epochs, 1);
  EXPECT_EQ(config.federation.rounds, 20);
  config = {};
  config.federation.rounds = 7;  // what is given stands
  ResolveRounds(config, 1322);
  EXPECT_EQ(config.train.local_epochs, 1);
  EXPECT_EQ(config.train.local_steps, 0);
  EXPECT_EQ(config.federation.rounds, 7);
  config = {};
  config.train.local_epochs = 3;
  ResolveRounds(config, 1322);
  EXPECT_EQ(config.federation.rounds, 7);
  config = {};
  config.federation.site_batch = "full";
  ResolveRounds(config, 1322);
  EXPECT_EQ(config.train.local_epochs, 1);
  EXPECT_EQ(config.federation.rounds, 20);
}

TEST(RunConfigTest, UsualLearningRates) {
  RunConfig config;
  EXPECT_DOUBLE_EQ(UsualLearningRate(config.train, config.model), 0.001);
  config.model.init = "file";
  EXPECT_DOUBLE_EQ(UsualLearningRate(config.train, config.model), 0.0002);
  config.train.optimiser = "sgd";
  EXPECT_DOUBLE_EQ(UsualLearningRate(config.train, config.model), 0.002);
}

TEST(RunConfigTest, FrozenLayers) {
  RunConfig config;
  EXPECT_EQ(FrozenUntil(config.train), "");
  EXPECT_TRUE(CheckFrozenAreTrained(config).ok());
  config.train.freeze = "until:features.10";
  EXPECT_EQ(FrozenUntil(config.train), "features.10");
  EXPECT_TRUE(config.Validate().ok());
  EXPECT_THAT(Text(CheckFrozenAreTrained(config)), HasSubstr("model.init is empty"));
  config.model.init = "file";
  EXPECT_TRUE(CheckFrozenAreTrained(config).ok());
  for (const char* wrong : {"features.10", "until:", "until", "before:layer4"}) {
    config.train.freeze = wrong;
    EXPECT_THAT(Text(config.Validate()), HasSubstr("train.freeze must be empty or until:LAYER"));
  }
}

TEST(RunConfigTest, ValidationNamesFieldAndValue) {
  const auto error = [](auto change) {
    RunConfig config;
    change(config);
    return Text(config.Validate());
  };
  EXPECT_THAT(error([](RunConfig& c) { c.train.batch = 0; }),
              HasSubstr("train.batch must be from 1"));
  EXPECT_THAT(error([](RunConfig& c) { c.train.learning_rate = NAN; }),
              HasSubstr("train.learning_rate"));
  EXPECT_THAT(error([](RunConfig& c) {
                c.study.arms = {"pooled", "both"};
              }),
              HasSubstr("but is both"));
  EXPECT_THAT(error([](RunConfig& c) { c.partition.scheme = "column"; }),
              HasSubstr("data.site_column"));
  EXPECT_THAT(error([](RunConfig& c) { c.study.folds = 1; }), HasSubstr("study.folds"));
  EXPECT_THAT(error([](RunConfig& c) {
                c.partition.scheme = "proportions";
                c.partition.proportions = {1, 2};
              }),
              HasSubstr("has 2 numbers, but partition.sites is 3"));
  EXPECT_THAT(error([](RunConfig& c) {
                c.train.local_steps = 8;
                c.federation.site_batch = "full";
              }),
              HasSubstr("train.local_steps needs"));
  EXPECT_THAT(error([](RunConfig& c) { c.split.validation_share = 0; }),
              HasSubstr("select = last"));
}

}  // namespace
}  // namespace manako
