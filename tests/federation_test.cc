// The federation as hospitals run it: processes that know each other by the network only.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <set>

#include "base/random.h"
#include "hospitals.h"

namespace manako {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// What the same training gives in one process: the study's federated arm.
const std::string& StudyDigest(const Hospitals& hospitals) {
  static const std::string digest = [&] {
    const TemporaryFolder folder;
    const ProcessResult study = RunManako({"study", hospitals.union_manifest(), "--group-column", "patient", "--site-column", "site", "--split-column",
                                           "split", "--image-size", "32", "--model", "cnn3", "--rounds", "3", "--local-epochs", "1", "--seed", "5",
                                           "--select", "last", "--arms", "federated", "--out", folder / "study"});
    EXPECT_EQ(study.exit_code, 0) << study.err;
    return DigestOfModel(folder / "study/model.pt");
  }();
  return digest;
}

void ExpectGoodBooks(Hospitals& hospitals, const std::string& run) {
  const auto shown = hospitals.Show(run);
  ASSERT_EQ(shown["rounds"].size(), 4u);
  for (const auto& round : shown["rounds"]) {
    if (round["round"] == 0) continue;
    EXPECT_EQ(round["books"]["asked"], 3);
    EXPECT_EQ(round["books"]["answered"], 3);  // once each: nothing was counted twice
  }
}

TEST(Federation, OverTheNetworkItIsTheStudyToTheBit) {
  Hospitals hospitals;
  hospitals.StartAll();
  const std::string run = hospitals.CreateRun();
  ASSERT_TRUE(hospitals.WaitUntilFinished(run, [] {})) << hospitals.Show(run).dump(2);
  EXPECT_EQ(hospitals.Digest(run, 3), StudyDigest(hospitals));
  ExpectGoodBooks(hospitals, run);
  for (const std::string& site : Hospitals::Sites()) {
    // The model is kept there too, and every byte that left is in the ledger.
    for (int i = 0; i < 500 && !fs::exists(hospitals.site(site) + "/runs/" + run + "/models/final.pt"); ++i) Hospitals::SleepMs(20);
    EXPECT_EQ(DigestOfModel(hospitals.site(site) + "/runs/" + run + "/models/final.pt"), StudyDigest(hospitals));
    const ProcessResult ledger = RunManako({"site", "ledger", hospitals.site(site), "--json"});
    EXPECT_EQ(ledger.exit_code, 0) << ledger.err;
    const auto lines = nlohmann::json::parse(ledger.out)["lines"];
    int updates = 0, receipts = 0;
    for (const auto& line : lines) {
      updates += line["kind"] == "update" ? 1 : 0;
      receipts += line["kind"] == "receipt" ? 1 : 0;
    }
    EXPECT_EQ(updates, 3);
    EXPECT_EQ(receipts, 3);
  }
}

// A process dies at each named step, with its successor dying at the next one, until all were hit; then the run ends as if
// nothing had been.
TEST(Federation, SurvivesACrashAtEveryNamedStep) {
  if (std::getenv("MANAKO_SOAK_KILLS") == nullptr) GTEST_SKIP() << "takes minutes: set MANAKO_SOAK_KILLS";
  std::set<std::string> left;
  // Those that a run without questions to people and without errors passes.
  for (const std::string& point : Lines(RunManako({"crash-points"}).out)) {
    const bool people = point.find("approval") != std::string::npos || point.find("consent") != std::string::npos;
    if (!people) left.insert(point);
  }
  ASSERT_GT(left.size(), 20u);
  std::string undisturbed;
  int crashes = 0;
  for (int attempt = 0; attempt < 3 && !left.empty(); ++attempt) {
    Hospitals hospitals;
    undisturbed = StudyDigest(hospitals);
    // Each process's own queue of steps to die at.
    std::map<std::string, std::deque<std::string>> queues;
    int turn = 0;
    for (const std::string& point : left) {
      queues[point.starts_with("server.") ? "server" : Hospitals::Sites()[static_cast<size_t>(turn++ % 3)]].push_back(point);
    }
    const auto next = [&](const std::string& who) { return queues[who].empty() ? std::string() : queues[who].front(); };
    hospitals.Kill("server");
    hospitals.Start("server", next("server"));
    for (const std::string& site : Hospitals::Sites()) hospitals.Start(site, next(site));
    const std::string run = hospitals.CreateRun();
    const bool finished = hospitals.WaitUntilFinished(run, [&] {
      for (const std::string who : {"server", "east", "north", "west"}) {
        ProcessResult result;
        if (!hospitals.Ended(who, &result)) continue;
        EXPECT_EQ(result.signal, SIGKILL) << who << " ended by itself: " << result.err;
        ++crashes;
        left.erase(next(who));
        if (!queues[who].empty()) queues[who].pop_front();
        hospitals.Start(who, next(who));
      }
    });
    ASSERT_TRUE(finished) << hospitals.Show(run).dump(2);
    // Steps behind the end of the run.
    for (int i = 0; i < 300; ++i) {
      for (const std::string& who : Hospitals::Sites()) {
        ProcessResult result;
        if (!hospitals.Ended(who, &result)) continue;
        ++crashes;
        left.erase(next(who));
        if (!queues[who].empty()) queues[who].pop_front();
        hospitals.Start(who, next(who));
      }
      Hospitals::SleepMs(10);
    }
    EXPECT_EQ(hospitals.Digest(run, 3), undisturbed);
    ExpectGoodBooks(hospitals, run);
  }
  std::string unhit;
  for (const std::string& point : left) unhit += point + " ";
  EXPECT_TRUE(left.empty()) << "never passed: " << unhit;
  fmt::print("{} processes were killed at their steps\n", crashes);
}

// kill -9 of anybody, whenever. MANAKO_SOAK_KILLS says how often.
TEST(Federation, SurvivesKillsAtRandomMoments) {
  const char* wanted = std::getenv("MANAKO_SOAK_KILLS");
  if (wanted == nullptr) GTEST_SKIP() << "takes minutes: set MANAKO_SOAK_KILLS to the number of kills, such as 100";
  const int kills = std::atoi(wanted);
  Random random(static_cast<uint64_t>(kills), "kills");
  int done = 0;
  while (done < kills) {
    Hospitals hospitals;
    hospitals.StartAll();
    const std::string run = hospitals.CreateRun();
    int64_t pause = 20;
    const bool finished = hospitals.WaitUntilFinished(run, [&] {
      if (--pause > 0 || done >= kills) return;
      pause = 5 + static_cast<int64_t>(random.Below(40));
      const std::vector<std::string> all = {"server", "east", "north", "west"};
      const std::string who = all[random.Below(4)];
      hospitals.Kill(who);
      hospitals.Start(who);
      ++done;
    });
    ASSERT_TRUE(finished) << hospitals.Show(run).dump(2);
    EXPECT_EQ(hospitals.Digest(run, 3), StudyDigest(hospitals));
    ExpectGoodBooks(hospitals, run);
  }
  fmt::print("{} kills\n", done);
}

TEST(Federation, ARevokedSiteEndsAndSaysWhy) {
  Hospitals hospitals;
  hospitals.Start("east");
  for (int i = 0; i < 300; ++i) {
    const ProcessResult sites = RunManako({"server", "sites", hospitals.central(), "--json"});
    if (nlohmann::json::parse(sites.out)[0]["version"] != "") break;
    Hospitals::SleepMs(20);
  }
  EXPECT_EQ(RunManako({"server", "revoke", hospitals.central(), "--site", "east"}).exit_code, 0);
  ProcessResult result;
  for (int i = 0; i < 1000 && !hospitals.Ended("east", &result); ++i) Hospitals::SleepMs(20);
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.err, HasSubstr("revoked"));
}

TEST(Federation, ASiteThatHasLeftIsNoneAnyMore) {
  Hospitals hospitals;
  const std::string east = hospitals.site("east");
  hospitals.Start("east");
  for (int i = 0; i < 500 && RunManako({"site", "status", east}).out.find("running") == std::string::npos; ++i) Hospitals::SleepMs(20);
  ProcessResult left = RunManako({"site", "leave", east});
  EXPECT_EQ(left.exit_code, 2);
  EXPECT_THAT(left.err, HasSubstr("stop it first"));
  RunManako({"site", "stop", east});
  ProcessResult ended;
  for (int i = 0; i < 1000 && !hospitals.Ended("east", &ended); ++i) Hospitals::SleepMs(20);
  left = RunManako({"site", "leave", east, "--why", "the study is over"});
  EXPECT_EQ(left.exit_code, 0) << left.err;
  EXPECT_FALSE(fs::exists(east + "/site.key"));
  const auto sites = nlohmann::json::parse(RunManako({"server", "sites", hospitals.central(), "--json"}).out);
  EXPECT_EQ(sites[0]["state"], "left");
  const ProcessResult again = RunManako({"site", "start", east});
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_THAT(again.err, HasSubstr("has left"));
  EXPECT_EQ(RunManako({"site", "ledger", east, "--verify"}).exit_code, 0);
}

TEST(Federation, BadCommandsGetOneLine) {
  const TemporaryFolder folder;
  const auto line = [](std::vector<std::string> arguments) {
    const ProcessResult result = RunManako(std::move(arguments));
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_EQ(Lines(result.err).size(), 1u) << result.err;
    return result.err;
  };
  EXPECT_THAT(line({"server", "start", folder / "nothing"}), HasSubstr("server init"));
  EXPECT_THAT(line({"server", "init", folder / "c", "--name", "X", "--host", "bad host"}), HasSubstr("bad host"));
  EXPECT_THAT(line({"site", "join", "manako://nonsense", folder / "s", "--data", folder.path()}), HasSubstr("invitation"));
  EXPECT_THAT(line({"site", "start", folder / "s"}), HasSubstr("site join"));
  EXPECT_THAT(line({"run", "list", folder / "nothing"}), HasSubstr("server init"));
  EXPECT_FALSE(fs::exists(folder / "nothing"));
}

}  // namespace
}  // namespace manako
