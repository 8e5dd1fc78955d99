// What a branch hospital's own web page shows and does, as plain structs: the way from the page to
// the site's folder. The same structs make `--json` of the commands (admin_json.h).
//
// Times are milliseconds since 1970 by this machine's clock; 0: never, or not known.
#ifndef MANAKO_DASHBOARD_SITE_ADMIN_H_
#define MANAKO_DASHBOARD_SITE_ADMIN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/federation.h"

namespace manako {

// What is running here now.
struct LocalStatus {
  std::string site, federation;
  std::string server;   // host:port
  std::string version;  // of the program
  int64_t now_ms = 0;
  int64_t reported_ms = 0;  // when the agent last wrote its state
  bool agent_runs = false;
  bool connected = false;     // the last word with the server was a good one
  bool paused = false;        // the agent takes no new task
  std::string problem;        // what keeps the agent from working, one line; empty: nothing
  int64_t clock_skew_ms = 0;  // server's clock minus this one
  SiteStatus work;
  std::string run_name;  // of work.run, for people
  int rounds_in_a_day = 0;
  int questions = 0;  // that wait for a person
};

struct LocalRun {
  std::string run, name;
  std::string stage;   // asked, joined, refused, ended
  std::string why;     // of refused and ended
  int round = 0;       // last that was trained here
  int rounds = 0;      // of the run; 0: not known
  std::string config;  // TOML: the agreement
};

// A question to a person here, and the answer as far as there is one.
struct QuestionInfo {
  std::string run;
  int round = 0;  // 0: the run itself
  std::string name;
  std::vector<std::string> facts;   // what it would train, one line each
  std::vector<std::string> leaves;  // what would leave the site, one line each
  int64_t asked_ms = 0;
  std::string state;  // waiting, granted, refused
  std::string by;     // who answered
  std::string why;    // of a refusal
  int64_t answered_ms = 0;
};

// One line of the ledger: something that left this site, or the server's receipt for it.
struct LedgerEntry {
  int64_t seq = 0;  // from 1
  int64_t time_ms = 0;
  std::string kind;  // offer answer, evaluation, update, failure; receipt
  std::string run;
  int round = 0;
  std::string contents;  // in a few words
  int64_t bytes = 0;
  std::string sha256;
  std::optional<double> l2;           // norm of an update's change
  std::string recipient;              // host:port
  std::string recipient_fingerprint;  // SHA-256 of the federation's authority
  std::string receipt;                // of a receipt: kept, late, refused
  std::string why;
  int64_t log_seq = 0;  // of a receipt: the server's line, and its hash
  std::string log_hash;
};

struct LedgerPage {
  int64_t lines = 0;  // in all
  bool intact = true;
  std::string problem;               // of a ledger that is not intact: which line, and what
  std::vector<LedgerEntry> entries;  // newest first
};

// Thread-safe; several requests call it at once. Errors as ServerAdmin's. `by` is who was signed
// in.
class SiteAdmin {
 public:
  virtual ~SiteAdmin() = default;

  virtual absl::StatusOr<LocalStatus> Status() = 0;
  virtual absl::StatusOr<std::vector<LocalRun>> Runs() = 0;           // newest first
  virtual absl::StatusOr<std::vector<QuestionInfo>> Questions() = 0;  // newest first
  // The `limit` lines before line `before` (0: the last ones).
  virtual absl::StatusOr<LedgerPage> Ledger(int64_t before, int limit) = 0;
  // The ledger's last line; 0: none.
  virtual absl::StatusOr<int64_t> LastLine() = 0;
  // Returns when something has changed, or after timeout_ms (a second at most).
  virtual void WaitForChange(int timeout_ms) = 0;
  // What /healthz answers.
  virtual absl::Status Healthy() = 0;

  virtual absl::Status Answer(const std::string& run, int round, bool granted,
                              const std::string& why, const std::string& by) = 0;
  // The agent finishes what it does and takes no further task until it is resumed.
  virtual absl::Status SetPaused(bool paused, const std::string& by) = 0;
};

}  // namespace manako

#endif  // MANAKO_DASHBOARD_SITE_ADMIN_H_
