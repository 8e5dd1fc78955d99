// The whole program on real images. What is checked is that it works and keeps its promises about
// patients, not how good a network of two rounds is.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "fixtures.h"
#include "process.h"

namespace manako {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string Data(const std::string& name) { return std::string(MANAKO_TEST_DATA) + "/" + name; }

#define SKIP_WITHOUT(path) \
  if (!fs::exists(path)) GTEST_SKIP() << (path) << " is not here: set MANAKO_TEST_DATA"

ProcessResult Study(const std::string& source, const std::string& out,
                    std::vector<std::string> more = {}) {
  std::vector<std::string> arguments = {"study",    source, "--out",        out,
                                        "--rounds", "2",    "--image-size", "32"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return RunManako(arguments);
}

json Event(const std::string& run, const std::string& kind) {
  for (const json& event : ReadJournal(run)) {
    if (event["event"] == kind) return event;
  }
  ADD_FAILURE() << "no " << kind << " in " << run;
  return {};
}

void ExpectThreeArmsWithAucs(const std::string& run) {
  const json metrics = ReadJson(run + "/metrics.json");
  ASSERT_EQ(metrics["arms"].size(), 3u);
  for (const json& arm : metrics["arms"]) {
    const json& auc = arm["auc"];
    ASSERT_TRUE(auc["value"].is_number()) << arm["name"];
    EXPECT_LE(auc["low"], auc["value"]);
    EXPECT_LE(auc["value"], auc["high"]);
    EXPECT_GE(auc["low"], 0);
    EXPECT_LE(auc["high"], 1);
  }
  EXPECT_EQ(metrics["comparisons"].size(), 3u);
  EXPECT_EQ(metrics["synthetic"], false);
  EXPECT_GT(fs::file_size(run + "/report.html"), 10'000u);
  EXPECT_GT(fs::file_size(run + "/model.pt"), 10'000u);
}

// No patient on two sides. predictions.csv shows validation and test; that training shares none
// with them follows from the counts of patients, which would add up to more than there are.
void ExpectNoPatientDivided(const std::string& run, size_t patients) {
  std::map<std::string, std::set<std::string>> splits_of;
  std::set<std::string> tested;
  for (const auto& row : ReadCsv(run + "/predictions.csv")) {
    // One cell only; the arm `alone` validates on its own part of the same split.
    splits_of[row.at("patient")].insert(row.at("split"));
    if (row.at("split") == "test") tested.insert(row.at("patient"));
  }
  EXPECT_GT(tested.size(), 1u);
  for (const auto& [patient, splits] : splits_of) {
    EXPECT_EQ(splits.size(), 1u) << "patient " << patient;
  }
  size_t sum = 0;
  const json cell = Event(run, "cell_started");
  for (const json& split : cell["splits"]) {
    sum += split["patients"].get<size_t>();
    if (split["name"] == "test") {
      EXPECT_EQ(split["patients"], tested.size());
    }
  }
  EXPECT_EQ(sum, patients);
  EXPECT_EQ(Event(run, "data_loaded")["data"]["patients"], patients);
}

size_t Distinct(const std::string& manifest, const std::string& column) {
  std::set<std::string> values;
  for (const auto& row : ReadCsv(manifest)) values.insert(row.at(column));
  return values.size();
}

// Probabilities are probabilities, and every arm was tested on the same images.
void ExpectSoundPredictions(const std::string& run) {
  std::map<std::string, std::set<std::string>> tested;
  for (const auto& row : ReadCsv(run + "/predictions.csv")) {
    double sum = 0;
    for (const auto& [name, value] : row) {
      if (name.starts_with("p_")) sum += std::stod(value);
    }
    EXPECT_NEAR(sum, 1, 1e-4) << row.at("file");
    if (row.at("split") == "test") {
      tested[row.at("arm") + "/" + row.at("site")].insert(row.at("file"));
    }
  }
  EXPECT_EQ(tested.size(), 5u) << "pooled, federated, three alone";
  for (const auto& [model, files] : tested) EXPECT_EQ(files, tested["pooled/"]) << model;
}

TEST(RealDataTest, ChestXRaysByManifest) {
  const std::string manifest = Data("cxr224/manifest.csv");
  SKIP_WITHOUT(manifest);
  TemporaryFolder folder;
  const ProcessResult run =
      Study(manifest, folder / "run", {"--group-column", "patient_from_filename"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  ExpectThreeArmsWithAucs(folder / "run");
  ExpectSoundPredictions(folder / "run");
  ExpectNoPatientDivided(folder / "run", Distinct(manifest, "patient_from_filename"));
  EXPECT_EQ(Event(folder / "run", "data_loaded")["data"]["images"], ReadCsv(manifest).size());
}

TEST(RealDataTest, FundusPhotographsWithSeveralOfAPatient) {
  const std::string manifest = Data("hygd256/manifest.csv");
  SKIP_WITHOUT(manifest);
  TemporaryFolder folder;
  const ProcessResult run = Study(manifest, folder / "run", {"--group-column", "patient_group"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  ExpectThreeArmsWithAucs(folder / "run");
  ExpectSoundPredictions(folder / "run");
  const size_t groups = Distinct(manifest, "patient_group");
  ASSERT_LT(groups, ReadCsv(manifest).size()) << "one image a patient tests nothing";
  ExpectNoPatientDivided(folder / "run", groups);
}

TEST(RealDataTest, MedMnistNpz) {
  const std::string npz = Data("medmnist_breast/breastmnist.npz");
  SKIP_WITHOUT(npz);
  TemporaryFolder folder;
  const ProcessResult run = Study(npz, folder / "run");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  ExpectThreeArmsWithAucs(folder / "run");
  ExpectSoundPredictions(folder / "run");
  // The file's own split is kept; twins with two labels are left out and listed.
  const json data = Event(folder / "run", "data_loaded")["data"];
  EXPECT_EQ(data["test_given"], true);
  EXPECT_EQ(data["images"].get<int>() + data["bad"]["count"].get<int>(), 780);
  for (const auto& row : ReadCsv(folder / "run/predictions.csv")) {
    if (row.at("split") == "test") {
      EXPECT_NE(row.at("file").find("#test/"), std::string::npos) << row.at("file");
    }
  }
}

}  // namespace
}  // namespace manako
