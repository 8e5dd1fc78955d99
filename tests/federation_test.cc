// The federation as hospitals run it: processes that know each other by the network only.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
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

// What the same training gives in one process, the study's federated arm: writes OUT/model.pt.
std::string StudyModel(const std::string& out, const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments = {"study",          Hospitals::union_manifest(),
                                        "--group-column", "patient",
                                        "--site-column",  "site",
                                        "--split-column", "split",
                                        "--image-size",   "32",
                                        "--model",        "cnn3",
                                        "--rounds",       "3",
                                        "--local-epochs", "1",
                                        "--seed",         "5",
                                        "--select",       "last",
                                        "--arms",         "federated",
                                        "--out",          out};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const ProcessResult study = RunManako(arguments);
  EXPECT_EQ(study.exit_code, 0) << study.err;
  return out + "/model.pt";
}

const std::string& StudyDigest() {
  static const std::string digest = [] {
    const TemporaryFolder folder;
    return DigestOfModel(StudyModel(folder / "study"));
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
  EXPECT_EQ(hospitals.Digest(run, 3), StudyDigest());
  ExpectGoodBooks(hospitals, run);
  for (const std::string& site : Hospitals::Sites()) {
    // The model is kept there too, and every byte that left is in the ledger.
    for (int i = 0;
         i < 500 && !fs::exists(hospitals.site(site) + "/runs/" + run + "/models/final.pt"); ++i)
      Hospitals::SleepMs(20);
    EXPECT_EQ(DigestOfModel(hospitals.site(site) + "/runs/" + run + "/models/final.pt"),
              StudyDigest());
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

// With frozen layers as well, whose features each site computes of its own images.
TEST(Federation, FrozenLayersAreTheStudysToTheBit) {
  Hospitals hospitals;
  const std::string init = StudyModel(hospitals.path("trained"));
  const std::string expected = DigestOfModel(
      StudyModel(hospitals.path("frozen"),
                 {"--init", init, "--freeze", "until:classifier", "--feature-variants", "3"}));
  hospitals.StartAll();
  const std::string model = fmt::format("init = \"{}\"", init);
  const std::string train = "freeze = \"until:classifier\"\nfeature_variants = 3";
  const std::string run = hospitals.CreateRun("", model, train);
  ASSERT_TRUE(hospitals.WaitUntilFinished(run, [] {})) << hospitals.Show(run).dump(2);
  EXPECT_EQ(hospitals.Digest(run, 3), expected);
  EXPECT_NE(hospitals.Digest(run, 3), DigestOfModel(init));
  ExpectGoodBooks(hospitals, run);
}

// Whether all of it is to be tested, and not what continuous integration has time for: `manako.sh
// soak`.
bool Soaks() { return std::getenv("MANAKO_SOAK") != nullptr; }

// Steps in about the order in which a run passes them, so that a process that dies at one comes to
// the next.
int Rank(const std::string& point) {
  static const std::vector<std::string> parts = {
      "offer", "", "site.test_", "final_model", "model_exported", "run_ended"};
  for (size_t i = parts.size(); i-- > 0;) {
    if (!parts[i].empty() && point.find(parts[i]) != std::string::npos) return static_cast<int>(i);
  }
  return 1;
}

// Those that a run without questions to people and without errors passes.
std::vector<std::string> NamedSteps() {
  std::vector<std::string> steps;
  for (const std::string& point : Lines(RunManako({"crash-points"}).out)) {
    const bool people =
        point.find("approval") != std::string::npos || point.find("consent") != std::string::npos;
    if (!people) steps.push_back(point);
  }
  std::stable_sort(steps.begin(), steps.end(),
                   [](const auto& a, const auto& b) { return Rank(a) < Rank(b); });
  return steps;
}

// A process dies at each named step, with its successor dying at the next one, until all were hit;
// then the run ends as if nothing had been. In continuous integration the sites share their steps;
// to soak, each dies at all of them.
TEST(Federation, SurvivesACrashAtEveryNamedStep) {
  const std::vector<std::string> steps = NamedSteps();
  ASSERT_GT(steps.size(), 20u);
  // Each process's own queue of steps to die at.
  std::map<std::string, std::deque<std::string>> queues;
  int turn = 0;
  for (const std::string& step : steps) {
    if (step.starts_with("server.")) {
      queues["server"].push_back(step);
    } else if (Soaks()) {
      for (const std::string& site : Hospitals::Sites()) queues[site].push_back(step);
    } else {
      queues[Hospitals::Sites()[static_cast<size_t>(turn++ % 3)]].push_back(step);
    }
  }
  const auto next = [&](const std::string& who) {
    return queues[who].empty() ? std::string() : queues[who].front();
  };
  int crashes = 0, runs = 0;
  const auto left = [&] {
    std::string text;
    for (const auto& [who, queue] : queues) {
      for (const std::string& step : queue) text += who + " at " + step + ", ";
    }
    return text;
  };
  for (; runs < 6 && !left().empty(); ++runs) {
    Hospitals hospitals;
    hospitals.Kill("server");
    hospitals.Start("server", next("server"));
    for (const std::string& site : Hospitals::Sites()) hospitals.Start(site, next(site));
    const std::string run = hospitals.CreateRun();
    const auto watch = [&] {
      for (const std::string who : {"server", "east", "north", "west"}) {
        ProcessResult result;
        if (!hospitals.Ended(who, &result)) continue;
        EXPECT_EQ(result.signal, SIGKILL) << who << " ended by itself: " << result.err;
        ++crashes;
        if (!queues[who].empty()) queues[who].pop_front();
        hospitals.Start(who, next(who));
      }
    };
    ASSERT_TRUE(hospitals.WaitUntilFinished(run, watch)) << hospitals.Show(run).dump(2);
    // Steps behind the end of the run: until every site has said that it is over there too.
    const auto ended = [&] {
      int sites = 0;
      for (const auto& event : hospitals.Events())
        sites += event.value("event", "") == "site_ended" ? 1 : 0;
      return sites;
    };
    for (int i = 0; i < 3000 && ended() < 3; ++i) {
      watch();
      Hospitals::SleepMs(20);
    }
    EXPECT_EQ(ended(), 3);
    EXPECT_EQ(hospitals.Digest(run, 3), StudyDigest());
    ExpectGoodBooks(hospitals, run);
  }
  EXPECT_EQ(left(), "") << "never passed";
  fmt::print("{} processes were killed at their steps, in {} runs\n", crashes, runs);
}

// kill -9 of anybody, whenever. MANAKO_SOAK_KILLS says how often.
TEST(Federation, SurvivesKillsAtRandomMoments) {
  const char* wanted = std::getenv("MANAKO_SOAK_KILLS");
  const int kills = wanted != nullptr ? std::atoi(wanted) : Soaks() ? 100 : 6;
  Random random(static_cast<uint64_t>(kills), "kills");
  int done = 0, runs = 0, trainings = 0;
  for (; done < kills; ++runs) {
    Hospitals hospitals;
    hospitals.StartAll();
    const std::string run = hospitals.CreateRun();
    const int before = done;
    // A run that nobody disturbs is over in a few dozen looks.
    int64_t pause = 1 + static_cast<int64_t>(random.Below(20));
    const bool finished = hospitals.WaitUntilFinished(run, [&] {
      // Not for ever in one run: it would be beaten back before it gets anywhere.
      if (--pause > 0 || done >= kills || done - before >= 20) return;
      pause = 2 + static_cast<int64_t>(random.Below(30));
      const std::vector<std::string> all = {"server", "east", "north", "west"};
      const std::string who = all[random.Below(4)];
      hospitals.Kill(who);
      hospitals.Start(who);
      ++done;
    });
    ASSERT_TRUE(finished) << hospitals.Show(run).dump(2);
    EXPECT_EQ(hospitals.Digest(run, 3), StudyDigest());
    ExpectGoodBooks(hospitals, run);
    for (const std::string& site : Hospitals::Sites()) hospitals.Kill(site);
    trainings += hospitals.trainings();
  }
  fmt::print("{} kills in {} runs; {} trainings of {} that were needed\n", done, runs, trainings,
             runs * 9);
}

// A run that is interrupted in its second round: the server's state is backed up, put back in
// another folder, and the run ends there with the same bits.
TEST(Federation, ARestoredBackupGoesOnToTheSameBits) {
  for (const bool tar : {false, true}) {
    Hospitals hospitals;
    hospitals.StartAll();
    const std::string run = hospitals.CreateRun();
    const auto kept = [&] {
      int updates = 0;
      for (const auto& event : hospitals.Events())
        updates += event.value("event", "") == "update_kept" ? 1 : 0;
      return updates;
    };
    for (int i = 0; i < 5000 && kept() < 4; ++i) Hospitals::SleepMs(5);
    ASSERT_GE(kept(), 4);
    for (const std::string& site : Hospitals::Sites()) hospitals.Kill(site);
    // Once of a server that works, once of one that was killed.
    if (tar) hospitals.Kill("server");
    const std::string backup = hospitals.path(tar ? "backup.tar" : "backup");
    const ProcessResult done = RunManako({"server", "backup", hospitals.central(), backup});
    ASSERT_EQ(done.exit_code, 0) << done.err;
    EXPECT_EQ(done.err, "");
    const ProcessResult again = RunManako({"server", "backup", hospitals.central(), backup});
    EXPECT_EQ(again.exit_code, 2);
    EXPECT_THAT(again.err, HasSubstr("overwrites nothing"));
    if (!tar) hospitals.Kill("server");
    fs::remove_all(hospitals.central());
    fs::create_directory(hospitals.path("restored"));
    const ProcessResult restored =
        RunProcess(tar ? ProcessOptions{.program = "/bin/tar",
                                        .arguments = {"-C", hospitals.path("restored"),
                                                      "--strip-components=1", "-xpf", backup}}
                       : ProcessOptions{.program = "/bin/cp",
                                        .arguments = {"-aT", backup, hospitals.path("restored")}});
    ASSERT_EQ(restored.exit_code, 0) << restored.err;
    EXPECT_EQ(fs::status(hospitals.path("restored/ca.key")).permissions(),
              fs::perms::owner_read | fs::perms::owner_write);
    hospitals.UseCentral("restored");
    hospitals.Start("server");
    EXPECT_GE(kept(), 4);  // server.log is made anew
    hospitals.StartAll();
    ASSERT_TRUE(hospitals.WaitUntilFinished(run, [] {})) << hospitals.Show(run).dump(2);
    EXPECT_EQ(hospitals.Digest(run, 3), StudyDigest());
    ExpectGoodBooks(hospitals, run);
    for (const std::string& site : Hospitals::Sites()) {
      EXPECT_EQ(RunManako({"site", "ledger", hospitals.site(site), "--verify"}).exit_code, 0);
    }
  }
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
  for (int i = 0;
       i < 500 && RunManako({"site", "status", east}).out.find("running") == std::string::npos; ++i)
    Hospitals::SleepMs(20);
  ASSERT_TRUE(hospitals.WaitUntilSays("east", "connected to"));
  Hospitals::SleepMs(500);  // now it asks for work, and is not answered
  ProcessResult left = RunManako({"site", "leave", east});
  EXPECT_EQ(left.exit_code, 2);
  EXPECT_THAT(left.err, HasSubstr("stop it first"));
  RunManako({"site", "stop", east});
  ProcessResult ended;
  // At once, though it waits at the server for work.
  bool has_ended = false;
  for (int i = 0; i < 150 && !has_ended; ++i) {
    has_ended = hospitals.Ended("east", &ended);
    Hospitals::SleepMs(20);
  }
  EXPECT_TRUE(has_ended) << "it still runs, 3 s after it was stopped";
  left = RunManako({"site", "leave", east, "--why", "the study is over"});
  EXPECT_EQ(left.exit_code, 0) << left.err;
  EXPECT_FALSE(fs::exists(east + "/site.key"));
  const auto sites =
      nlohmann::json::parse(RunManako({"server", "sites", hospitals.central(), "--json"}).out);
  EXPECT_EQ(sites[0]["state"], "left");
  const ProcessResult again = RunManako({"site", "start", east});
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_THAT(again.err, HasSubstr("has left"));
  EXPECT_EQ(RunManako({"site", "ledger", east, "--verify"}).exit_code, 0);
}

// Certificates of some seconds: server and site renew theirs while they work, more than twice, and
// run after run ends as it should, long after the first ones have expired.
TEST(Federation, CertificatesAreRenewedWhileAllWork) {
  Hospitals hospitals;
  hospitals.Kill("server");
  const Hospitals::How brief{.environment = {{"MANAKO_CERTIFICATE_SECONDS", "24"}}};
  fs::remove(hospitals.central() + "/server.pem");  // made anew at the start
  hospitals.Start("server", brief);
  const ProcessResult invited =
      RunManako({"server", "invite", hospitals.central(), "--site", "south"});
  ASSERT_EQ(invited.exit_code, 0) << invited.err;
  const std::string south = hospitals.site("south");
  const ProcessResult joined = RunManako({"site", "join", Lines(invited.out).at(0), south, "--data",
                                          Hospitals::union_manifest(), "--group-column", "patient",
                                          "--split-column", "split"});
  ASSERT_EQ(joined.exit_code, 0) << joined.err;
  const std::string first_server = Slurp(hospitals.central() + "/server.pem"),
                    first_site = Slurp(south + "/site.pem");
  for (const auto& [key, value] : std::vector<std::pair<std::string, std::string>>{
           {"approval", "\"none\""}, {"threads", "1"}, {"reports", "\"scores\""}})
    hospitals.Configure("south", key, value);
  hospitals.Start("south");
  const auto begun = std::chrono::steady_clock::now();
  const auto times = [&](const std::string& who, const std::string& what) {
    const std::string said = hospitals.Said(who);
    int found = 0;
    for (size_t at = said.find(what); at != std::string::npos; at = said.find(what, at + 1))
      ++found;
    return found;
  };
  int runs = 0;
  const auto passed = [&] { return std::chrono::steady_clock::now() - begun; };
  while (passed() < std::chrono::seconds(90) &&
         (passed() < std::chrono::seconds(34) || times("server", "certificate is renewed") < 2 ||
          times("south", "certificate was renewed") < 2)) {
    const std::string run = hospitals.CreateRun("sites = [\"south\"]");
    ASSERT_TRUE(hospitals.WaitUntilFinished(run, [] {}))
        << hospitals.Show(run).dump(2) << hospitals.Said("south") << hospitals.Said("server");
    ++runs;
  }
  EXPECT_GE(times("server", "certificate is renewed"), 2) << hospitals.Said("server");
  EXPECT_GE(times("south", "certificate was renewed"), 2) << hospitals.Said("south");
  EXPECT_TRUE(hospitals.Runs("south")) << hospitals.Said("south");
  EXPECT_NE(Slurp(hospitals.central() + "/server.pem"), first_server);
  EXPECT_NE(Slurp(south + "/site.pem"), first_site);
  EXPECT_GE(runs, 2);
}

// A run in which one site sends histograms and the others scores: all places tell the same AUC, had
// in the same way; and what a site has done of a run that is over stays to be seen there.
TEST(Federation, TheBooksAndTheReportAgree) {
  Hospitals hospitals;
  hospitals.Configure("east", "reports", "\"histograms\"");
  hospitals.StartAll();
  const std::string run = hospitals.CreateRun("bins = 20");
  ASSERT_TRUE(hospitals.WaitUntilFinished(run, [] {})) << hospitals.Show(run).dump(2);
  const auto shown = hospitals.Show(run);
  const auto report =
      nlohmann::json::parse(RunManako({"run", "report", hospitals.central(), run, "--json"}).out);
  const auto& of_round = shown["rounds"][3]["metrics"];
  EXPECT_EQ(shown["best_round"], 3);
  EXPECT_EQ(of_round["method"], "histograms");
  EXPECT_EQ(report["result"]["method"], "histograms");
  EXPECT_NEAR(of_round["test_auc"].get<double>(), report["result"]["auc"]["value"].get<double>(),
              1e-12);
  EXPECT_EQ(of_round["test_images"], report["result"]["tested"]);
  std::string status;
  for (int i = 0; i < 500 && status.find("ended") == std::string::npos; ++i) {
    status = RunManako({"site", "status", hospitals.site("east")}).out;
    Hospitals::SleepMs(20);
  }
  EXPECT_THAT(status, HasSubstr("3/3")) << status;
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
  EXPECT_THAT(line({"server", "init", folder / "c", "--name", "X", "--host", "bad host"}),
              HasSubstr("bad host"));
  EXPECT_THAT(line({"site", "join", "manako://nonsense", folder / "s", "--data", folder.path()}),
              HasSubstr("invitation"));
  EXPECT_THAT(line({"site", "start", folder / "s"}), HasSubstr("site join"));
  EXPECT_THAT(line({"run", "list", folder / "nothing"}), HasSubstr("server init"));
  EXPECT_FALSE(fs::exists(folder / "nothing"));
}

// Why a join is refused, to the person at the site: one line, what became of the invitation and
// what to do; and at the central hospital the list of them.
TEST(Federation, ARefusedInvitationSaysWhy) {
  Hospitals hospitals;
  const auto invite = [&](const std::string& central, const std::string& site,
                          const std::string& hours = "72") {
    const ProcessResult invited =
        RunManako({"server", "invite", central, "--site", site, "--hours", hours});
    EXPECT_EQ(invited.exit_code, 0) << invited.err;
    return Lines(invited.out).at(0);
  };
  int folders = 0;
  const auto join = [&](const std::string& invitation) {
    return RunManako({"site", "join", invitation, hospitals.path("new" + std::to_string(folders++)),
                      "--data", Hospitals::union_manifest()});
  };
  const auto refusal = [&](const std::string& invitation) {
    const ProcessResult joined = join(invitation);
    EXPECT_EQ(joined.exit_code, 2) << joined.err;
    EXPECT_EQ(Lines(joined.err).size(), 1u) << joined.err;
    return joined.err;
  };
  const std::string good = invite(hospitals.central(), "south");
  ASSERT_EQ(join(good).exit_code, 0);
  EXPECT_THAT(refusal(good), HasSubstr("this invitation was used on 2"));
  EXPECT_THAT(refusal(good), HasSubstr("somebody else may have joined as south"));
  const std::string brief = invite(hospitals.central(), "brief", "0.0001");
  Hospitals::SleepMs(500);
  EXPECT_THAT(refusal(brief), HasSubstr("has expired: it could be used until 2"));
  const std::string older = invite(hospitals.central(), "twice"),
                    newer = invite(hospitals.central(), "twice");
  EXPECT_THAT(refusal(older), HasSubstr("when a newer one was made"));
  ASSERT_EQ(RunManako({"server", "revoke", hospitals.central(), "--site", "twice"}).exit_code, 0);
  EXPECT_THAT(refusal(newer), HasSubstr("by the central hospital: ask them whether"));
  // Of this authority, but unknown to this server: no word of which sites there are.
  const std::string copy = hospitals.path("copy");
  ASSERT_EQ(RunManako({"server", "backup", hospitals.central(), copy}).exit_code, 0);
  const std::string unknown = refusal(invite(copy, "south2"));
  EXPECT_THAT(unknown, HasSubstr("is not known at the central hospital: ask them for another"));
  EXPECT_EQ(unknown.find("south2"), std::string::npos);
  const auto open = invite(hospitals.central(), "open");
  const auto shown =
      nlohmann::json::parse(RunManako({"server", "show", hospitals.central(), "--json"}).out);
  std::map<std::string, std::string> states;
  for (const auto& invitation : shown["invitations"])
    states[invitation["site"].get<std::string>()] += invitation["state"].get<std::string>() + " ";
  EXPECT_EQ(states["south"], "used ");
  EXPECT_EQ(states["brief"], "expired ");
  EXPECT_EQ(states["twice"], "withdrawn withdrawn ");
  EXPECT_EQ(states["open"], "open ");
  EXPECT_EQ(shown.dump().find(open.substr(100, 40)), std::string::npos);  // no token is shown
  const ProcessResult text = RunManako({"server", "show", hospitals.central()});
  EXPECT_THAT(text.out, HasSubstr("its server works"));
  EXPECT_THAT(text.out, HasSubstr("a newer one was made"));
}

// Nothing is sent to a server of another authority than the invitation's, and the person reads why.
TEST(Federation, AnInvitationOfAnotherAuthorityIsOneLine) {
  Hospitals hospitals;
  const std::string other = hospitals.path("other");
  ASSERT_EQ(RunManako({"server", "init", other, "--name", "Other", "--host", "127.0.0.1", "--port",
                       std::to_string(Hospitals::port())})
                .exit_code,
            0);
  const ProcessResult invited = RunManako({"server", "invite", other, "--site", "south"});
  ASSERT_EQ(invited.exit_code, 0) << invited.err;
  const ProcessResult joined =
      RunManako({"site", "join", Lines(invited.out).at(0), hospitals.path("south"), "--data",
                 Hospitals::union_manifest()});
  EXPECT_EQ(joined.exit_code, 2) << joined.err;
  ASSERT_EQ(Lines(joined.err).size(), 1u) << joined.err;
  EXPECT_THAT(joined.err, HasSubstr("another authority"));
  EXPECT_FALSE(fs::exists(hospitals.path("south") + "/site.pem"));
}

}  // namespace
}  // namespace manako
