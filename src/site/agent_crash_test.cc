// kill -9 at every crash point, as often as it is passed, and another agent behind it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <map>
#include <set>

#include "base/crash_point.h"
#include "site/testing.h"

namespace manako {
namespace {

namespace fs = std::filesystem;

class AgentCrashTest : public AgentTest {
 protected:
  AgentCrashTest() {
    script_[0].cross_site = true;
    script_[0].config.run.cross_site = true;
    script_[0].config.run.encoding = "int8";  // whose residual must survive too
    config_.policy.cross_site = true;
    script_.push_back({"r2", LinearRun("float32"), 2});
    const std::string events = ServerPath("events");
    work_.before_training = [events](const TrainTask& task) {
      AppendLine(events, fmt::format("train {}", task.round));
      return absl::OkStatus();
    };
  }

  void GrantRun() {
    for (const auto& run : script_) {
      if (GetApproval(Folder(), run.run, 0).ok()) {
        ASSERT_TRUE(AnswerApproval(Folder(), run.run, 0, true, "Dr. K", 1).ok());
      }
    }
  }

  // Ends with the signal that ended the child, or 0.
  int RunInChild(const std::string& crash_at) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(600);
      SetCrashPoint(crash_at);
      const absl::Status status = RunAgent();
      if (!status.ok()) fprintf(stderr, "%s\n", status.ToString().c_str());
      ::_exit(status.ok() && !HasFailure() ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0) << crash_at;
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  }

  // What the server has, and what the site keeps, of a federation that went to its end.
  std::map<std::string, std::string> Outcome() {
    std::map<std::string, std::string> outcome;
    outcome["log"] = ServerLog();
    for (const auto& run : script_) {
      const std::string models = Folder().models(run.run);
      for (const auto& entry : fs::directory_iterator(models)) {
        outcome[run.run + "/" + entry.path().filename().string()] = Slurp(entry.path().string());
      }
      std::string left;
      std::set<std::string> names;
      for (const auto& entry : fs::directory_iterator(Folder().run(run.run)))
        names.insert(entry.path().filename().string());
      for (const std::string& name : names) left += name + " ";
      outcome[run.run + "/left"] = left;
    }
    std::set<std::string> left_site;
    for (const LedgerLine& line : Ledgered()) {
      EXPECT_TRUE(
          left_site.insert(fmt::format("{} {} {} {}", line.kind, line.run, line.round, line.sha256))
              .second);
    }
    for (const std::string& line : left_site) outcome["ledger"] += line + "\n";
    return outcome;
  }

  // No round was trained again behind its submission: the server's log and the trainings are in one
  // order.
  std::string events() const { return Slurp(ServerPath("events")); }
};

TEST_F(AgentCrashTest, AfterAKillAnywhereTheServerGetsTheSameBytes) {
  ASSERT_EQ(RunInChild(""), 0);
  const auto undisturbed = Outcome();
  EXPECT_THAT(undisturbed.at("log"), testing::HasSubstr("submit r1 3"));
  EXPECT_THAT(undisturbed.at("log"), testing::Not(testing::HasSubstr("ANOTHER")));
  EXPECT_THAT(undisturbed.at("log"), testing::HasSubstr("\"trained_by\":\"other\""));
  EXPECT_TRUE(undisturbed.contains("r1/final.pt"));
  EXPECT_EQ(undisturbed.at("r1/left"), "models run.toml state.json ");
  const size_t trainings = Lines(events()).size();
  EXPECT_EQ(trainings, 5u);

  // Those that only a person's approval leads to have their own test.
  const std::set<std::string> with_a_person = {"site.approval_asked", "site.consent_stored",
                                               "site.round_approval_asked"};
  // Behind these the round is trained for good.
  const std::set<std::string> committed = {"site.round_committed", "site.old_files_removed",
                                           "site.update_logged", "site.submitted",
                                           "site.receipt_logged"};
  int kills = 0;
  for (const std::string& point : CrashPoints()) {
    if (!point.starts_with("site.") || with_a_person.contains(point)) continue;
    int passed = 0;
    for (int time = 1;; ++time) {
      SCOPED_TRACE(fmt::format("{}:{}", point, time));
      Clear();
      const int signal = RunInChild(fmt::format("{}:{}", point, time));
      if (signal == 0) break;
      ASSERT_EQ(signal, SIGKILL);
      ++passed;
      ++kills;
      ASSERT_EQ(RunInChild(""), 0);
      const auto outcome = Outcome();
      EXPECT_EQ(outcome.size(), undisturbed.size());
      for (const auto& [name, bytes] : undisturbed) {
        EXPECT_TRUE(outcome.contains(name) && outcome.at(name) == bytes) << name;
      }
      const size_t again = Lines(events()).size() - trainings;
      EXPECT_LE(again, committed.contains(point) ? 0u : 1u);
      if (HasFailure()) return;
    }
    EXPECT_GT(passed, 0) << point << " was never passed";
  }
  printf("%d kills\n", kills);
}

TEST_F(AgentCrashTest, AKillAroundAPersonsWordLosesNothing) {
  config_.policy.approval = "run";
  script_.resize(1);
  for (const std::string point :
       {"site.approval_asked", "site.consent_stored", "site.offer_answered:2"}) {
    SCOPED_TRACE(point);
    Clear();
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(600);
      SetCrashPoint(point);
      static_cast<void>(RunAgent());
      ::_exit(0);
    }
    while (!GetApproval(Folder(), "r1", 0).ok()) std::this_thread::yield();
    GrantRun();
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    GrantRun();
    ASSERT_EQ(RunInChild(""), 0);
    EXPECT_THAT(ServerLog(), testing::HasSubstr("submit r1 3"));
    // The kill may come from the thread that answers while the first round is being trained.
    EXPECT_LE(Lines(events()).size(), 4u);
    EXPECT_THAT(ServerLog(), testing::Not(testing::HasSubstr("ANOTHER")));
    Ledgered();
  }
}

TEST_F(AgentCrashTest, AKillWhileAPersonIsAskedForARound) {
  config_.policy.approval = "first_round";
  script_.resize(1);
  ASSERT_EQ(RunInChild("site.round_approval_asked"), SIGKILL);
  ASSERT_TRUE(AnswerApproval(Folder(), "r1", 1, true, "Dr. K", 1).ok());
  ASSERT_EQ(RunInChild(""), 0);
  EXPECT_EQ(Lines(events()).size(), 3u);
}

}  // namespace
}  // namespace manako
