// Flags, configurations and files of trained parameters that cannot be used as given.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "fixtures.h"
#include "process.h"
#include "refusal.h"

namespace manako {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class BadModelTest : public testing::Test {
 protected:
  ProcessResult Study(std::vector<std::string> more, const std::string& out = "") {
    std::vector<std::string> arguments = {
        "study", PhantomFolder(), "--out", out.empty() ? out_ : out, "--image-size", "32"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunManako(arguments);
  }

  TemporaryFolder folder_;
  std::string out_ = folder_ / "run";
};

TEST_F(BadModelTest, UnknownFlag) {
  ExpectRefused(Study({"--bogus", "3"}), {"--bogus", "study --help"});
  EXPECT_FALSE(fs::exists(out_));
}

TEST_F(BadModelTest, UnknownCommand) {
  ExpectRefused(RunManako({"studdy"}), {"studdy", "`manako --help`"});
}

// A flag that --help leaves out has a name in a message all the same.
TEST_F(BadModelTest, AValueThatIsNoNumber) {
  ExpectRefused(Study({"--warmup-share", "much"}), {"--warmup-share", "much"});
}

TEST_F(BadModelTest, ThreadsOutOfRange) {
  for (const char* threads : {"-5", "100000"}) {
    ExpectRefused(Study({"--threads", threads}), {"--threads", "1024", threads});
  }
}

TEST_F(BadModelTest, NoCommand) { ExpectRefused(RunManako({}), {"manako --help"}); }

TEST_F(BadModelTest, NoImages) { ExpectRefused(RunManako({"study"}), {"images", "manako study"}); }

TEST_F(BadModelTest, ANumberThatIsNone) {
  ExpectRefused(Study({"--rounds", "many"}), {"--rounds", "many"});
  EXPECT_FALSE(fs::exists(out_));
}

TEST_F(BadModelTest, ANumberOutOfRange) {
  ExpectRefused(Study({"--epochs", "0"}), {"epochs", "from 1", "0"});
  EXPECT_FALSE(fs::exists(out_)) << "a folder for a run that cannot be";
}

TEST_F(BadModelTest, UnknownModel) {
  ExpectRefused(Study({"--model", "resnet19"}), {"resnet19", "resnet18"});
}

TEST_F(BadModelTest, ConfigWithAnUnknownKey) {
  Spill(folder_ / "c.toml", "[federation]\nround = 3\n");
  ExpectRefused(Study({"--config", folder_ / "c.toml"}), {"c.toml", "line 2", "federation.round"});
  EXPECT_FALSE(fs::exists(out_));
}

TEST_F(BadModelTest, ConfigThatIsNoToml) {
  Spill(folder_ / "c.toml", "[federation\nrounds = 3\n");
  ExpectRefused(Study({"--config", folder_ / "c.toml"}), {"c.toml", "line 1"});
  EXPECT_FALSE(fs::exists(out_));
}

TEST_F(BadModelTest, ConfigThatIsNotThere) {
  ExpectRefused(Study({"--config", folder_ / "c.toml"}), {"c.toml"});
  EXPECT_FALSE(fs::exists(out_));
}

TEST_F(BadModelTest, InitThatIsNotThere) {
  ExpectRefused(Study({"--init", folder_ / "w.pth"}), {"w.pth", "No such file"});
}

TEST_F(BadModelTest, InitThatIsGarbage) {
  Spill(folder_ / "w.pth", "these are no weights");
  ExpectRefused(Study({"--init", folder_ / "w.pth"}), {"w.pth", "safetensors"});
}

TEST_F(BadModelTest, InitThatIsACutZip) {
  Spill(folder_ / "w.pth", std::string("PK\x03\x04") + std::string(200, 'x'));
  ExpectRefused(Study({"--init", folder_ / "w.pth"}), {"w.pth"});
}

TEST_F(BadModelTest, InitWithAHugeSafetensorsHeader) {
  Spill(folder_ / "w.safetensors", std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{\"a\":1}", 15));
  ExpectRefused(Study({"--init", folder_ / "w.safetensors"}), {"w.safetensors"});
}

// model.pt of a run is TorchScript. It is taken where it fits, and refused by name where not.
TEST_F(BadModelTest, InitFromARunsOwnModel) {
  ASSERT_EQ(Study({"--rounds", "1", "--arms", "federated"}, folder_ / "first").exit_code, 0);
  const std::string model = folder_ / "first/model.pt";
  const ProcessResult fits =
      Study({"--rounds", "1", "--arms", "federated", "--init", model}, folder_ / "second");
  EXPECT_EQ(fits.exit_code, 0) << fits.err;
  ExpectRefused(Study({"--rounds", "1", "--model", "squeezenet1_1", "--init", model}),
                {"model.pt", "does not fit"});
  std::string cut = Slurp(model);
  cut.resize(cut.size() / 2);
  Spill(folder_ / "cut.pt", cut);
  ExpectRefused(Study({"--rounds", "1", "--init", folder_ / "cut.pt"}, folder_ / "third"),
                {"cut.pt"});
}

// A learning rate that no training survives: what a user sees is a finished study that says so.
TEST_F(BadModelTest, TrainingThatFallsApartIsReported) {
  const ProcessResult run = Study({"--rounds", "3", "--learning-rate", "1e30"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_NE(run.err.find("federated stopped in round"), std::string::npos) << run.err;
  EXPECT_EQ(run.err.find("-nan"), std::string::npos) << run.err;
  // Models that have all learnt nothing are equal, which is no finding.
  EXPECT_NE(run.out.find("Caution: the AUC is not shown to be above chance (0.5) for pooled, "),
            std::string::npos)
      << run.out;
  int stopped = 0;
  for (const json& event : ReadJournal(out_)) stopped += event["event"] == "model_stopped";
  EXPECT_EQ(stopped, 5) << "pooled, federated and three alone";
  const json metrics = ReadJson(out_ + "/metrics.json");
  ASSERT_EQ(metrics["arms"].size(), 3u);
  for (const json& arm : metrics["arms"]) {
    EXPECT_FALSE(arm["stopped"].is_null()) << arm["name"];
  }
}

// "The best round before" is a round whose model says something, if only the initial one's.
TEST_F(BadModelTest, WhatIsKeptOfAStoppedTrainingIsNoNan) {
  ASSERT_EQ(Study({"--rounds", "3", "--learning-rate", "1e30"}).exit_code, 0);
  int bad = 0;
  for (const auto& row : ReadCsv(out_ + "/predictions.csv")) {
    bad += !std::isfinite(std::strtod(row.at("p_normal").c_str(), nullptr));
  }
  EXPECT_EQ(bad, 0) << "predictions that are no numbers";
  for (const json& event : ReadJournal(out_)) {
    if (event["event"] != "round" || event["train_loss"].is_null()) continue;
    // The AUC of predictions that are no numbers is undefined, not zero.
    if (event["validation_loss"].is_null()) {
      EXPECT_TRUE(event["validation_auc"].is_null()) << event;
    }
  }
}

TEST_F(BadModelTest, ReportOfNoRun) {
  fs::create_directories(folder_ / "empty");
  ExpectRefused(RunManako({"report", folder_ / "nowhere"}), {folder_ / "nowhere", "no run"});
  ExpectRefused(RunManako({"report", folder_ / "empty"}), {folder_ / "empty", "no run"});
}

TEST_F(BadModelTest, ResumeOfNoRun) {
  ExpectRefused(RunManako({"study", "--resume", folder_ / "nowhere"}),
                {folder_ / "nowhere", "no run", "--resume"});
}

// A flag that would be ignored is refused: the run's own configuration holds.
TEST_F(BadModelTest, ResumeWithOtherSettings) {
  ASSERT_EQ(Study({"--rounds", "1", "--arms", "federated"}).exit_code, 0);
  ExpectRefused(RunManako({"study", "--resume", out_, "--rounds", "9"}), {"--resume", "--rounds"});
}

}  // namespace
}  // namespace manako
