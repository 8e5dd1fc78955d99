#include <algorithm>
#include <chrono>
#include <thread>

#include "absl/time/time.h"
#include "apps/manako/commands.h"
#include "apps/manako/output.h"
#include "apps/manako/web_admin.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "identity/private_key.h"
#include "site/leaves.h"
#include "site/ledger.h"
#include "site/site_folder.h"

namespace manako {
namespace {

class FolderAdmin : public SiteAdmin {
 public:
  FolderAdmin(std::string folder, SiteConfig config)
      : folder_{std::move(folder)}, config_(std::move(config)) {}

  absl::StatusOr<LocalStatus> Status() override {
    LocalStatus status;
    status.site = config_.server.site;
    status.federation = config_.server.federation;
    status.server = config_.server.address;
    status.version = kVersion;
    status.now_ms = NowMs();
    status.agent_runs = AgentRuns(folder_);
    status.paused = HasFlag(folder_, SiteFlag::kPause);
    const auto report = ReadSiteReport(folder_);
    if (report.status().code() == absl::StatusCode::kNotFound) return status;
    MANAKO_RETURN_IF_ERROR(report.status());
    status.reported_ms = report->time_ms;
    status.connected = report->connected;
    status.problem = report->problem;
    status.clock_skew_ms = report->clock_skew_ms;
    status.work = report->work;
    for (const RunReport& run : report->runs) {
      if (run.run == report->work.run) status.run_name = run.name;
    }
    status.rounds_in_a_day = report->rounds_in_a_day;
    status.questions = report->questions;
    return status;
  }

  absl::StatusOr<std::vector<LocalRun>> Runs() override {
    std::vector<LocalRun> runs;
    const auto report = ReadSiteReport(folder_);
    if (report.status().code() == absl::StatusCode::kNotFound) return runs;
    MANAKO_RETURN_IF_ERROR(report.status());
    for (const RunReport& run : report->runs) {
      const auto config = ReadFile(folder_.agreement(run.run), 1 << 20);
      runs.insert(runs.begin(), {run.run, run.name, run.stage, run.why, run.round, run.rounds,
                                 config.ok() ? *config : ""});
    }
    return runs;
  }

  absl::StatusOr<std::vector<QuestionInfo>> Questions() override {
    std::vector<QuestionInfo> questions;
    for (const Approval& approval : ListApprovals(folder_)) {
      QuestionInfo question;
      question.run = approval.run;
      question.round = approval.round;
      question.name = approval.name;
      question.facts = approval.facts;
      question.leaves = LeavesOf(folder_, approval.run, config_.policy);
      question.asked_ms = approval.asked_ms;
      question.state = approval.consent == Consent::kGranted   ? "granted"
                       : approval.consent == Consent::kRefused ? "refused"
                                                               : "waiting";
      question.by = approval.by;
      question.answered_ms = approval.answered_ms;
      questions.push_back(std::move(question));
    }
    return questions;
  }

  absl::StatusOr<LedgerPage> Ledger(int64_t before, int limit) override {
    MANAKO_ASSIGN_OR_RETURN(const PrivateKey key, PrivateKey::Load(folder_.root + "/site.key"));
    std::vector<LedgerLine> lines;
    const absl::Status good = manako::Ledger::Verify(folder_.ledger(), key.public_key(), &lines);
    LedgerPage page;
    if (good.code() == absl::StatusCode::kNotFound) return page;
    page.lines = static_cast<int64_t>(lines.size());
    page.intact = good.ok();
    page.problem = std::string(MessageOf(good));
    for (auto line = lines.rbegin();
         line != lines.rend() && static_cast<int>(page.entries.size()) < limit; ++line) {
      if (before > 0 && line->seq >= before) continue;
      LedgerEntry entry;
      entry.seq = line->seq;
      absl::Time time;
      if (absl::ParseTime(absl::RFC3339_full, line->time, &time, nullptr))
        entry.time_ms = absl::ToUnixMillis(time);
      entry.kind = line->kind;
      entry.run = line->run;
      entry.round = line->round;
      entry.contents = line->contents;
      entry.bytes = line->bytes;
      entry.sha256 = line->sha256;
      entry.l2 = line->l2;
      entry.recipient = line->recipient.server;
      entry.recipient_fingerprint = line->recipient.fingerprint;
      entry.receipt = line->receipt;
      entry.why = line->why;
      entry.log_seq = line->log_seq;
      entry.log_hash = line->log_hash;
      page.entries.push_back(std::move(entry));
    }
    return page;
  }

  absl::StatusOr<int64_t> LastLine() override {
    MANAKO_ASSIGN_OR_RETURN(const LedgerPage page, Ledger(0, 1));
    return page.lines;
  }

  void WaitForChange(int timeout_ms) override {
    // The agent replaces status.json whenever it does something, at most every second.
    const auto before = Stamp();
    for (int waited = 0; waited < std::min(timeout_ms, 1000); waited += 100) {
      if (Stamp() != before) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }

  absl::Status Healthy() override {
    if (AgentRuns(folder_)) return absl::OkStatus();
    return absl::UnavailableError("the site's agent does not run");
  }

  absl::Status Answer(const std::string& run, int round, bool granted, const std::string& why,
                      const std::string& by) override {
    return AnswerApproval(folder_, run, round, granted,
                          why.empty() ? by : fmt::format("{}: {}", by, why), NowMs());
  }

  absl::Status SetPaused(bool paused, const std::string&) override {
    return SetFlag(folder_, SiteFlag::kPause, paused);
  }

 private:
  std::string Stamp() const {
    const auto text = ReadFile(folder_.status(), 1 << 20);
    return text.ok() ? *text : "";
  }

  const SiteFolder folder_;
  const SiteConfig config_;
};

}  // namespace

std::unique_ptr<SiteAdmin> MakeSiteAdmin(const std::string& folder, const SiteConfig& config) {
  return std::make_unique<FolderAdmin>(folder, config);
}

}  // namespace manako
