// Whatever images a user gives: one line that helps, or a study that says what it left out.
#include <gtest/gtest.h>

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

class BadInputTest : public testing::Test {
 protected:
  // A short study of `source` into run/.
  ProcessResult Study(const std::string& source, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"study", source,         "--out", out_,     "--rounds",
                                          "1",     "--image-size", "32",    "--arms", "federated"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunManako(arguments);
  }
  void ExpectNothingHalfWritten() {
    EXPECT_EQ(Leftovers(folder_.path()), std::vector<std::string>());
    for (const char* file : {"predictions.csv", "model.pt", "metrics.json", "report.html"}) {
      EXPECT_FALSE(fs::exists(out_ + "/" + file)) << file;
    }
  }
  json DataLoaded() {
    for (const json& event : ReadJournal(out_)) {
      if (event["event"] == "data_loaded") return event["data"];
    }
    ADD_FAILURE() << "no data_loaded in the journal";
    return {};
  }
  // A manifest of the phantoms with these lines, beside their class folders.
  std::string Manifest(const std::string& text) {
    if (!fs::exists(folder_ / "images")) CopyPhantomClasses(folder_ / "images");
    Spill(folder_ / "images/list.csv", text);
    return folder_ / "images/list.csv";
  }
  // file,label of every phantom.
  static std::string GoodRows() {
    std::string text = "file,label\n";
    for (const char* name : {"normal", "detachment"}) {
      for (int i = 0; i < 24; ++i) {
        char row[80];
        std::snprintf(row, sizeof row, "%s/%s_%06d.jpg,%s\n", name, name, i, name);
        text += row;
      }
    }
    return text;
  }

  TemporaryFolder folder_;
  std::string out_ = folder_ / "run";
};

TEST_F(BadInputTest, NoSuchFolder) {
  ExpectRefused(Study(folder_ / "nowhere"), {folder_ / "nowhere", "does not exist"});
  ExpectNothingHalfWritten();
}

TEST_F(BadInputTest, EmptyFolder) {
  fs::create_directories(folder_ / "images");
  ExpectRefused(Study(folder_ / "images"), {folder_ / "images", "no class folders"});
  ExpectNothingHalfWritten();
}

TEST_F(BadInputTest, EmptyClassFolders) {
  fs::create_directories(folder_ / "images/normal");
  fs::create_directories(folder_ / "images/sick");
  ExpectRefused(Study(folder_ / "images"), {folder_ / "images", "no images"});
  ExpectNothingHalfWritten();
}

TEST_F(BadInputTest, OneClassOnly) {
  CopyPhantomClasses(folder_ / "images");
  fs::remove_all(folder_ / "images/detachment");
  ExpectRefused(Study(folder_ / "images"), {folder_ / "images", "normal", "at least two"});
  ExpectNothingHalfWritten();
}

TEST_F(BadInputTest, AClassWithFewerImagesThanSites) {
  CopyPhantomClasses(folder_ / "images");
  for (int i = 3; i < 24; ++i) {
    char name[40];
    std::snprintf(name, sizeof name, "images/normal/normal_%06d.jpg", i);
    fs::remove(folder_ / name);
  }
  ExpectRefused(Study(folder_ / "images", {"--sites", "5"}), {"\"normal\"", "5 sites", "sites to"});
  ExpectNothingHalfWritten();
}

TEST_F(BadInputTest, AllImagesUnreadable) {
  for (int i = 0; i < 8; ++i) {
    const std::string number = std::to_string(i);
    Spill(folder_ / ("images/normal/" + number + ".jpg"), "no picture " + number);
    Spill(folder_ / ("images/sick/" + number + ".jpg"), "no picture either " + number);
  }
  ExpectRefused(Study(folder_ / "images"), {"16 of 16", "normal/0.jpg", "not an image", "max_bad"});
  ExpectNothingHalfWritten();
}

TEST_F(BadInputTest, EvenWhenAllMayBeBad) {
  Spill(folder_ / "images/normal/1.jpg", "no picture");
  Spill(folder_ / "images/sick/1.jpg", "no picture either");
  ExpectRefused(Study(folder_ / "images", {"--max-bad", "1"}), {"normal", "unreadable"});
  ExpectNothingHalfWritten();
}

TEST_F(BadInputTest, MoreThanMaxBad) {
  CopyPhantomClasses(folder_ / "images");
  for (const char* name : {"normal_000001.jpg", "normal_000002.jpg", "normal_000003.jpg"}) {
    Spill(folder_ / ("images/normal/" + std::string(name)), "a text file");
  }
  ExpectRefused(Study(folder_ / "images"), {"3 of 48", "0.05", "normal_000001.jpg"});
  ExpectNothingHalfWritten();
}

TEST_F(BadInputTest, MaxBadInPercent) {
  CopyPhantomClasses(folder_ / "images");
  Spill(folder_ / "images/normal/normal_000001.jpg", "a text file");
  ExpectRefused(Study(folder_ / "images", {"--max-bad", "1%"}), {"1 of 48", "0.01"});
  const ProcessResult run = Study(folder_ / "images", {"--max-bad", "5%"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
}

TEST_F(BadInputTest, TestImagesThatAreTheTrainingImages) {
  ExpectRefused(Study(PhantomFolder(), {"--test", PhantomFolder()}),
                {"no image to train on", "48 training images are the same as test images"});
  ExpectNothingHalfWritten();
}

TEST_F(BadInputTest, AFewBadImagesAreLeftOutAndCounted) {
  CopyPhantomClasses(folder_ / "images");
  const std::string good = Slurp(PhantomFolder() + "/normal/normal_000003.jpg");
  Spill(folder_ / "images/normal/normal_000003.jpg", good.substr(0, good.size() / 2));
  Spill(folder_ / "images/normal/normal_000004.jpg", "a text file");
  const ProcessResult run = Study(folder_ / "images");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_NE(run.err.find("2 unreadable"), std::string::npos) << run.err;
  const json bad = ReadJson(out_ + "/metrics.json")["data"]["bad"];
  EXPECT_EQ(bad["count"], 2);
  ASSERT_EQ(bad["listed"].size(), 2u);
  EXPECT_EQ(bad["listed"][0]["file"], "normal/normal_000003.jpg");
  EXPECT_NE(bad["listed"][0]["why"].get<std::string>().find("truncated"), std::string::npos);
  EXPECT_NE(Slurp(out_ + "/report.html").find("normal_000004.jpg"), std::string::npos);
  for (const auto& row : ReadCsv(out_ + "/predictions.csv")) {
    EXPECT_NE(row.at("file"), "normal/normal_000003.jpg");
  }
}

TEST_F(BadInputTest, ManifestWithoutTheLabelColumn) {
  ExpectRefused(Study(Manifest("file,diagnosis\nnormal/normal_000000.jpg,normal\n")),
                {"list.csv", "\"label\"", "file, diagnosis"});
  ExpectNothingHalfWritten();
}

TEST_F(BadInputTest, ManifestWithoutThePatientColumn) {
  ExpectRefused(Study(Manifest(GoodRows()), {"--group-column", "patient"}),
                {"list.csv", "\"patient\"", "file, label"});
  ExpectNothingHalfWritten();
}

// Patients that the user asked to keep together, and that the program cannot see, would be divided
// between training and test without a word.
TEST_F(BadInputTest, APatientColumnNeedsAManifest) {
  CopyPhantomClasses(folder_ / "images");
  ExpectRefused(Study(folder_ / "images", {"--group-column", "patient"}), {"group_column"});
}

TEST_F(BadInputTest, ManifestWithMissingFiles) {
  ExpectRefused(Study(Manifest(GoodRows() + "normal/lost.jpg,normal\n")),
                {"list.csv", "normal/lost.jpg"});
  ExpectNothingHalfWritten();
}

TEST_F(BadInputTest, ManifestThatContradictsItself) {
  ExpectRefused(Study(Manifest(GoodRows() + "normal/normal_000003.jpg,detachment\n")),
                {"list.csv", "lines 5 and 50", "normal_000003.jpg"});
  ExpectNothingHalfWritten();
}

TEST_F(BadInputTest, ManifestThatRepeatsItself) {
  const ProcessResult run = Study(Manifest(GoodRows() + "normal/normal_000003.jpg,normal\n"));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(DataLoaded()["images"], 48);
  EXPECT_EQ(DataLoaded()["bad"]["listed"][0]["file"], "normal/normal_000003.jpg");
}

TEST_F(BadInputTest, ManifestInUtf16) {
  std::string text = "\xff\xfe";
  for (const char c : GoodRows()) text += {c, '\0'};
  ExpectRefused(Study(Manifest(text)), {"list.csv", "UTF-16", "UTF-8"});
  ExpectNothingHalfWritten();
}

TEST_F(BadInputTest, ManifestThatIsEmpty) {
  ExpectRefused(Study(Manifest("")), {"list.csv", "empty"});
  ExpectNothingHalfWritten();
}

TEST_F(BadInputTest, AnImageInPlaceOfAManifest) {
  ExpectRefused(Study(PhantomFolder() + "/normal/normal_000000.jpg"),
                {"normal_000000.jpg", "folder"});
  ExpectNothingHalfWritten();
}

TEST_F(BadInputTest, AnNpzThatIsNone) {
  Spill(folder_ / "images.npz", "PK\x03\x04 and nothing else");
  ExpectRefused(Study(folder_ / "images.npz"), {"images.npz"});
  ExpectNothingHalfWritten();
}

// Nothing can be seen in one pixel, but it is a picture: it must not end the study.
TEST_F(BadInputTest, ImagesOfOnePixel) {
  CopyPhantomClasses(folder_ / "images");
  Spill(folder_ / "images/normal/dot1.bmp", BmpBytes(1, 1, 0x204060));
  Spill(folder_ / "images/detachment/dot2.bmp", BmpBytes(1, 1, 0x604020));
  const ProcessResult run = Study(folder_ / "images");
  EXPECT_EQ(run.exit_code, 0) << run.err;
}

TEST_F(BadInputTest, NamesThatAreNoUtf8) {
  CopyPhantomClasses(folder_ / "images");
  fs::rename(folder_ / "images/normal/normal_000003.jpg",
             folder_ / "images/normal/\xff\xe9 \"a,b\".jpg");
  const ProcessResult run = Study(folder_ / "images");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(DataLoaded()["images"], 48);
  ReadJson(out_ + "/metrics.json");
}

// 30000 x 30000 pixels are 2.7 GB as colours; an honest file of them, and headers that lie.
TEST_F(BadInputTest, HugeImagesTakeLittleMemory) {
  const ProcessResult usual = Study(PhantomFolder());
  ASSERT_EQ(usual.exit_code, 0) << usual.err;
  fs::remove_all(out_);
  CopyPhantomClasses(folder_ / "images");
  Spill(folder_ / "images/normal/huge.png", BlackPng(30000, 30000));
  Spill(folder_ / "images/normal/lying.png", LyingPng(30000, 30000));
  Spill(folder_ / "images/normal/lying.bmp", LyingBmp(30000, 30000));
  Spill(folder_ / "images/normal/lying2.bmp", LyingBmp(0x7fffffff, 0x7fffffff));
  const ProcessResult run = Study(folder_ / "images", {"--max-bad", "0.2"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  // Each of two threads may hold one image of 400 MB, the most that is decoded.
  EXPECT_LE(run.max_rss_kb, usual.max_rss_kb + 2 * 400 * 1024) << usual.max_rss_kb;
  EXPECT_EQ(DataLoaded()["bad"]["count"], 3) << DataLoaded()["bad"];
}

// Its folders would be classes of the next study.
TEST_F(BadInputTest, ARunFolderAmongTheImages) {
  CopyPhantomClasses(folder_ / "images");
  out_ = folder_ / "images/run";
  ExpectRefused(Study(folder_ / "images"), {"images/run", "--out"});
  EXPECT_FALSE(fs::exists(out_));
  out_ = folder_ / "images";
  ExpectRefused(Study(folder_ / "images"), {"images", "--out"});
  EXPECT_FALSE(fs::exists(folder_ / "images/.lock"));
}

TEST_F(BadInputTest, AnEmptyFolderOfTheUserStaysAfterARefusal) {
  fs::create_directories(out_);
  ExpectRefused(Study(folder_ / "nowhere"), {"nowhere"});
  EXPECT_TRUE(fs::is_empty(out_));
}

TEST_F(BadInputTest, PhantomsAreCalledSyntheticHoweverTheyAreRead) {
  ASSERT_EQ(Study(PhantomFolder()).exit_code, 0);
  EXPECT_EQ(ReadJson(out_ + "/metrics.json")["synthetic"], true) << "as a folder";
  fs::remove_all(out_);
  ASSERT_EQ(Study(PhantomFolder() + "/manifest.csv").exit_code, 0);
  EXPECT_EQ(ReadJson(out_ + "/metrics.json")["synthetic"], true) << "by the manifest";
}

// A mistake is corrected and the same line is typed again.
TEST_F(BadInputTest, TheSameRunFolderWorksAfterARefusal) {
  ASSERT_EQ(Study(folder_ / "images").exit_code, 2);
  CopyPhantomClasses(folder_ / "images");
  const ProcessResult again = Study(folder_ / "images");
  EXPECT_EQ(again.exit_code, 0) << again.err;
}

}  // namespace
}  // namespace manako
