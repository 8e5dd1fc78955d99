#include "study/study.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "base/files.h"
#include "base/random.h"
#include "base/temporary_folder.h"
#include "learn/networks.h"
#include "learn/torch_learner.h"

namespace manako {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

std::string Text(const absl::Status& status) { return std::string(status.message()); }

// A 24-bit BMP: noise with a bright square, on the left for class 0 and on the right for class 1.
void WriteBmp(const fs::path& path, int label, uint64_t index) {
  constexpr int kSide = 32;
  Random random(1, "bmp", static_cast<uint64_t>(label), index);
  std::string bytes = "BM";
  const auto put = [&](uint32_t value, int size) {
    for (int i = 0; i < size; ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
  };
  put(54 + kSide * kSide * 3, 4), put(0, 4), put(54, 4);
  put(40, 4), put(kSide, 4), put(kSide, 4), put(1, 2), put(24, 2);
  for (int i = 0; i < 6; ++i) put(0, 4);
  const int x0 = static_cast<int>(random.Below(8)) + 16 * label,
            y0 = static_cast<int>(random.Below(24));
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      const bool inside = x >= x0 && x < x0 + 8 && y >= y0 && y < y0 + 8;
      for (int c = 0; c < 3; ++c)
        bytes.push_back(static_cast<char>(inside ? 200 + random.Below(50) : random.Below(100)));
    }
  }
  std::ofstream(path, std::ios::binary) << bytes;
}

class StudyTest : public testing::Test, public StudyObserver {
 protected:
  static void SetUpTestSuite() { PrepareLibtorch(1); }
  StudyTest() {
    for (int label = 0; label < 2; ++label) {
      const fs::path images = fs::path(folder_ / "images") / (label == 0 ? "normal" : "sick");
      fs::create_directories(images);
      for (uint64_t i = 0; i < 40; ++i) WriteBmp(images / (std::to_string(i) + ".bmp"), label, i);
    }
    options_.config.data.path = folder_ / "images";
    options_.config.data.image_size = 32;
    options_.config.train.batch = 8;
    options_.config.train.learning_rate = 0.02;
    options_.config.train.optimiser = "sgd";
    options_.config.train.precision = "float32";
    options_.config.train.augmentation.flip_horizontal = false;
    options_.config.federation.rounds = 3;
    options_.config.partition.sites = 3;
    options_.threads = 2;
    options_.version = "test";
  }

  void OnEvent(const json& event) override { events_.push_back(event); }
  void OnNote(const std::string& note) override { notes_.push_back(note); }

  absl::Status Run(const std::string& name) {
    options_.out = folder_ / name;
    return RunStudy(options_, this);
  }
  std::string Content(const std::string& name) { return *ReadFile(folder_ / name); }
  void ExpectSameResults(const std::string& a, const std::string& b) {
    for (const char* file : {"/predictions.csv", "/model.pt"})
      EXPECT_EQ(Content(a + file), Content(b + file)) << file;
  }

  const TemporaryFolder folder_;
  StudyOptions options_;
  std::vector<json> events_;
  std::vector<std::string> notes_;
};

TEST_F(StudyTest, WritesTheRunFolder) {
  options_.config.study.repeats = 2;
  ASSERT_TRUE(Run("run").ok());
  std::map<std::string, int> count;
  for (const json& event : events_) ++count[event["event"].get<std::string>()];
  // Two cells of pooled, federated and three lone sites; rounds 0 to 3 of each model.
  EXPECT_EQ(count["cell_started"], 2);
  EXPECT_EQ(count["model_finished"], 2 * 5);
  EXPECT_EQ(count["round"], 2 * 5 * 4);
  EXPECT_EQ(count["run_finished"], 1);
  const std::string predictions = Content("run/predictions.csv");
  // 16 test images for each of 5 models of 2 cells, and at least one validation image each.
  EXPECT_GT(std::count(predictions.begin(), predictions.end(), '\n'), 1 + 2 * 5 * 16);
  EXPECT_TRUE(fs::exists(folder_ / "run/model.pt"));
  EXPECT_FALSE(fs::exists(folder_ / "run/state"));
  EXPECT_TRUE(IsFinished(folder_ / "run"));
  EXPECT_EQ(ReadRunConfig(folder_ / "run")->ToToml(), Content("run/config.toml"));
}

TEST_F(StudyTest, ArmsSeeTheSameImagesAsOften) {
  ASSERT_TRUE(Run("run").ok());
  std::map<std::string, int> visits;
  for (const json& event : events_) {
    if (event["event"] == "round")
      visits[event["arm"].get<std::string>()] += event["images"].get<int>();
  }
  EXPECT_GT(visits["pooled"], 0);
  EXPECT_EQ(visits["pooled"], visits["federated"]);
  EXPECT_EQ(visits["pooled"], visits["alone"]);
}

// Batches of steps are cut from epochs of batches that differ by one image, so the counts may
// differ by one a step.
TEST_F(StudyTest, ArmsSeeAsManyImagesWithLocalStepsToo) {
  options_.config.train.local_steps = 2;
  ASSERT_TRUE(Run("run").ok());
  std::map<std::string, int> visits;
  for (const json& event : events_) {
    if (event["event"] == "round")
      visits[event["arm"].get<std::string>()] += event["images"].get<int>();
  }
  const int steps = 3 * 2 * 3;  // rounds, steps, sites
  EXPECT_GT(visits["pooled"], 0);
  EXPECT_NEAR(visits["pooled"], visits["federated"], steps);
  EXPECT_NEAR(visits["pooled"], visits["alone"], steps);
}

// Rounds of few steps are tested where an epoch ends, and the last one always.
TEST_F(StudyTest, ShortRoundsAreTestedOnceAnEpoch) {
  options_.config.train.local_steps = 1;
  options_.config.train.batch = 16;
  options_.config.federation.rounds = 8;
  ASSERT_TRUE(Run("run").ok());
  std::vector<int> tested;
  int images = 0, visits = 0;
  for (const json& event : events_) {
    if (event["event"] == "cell_started" && images == 0) {
      for (const json& count : event["splits"][0]["per_class"]) images += count.get<int>();
    }
    if (event["event"] != "round" || event["arm"] != "pooled" || event["repeat"] != 1 ||
        event["fold"] != 1)
      continue;
    tested.push_back(event["round"].get<int>());
    visits += event["images"].get<int>();
  }
  const int epoch = (images + 15) / 16;
  ASSERT_GT(epoch, 1);
  std::vector<int> expected = {0};
  for (int round = 1; round <= 8; ++round) {
    if (round % epoch == 0 || round == 8) expected.push_back(round);
  }
  EXPECT_EQ(tested, expected);
  EXPECT_NEAR(visits, 8 * images / epoch, 8);  // none is lost between two tests
}

TEST_F(StudyTest, ThreadsDoNotReachTheBits) {
  options_.threads = 1;
  ASSERT_TRUE(Run("one").ok());
  options_.threads = 4;
  ASSERT_TRUE(Run("four").ok());
  ExpectSameResults("one", "four");
  options_.config.study.seed = 2;
  ASSERT_TRUE(Run("other").ok());
  EXPECT_NE(Content("one/predictions.csv"), Content("other/predictions.csv"));
}

class FrozenStudyTest : public StudyTest {
 protected:
  // All that follows starts from what another study trained.
  FrozenStudyTest() {
    EXPECT_TRUE(Run("trained").ok());
    options_.config.model.init = folder_ / "trained/model.pt";
    options_.config.train.freeze = "until:features.6";
    options_.config.train.feature_variants = 3;
    options_.config.train.weight_decay = 0.01;
  }
  ParameterSet Model(const std::string& file) {
    const auto pool = *NetworkPool::Create({"cnn3", 2});
    return (*pool->InitialParameters(1, folder_ / file, nullptr))->Clone();
  }
};

TEST_F(FrozenStudyTest, FrozenLayersStayToTheBitInEveryArm) {
  const ParameterSet before = Model("trained/model.pt");
  for (const char* arm : {"pooled", "federated", "alone"}) {
    options_.config.study.arms = {arm};
    options_.config.federation.select = "last";
    ASSERT_TRUE(Run(arm).ok());
    const ParameterSet after = Model(arm + std::string("/model.pt"));
    for (const TensorSpec& tensor : before.spec->tensors()) {
      const bool frozen =
          tensor.name.starts_with("features.0") || tensor.name.starts_with("features.3");
      const auto a = before.Tensor(tensor), b = after.Tensor(tensor);
      EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size_bytes()) == 0, frozen)
          << arm << ": " << tensor.name;
    }
  }
}

TEST_F(FrozenStudyTest, ThreadsDoNotReachTheBits) {
  options_.config.study.repeats = 2;
  notes_.clear();
  options_.threads = 1;
  ASSERT_TRUE(Run("one").ok());
  int told = 0;
  for (const std::string& note : notes_)
    told += note.starts_with("Features of frozen layers: ") ? 1 : 0;
  EXPECT_EQ(told, 1) << "once for all arms and cells";
  options_.threads = 4;
  ASSERT_TRUE(Run("four").ok());
  ExpectSameResults("one", "four");
  options_.config.train.feature_variants = 4;
  ASSERT_TRUE(Run("other").ok());
  EXPECT_NE(Content("one/predictions.csv"), Content("other/predictions.csv"));
}

TEST_F(FrozenStudyTest, WhatCannotBeFrozenIsOneLine) {
  options_.config.train.freeze = "until:features.7";
  EXPECT_EQ(Text(Run("a")),
            "cnn3 can be frozen until features.3, features.6, classifier, classifier.1, "
            "classifier.4, but not until features.7 (train.freeze)");
  options_.config.model.init.clear();
  EXPECT_THAT(Text(Run("b")), HasSubstr("model.init is empty"));
  options_.config.train.freeze = "features.6";
  EXPECT_THAT(Text(Run("c")), HasSubstr("until:LAYER"));
  EXPECT_FALSE(fs::exists(folder_ / "a/journal.jsonl"));
}

TEST_F(StudyTest, ConfigurationRepeatsTheRun) {
  ASSERT_TRUE(Run("first").ok());
  options_.config = *ReadRunConfig(folder_ / "first");
  ASSERT_TRUE(Run("again").ok());
  EXPECT_EQ(Content("first/predictions.csv"), Content("again/predictions.csv"));
}

TEST_F(StudyTest, CrossValidationTestsEveryImageOnce) {
  options_.config.study.folds = 4;
  options_.config.study.arms = {"pooled"};
  ASSERT_TRUE(Run("run").ok());
  std::istringstream lines(Content("run/predictions.csv"));
  std::map<std::string, int> tested;
  for (std::string line; std::getline(lines, line);) {
    if (line.find(",pooled,,test,") == std::string::npos) continue;
    std::istringstream fields(line);
    std::string file;
    for (int i = 0; i < 6; ++i) std::getline(fields, file, ',');
    ++tested[file];
  }
  EXPECT_EQ(tested.size(), 80u);
  for (const auto& [file, times] : tested) EXPECT_EQ(times, 1) << file;
}

TEST_F(StudyTest, FoldersAreNotOverwritten) {
  ASSERT_TRUE(Run("run").ok());
  const std::string before = Content("run/predictions.csv");
  EXPECT_THAT(Text(Run("run")), HasSubstr("already holds a run"));
  options_.resume = true;
  EXPECT_TRUE(Run("run").ok());  // finished: nothing to do
  EXPECT_EQ(Content("run/predictions.csv"), before);
  EXPECT_THAT(Text(Run("none")), HasSubstr("holds no run"));
}

TEST_F(StudyTest, TwoRunsInOneFolderAreRefused) {
  fs::create_directories(folder_ / "run");
  const auto lock = FolderLock::Take(folder_ / "run");
  EXPECT_THAT(Text(Run("run")), HasSubstr("in use by another manako"));
}

TEST_F(StudyTest, DivergingTrainingStopsItsArmAndNothingElse) {
  options_.config.train.learning_rate = 1e8;
  options_.config.train.warmup_share = 0;
  ASSERT_TRUE(Run("run").ok());
  int stopped = 0;
  for (const json& event : events_) {
    if (event["event"] != "model_stopped") continue;
    ++stopped;
    for (const char* language : {"en", "ja"}) {
      EXPECT_THAT(event[language].get<std::string>(), HasSubstr("train.learning_rate"));
    }
    EXPECT_THAT(event["ja"].get<std::string>(), HasSubstr("ラウンド"));
    EXPECT_GE(event["round"].get<int>(), 1);
  }
  EXPECT_EQ(stopped, 5);
  EXPECT_TRUE(IsFinished(folder_ / "run"));
}

TEST_F(StudyTest, BadConfigurationsAreOneLine) {
  options_.config.train.batch = -1;
  EXPECT_THAT(Text(Run("a")), HasSubstr("train.batch"));
  options_.config.train.batch = 8;
  options_.config.partition.sites = 900;
  EXPECT_EQ(Run("b").code(), absl::StatusCode::kInvalidArgument);
  options_.config.partition.sites = 3;
  options_.config.model.architecture = "resnet19";
  EXPECT_THAT(Text(Run("c")), HasSubstr("resnet18"));
  EXPECT_EQ(Text(Run("c")).find('\n'), std::string::npos);
}

}  // namespace
}  // namespace manako
