// A run's model, asked about images by the program that trained it.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "fixtures.h"
#include "process.h"
#include "refusal.h"

namespace manako {
namespace {

namespace fs = std::filesystem;
using Row = std::map<std::string, std::string>;

class PredictTest : public testing::Test {
 protected:
  // One short run for all tests; in float32, whose results depend least on how many images there
  // are in a batch.
  static void SetUpTestSuite() {
    run_folder_ = new TemporaryFolder();
    const ProcessResult study =
        RunManako({"study", PhantomFolder(), "--out", Run(), "--image-size", "32", "--rounds", "3",
                   "--precision", "float32", "--no-thumbnails"});
    ASSERT_EQ(study.exit_code, 0) << study.err;
  }
  static void TearDownTestSuite() { delete run_folder_; }
  static std::string Run() { return *run_folder_ / "run"; }
  static std::string Model() { return Run() + "/model.pt"; }

  static TemporaryFolder* run_folder_;
  TemporaryFolder folder_;
};
TemporaryFolder* PredictTest::run_folder_ = nullptr;

TEST_F(PredictTest, SaysWhatTheRunSaid) {
  const std::string out = folder_ / "predictions.csv";
  const ProcessResult predict = RunManako(
      {"predict", Model(), PhantomFolder() + "/", "--out", out, "--precision", "float32"});
  ASSERT_EQ(predict.exit_code, 0) << predict.err;
  std::map<std::string, Row> now;
  for (const Row& row : ReadCsv(out)) now[row.at("file")] = row;
  EXPECT_EQ(now.size(), 48u);
  int compared = 0;
  for (const Row& row : ReadCsv(Run() + "/predictions.csv")) {
    if (row.at("arm") != "federated") continue;
    const Row& mine = now.at(PhantomFolder() + "/" + row.at("file"));
    const double p = std::stod(row.at("p_detachment"));
    EXPECT_NEAR(std::stod(mine.at("p_detachment")), p, 1e-5);
    EXPECT_EQ(mine.at("prediction"), p > 0.5 ? "detachment" : "normal");
    EXPECT_EQ(mine.at("error"), "");
    ++compared;
  }
  EXPECT_GT(compared, 10);
}

TEST_F(PredictTest, AnUnreadableImageIsARowOfItsOwn) {
  const std::string images = folder_ / "images";
  fs::copy(PhantomFolder() + "/normal", images);
  const std::string bytes = Slurp(fs::directory_iterator(images)->path());
  Spill(images + "/a, cut.jpg", bytes.substr(0, bytes.size() / 3));
  const ProcessResult predict = RunManako({"predict", Model(), images});
  EXPECT_EQ(predict.exit_code, 0);
  EXPECT_NE(predict.err.find("1 of 25 images"), std::string::npos) << predict.err;
  Spill(folder_ / "out.csv", predict.out);
  const std::vector<Row> rows = ReadCsv(folder_ / "out.csv");
  ASSERT_EQ(rows.size(), 25u);
  EXPECT_EQ(rows[0].at("file"), images + "/a, cut.jpg");
  EXPECT_EQ(rows[0].at("p_normal"), "");
  EXPECT_NE(rows[0].at("error"), "");
  EXPECT_NE(rows[1].at("p_normal"), "");
}

TEST_F(PredictTest, WhatCannotBe) {
  ExpectRefused(RunManako({"predict", Model(), "nowhere"}), {"nowhere does not exist"});
  fs::create_directory(folder_ / "empty");
  ExpectRefused(RunManako({"predict", Model(), folder_ / "empty"}), {"no images"});
  Spill(folder_ / "model.pt", "no model");
  ExpectRefused(RunManako({"predict", folder_ / "model.pt", PhantomFolder()}),
                {"model.pt", "TorchScript"});
  // Changed since it was trained: one byte of its parameters.
  std::string bytes = Slurp(Model());
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  Spill(folder_ / "changed.pt", bytes);
  const ProcessResult changed = RunManako({"predict", folder_ / "changed.pt", PhantomFolder()});
  EXPECT_EQ(changed.exit_code, 2);
  EXPECT_NE(changed.err.find("changed.pt"), std::string::npos) << changed.err;
  EXPECT_EQ(changed.out, "");
}

}  // namespace
}  // namespace manako
