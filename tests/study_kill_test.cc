// Crash-only: whatever ends a run, and whenever, going on with it gives the bytes of an undisturbed
// run.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "base/random.h"
#include "fixtures.h"
#include "process.h"

namespace manako {
namespace {

namespace fs = std::filesystem;

constexpr int kKills = 25;

std::vector<std::string> NewRun(const std::string& out) {
  return {"study",          PhantomFolder() + "/manifest.csv",
          "--out",          out,
          "--model",        "cnn3",
          "--rounds",       "6",
          "--image-size",   "32",
          "--group-column", "patient",
          "--seed",         "5"};
}

// To go on, as the program itself advises; a run that was killed before its journal began has
// nothing to go on with and is started again.
std::vector<std::string> GoOn(const std::string& out) {
  if (!fs::exists(out + "/journal.jsonl")) return NewRun(out);
  return {"study", "--resume", out};
}

struct Undisturbed {
  TemporaryFolder folder;
  std::string out = folder / "run";
  int duration_ms = 0;
  Undisturbed() {
    PhantomFolder();
    const auto began = std::chrono::steady_clock::now();
    const ProcessResult run = RunManako(NewRun(out));
    const auto took = std::chrono::steady_clock::now() - began;
    duration_ms =
        static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
    EXPECT_EQ(run.exit_code, 0) << run.err;
  }
};

const Undisturbed& Reference() {
  static const Undisturbed reference;
  return reference;
}

void ExpectSameAsUndisturbed(const std::string& out) {
  for (const char* file : {"predictions.csv", "model.pt", "config.toml"}) {
    // No EXPECT_EQ: it would print a whole model.
    EXPECT_TRUE(Slurp(out + "/" + file) == Slurp(Reference().out + "/" + file)) << file;
  }
  EXPECT_EQ(TimelessMetrics(out), TimelessMetrics(Reference().out));
  EXPECT_EQ(ReadJournal(out).back().value("event", ""), "run_finished");
  EXPECT_FALSE(fs::exists(out + "/state"));
  EXPECT_EQ(Leftovers(out), std::vector<std::string>());
}

// Kills the run in `out` at most `most` times at random moments, going on after each; gives how
// many kills hit it before it was finished.
int KillUntilFinished(const std::string& out, int most, Random* random) {
  for (int kills = 0;; ++kills) {
    auto process = Process::Start({.arguments = GoOn(out)});
    const auto delay = random->Below(static_cast<uint64_t>(Reference().duration_ms));
    if (kills < most && !process->WaitMs(static_cast<int>(delay))) process->Signal(SIGKILL);
    const ProcessResult result = process->Finish();
    if (result.signal != SIGKILL || result.timed_out) {
      EXPECT_EQ(result.exit_code, 0) << "after " << kills << " kills: " << result.err;
      return kills;
    }
    if (fs::exists(out + "/journal.jsonl")) {
      // What stands in whole lines is well-formed at any moment; the last may be torn.
      const std::string text = Slurp(out + "/journal.jsonl");
      for (const std::string& line : Lines(text.substr(0, text.rfind('\n') + 1))) {
        EXPECT_TRUE(nlohmann::json::accept(line)) << line;
      }
    }
  }
}

TEST(StudyKillTest, TwoUndisturbedRunsAreTheSame) {
  TemporaryFolder folder;
  const ProcessResult run = RunManako(NewRun(folder / "run"));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  ExpectSameAsUndisturbed(folder / "run");
}

TEST(StudyKillTest, ThreadsDoNotChangeTheBytes) {
  TemporaryFolder folder;
  std::vector<std::string> arguments = NewRun(folder / "run");
  arguments.insert(arguments.end(), {"--threads", "1"});
  const ProcessResult run = RunManako(arguments);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  ExpectSameAsUndisturbed(folder / "run");
}

// A run is short, so several runs take their share of the kills: each is killed until it is
// finished.
TEST(StudyKillTest, KilledAtRandomMomentsItEndsWithTheSameBytes) {
  Random random(11, "kill moments");
  int kills = 0, runs = 0;
  while (kills < kKills && runs < 3 * kKills) {
    TemporaryFolder folder;
    kills += KillUntilFinished(folder / "run", kKills - kills, &random);
    ++runs;
    ExpectSameAsUndisturbed(folder / "run");
    if (HasFailure()) return;
  }
  EXPECT_GE(kills, kKills);
  RecordProperty("runs", runs);
}

// The end of a run: models are trained, tables, model and report are being written.
TEST(StudyKillTest, KilledWhileTheResultsAreWritten) {
  Random random(12, "kill moments at the end");
  for (int i = 0; i < 8; ++i) {
    TemporaryFolder folder;
    auto process = Process::Start({.arguments = NewRun(folder / "run")});
    ASSERT_TRUE(process->WaitForError("alone site-3 round 6/6"));
    process->WaitMs(static_cast<int>(random.Below(100)));
    process->Signal(SIGKILL);
    process->Finish();
    const ProcessResult rest = RunManako(GoOn(folder / "run"));
    ASSERT_EQ(rest.exit_code, 0) << rest.err;
    ExpectSameAsUndisturbed(folder / "run");
    if (HasFailure()) return;
  }
}

// Between two rounds of one model: its checkpoint must hold everything, the optimiser's state too.
TEST(StudyKillTest, GoesOnFromACheckpointInTheMiddleOfAModel) {
  TemporaryFolder folder;
  std::vector<std::string> arguments = NewRun(folder / "run");
  arguments.insert(arguments.end(), {"--checkpoint-seconds", "0"});
  auto process = Process::Start({.arguments = arguments});
  if (process->WaitForError("not expected")) {
    GTEST_SKIP() << "the program has no --checkpoint-seconds; it saves every 10 s, and a model of "
                    "this test takes less";
  }
  process.reset();
  fs::remove_all(folder / "run");
  for (const char* moment : {"pooled round 3/6", "federated round 4/6", "alone site-2 round 2/6"}) {
    auto part = Process::Start(
        {.arguments = fs::exists(folder / "run/journal.jsonl")
                          ? std::vector<std::string>{"study", "--resume", folder / "run",
                                                     "--checkpoint-seconds", "0"}
                          : arguments});
    ASSERT_TRUE(part->WaitForError(moment));
    part->Signal(SIGKILL);
    part->Finish();
  }
  const ProcessResult rest = RunManako(GoOn(folder / "run"));
  ASSERT_EQ(rest.exit_code, 0) << rest.err;
  EXPECT_EQ(rest.err.find("pooled round 1/6"), std::string::npos) << "trained again from its start";
  ExpectSameAsUndisturbed(folder / "run");
}

// With frozen layers: their features, which no file keeps, are made again to the same bits.
TEST(StudyKillTest, FrozenLayersGoOnToTheSameBytes) {
  TemporaryFolder folder;
  const auto frozen = [&](const std::string& out) {
    std::vector<std::string> arguments = NewRun(out);
    arguments.insert(arguments.end(),
                     {"--init", Reference().out + "/model.pt", "--freeze", "until:classifier",
                      "--feature-variants", "3", "--checkpoint-seconds", "0"});
    return arguments;
  };
  const std::string undisturbed = folder / "undisturbed", out = folder / "run";
  ASSERT_EQ(RunManako(frozen(undisturbed)).exit_code, 0);
  for (const char* moment : {"pooled round 3/6", "federated round 4/6", "alone site-2 round 2/6"}) {
    auto part =
        Process::Start({.arguments = fs::exists(out + "/journal.jsonl")
                                         ? std::vector<std::string>{"study", "--resume", out,
                                                                    "--checkpoint-seconds", "0"}
                                         : frozen(out)});
    ASSERT_TRUE(part->WaitForError(moment));
    part->Signal(SIGKILL);
    part->Finish();
  }
  const ProcessResult rest = RunManako(GoOn(out));
  ASSERT_EQ(rest.exit_code, 0) << rest.err;
  EXPECT_EQ(rest.err.find("pooled round 1/6"), std::string::npos) << "trained again from its start";
  for (const char* file : {"predictions.csv", "model.pt", "config.toml"})
    EXPECT_TRUE(Slurp(out + "/" + file) == Slurp(undisturbed + "/" + file)) << file;
  EXPECT_EQ(Leftovers(out), std::vector<std::string>());
}

class StopSignalTest : public testing::TestWithParam<int> {};

TEST_P(StopSignalTest, SaysOnceHowToGoOn) {
  TemporaryFolder folder;
  auto process = Process::Start({.arguments = NewRun(folder / "run")});
  ASSERT_TRUE(process->WaitForError("federated round 1/"));
  process->Signal(GetParam());
  const ProcessResult stopped = process->Finish();
  EXPECT_EQ(stopped.exit_code, 130) << "signal " << stopped.signal;
  const std::string advice = "manako study --resume " + (folder / "run");
  std::vector<std::string> said;
  for (const std::string& line : Lines(stopped.err)) {
    if (line.find("--resume") != std::string::npos) said.push_back(line);
  }
  ASSERT_EQ(said.size(), 1u) << stopped.err;
  EXPECT_NE(said[0].find(advice), std::string::npos) << said[0];
  EXPECT_EQ(Lines(stopped.err).back(), said[0]) << "something follows the advice";

  const ProcessResult rest = RunManako({"study", "--resume", folder / "run"});
  ASSERT_EQ(rest.exit_code, 0) << rest.err;
  ExpectSameAsUndisturbed(folder / "run");
}

INSTANTIATE_TEST_SUITE_P(Signals, StopSignalTest, testing::Values(SIGINT, SIGTERM),
                         [](const auto& info) { return info.param == SIGINT ? "INT" : "TERM"; });

TEST(StudyKillTest, ADamagedCheckpointCostsTimeAndNothingElse) {
  TemporaryFolder folder;
  // One thread, so that the first model is finished before the third one begins.
  std::vector<std::string> arguments = NewRun(folder / "run");
  arguments.insert(arguments.end(), {"--threads", "1"});
  auto process = Process::Start({.arguments = arguments});
  ASSERT_TRUE(process->WaitForError("alone site-1 round 1/"));
  process->Signal(SIGKILL);
  process->Finish();
  const std::string saved = folder / "run/state/r1-f1-pooled.done";
  ASSERT_TRUE(fs::exists(saved));
  std::string bytes = Slurp(saved);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  Spill(saved, bytes);
  const ProcessResult rest = RunManako({"study", "--resume", folder / "run"});
  ASSERT_EQ(rest.exit_code, 0) << rest.err;
  ExpectSameAsUndisturbed(folder / "run");
}

TEST(StudyKillTest, AFinishedRunIsNotTrainedAgain) {
  const std::string predictions = Slurp(Reference().out + "/predictions.csv");
  const ProcessResult again = RunManako({"study", "--resume", Reference().out});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.err.find("round"), std::string::npos) << again.err;
  EXPECT_TRUE(Slurp(Reference().out + "/predictions.csv") == predictions);
}

TEST(StudyKillTest, ChangedImagesAreNoticed) {
  TemporaryFolder folder;
  CopyPhantomClasses(folder / "images");
  std::vector<std::string> arguments = NewRun(folder / "run");
  arguments[1] = folder / "images";
  arguments.erase(std::find(arguments.begin(), arguments.end(), "--group-column"),
                  std::find(arguments.begin(), arguments.end(), "--seed"));
  auto process = Process::Start({.arguments = arguments});
  ASSERT_TRUE(process->WaitForError("pooled round 1/"));
  process->Signal(SIGKILL);
  process->Finish();
  fs::remove(folder / "images/normal/normal_000002.jpg");
  const ProcessResult rest = RunManako({"study", "--resume", folder / "run"});
  EXPECT_EQ(rest.exit_code, 2);
  EXPECT_NE(rest.err.find("changed since this run began"), std::string::npos) << rest.err;
}

TEST(PhantomKillTest, DrawsTheRestOfAnInterruptedFolder) {
  TemporaryFolder folder;
  const std::vector<std::string> draw = {"phantom", "--out", folder / "images", "--per-class", "24",
                                         "--width", "96",    "--height",        "80"};
  Random random(13, "phantom kill moments");
  for (int i = 0; i < 5; ++i) {
    auto process = Process::Start({.arguments = draw});
    process->WaitMs(static_cast<int>(random.Below(300)));
    process->Signal(SIGKILL);
    process->Finish();
  }
  const ProcessResult rest = RunManako(draw);
  ASSERT_EQ(rest.exit_code, 0) << rest.err;
  for (const auto& entry : fs::recursive_directory_iterator(PhantomFolder())) {
    if (!entry.is_regular_file() || entry.path().filename() == ".lock") continue;
    const auto name = fs::relative(entry.path(), PhantomFolder()).string();
    EXPECT_TRUE(Slurp(folder / ("images/" + name)) == Slurp(entry.path().string())) << name;
  }
  EXPECT_EQ(Leftovers(folder / "images"), std::vector<std::string>());
}

}  // namespace
}  // namespace manako
