// A made-up federation and a made-up site, for tests and for looking at the pages. What is done to
// them shows, and makes events, as it would.
#ifndef MANAKO_DASHBOARD_TESTING_FAKE_ADMIN_H_
#define MANAKO_DASHBOARD_TESTING_FAKE_ADMIN_H_

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "dashboard/server_admin.h"
#include "dashboard/site_admin.h"

namespace manako {

// Four sites, one of them away and one revoked; a run that is at round 4 of 30, one that was made
// and not started, and one that is finished.
class FakeServer : public ServerAdmin {
 public:
  // `folder` gets the files that are downloaded. Times are around now_ms.
  FakeServer(std::string folder, int64_t now_ms);

  absl::StatusOr<FederationInfo> Federation() override;
  absl::StatusOr<std::vector<SiteInfo>> Sites() override;
  absl::StatusOr<std::vector<RunInfo>> Runs() override;
  absl::StatusOr<RunDetails> Run(const std::string& run) override;
  absl::StatusOr<std::vector<EventInfo>> Events(int64_t behind_seq, int limit,
                                                const std::string& run) override;
  absl::StatusOr<int64_t> LastEvent() override;
  void WaitForEvent(int64_t behind_seq, int timeout_ms) override;
  absl::Status Healthy() override;
  absl::StatusOr<InvitationInfo> Invite(const std::string& site, int hours,
                                        const std::string& by) override;
  absl::Status Revoke(const std::string& site, const std::string& why,
                      const std::string& by) override;
  std::string RunTemplate() override;
  absl::StatusOr<std::string> CreateRun(const std::string& toml, const std::string& by) override;
  absl::Status Act(const std::string& run, RunAction action, const std::string& by) override;
  absl::StatusOr<std::unique_ptr<FileSource>> OpenModel(const std::string& run, int round) override;
  absl::StatusOr<std::unique_ptr<FileSource>> ExportModel(const std::string& run,
                                                          int round) override;
  absl::StatusOr<std::unique_ptr<FileSource>> OpenReport(const std::string& run) override;

  void AddEvent(const std::string& run, const std::string& site, const std::string& kind,
                nlohmann::json fields);
  void SetHealth(absl::Status health);
  // The site that the running run waits for answers: the round closes, and the next one opens.
  void AnswerOpenRound();

 private:
  RunDetails* Find(const std::string& run);
  void AddRound(RunDetails& details, int round, bool open);
  void AddEventLocked(const std::string& run, const std::string& site, const std::string& kind,
                      nlohmann::json fields);

  const std::string folder_;
  const int64_t now_ms_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<SiteInfo> sites_;
  std::vector<RunDetails> runs_;
  std::vector<EventInfo> events_;
  absl::Status health_;
};

// It trains a run, and a question waits.
class FakeSite : public SiteAdmin {
 public:
  explicit FakeSite(int64_t now_ms);

  absl::StatusOr<LocalStatus> Status() override;
  absl::StatusOr<std::vector<LocalRun>> Runs() override;
  absl::StatusOr<std::vector<QuestionInfo>> Questions() override;
  absl::StatusOr<LedgerPage> Ledger(int64_t before, int limit) override;
  absl::StatusOr<int64_t> LastLine() override;
  void WaitForChange(int timeout_ms) override;
  absl::Status Healthy() override;
  absl::Status Answer(const std::string& run, int round, bool granted, const std::string& why,
                      const std::string& by) override;
  absl::Status SetPaused(bool paused, const std::string& by) override;

 private:
  void AddLine(LedgerEntry entry);

  const int64_t now_ms_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t changes_ = 0;
  LocalStatus status_;
  std::vector<LocalRun> runs_;
  std::vector<QuestionInfo> questions_;
  std::vector<LedgerEntry> ledger_;
};

}  // namespace manako

#endif  // MANAKO_DASHBOARD_TESTING_FAKE_ADMIN_H_
