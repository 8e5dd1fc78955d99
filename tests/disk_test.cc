// The folder that a run is written to: full, read-only, taken, in use.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <string>
#include <vector>

#include "fixtures.h"
#include "process.h"
#include "refusal.h"
#include "small_disk.h"

namespace manako {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> NewRun(const std::string& out, const char* rounds = "2") {
  return {"study", PhantomFolder(), "--out", out,      "--rounds",
          rounds,  "--image-size",  "32",    "--arms", "pooled"};
}

// The disk fills up at one point or another, from the first file on. With more space the run goes
// on and ends as if nothing had happened.
TEST(DiskTest, AFullDiskIsSaidAndTheRunGoesOnOnceThereIsSpace) {
  TemporaryFolder folder;
  ASSERT_EQ(RunManako(NewRun(folder / "undisturbed")).exit_code, 0);
  const std::string expected = Slurp(folder / "undisturbed/predictions.csv");
  int full = 0;
  for (const char* size : {"12k", "64k", "200k", "400k", "800k", "1200k"}) {
    SCOPED_TRACE(size);
    SmallDisk disk(folder / "disk", size);
    SKIP_UNLESS_MOUNTED(disk);
    const std::string out = folder / "disk/run";
    const ProcessResult first = RunManako(NewRun(out));
    if (first.exit_code == 0) continue;
    ++full;
    ExpectRefused(first, {folder / "disk", "free some"}, /*exit_code=*/1);
    EXPECT_EQ(Leftovers(out), std::vector<std::string>());
    ASSERT_TRUE(disk.Remount(0, "20m"));
    const ProcessResult rest = RunManako(fs::exists(out + "/journal.jsonl")
                                             ? std::vector<std::string>{"study", "--resume", out}
                                             : NewRun(out));
    ASSERT_EQ(rest.exit_code, 0) << rest.err;
    EXPECT_TRUE(Slurp(out + "/predictions.csv") == expected);
  }
  EXPECT_GE(full, 3) << "the sizes above no longer test anything";
}

TEST(DiskTest, AReadOnlyDisk) {
  TemporaryFolder folder;
  SmallDisk disk(folder / "disk", "1m");
  SKIP_UNLESS_MOUNTED(disk);
  ASSERT_TRUE(disk.Remount(MS_RDONLY, "1m"));
  ExpectRefused(RunManako(NewRun(folder / "disk/run")), {folder / "disk/run", "Read-only"});
  ExpectRefused(RunManako({"phantom", "--out", folder / "disk/images", "--per-class", "2"}),
                {folder / "disk/images", "Read-only"});
}

TEST(DiskTest, PhantomsOnAFullDisk) {
  TemporaryFolder folder;
  SmallDisk disk(folder / "disk", "64k");
  SKIP_UNLESS_MOUNTED(disk);
  ExpectRefused(RunManako({"phantom", "--out", folder / "disk/images", "--per-class", "20"}),
                {folder / "disk/images", "No space left"}, /*exit_code=*/1);
  EXPECT_EQ(Leftovers(folder / "disk"), std::vector<std::string>());
}

TEST(DiskTest, AFileInPlaceOfTheFolder) {
  TemporaryFolder folder;
  Spill(folder / "file", "something of the user's");
  ExpectRefused(RunManako(NewRun(folder / "file")), {folder / "file"});
  ExpectRefused(RunManako(NewRun(folder / "file/run")), {folder / "file"});
  ExpectRefused(RunManako({"phantom", "--out", folder / "file", "--per-class", "2"}),
                {folder / "file"});
  ExpectRefused(RunManako({"report", folder / "file"}), {folder / "file"});
  EXPECT_EQ(Slurp(folder / "file"), "something of the user's");
}

TEST(DiskTest, AFolderThatHoldsARun) {
  TemporaryFolder folder;
  ASSERT_EQ(RunManako(NewRun(folder / "run")).exit_code, 0);
  const std::string before = Slurp(folder / "run/journal.jsonl");
  ExpectRefused(RunManako(NewRun(folder / "run")), {folder / "run", "--resume", "--out"});
  EXPECT_EQ(Slurp(folder / "run/journal.jsonl"), before);
}

TEST(DiskTest, AFolderThatHoldsOtherThings) {
  TemporaryFolder folder;
  Spill(folder / "run/thesis.txt", "years of work");
  const ProcessResult run = RunManako(NewRun(folder / "run"));
  EXPECT_EQ(Slurp(folder / "run/thesis.txt"), "years of work");
  if (run.exit_code != 0) ExpectRefused(run, {folder / "run"});
}

TEST(DiskTest, TwoRunsInOneFolder) {
  TemporaryFolder folder;
  auto first = Process::Start({.arguments = NewRun(folder / "run", "400")});
  ASSERT_TRUE(first->WaitForError("pooled round 1/"));
  ExpectRefused(RunManako({"study", "--resume", folder / "run"}),
                {folder / "run", "in use", "process"});
  ExpectRefused(RunManako(NewRun(folder / "run")), {folder / "run", "in use", "process"});
  EXPECT_FALSE(first->WaitMs(0)) << "the first run ended too early for this test";
}

}  // namespace
}  // namespace manako
