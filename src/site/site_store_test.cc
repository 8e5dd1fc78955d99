#include "site/site_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/status_macros.h"
#include "base/temporary_folder.h"
#include "site/site_folder.h"

namespace manako {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

class SiteStoreTest : public testing::Test {
 protected:
  std::unique_ptr<SiteStore> Open() {
    auto store = SiteStore::Open(root_.path());
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  static RunState Joined(const std::string& run) {
    RunState state;
    state.run = run;
    state.name = "緑内障";
    state.stage = RunStage::kJoined;
    state.counts.train = {30, 4};
    return state;
  }
  static RoundTask Task(int round, char model) {
    RoundTask task;
    task.run = "r";
    task.round = round;
    task.model.sha256 = std::string(64, model);
    return task;
  }
  // Trains a round whose learner then holds {steps}.
  static void Train(SiteStore& store, const RoundTask& task, float steps, int64_t now_ms = 1000) {
    RunState state = *store.Find(task.run);
    ASSERT_TRUE(WriteFileAtomically(store.UpdatePath(task), "update").ok());
    SiteStore::Trained trained;
    trained.submission.run = task.run;
    trained.submission.round = task.round;
    trained.submission.model_sha256 = task.model.sha256;
    trained.submission.l2 = 0.1;
    trained.submission.metrics = {{"train_loss", 1.0 / 3}};
    FlatArray momentum(1);
    momentum.data()[0] = steps;
    trained.learner.steps = static_cast<int64_t>(steps);
    trained.learner.arrays.push_back({"momentum", std::move(momentum)});
    trained.now_ms = now_ms;
    ASSERT_TRUE(store.CommitRound(state, trained).ok());
  }
  static int64_t StepsBefore(const SiteStore& store, int round) {
    const auto learnt = store.StateBefore(*store.Find("r"), round);
    EXPECT_TRUE(learnt.ok()) << learnt.status();
    return *learnt ? (*learnt)->learner.steps : 0;
  }
  const TemporaryFolder root_;
  const SiteFolder folder_{root_.path()};
};

TEST_F(SiteStoreTest, StatesComeBackToTheBit) {
  {
    const auto store = Open();
    ASSERT_TRUE(store->Add(Joined("r"), "[run]\n").ok());
    Train(*store, Task(1, 'a'), 3);
  }
  const auto store = Open();
  const RunState state = *store->Find("r");
  EXPECT_EQ(state.name, "緑内障");
  EXPECT_THAT(state.counts.train, ElementsAre(30, 4));
  EXPECT_EQ(state.last->metrics.at("train_loss"), 1.0 / 3);
  EXPECT_EQ(state.last->l2, 0.1);
  EXPECT_EQ(*store->Config("r"), "[run]\n");
  EXPECT_EQ(StepsBefore(*store, 2), 3);
  EXPECT_EQ(StepsBefore(*store, 1), 0);
}

TEST_F(SiteStoreTest, ARoundIsTrainedFromTheStateBeforeIt) {
  const auto store = Open();
  ASSERT_TRUE(store->Add(Joined("r"), "").ok());
  Train(*store, Task(1, 'a'), 3);
  Train(*store, Task(2, 'b'), 6);
  EXPECT_EQ(StepsBefore(*store, 3), 6);
  EXPECT_EQ(StepsBefore(*store, 2), 3);
  // The server went back and asks round 2 of another model: what round 2 learnt before does not
  // count.
  Train(*store, Task(2, 'c'), 7);
  EXPECT_EQ(StepsBefore(*store, 3), 7);
  EXPECT_EQ(StepsBefore(*store, 2), 3);
  // A round that this site was not asked for lies between.
  EXPECT_EQ(StepsBefore(*store, 9), 7);
  // Two states and one update are kept.
  int files = 0;
  for (const auto& entry : fs::directory_iterator(folder_.run("r"))) {
    files += entry.path().filename().string().starts_with("round-");
  }
  EXPECT_EQ(files, 3);
}

TEST_F(SiteStoreTest, WhatNoStateNamesIsRemoved) {
  {
    const auto store = Open();
    ASSERT_TRUE(store->Add(Joined("r"), "").ok());
    Train(*store, Task(1, 'a'), 3);
    ASSERT_TRUE(WriteFileAtomically(store->UpdatePath(Task(2, 'b')), "half a round").ok());
  }
  const auto store = Open();
  EXPECT_FALSE(fs::exists(store->UpdatePath(Task(2, 'b'))));
  EXPECT_TRUE(fs::exists(store->UpdatePath(Task(1, 'a'))));
}

TEST_F(SiteStoreTest, DamageIsSetAsideAndTold) {
  {
    const auto store = Open();
    ASSERT_TRUE(store->Add(Joined("r"), "").ok());
    ASSERT_TRUE(store->Add(Joined("s"), "").ok());
    Train(*store, Task(1, 'a'), 3);
    const std::string file = store->Find("r")->state.file;
    ASSERT_TRUE(WriteFileAtomically(store->Path("r", file), "rubbish").ok());
    EXPECT_EQ(store->StateBefore(*store->Find("r"), 2).status().code(),
              absl::StatusCode::kDataLoss);
    fs::remove(store->Path("r", file));
    EXPECT_EQ(store->StateBefore(*store->Find("r"), 2).status().code(),
              absl::StatusCode::kDataLoss);
  }
  ASSERT_TRUE(WriteFileAtomically(folder_.run("r") + "/state.json", "{\"name\":").ok());
  const auto store = Open();
  EXPECT_FALSE(store->Find("r").has_value());
  EXPECT_TRUE(store->Find("s").has_value());
  ASSERT_THAT(store->problems(), SizeIs(1));
  EXPECT_THAT(store->problems()[0], HasSubstr("state.json is damaged and was set aside"));
}

TEST_F(SiteStoreTest, RoundsInADay) {
  const auto store = Open();
  constexpr int64_t kDay = 24 * 3600 * 1000;
  ASSERT_TRUE(store->Add(Joined("r"), "").ok());
  Train(*store, Task(1, 'a'), 1, 1000);
  Train(*store, Task(2, 'b'), 2, 2000);
  EXPECT_EQ(store->RoundsInADay(3000), 2);
  EXPECT_EQ(store->RoundsInADay(1000 + kDay), 1);
  EXPECT_EQ(store->RoundsInADay(2000 + kDay), 0);
}

TEST_F(SiteStoreTest, NamesOfRunsAreNoPaths) {
  for (const char* bad : {"", ".", "..", "../x", "a/b", "-x", "a b", "a\n", "眼"})
    EXPECT_FALSE(IsRunName(bad)) << bad;
  EXPECT_TRUE(IsRunName("2026-11.glaucoma_A"));
  EXPECT_FALSE(Open()->Add(Joined("../x"), "").ok());
}

TEST_F(SiteStoreTest, QuestionsAndAnswers) {
  Approval question;
  question.run = "r";
  question.round = 2;
  question.facts = {"a fact"};
  question.asked_ms = 5;
  ASSERT_TRUE(AskApproval(folder_, question).ok());
  EXPECT_EQ(GetApproval(folder_, "r", 2)->consent, Consent::kNone);
  EXPECT_EQ(GetApproval(folder_, "r", 1).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(MessageOf(AnswerApproval(folder_, "r", 1, true, "K", 6)),
            "nobody asked for r round 1; open are: r round 2");
  ASSERT_TRUE(AnswerApproval(folder_, "r", 2, true, "K", 6).ok());
  question.facts = {"another"};
  ASSERT_TRUE(AskApproval(folder_, question).ok());
  const Approval answered = *GetApproval(folder_, "r", 2);
  EXPECT_EQ(answered.consent, Consent::kGranted);
  EXPECT_EQ(answered.by, "K");
  EXPECT_THAT(answered.facts, ElementsAre("a fact"));
  ASSERT_TRUE(AnswerApproval(folder_, "r", 2, false, "K", 7).ok());
  EXPECT_THAT(ListApprovals(folder_), SizeIs(1));
  EXPECT_EQ(ListApprovals(folder_)[0].consent, Consent::kRefused);
  ASSERT_TRUE(WriteFileAtomically(folder_.approvals() + "/r@2.answer", "{}").ok());
  EXPECT_EQ(GetApproval(folder_, "r", 2).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(SiteStoreTest, ReportsComeBack) {
  EXPECT_EQ(ReadSiteReport(folder_).status().code(), absl::StatusCode::kNotFound);
  SiteReport report;
  report.problem = "no \"line\" \xff";
  report.work.phase = "training";
  report.runs.push_back({"r", "name", "joined", "", 3, 9});
  ASSERT_TRUE(WriteFileAtomically(folder_.status(), ToJson(report)).ok());
  const SiteReport read = *ReadSiteReport(folder_);
  EXPECT_EQ(read.problem, "no \"line\" \xef\xbf\xbd");
  EXPECT_EQ(read.work.phase, "training");
  EXPECT_EQ(read.runs[0].rounds, 9);
  ASSERT_TRUE(WriteFileAtomically(folder_.status(), "[]").ok());
  EXPECT_EQ(ReadSiteReport(folder_).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace manako
