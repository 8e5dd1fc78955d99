// What the central hospital knows of its federation: its sites, invitations, runs and what
// happened, in one SQLite file.
//
// Several processes use it at once: the server, which does the work, and the commands that a person
// types (`manako server invite`, `manako run start`), which write what is wanted and then ring
// (wake.h). So all that a command says survives any crash, and works whether the server is up or
// not.
#ifndef MANAKO_SERVER_FEDERATION_STORE_H_
#define MANAKO_SERVER_FEDERATION_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/database.h"
#include "core/federation.h"
#include "round/round_state.h"

namespace manako {

struct SiteRecord {
  std::string name;
  std::string state;  // invited, enrolled, revoked, left
  std::string
      certificate_serial;  // of the newest; older ones of the same site are valid until they expire
  std::string spki_sha256;
  std::string public_key;  // PEM: checks the site's ledger
  int64_t certificate_expires_ms = 0;
  int64_t enrolled_ms = 0, seen_ms = 0;
  std::string version, address;
  std::string status;  // the last SiteStatus, JSON

  bool gone() const { return state == "revoked" || state == "left"; }
};

// What a person wants of a run, and what it is.
struct RunRecord {
  std::string id;
  std::string name;
  std::string config;  // TOML
  std::string wanted;  // created, running, paused, cancelled
  std::string state;   // created, gathering, training, testing, finished, cancelled, failed
  std::string why;     // of failed, or what it waits for
  int64_t created_ms = 0, started_ms = 0, finished_ms = 0;
  int round = 0, rounds = 0;  // completed, and in all (0: not known yet)
  std::string basis;          // RunBasis as JSON; empty until the first round opens
  std::string rounds_state;   // RoundState as JSON
  int best_round = -1;
};

struct RunSiteRecord {
  std::string site;
  std::string state;  // asked, waiting (for a person there), ready, refused, left, ended
  int index = -1;     // names its random streams; -1: not given yet
  SiteCounts counts;
  std::string why;
};

struct EventRecord {
  int64_t seq = 0, time_ms = 0;
  std::string run, site;  // may be empty
  std::string kind;       // run_started, round_opened, update_kept, ...
  nlohmann::json fields;
};

// Thread-safe. Errors are the database's.
class FederationStore {
 public:
  // Makes the database when there is none.
  static absl::StatusOr<std::unique_ptr<FederationStore>> Open(const std::string& path);

  // Named settings: name, host, port.
  absl::StatusOr<std::string> Setting(const std::string& key);
  absl::Status SetSetting(const std::string& key, const std::string& value);

  // An invitation and what became of it. `why` of a withdrawn one: "a newer one was made",
  // "revoked", "left". The token is not known here.
  struct InvitationRecord {
    std::string site;
    int64_t created_ms = 0, expires_ms = 0, used_ms = 0, withdrawn_ms = 0;  // 0: never
    std::string why;
    // open, used, withdrawn, expired.
    std::string StateAt(int64_t now_ms) const;
  };
  // All that were ever made, oldest first.
  absl::StatusOr<std::vector<InvitationRecord>> Invitations();
  // Invitations. A site that has left or was revoked may be invited again.
  absl::Status AddInvitation(const std::string& site, const std::string& token_hash, int64_t now_ms,
                             int64_t expires_ms);
  // The site that a token invites. PermissionDenied: unknown, used, expired or withdrawn. The
  // message tells a person at the site what became of it and what to do. Who has the token knows as
  // much as there is to guess; of any other text the answer is always the same, and names no site.
  absl::StatusOr<std::string> InvitedSite(const std::string& token_hash, int64_t now_ms);
  // Uses the token up and enrols the site, in one step. Errors as above.
  absl::Status Enrol(const SiteRecord& site, const std::string& token_hash, int64_t now_ms);
  absl::Status Renewed(const SiteRecord& site);
  absl::StatusOr<std::vector<SiteRecord>> Sites();
  absl::StatusOr<std::optional<SiteRecord>> Site(const std::string& name);
  absl::Status Seen(const std::string& site, int64_t now_ms, const std::string& version,
                    const std::string& address, const std::string& status);
  // At once and for good; the same name may be invited anew. NotFound.
  absl::Status Revoke(const std::string& site, const std::string& why, int64_t now_ms);
  // The same by the site's own word.
  absl::Status Leave(const std::string& site, const std::string& why, int64_t now_ms);

  absl::Status AddRun(const RunRecord& run);
  absl::StatusOr<std::vector<RunRecord>> Runs();
  absl::StatusOr<RunRecord> Run(const std::string& id);
  // Writes what a person wants. FailedPrecondition when it cannot become that any more (says why).
  absl::Status Want(const std::string& id, const std::string& wanted, int64_t now_ms);

  absl::StatusOr<std::vector<RunSiteRecord>> RunSites(const std::string& run);
  struct AskRecord {
    int round = 0;
    std::string site;
    Ask ask;
  };
  absl::StatusOr<std::vector<AskRecord>> Asks(const std::string& run);
  struct RoundRecord {
    int round = 0;
    int64_t opened_ms = 0, closed_ms = 0;
    std::string model_sha256;
    std::string metrics;  // JSON: pooled over the sites; empty until tested
  };
  absl::StatusOr<std::vector<RoundRecord>> Rounds(const std::string& run);
  struct EvaluationRecord {
    int round = 0;
    std::string trained_by, site;
    std::string json;  // EvaluationToJson
  };
  // Of one round, or (-1) of all.
  absl::StatusOr<std::vector<EvaluationRecord>> Evaluations(const std::string& run, int round = -1);
  // Behind seq, oldest first, at most `limit`.
  absl::StatusOr<std::vector<EventRecord>> Events(int64_t behind_seq, int limit,
                                                  const std::string& run = "");

  // The newest event's number; 0: none.
  absl::StatusOr<int64_t> LastEvent();

  // All that one step of a run changes goes to the disk in one transaction.
  class Batch {
   public:
    Batch(Batch&&) = default;
    void SaveRun(const RunRecord& run);
    void SaveSite(const std::string& run, const RunSiteRecord& site);
    void SaveAsk(const std::string& run, int round, const std::string& site, const Ask& ask,
                 int64_t now_ms);
    void OpenRound(const std::string& run, int round, int64_t now_ms);
    void CloseRound(const std::string& run, int round, const std::string& model_sha256,
                    int64_t now_ms);
    void SetMetrics(const std::string& run, int round, const std::string& json);
    void AddEvaluation(const std::string& run, const EvaluationRecord& evaluation, int64_t now_ms);
    void AddEvent(const std::string& run, const std::string& site, const std::string& kind,
                  const nlohmann::json& fields, int64_t now_ms);
    absl::Status Commit();

   private:
    friend class FederationStore;
    Batch(FederationStore* store, std::unique_lock<std::mutex> lock)
        : store_(store), lock_(std::move(lock)) {}
    template <typename... Values>
    void Do(std::string_view sql, const Values&... values);
    FederationStore* store_;
    std::unique_lock<std::mutex> lock_;
    std::optional<Transaction> transaction_;
    absl::Status status_;
  };
  Batch Begin();

  // Database::Backup.
  absl::Status Backup(const std::string& to,
                      const std::function<absl::Status()>& at_that_moment) const {
    return database_->Backup(to, at_that_moment);
  }

 private:
  absl::StatusOr<std::string> InvitedSiteLocked(const std::string& token_hash, int64_t now_ms);
  absl::Status Part(const std::string& site, const char* state, const std::string& why,
                    int64_t now_ms);
  explicit FederationStore(std::unique_ptr<Database> database) : database_(std::move(database)) {}
  std::mutex mutex_;
  std::unique_ptr<Database> database_;
};

nlohmann::json CountsToJson(const SiteCounts& counts);
SiteCounts CountsFromJson(const nlohmann::json& json);
nlohmann::json BasisToJson(const RunBasis& basis);
RunBasis BasisFromJson(const nlohmann::json& json);
nlohmann::json ResultToJson(const EvaluationResult& result);
EvaluationResult ResultFromJson(const nlohmann::json& json);

}  // namespace manako

#endif  // MANAKO_SERVER_FEDERATION_STORE_H_
