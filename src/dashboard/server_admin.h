// What the central hospital's web page shows and does, as plain structs: the way from the page to
// the federation's database. The same structs make `--json` of the commands (admin_json.h).
//
// Times are milliseconds since 1970 by the server's clock; 0: never, or not known. Numbers that do
// not exist are NaN.
#ifndef MANAKO_DASHBOARD_SERVER_ADMIN_H_
#define MANAKO_DASHBOARD_SERVER_ADMIN_H_

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/federation.h"
#include "dashboard/file_source.h"

namespace manako {

inline constexpr double kNoNumber = std::numeric_limits<double>::quiet_NaN();

struct FederationInfo {
  std::string name;
  std::string address;  // host:port at which sites reach it
  std::string authority_sha256;
  std::string version;  // of the program
  int64_t now_ms = 0, started_ms = 0;
};

// An invitation that was made, and what became of it.
struct InvitationState {
  std::string state;  // open, used, withdrawn, expired
  int64_t created_ms = 0, expires_ms = 0, used_ms = 0, withdrawn_ms = 0;
};

struct SiteInfo {
  std::string name;
  std::string state;  // invited, enrolled, revoked
  std::string why;    // of revoked
  bool online = false;
  int64_t invitation_expires_ms = 0;
  int64_t enrolled_ms = 0, seen_ms = 0, revoked_ms = 0;
  int64_t certificate_expires_ms = 0;
  std::string version, address;
  SiteStatus status;                         // the last that it said
  std::vector<InvitationState> invitations;  // oldest first
};

// What became of asking a site in a round.
struct AskInfo {
  std::string site;
  std::string state;  // waiting, answered, refused, failed, late
  int64_t images = 0, visits = 0;
  double train_loss = kNoNumber;
  double l2 = kNoNumber;  // of the change
  std::string sha256;     // of the update's file
  std::string why;        // of refused and failed
};

// A test of one model, of all sites that have tested it together.
struct PooledInfo {
  int64_t images = 0;
  double loss = kNoNumber, auc = kNoNumber;
  std::string method;  // of the AUC: scores, histograms, metrics; empty: no AUC
};

struct RoundInfo {
  int round = 0;  // from 1; round 0 has a test of the initial model and nothing else
  int64_t opened_ms = 0, closed_ms = 0;  // closed 0: it is open
  int64_t deadline_ms = 0;               // of an open round; 0: none
  bool extended = false;
  int needed = 0;  // answers that an open round needs
  std::string model_sha256;
  std::vector<AskInfo> asks;      // by site; asked = answered + refused + failed + late + waiting
  double train_loss = kNoNumber;  // mean over the answers, by images
  PooledInfo validation, test;
};

// One site's test of one model.
struct EvaluationInfo {
  int round = 0;
  std::string trained_by;             // site whose own last model it is; empty: the global model
  std::string site;                   // that tested it
  EvaluationResult validation, test;  // images 0: not told
};

struct RunInfo {
  std::string id, name;
  std::string wanted;  // created, running, paused, cancelled
  std::string state;   // created, gathering, training, testing, finished, cancelled, failed
  std::string why;     // of failed, or what it waits for
  int64_t created_ms = 0, started_ms = 0, finished_ms = 0;
  int round = 0, rounds = 0;             // completed, and in all (0: not known yet)
  int open_round = 0;                    // 0: none is open
  int64_t deadline_ms = 0;               // of the open round; 0: none
  std::vector<std::string> waiting_for;  // sites, of the open round or of gathering
  int best_round = -1;
};

struct RunSiteInfo {
  std::string site;
  std::string state;  // asked, waiting (for a person there), ready, refused, left, ended
  SiteCounts counts;
  std::string why;
};

struct RunDetails {
  RunInfo run;
  std::vector<std::string> classes;
  std::string config;  // TOML
  std::vector<RunSiteInfo> sites;
  std::vector<RoundInfo> rounds;            // in their order
  std::vector<EvaluationInfo> evaluations;  // by round, trained_by, site
  std::vector<int> models;                  // rounds whose global model can be fetched
  bool has_report = false;
};

struct EventInfo {
  int64_t seq = 0, time_ms = 0;
  std::string run, site;  // may be empty
  std::string kind;       // run_started, round_opened, update_kept, ...
  nlohmann::json fields;
};

struct InvitationInfo {
  std::string line;  // a secret: shown once, kept nowhere
  std::string site;
  int64_t expires_ms = 0;
};

enum class RunAction : uint8_t { kStart, kPause, kResume, kCancel };

// Thread-safe; several requests call it at once. Errors become answers: InvalidArgument (400, the
// message is shown beside what was typed), NotFound (404), FailedPrecondition and AlreadyExists
// (409), Unavailable and ResourceExhausted (503); the message is one line for a person. Any other
// is 500. `by` is who was signed in, for the events' record.
class ServerAdmin {
 public:
  virtual ~ServerAdmin() = default;

  virtual absl::StatusOr<FederationInfo> Federation() = 0;
  virtual absl::StatusOr<std::vector<SiteInfo>> Sites() = 0;  // by name
  virtual absl::StatusOr<std::vector<RunInfo>> Runs() = 0;    // newest first
  virtual absl::StatusOr<RunDetails> Run(const std::string& run) = 0;
  // Behind seq, oldest first, at most `limit`; of one run, or of all where `run` is empty.
  virtual absl::StatusOr<std::vector<EventInfo>> Events(int64_t behind_seq, int limit,
                                                        const std::string& run) = 0;
  // The newest `limit` of them, oldest first. Unless it is overridden, by reading all with
  // Events().
  virtual absl::StatusOr<std::vector<EventInfo>> LatestEvents(int limit, const std::string& run);
  // The newest event's number; 0: none.
  virtual absl::StatusOr<int64_t> LastEvent() = 0;
  // Returns when there is an event behind seq, or after timeout_ms (a second at most).
  virtual void WaitForEvent(int64_t behind_seq, int timeout_ms) = 0;
  // Whether the server can do its work: what /healthz answers.
  virtual absl::Status Healthy() = 0;

  virtual absl::StatusOr<InvitationInfo> Invite(const std::string& site, int hours,
                                                const std::string& by) = 0;
  virtual absl::Status Revoke(const std::string& site, const std::string& why,
                              const std::string& by) = 0;
  // A run's agreement to begin with, as TOML with comments.
  virtual std::string RunTemplate() = 0;
  // Returns the run's id. InvalidArgument names line or field.
  virtual absl::StatusOr<std::string> CreateRun(const std::string& toml, const std::string& by) = 0;
  virtual absl::Status Act(const std::string& run, RunAction action, const std::string& by) = 0;

  // The global model behind a round, to download: its values alone, as they are kept.
  virtual absl::StatusOr<std::unique_ptr<FileSource>> OpenModel(const std::string& run,
                                                                int round) = 0;
  // The same as model.pt, which opens in Python. Takes seconds; Unavailable while another is made.
  virtual absl::StatusOr<std::unique_ptr<FileSource>> ExportModel(const std::string& run,
                                                                  int round) = 0;
  // The run's report.html.
  virtual absl::StatusOr<std::unique_ptr<FileSource>> OpenReport(const std::string& run) = 0;
};

}  // namespace manako

#endif  // MANAKO_DASHBOARD_SERVER_ADMIN_H_
