#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <map>
#include <set>

#include "site/testing.h"

namespace manako {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

int Count(const std::string& text, const std::string& what) {
  int count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

TEST_F(AgentTest, ARunFromOfferToEnd) {
  script_.push_back({"r2", LinearRun(), 2});
  ASSERT_TRUE(RunAgent().ok()) << AgentLog();
  EXPECT_EQ(Count(ServerLog(), "submit r1"), 3);
  EXPECT_EQ(Count(ServerLog(), "submit r2"), 2);
  EXPECT_EQ(Count(ServerLog(), "\"answer\":\"evaluation\""), 5);
  EXPECT_THAT(ServerLog(), HasSubstr("\"histogram\":"));
  // The sites' metrics beside train_loss stay here; counts below min_count leave as it.
  EXPECT_THAT(ServerLog(), Not(HasSubstr("secret")));
  EXPECT_THAT(ServerLog(), HasSubstr("\"test\":[10,5]"));

  const SiteReport report = *ReadSiteReport(Folder());
  EXPECT_EQ(report.work.phase, "idle");
  ASSERT_EQ(report.runs.size(), 2u);
  EXPECT_EQ(report.runs[0].stage, "ended");
  EXPECT_EQ(report.rounds_in_a_day, 5);
  const std::string models = Folder().models("r1");
  EXPECT_THAT(Slurp(models + "/final.json"),
              HasSubstr("\"sha256\": \"" + *Sha256HexOfFile(models + "/final.model")));
  EXPECT_TRUE(fs::exists(models + "/final.pt"));
  EXPECT_TRUE(fs::exists(models + "/round-1.pt"));
}

TEST_F(AgentTest, EveryByteHasItsLineBeforeItLeaves) {
  const std::string path = Folder().ledger();
  const absl::Status status = RunAgent([&](FolderServer& server) {
    server.before = [&](const std::string& call) {
      if (call == "Submit") {
        EXPECT_THAT(Lines(Slurp(path)).back(), HasSubstr("\"kind\":\"update\""));
      }
      if (call == "Answer") {
        EXPECT_THAT(Lines(Slurp(path)).back(), Not(HasSubstr("\"kind\":\"receipt\"")));
      }
      return absl::OkStatus();
    };
  });
  ASSERT_TRUE(status.ok());
  std::vector<std::string> kinds;
  for (const LedgerLine& line : Ledgered()) {
    kinds.push_back(line.kind);
    EXPECT_EQ(line.recipient.server, "fed.example.org:8443");
    EXPECT_TRUE(line.kind != "update" || *line.l2 > 0);
    EXPECT_TRUE(line.kind != "receipt" || line.receipt == "kept");
  }
  EXPECT_THAT(kinds,
              ElementsAre("offer answer", "update", "receipt", "evaluation", "update", "receipt",
                          "evaluation", "update", "receipt", "evaluation", "end answer"));
}

TEST_F(AgentTest, ALedgerThatWasTamperedWithKeepsTheAgentFromWorking) {
  ASSERT_TRUE(RunAgent().ok());
  std::string text = Slurp(Folder().ledger());
  const size_t at = text.find("\"bytes\":") + 8;
  text[at] = text[at] == '9' ? '8' : '9';
  ASSERT_TRUE(WriteFileAtomically(Folder().ledger(), text).ok());
  EXPECT_EQ(RunAgent().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Ledger::Verify(Folder().ledger(), Key().public_key(), nullptr).code(),
            absl::StatusCode::kDataLoss);
  // A line that is left out.
  auto lines = Lines(text);
  std::string without;
  for (size_t i = 0; i < lines.size(); ++i) without += i == 2 ? "" : lines[i] + "\n";
  ASSERT_TRUE(WriteFileAtomically(Folder().ledger(), without).ok());
  EXPECT_EQ(Ledger::Verify(Folder().ledger(), Key().public_key(), nullptr).code(),
            absl::StatusCode::kDataLoss);
}

TEST_F(AgentTest, PassingErrorsAreTriedAgainWithTheSameResult) {
  ASSERT_TRUE(RunAgent().ok());
  const std::string undisturbed = ServerLog();
  Clear();
  std::map<std::string, int> calls;
  std::mutex mutex;
  const absl::Status status = RunAgent([&](FolderServer& server) {
    server.before = [&](const std::string& call) -> absl::Status {
      std::lock_guard lock(mutex);
      const int n = ++calls[call];
      if (n % 3 == 1) return absl::UnavailableError("the line is cut");
      if (n % 3 == 2) return absl::InternalError("stream broken");
      return absl::OkStatus();
    };
  });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(ServerLog(), undisturbed);
  EXPECT_THAT(AgentLog(),
              HasSubstr("submitting an update: the line is cut; trying again in 0.0 s"));
  Ledgered();
}

TEST_F(AgentTest, FinalErrorsEndTheAgentWithOneLine) {
  const absl::Status status = RunAgent([](FolderServer& server) {
    server.before = [](const std::string& call) -> absl::Status {
      return call == "Submit" ? absl::PermissionDeniedError("the certificate was revoked")
                              : absl::OkStatus();
    };
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(MessageOf(status), "submitting an update: the certificate was revoked");
  EXPECT_EQ(ReadSiteReport(Folder())->problem, "submitting an update: the certificate was revoked");
  // The update is not lost, and not trained again.
  int trainings = 0;
  work_.before_training = [&](const TrainTask& task) {
    trainings += task.round == 1;
    return absl::OkStatus();
  };
  ASSERT_TRUE(RunAgent().ok());
  EXPECT_EQ(trainings, 0);
}

TEST_F(AgentTest, ATrainingThatFailsIsAFailureInTheLearnersWords) {
  work_.before_training = [](const TrainTask& task) -> absl::Status {
    if (task.round == 2) return absl::OutOfRangeError("the loss became NaN at step 3 of round 2");
    return absl::OkStatus();
  };
  ASSERT_TRUE(RunAgent().ok());
  EXPECT_THAT(ServerLog(),
              HasSubstr("{\"answer\":\"failure\",\"refused\":false,\"round\":2,\"run\":\"r1\","
                        "\"why\":\"the loss became NaN at step 3 of round 2\"}"));
  EXPECT_EQ(Count(ServerLog(), "submit r1"), 2);
  EXPECT_EQ(ReadSiteReport(Folder())->runs[0].stage, "ended");
}

TEST_F(AgentTest, AnExceptionIsOneRoundsMatter) {
  work_.before_training = [](const TrainTask& task) -> absl::Status {
    if (task.round == 1) throw std::bad_alloc();
    if (task.round == 2) throw std::runtime_error("boom");
    return absl::OkStatus();
  };
  ASSERT_TRUE(RunAgent().ok());
  EXPECT_THAT(ServerLog(), HasSubstr("\"why\":\"no memory left\""));
  EXPECT_THAT(ServerLog(), HasSubstr("\"why\":\"boom\""));
  EXPECT_EQ(Count(ServerLog(), "submit r1 3"), 1);
}

// A failed round has to leave no trace in the next one: momentum and step count are those behind
// the last round that counts.
TEST_F(AgentTest, AFailedTrainingIsForgotten) {
  // Whether the second round fails before its training or behind it, the third one sends the same.
  std::string submissions[2];
  for (const bool behind : {false, true}) {
    Clear();
    work_.before_training = work_.after_training = nullptr;
    (behind ? work_.after_training
            : work_.before_training) = [](const TrainTask& task) -> absl::Status {
      return task.round == 2 ? absl::OutOfRangeError("no numbers") : absl::OkStatus();
    };
    ASSERT_TRUE(RunAgent().ok());
    submissions[behind] = ServerLog();
  }
  EXPECT_EQ(Count(submissions[0], "submit r1 3"), 1);
  EXPECT_EQ(submissions[0], submissions[1]);
}

TEST_F(AgentTest, RefusalsNameTheirReason) {
  script_[0].config.run.cross_site = true;
  script_.push_back({"r2", LinearRun()});
  script_[1].config.training.model.architecture = "evil.pt";
  script_.push_back({"r3", LinearRun()});
  script_[2].config.run.min_images_per_class = 25;
  script_.push_back({"r4", LinearRun()});
  script_[3].config.run.quorum = 3;
  script_.push_back({"r5", LinearRun()});
  ASSERT_TRUE(RunAgent().ok());
  EXPECT_THAT(ServerLog(), HasSubstr("run.cross_site"));
  EXPECT_THAT(ServerLog(), HasSubstr("policy.torchscript"));
  EXPECT_THAT(
      ServerLog(),
      HasSubstr("fewer than 25 training images of class glaucoma (run.min_images_per_class)"));
  EXPECT_THAT(ServerLog(), HasSubstr("run.deadline_minutes is 0"));
  EXPECT_EQ(Count(ServerLog(), "submit r5"), 3);
  EXPECT_EQ(Count(ServerLog(), "submit"), 3);
  Ledgered();
}

TEST_F(AgentTest, ImagesThatCannotBeHadRefuseTheRunWithoutTheirNames) {
  work_.prepare_error =
      absl::FailedPreconditionError("3 images are labelled cataract (/srv/images/Tanaka.png)");
  ASSERT_TRUE(RunAgent().ok());
  EXPECT_THAT(ServerLog(),
              HasSubstr("\"why\":\"fewer than 5 images are labelled cataract (file)\""));
  EXPECT_THAT(AgentLog(), HasSubstr("3 images are labelled cataract (/srv/images/Tanaka.png)"));
}

TEST_F(AgentTest, TheRoundsOfADayAreCounted) {
  config_.policy.max_rounds_per_day = 2;
  ASSERT_TRUE(RunAgent().ok());
  EXPECT_EQ(Count(ServerLog(), "submit r1"), 2);
  EXPECT_THAT(ServerLog(), HasSubstr("\"refused\":true,\"round\":3"));
  script_.push_back({"r2", LinearRun()});
  now_ms_ += 24 * 3600 * 1000 + 1;
  ASSERT_TRUE(RunAgent().ok());
  EXPECT_EQ(Count(ServerLog(), "submit r2"), 2);
}

// What a person does, in another process as far as the agent knows.
TEST_F(AgentTest, APersonApprovesTheRunWhileTheAgentWaits) {
  config_.policy.approval = "run";
  script_.front().config.training.train.freeze = "until:features.10";
  auto agent = std::async(std::launch::async, [&] { return RunAgent(); });
  while (!fs::exists(ServerPath("r1.waits"))) std::this_thread::yield();
  const auto questions = ListApprovals(Folder());
  ASSERT_EQ(questions.size(), 1u);
  EXPECT_EQ(questions[0].name, "glaucoma");
  EXPECT_THAT(questions[0].facts,
              testing::IsSupersetOf(
                  {"normal: 30 to train, 6 to validate, 10 to test", "frozen: until features.10"}));
  EXPECT_EQ(Count(ServerLog(), "\"train\""), 0);
  ASSERT_TRUE(AnswerApproval(Folder(), "r1", 0, true, "Dr. K", 1).ok());
  ASSERT_TRUE(agent.get().ok());
  EXPECT_EQ(Count(ServerLog(), "submit r1"), 3);
  EXPECT_THAT(AgentLog(), HasSubstr("run r1: approved by Dr. K"));
}

TEST_F(AgentTest, WhatAPersonRefusedIsRefusedAgainWithoutAsking) {
  config_.policy.approval = "run";
  auto agent = std::async(std::launch::async, [&] { return RunAgent(); });
  while (!fs::exists(ServerPath("r1.waits"))) std::this_thread::yield();
  ASSERT_TRUE(AnswerApproval(Folder(), "r1", 0, false, "Dr. K", 1).ok());
  ASSERT_TRUE(agent.get().ok());
  EXPECT_THAT(ServerLog(), HasSubstr("a person at the site refused the run"));
  // The same agreement under another name: nobody is asked, no image is read.
  script_.push_back({"r2", LinearRun()});
  const int prepared = work_.prepared;
  ASSERT_TRUE(RunAgent().ok());
  EXPECT_EQ(work_.prepared, prepared);
  EXPECT_EQ(ListApprovals(Folder()).size(), 1u);
  EXPECT_EQ(Count(ServerLog(), "submit"), 0);
}

TEST_F(AgentTest, EachRoundIsApproved) {
  config_.policy.approval = "each_round";
  auto agent = std::async(std::launch::async, [&] { return RunAgent(); });
  for (const int round : {1, 2, 3}) {
    while (!GetApproval(Folder(), "r1", round).ok()) std::this_thread::yield();
    ASSERT_TRUE(AnswerApproval(Folder(), "r1", round, round != 2, "Dr. K", 1).ok());
  }
  ASSERT_TRUE(agent.get().ok());
  EXPECT_EQ(Count(ServerLog(), "submit r1"), 2);
  EXPECT_THAT(ServerLog(), HasSubstr("\"refused\":true,\"round\":2"));
}

TEST_F(AgentTest, HeartbeatsGoOnWhileTheLearnerIsAtWork) {
  std::atomic<int> while_training = 0;
  std::atomic<bool> training = false;
  heartbeat_seconds_ = 0.005;
  work_.before_training = [&](const TrainTask& task) {
    training = true;
    while (task.round == 1 && while_training < 5) std::this_thread::yield();
    training = false;
    return absl::OkStatus();
  };
  const absl::Status status = RunAgent([&](FolderServer& server) {
    server.see_status = [&](const SiteStatus& status) {
      if (training && status.phase == "training" && status.run == "r1" && status.round == 1)
        ++while_training;
    };
  });
  ASSERT_TRUE(status.ok());
  EXPECT_GE(while_training, 5);
}

TEST_F(AgentTest, WorkThatTheServerDropsIsNotSubmitted) {
  std::atomic<bool> dropped = false, training = false;
  work_.before_training = [&](const TrainTask& task) {
    training = true;
    while (!dropped) std::this_thread::yield();
    // The word has been given; a later heartbeat shows that the agent has it.
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return absl::OkStatus();
  };
  int submits = 0;
  FolderServer* the_server = nullptr;
  const absl::Status status = RunAgent([&](FolderServer& server) {
    the_server = &server;
    server.on_status = [&](const SiteStatus& status) {
      StatusReply reply;
      if (training && !dropped) {
        reply.drop_run = "r1";
        reply.why = "the round was closed";
        dropped = true;
        the_server->stop.request_stop();
      }
      return reply;
    };
    server.before = [&](const std::string& call) {
      submits += call == "Submit";
      return absl::OkStatus();
    };
  });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(submits, 0);
  EXPECT_FALSE(SiteStore::Open(SitePath()).value()->Find("r1")->last.has_value());
}

TEST_F(AgentTest, PauseAndStop) {
  ASSERT_TRUE(SetFlag(Folder(), SiteFlag::kPause, true).ok());
  auto agent = std::async(std::launch::async, [&] { return RunAgent(); });
  while (!ReadSiteReport(Folder()).ok() || ReadSiteReport(Folder())->work.phase != "paused")
    std::this_thread::yield();
  EXPECT_EQ(ServerLog(), "");
  EXPECT_TRUE(AgentRuns(Folder()));
  ASSERT_TRUE(SetFlag(Folder(), SiteFlag::kPause, false).ok());
  ASSERT_TRUE(agent.get().ok());
  EXPECT_EQ(Count(ServerLog(), "submit r1"), 3);
  EXPECT_FALSE(AgentRuns(Folder()));

  ASSERT_TRUE(SetFlag(Folder(), SiteFlag::kPause, true).ok());
  auto paused = std::async(std::launch::async, [&] { return RunAgent(); });
  while (ReadSiteReport(Folder())->work.phase != "paused") std::this_thread::yield();
  ASSERT_TRUE(SetFlag(Folder(), SiteFlag::kStop, true).ok());
  EXPECT_TRUE(paused.get().ok());
}

TEST_F(AgentTest, OneAgentForAFolder) {
  auto store = SiteStore::Open(SitePath());
  ASSERT_TRUE(store.ok());
  const absl::Status status = RunAgent();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(MessageOf(status)), HasSubstr("is in use by another manako"));
}

TEST_F(AgentTest, AnUpdateThatWasLostIsMadeAgainToTheSameBits) {
  ASSERT_FALSE(RunAgent([](FolderServer& server) {
                 auto submits = std::make_shared<int>(0);
                 server.before = [submits](const std::string& call) -> absl::Status {
                   return call == "Submit" && ++*submits == 2 ? absl::PermissionDeniedError("x")
                                                              : absl::OkStatus();
                 };
               }).ok());
  const RunState state = *SiteStore::Open(SitePath()).value()->Find("r1");
  ASSERT_EQ(state.last->round, 2);
  const std::string path = Folder().run("r1") + "/" + state.update;
  ASSERT_TRUE(WriteFileAtomically(path, Slurp(path).substr(1)).ok());
  // It must not be sent as it is.
  const absl::Status status = RunAgent();
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(AgentLog(), HasSubstr("damaged or gone"));
  EXPECT_THAT(ServerLog(), HasSubstr(state.last->artifact.sha256));
  EXPECT_THAT(ServerLog(), Not(HasSubstr("ANOTHER")));
}

TEST_F(AgentTest, EveryEncodingGoesThere) {
  for (const char* encoding : {"bfloat16", "float16", "int8"}) {
    SCOPED_TRACE(encoding);
    Clear();
    script_ = {{"r1", LinearRun(encoding)}};
    ASSERT_TRUE(RunAgent().ok());
    EXPECT_EQ(Count(ServerLog(), "submit r1"), 3);
  }
}

TEST_F(AgentTest, KeptModels) {
  for (const auto& [keep, expected] : std::map<std::string, std::set<std::string>>{
           {"none", {}},
           {"last", {"round-2.pt"}},
           {"all", {"round-0.pt", "round-1.pt", "round-2.pt"}}}) {
    SCOPED_TRACE(keep);
    Clear();
    config_.policy.keep_models = keep;
    ASSERT_TRUE(RunAgent().ok());
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(Folder().models("r1")))
      names.insert(entry.path().filename().string());
    std::set<std::string> all = expected;
    all.insert({"final.json", "final.model", "final.pt"});
    EXPECT_EQ(names, all);
  }
}

// The server kept an update, gave its word, and refused the update when it closed the round.
TEST_F(AgentTest, ALaterWordOnAnUpdateGoesIntoTheLedger) {
  ASSERT_TRUE(RunAgent([](FolderServer& server) {
                server.change_round = [&server](RoundTask& task) {
                  if (task.round == 1) return;
                  Receipt& word = task.amended.emplace();
                  word.state = Receipt::State::kRefused;
                  word.run = task.run;
                  word.round = task.round - 1;
                  // Of what it has sent, and in the third round of something that it has not.
                  word.sha256 = task.round == 2 ? Sha256Hex(Slurp(server.Path("r1.update.1")))
                                                : std::string(64, 'a');
                  word.why = "too large";
                  word.log_seq = 7;
                };
              }).ok())
      << AgentLog();
  std::vector<std::string> words;
  for (const LedgerLine& line : Ledgered()) {
    if (line.kind == "receipt")
      words.push_back(fmt::format("{} {} {}", line.round, line.receipt, line.why));
  }
  EXPECT_THAT(words, testing::ElementsAre("1 kept ", "1 refused too large", "2 kept ", "3 kept "));
  EXPECT_THAT(AgentLog(), HasSubstr("did not count after all: too large"));
}

// Somebody will make room: the round is trained again, and not given up.
TEST_F(AgentTest, AFullDiskIsNoFailureOfTheRound) {
  if (::geteuid() != 0) GTEST_SKIP() << "a small disk needs root";
  const std::string run = SitePath("runs/r1");
  int trained = 0;
  work_.after_training = [&](const TrainTask& task) {
    if (task.round != 2 || ++trained > 1) return absl::OkStatus();
    EXPECT_EQ(::mount("tmpfs", run.c_str(), "tmpfs", 0, "size=4k"), 0);
    std::ofstream(run + "/filler") << std::string(4096, 'x');
    return absl::OkStatus();
  };
  ASSERT_TRUE(RunAgent([&](FolderServer& server) {
                server.before = [&](const std::string& call) {
                  if (call == "NextTask") ::umount2(run.c_str(), MNT_DETACH);
                  return absl::OkStatus();
                };
              }).ok())
      << AgentLog();
  EXPECT_EQ(trained, 2) << AgentLog();
  EXPECT_THAT(ServerLog(), HasSubstr("submit r1 3"));
  for (const LedgerLine& line : Ledgered()) EXPECT_NE(line.kind, "failure");
}

}  // namespace
}  // namespace manako
