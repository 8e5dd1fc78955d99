// A site's folder as every process sees it: the agent, `manako site ...`, the web page. What these
// tell each other are small files that are written whole; nothing here needs the agent's lock.
//
//     site.toml                     configuration
//     status.json                   what the agent does (SiteReport)
//     ledger.jsonl                  what left this site (ledger.h)
//     pause, stop                   flags: there or not
//     approvals/RUN@ROUND.asked     the agent's question; round 0 is the run itself
//     approvals/RUN@ROUND.answer    a person's answer
//     runs/RUN/                     the agent's own (site_store.h); models/ in it is for everybody
//     cache/                        decoded images
#ifndef MANAKO_SITE_SITE_FOLDER_H_
#define MANAKO_SITE_SITE_FOLDER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/federation.h"
#include "site/policy.h"

namespace manako {

// Whether a run may have this name: 1 to 64 of a-z, A-Z, 0-9, '-', '_' and '.', the first one a
// letter or digit. It becomes the name of folders and files here, whatever the server sends.
bool IsRunName(const std::string& name);

struct SiteFolder {
  std::string root;

  std::string config() const { return root + "/site.toml"; }
  std::string status() const { return root + "/status.json"; }
  std::string ledger() const { return root + "/ledger.jsonl"; }
  std::string approvals() const { return root + "/approvals"; }
  std::string runs() const { return root + "/runs"; }
  std::string run(const std::string& run) const { return root + "/runs/" + run; }
  std::string agreement(const std::string& run) const {
    return root + "/runs/" + run + "/run.toml";
  }
  std::string models(const std::string& run) const { return root + "/runs/" + run + "/models"; }
  std::string cache() const { return root + "/cache"; }
};

// A question to a person, and the answer as far as there is one.
struct Approval {
  std::string run;
  int round = 0;                   // 0: the run itself
  std::string name;                // of the run
  std::vector<std::string> facts;  // what is asked for, one line each
  int64_t asked_ms = 0;            // since 1970
  Consent consent = Consent::kNone;
  std::string by;  // who answered
  int64_t answered_ms = 0;
};

// Asking again leaves the question and its answer as they are.
absl::Status AskApproval(const SiteFolder& folder, const Approval& question);
// The question with its answer. NotFound: it was not asked. DataLoss: a file that cannot be read as
// one (names it).
absl::StatusOr<Approval> GetApproval(const SiteFolder& folder, const std::string& run, int round);
// All, the latest question first. Files that cannot be read as questions are left out.
std::vector<Approval> ListApprovals(const SiteFolder& folder);
// A person's answer; another one later replaces it. NotFound: nothing of that kind is asked (says
// what is).
absl::Status AnswerApproval(const SiteFolder& folder, const std::string& run, int round,
                            bool granted, const std::string& by, int64_t now_ms);

// The agent finishes what it does, then takes no task until the flag is gone; or ends.
enum class SiteFlag : uint8_t { kPause, kStop };
absl::Status SetFlag(const SiteFolder& folder, SiteFlag flag, bool on);
bool HasFlag(const SiteFolder& folder, SiteFlag flag);

// One run as status.json has it.
struct RunReport {
  std::string run, name;
  std::string stage;  // asked, joined, refused, ended
  std::string why;    // of refused and ended
  int round = 0;      // last that was trained here
  int rounds = 0;     // of the run, where known
};

// status.json.
struct SiteReport {
  int64_t time_ms = 0;  // when it was written
  int64_t pid = 0;
  bool connected = false;  // the last word with the server was a good one
  std::string problem;  // what keeps the agent from working at the moment, one line; empty: nothing
  int64_t clock_skew_ms = 0;  // server's clock minus this one
  SiteStatus work;            // as the server is told
  int rounds_in_a_day = 0;
  int questions = 0;            // that wait for a person
  std::vector<RunReport> runs;  // latest last
};
std::string ToJson(const SiteReport& report);
// NotFound: the agent never ran here. DataLoss: not a status of this version.
absl::StatusOr<SiteReport> ReadSiteReport(const SiteFolder& folder);
// Whether an agent holds the folder now.
bool AgentRuns(const SiteFolder& folder);

}  // namespace manako

#endif  // MANAKO_SITE_SITE_FOLDER_H_
