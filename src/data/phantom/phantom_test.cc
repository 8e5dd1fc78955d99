#include "data/phantom/phantom.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

#include "base/files.h"
#include "base/status_macros.h"
#include "base/temporary_folder.h"

namespace manako {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// A death test runs the test again in a process of its own: the variable leads it to the same
// folder.
constexpr char kFolderVariable[] = "MANAKO_PHANTOM_TEST_FOLDER";

class WritePhantomsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* given = getenv(kFolderVariable);
    folder_ = given != nullptr ? given : mine_.emplace().path();
  }

  PhantomOptions Options(const std::string& name) const {
    PhantomOptions options;
    options.out = folder_ + "/" + name;
    options.per_class = 10;
    options.width = 80;
    options.height = 66;
    return options;
  }

  std::optional<TemporaryFolder> mine_;
  std::string folder_;
};

// Name -> content of everything in a folder but the lock.
std::map<std::string, std::string> Contents(const std::string& folder) {
  std::map<std::string, std::string> contents;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().lexically_relative(folder).generic_string();
    if (entry.is_regular_file() && name != ".lock")
      contents[name] = *ReadFile(entry.path().string());
  }
  return contents;
}

// Name -> when and as which inode it was written.
std::map<std::string, std::pair<fs::file_time_type, ino_t>> Stamps(const std::string& folder) {
  std::map<std::string, std::pair<fs::file_time_type, ino_t>> stamps;
  for (const auto& [name, content] : Contents(folder)) {
    struct stat status {};
    EXPECT_EQ(::stat((folder + "/" + name).c_str(), &status), 0);
    stamps[name] = {fs::last_write_time(folder + "/" + name), status.st_ino};
  }
  return stamps;
}

void Put(const std::string& path, const std::string& bytes) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

TEST_F(WritePhantomsTest, WritesTheSameBytesOnAnyNumberOfThreads) {
  PhantomOptions one = Options("one"), three = Options("three");
  three.threads = 3;
  ASSERT_TRUE(WritePhantoms(one, {}).ok());
  ASSERT_TRUE(WritePhantoms(three, {}).ok());
  const auto contents = Contents(one.out);
  EXPECT_EQ(contents.size(), 22u);
  EXPECT_EQ(contents, Contents(three.out));
}

TEST_F(WritePhantomsTest, AnotherSeedDrawsOtherPictures) {
  PhantomOptions seven = Options("seven"), eight = Options("eight");
  eight.seed = 8;
  ASSERT_TRUE(WritePhantoms(seven, {}).ok());
  ASSERT_TRUE(WritePhantoms(eight, {}).ok());
  const auto a = Contents(seven.out), b = Contents(eight.out);
  for (const auto& [name, content] : a) EXPECT_NE(content, b.at(name)) << name;
}

TEST_F(WritePhantomsTest, TheManifestListsEveryPictureAndTheMarkSaysSynthetic) {
  const PhantomOptions options = Options("images");
  ASSERT_TRUE(WritePhantoms(options, {}).ok());
  const auto contents = Contents(options.out);
  EXPECT_THAT(contents.at("SYNTHETIC.txt"), HasSubstr("synthetic"));
  EXPECT_THAT(contents.at("SYNTHETIC.txt"), HasSubstr("合成画像"));
  std::istringstream manifest(contents.at("manifest.csv"));
  std::string line;
  std::getline(manifest, line);
  EXPECT_EQ(line, "file,label,patient,detachment_share");
  std::map<std::string, int> labels;
  while (std::getline(manifest, line)) {
    std::istringstream cells(line);
    std::string file, label, patient, share;
    std::getline(cells, file, ',');
    std::getline(cells, label, ',');
    std::getline(cells, patient, ',');
    std::getline(cells, share, ',');
    EXPECT_TRUE(contents.contains(file)) << line;
    EXPECT_EQ(file.substr(0, file.find('/')), label);
    EXPECT_EQ(patient.size(), 7u) << line;
    EXPECT_EQ(std::stod(share) > 0, label == "detachment") << line;
    ++labels[label];
  }
  EXPECT_EQ(labels, (std::map<std::string, int>{{"detachment", 10}, {"normal", 10}}));
}

TEST_F(WritePhantomsTest, ProgressRisesToTheTotal) {
  PhantomOptions options = Options("images");
  options.threads = 3;
  int last = 0;
  ASSERT_TRUE(WritePhantoms(options, [&](int done, int total) {
                EXPECT_EQ(done, ++last);
                EXPECT_EQ(total, 20);
              }).ok());
  EXPECT_EQ(last, 20);
}

TEST_F(WritePhantomsTest, GoesOnAfterItWasKilled) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  PhantomOptions options = Options("images");
  setenv(kFolderVariable, folder_.c_str(), 1);
  EXPECT_EXIT((void)WritePhantoms(options,
                                  [](int done, int) {
                                    if (done == 7) raise(SIGKILL);
                                  }),
              ::testing::KilledBySignal(SIGKILL), "");
  unsetenv(kFolderVariable);
  const auto stamps = Stamps(options.out);
  EXPECT_EQ(stamps.size(), 8u);  // seven pictures and the mark
  EXPECT_FALSE(stamps.contains("manifest.csv"));

  ASSERT_TRUE(WritePhantoms(options, {}).ok());
  const auto after = Stamps(options.out);
  for (const auto& [name, stamp] : stamps)
    EXPECT_EQ(after.at(name), stamp) << name << " was written again";
  const PhantomOptions undisturbed = Options("undisturbed");
  ASSERT_TRUE(WritePhantoms(undisturbed, {}).ok());
  EXPECT_EQ(Contents(options.out), Contents(undisturbed.out));
}

TEST_F(WritePhantomsTest, MendsWhatIsTornOrMissing) {
  const PhantomOptions options = Options("images");
  ASSERT_TRUE(WritePhantoms(options, {}).ok());
  const auto whole = Contents(options.out);
  const std::string torn = "normal/normal_000003.jpg";
  Put(options.out + "/" + torn, whole.at(torn).substr(0, 500));
  Put(options.out + "/normal/normal_000004.jpg", "");
  fs::remove(options.out + "/detachment/detachment_000001.jpg");
  fs::remove(options.out + "/manifest.csv");
  Put(options.out + "/normal/normal_000005.jpg.part.a1B2c3", "half");
  Put(options.out + "/SYNTHETIC.txt.part.a1B2c3", "half");
  ASSERT_TRUE(WritePhantoms(options, {}).ok());
  EXPECT_EQ(Contents(options.out), whole);
}

TEST_F(WritePhantomsTest, WritesNothingIntoAFinishedFolder) {
  const PhantomOptions options = Options("images");
  ASSERT_TRUE(WritePhantoms(options, {}).ok());
  const auto stamps = Stamps(options.out);
  ASSERT_TRUE(WritePhantoms(options, {}).ok());
  EXPECT_EQ(Stamps(options.out), stamps);
}

TEST_F(WritePhantomsTest, RefusesAFolderOfOtherFilesAndLeavesItAsItWas) {
  const PhantomOptions options = Options("images");
  Put(options.out + "/normal/normal_000000.jpg", "a real photograph");
  const absl::Status status = WritePhantoms(options, {});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(MessageOf(status)), HasSubstr("is not empty"));
  EXPECT_EQ(Contents(options.out).size(), 1u);
  EXPECT_FALSE(fs::exists(options.out + "/.lock"));
}

TEST_F(WritePhantomsTest, RefusesPhantomsOfOtherOptions) {
  PhantomOptions options = Options("images");
  ASSERT_TRUE(WritePhantoms(options, {}).ok());
  const auto before = Contents(options.out);
  const auto refused = [&](const PhantomOptions& other) {
    const absl::Status status = WritePhantoms(other, {});
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(MessageOf(status)),
                HasSubstr("per_class=10 seed=7 width=80 height=66"));
  };
  PhantomOptions other = options;
  other.seed = 8;
  refused(other);
  other = options;
  other.per_class = 11;
  refused(other);
  other = options;
  other.width = 81;
  refused(other);
  other = options;
  other.height = 67;
  refused(other);
  EXPECT_EQ(Contents(options.out), before);
}

TEST_F(WritePhantomsTest, RefusesAForeignFileOrLinkAmongPhantoms) {
  const PhantomOptions options = Options("images");
  ASSERT_TRUE(WritePhantoms(options, {}).ok());
  Put(options.out + "/normal/mine.jpg", "a real photograph");
  EXPECT_THAT(std::string(MessageOf(WritePhantoms(options, {}))), HasSubstr("normal/mine.jpg"));
  fs::remove(options.out + "/normal/mine.jpg");
  ASSERT_TRUE(WritePhantoms(options, {}).ok());

  // Writing through a link would put pictures where nobody asked for them.
  fs::rename(options.out + "/normal", folder_ + "/elsewhere");
  fs::create_directory_symlink(folder_ + "/elsewhere", options.out + "/normal");
  EXPECT_EQ(WritePhantoms(options, {}).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(WritePhantomsTest, ShowsNoRawBytesOfAHostileMark) {
  const PhantomOptions options = Options("images");
  Put(options.out + "/SYNTHETIC.txt",
      std::string("\n\x1b[2J\0\xff", 6) + std::string(500, 'x') + "\n\n");
  const absl::Status status = WritePhantoms(options, {});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  for (const char c : MessageOf(status)) EXPECT_TRUE(c >= 32 && c < 127);
  EXPECT_LT(MessageOf(status).size(), 500u);
  Put(options.out + "/SYNTHETIC.txt", std::string(1 << 20, 'x'));
  EXPECT_FALSE(WritePhantoms(options, {}).ok());
}

TEST_F(WritePhantomsTest, RefusesAFolderThatAnotherProcessWrites) {
  const PhantomOptions options = Options("images");
  ASSERT_TRUE(WritePhantoms(options, {}).ok());
  const auto lock = FolderLock::Take(options.out);
  ASSERT_TRUE(lock.ok());
  EXPECT_EQ(WritePhantoms(options, {}).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(WritePhantomsTest, RefusesOptionsOutOfRangeBeforeItTouchesTheDisk) {
  const auto refused = [&](const auto& change, const std::string& word) {
    PhantomOptions options = Options("images");
    change(options);
    const absl::Status status = WritePhantoms(options, {});
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << word;
    EXPECT_THAT(std::string(MessageOf(status)), HasSubstr(word));
  };
  refused([](PhantomOptions& o) { o.out = ""; }, "--out");
  refused([](PhantomOptions& o) { o.per_class = 0; }, "per_class");
  refused([](PhantomOptions& o) { o.per_class = 1'000'001; }, "per_class");
  refused([](PhantomOptions& o) { o.width = 63; }, "--width");
  refused([](PhantomOptions& o) { o.height = 4097; }, "--height");
  refused([](PhantomOptions& o) { o.threads = 0; }, "threads");
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(WritePhantomsTest, SaysSoWhenThePathIsAFile) {
  const PhantomOptions options = Options("images");
  Put(options.out, "a file");
  EXPECT_FALSE(WritePhantoms(options, {}).ok());
}

}  // namespace
}  // namespace manako
