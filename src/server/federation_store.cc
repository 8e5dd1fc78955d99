#include "server/federation_store.h"

#include <array>
#include <utility>

#include "absl/time/time.h"
#include "base/status_macros.h"

namespace manako {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 2> kSchema = {R"(
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE sites (
  name TEXT PRIMARY KEY, state TEXT NOT NULL, serial TEXT NOT NULL DEFAULT '', spki TEXT NOT NULL DEFAULT '',
  public_key TEXT NOT NULL DEFAULT '', expires_ms INTEGER NOT NULL DEFAULT 0, enrolled_ms INTEGER NOT NULL DEFAULT 0,
  seen_ms INTEGER NOT NULL DEFAULT 0, version TEXT NOT NULL DEFAULT '', address TEXT NOT NULL DEFAULT '',
  status TEXT NOT NULL DEFAULT '') STRICT;
CREATE TABLE invitations (
  token_hash TEXT PRIMARY KEY, site TEXT NOT NULL, created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,
  used_ms INTEGER) STRICT;
CREATE TABLE runs (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, config TEXT NOT NULL, wanted TEXT NOT NULL, state TEXT NOT NULL,
  why TEXT NOT NULL, created_ms INTEGER NOT NULL, started_ms INTEGER NOT NULL, finished_ms INTEGER NOT NULL,
  round INTEGER NOT NULL, rounds INTEGER NOT NULL, basis TEXT NOT NULL, rounds_state TEXT NOT NULL,
  best_round INTEGER NOT NULL) STRICT;
CREATE TABLE run_sites (
  run TEXT NOT NULL REFERENCES runs(id), site TEXT NOT NULL, state TEXT NOT NULL, position INTEGER NOT NULL,
  counts TEXT NOT NULL, why TEXT NOT NULL, PRIMARY KEY (run, site)) STRICT;
CREATE TABLE rounds (
  run TEXT NOT NULL REFERENCES runs(id), round INTEGER NOT NULL, opened_ms INTEGER NOT NULL,
  closed_ms INTEGER NOT NULL DEFAULT 0, model_sha256 TEXT NOT NULL DEFAULT '', metrics TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (run, round)) STRICT;
CREATE TABLE asks (
  run TEXT NOT NULL REFERENCES runs(id), round INTEGER NOT NULL, site TEXT NOT NULL, state TEXT NOT NULL,
  images INTEGER NOT NULL, visits INTEGER NOT NULL, sha256 TEXT NOT NULL, l2 REAL NOT NULL, why TEXT NOT NULL,
  changed_ms INTEGER NOT NULL, PRIMARY KEY (run, round, site)) STRICT;
CREATE TABLE evaluations (
  run TEXT NOT NULL REFERENCES runs(id), round INTEGER NOT NULL, trained_by TEXT NOT NULL, site TEXT NOT NULL,
  result TEXT NOT NULL, received_ms INTEGER NOT NULL, PRIMARY KEY (run, round, trained_by, site)) STRICT;
CREATE TABLE events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, time_ms INTEGER NOT NULL, run TEXT NOT NULL, site TEXT NOT NULL,
  kind TEXT NOT NULL, fields TEXT NOT NULL) STRICT;
CREATE INDEX events_by_run ON events (run, seq);
)",
                                                     R"(
ALTER TABLE invitations ADD COLUMN withdrawn_ms INTEGER;
ALTER TABLE invitations ADD COLUMN why TEXT NOT NULL DEFAULT '';
)"};

// Withdraws the open invitations of a site.
constexpr std::string_view kWithdraw =
    "UPDATE invitations SET withdrawn_ms = ?2, why = ?3 WHERE site = ?1 AND used_ms IS NULL AND "
    "withdrawn_ms IS NULL";

constexpr std::string_view kSiteColumns =
    "name, state, serial, spki, public_key, expires_ms, enrolled_ms, seen_ms, version, address, "
    "status";
constexpr std::string_view kRunColumns =
    "id, name, config, wanted, state, why, created_ms, started_ms, finished_ms, round, rounds, "
    "basis, rounds_state, best_round";

SiteRecord ReadSite(const Statement& row) {
  SiteRecord site;
  site.name = row.Text(0);
  site.state = row.Text(1);
  site.certificate_serial = row.Text(2);
  site.spki_sha256 = row.Text(3);
  site.public_key = row.Text(4);
  site.certificate_expires_ms = row.Int(5);
  site.enrolled_ms = row.Int(6);
  site.seen_ms = row.Int(7);
  site.version = row.Text(8);
  site.address = row.Text(9);
  site.status = row.Text(10);
  return site;
}

RunRecord ReadRun(const Statement& row) {
  RunRecord run;
  run.id = row.Text(0);
  run.name = row.Text(1);
  run.config = row.Text(2);
  run.wanted = row.Text(3);
  run.state = row.Text(4);
  run.why = row.Text(5);
  run.created_ms = row.Int(6);
  run.started_ms = row.Int(7);
  run.finished_ms = row.Int(8);
  run.round = static_cast<int>(row.Int(9));
  run.rounds = static_cast<int>(row.Int(10));
  run.basis = row.Text(11);
  run.rounds_state = row.Text(12);
  run.best_round = static_cast<int>(row.Int(13));
  return run;
}

AskState StateFromName(const std::string& name) {
  for (const AskState state :
       {AskState::kAnswered, AskState::kRefused, AskState::kFailed, AskState::kLate}) {
    if (NameOf(state) == name) return state;
  }
  return AskState::kWaiting;
}

// Every row of a statement, read by `read`.
template <typename Read>
auto All(Statement statement, Read read) -> absl::StatusOr<std::vector<decltype(read(statement))>> {
  std::vector<decltype(read(statement))> rows;
  while (true) {
    MANAKO_ASSIGN_OR_RETURN(const bool row, statement.Step());
    if (!row) return rows;
    rows.push_back(read(statement));
  }
}

// What was written here before can be read; what cannot is told as an empty object.
json Parse(const std::string& text) {
  json value = json::parse(text, nullptr, false);
  return value.is_discarded() ? json::object() : value;
}

}  // namespace

absl::StatusOr<std::unique_ptr<FederationStore>> FederationStore::Open(const std::string& path) {
  MANAKO_ASSIGN_OR_RETURN(auto database, Database::Open(path, kSchema));
  return std::unique_ptr<FederationStore>(new FederationStore(std::move(database)));
}

absl::StatusOr<std::string> FederationStore::Setting(const std::string& key) {
  const std::lock_guard lock(mutex_);
  return database_->GetText("SELECT value FROM settings WHERE key = ?1", key);
}

absl::Status FederationStore::SetSetting(const std::string& key, const std::string& value) {
  const std::lock_guard lock(mutex_);
  return database_->Run(
      "INSERT INTO settings VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2", key,
      value);
}

absl::Status FederationStore::AddInvitation(const std::string& site, const std::string& token_hash,
                                            int64_t now_ms, int64_t expires_ms) {
  const std::lock_guard lock(mutex_);
  MANAKO_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_.get()));
  // A newer invitation takes the place of an unused one: of two that wander about in e-mails, one
  // works.
  MANAKO_RETURN_IF_ERROR(database_->Run(kWithdraw, site, now_ms, "a newer one was made"));
  MANAKO_RETURN_IF_ERROR(
      database_->Run("INSERT INTO invitations (token_hash, site, created_ms, expires_ms) VALUES "
                     "(?1, ?2, ?3, ?4)",
                     token_hash, site, now_ms, expires_ms));
  MANAKO_RETURN_IF_ERROR(
      database_->Run("INSERT OR IGNORE INTO sites (name, state) VALUES (?1, 'invited')", site));
  return transaction.Commit();
}

std::string FederationStore::InvitationRecord::StateAt(int64_t now_ms) const {
  return used_ms > 0           ? "used"
         : withdrawn_ms > 0    ? "withdrawn"
         : expires_ms < now_ms ? "expired"
                               : "open";
}

absl::StatusOr<std::vector<FederationStore::InvitationRecord>> FederationStore::Invitations() {
  const std::lock_guard lock(mutex_);
  MANAKO_ASSIGN_OR_RETURN(
      Statement rows,
      database_->Prepare(
          "SELECT site, created_ms, expires_ms, coalesce(used_ms, 0), "
          "coalesce(withdrawn_ms, 0), why FROM invitations ORDER BY created_ms, site"));
  return All(std::move(rows), [](const Statement& row) {
    return InvitationRecord{row.Text(0), row.Int(1), row.Int(2),
                            row.Int(3),  row.Int(4), row.Text(5)};
  });
}

absl::StatusOr<std::string> FederationStore::InvitedSite(const std::string& token_hash,
                                                         int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  return InvitedSiteLocked(token_hash, now_ms);
}

absl::StatusOr<std::string> FederationStore::InvitedSiteLocked(const std::string& token_hash,
                                                               int64_t now_ms) {
  MANAKO_ASSIGN_OR_RETURN(
      Statement found,
      database_->Prepare("SELECT site, created_ms, expires_ms, coalesce(used_ms, 0), "
                         "coalesce(withdrawn_ms, 0), why FROM invitations WHERE token_hash = ?1",
                         token_hash));
  MANAKO_ASSIGN_OR_RETURN(const bool row, found.Step());
  if (!row) {
    return absl::PermissionDeniedError(
        "this invitation is not known at the central hospital: ask them for another");
  }
  const InvitationRecord invitation{found.Text(0), found.Int(1), found.Int(2),
                                    found.Int(3),  found.Int(4), found.Text(5)};
  const auto when = [](int64_t ms) {
    return absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::FromUnixMillis(ms), absl::UTCTimeZone());
  };
  const std::string state = invitation.StateAt(now_ms);
  if (state == "open") return invitation.site;
  if (state == "used") {
    return absl::PermissionDeniedError(fmt::format(
        "this invitation was used on {}, and each is good once: ask the central hospital for "
        "another; if nobody here has used it, tell them so, for somebody else may have joined as "
        "{}",
        when(invitation.used_ms), invitation.site));
  }
  if (state == "expired") {
    return absl::PermissionDeniedError(
        fmt::format("this invitation has expired: it could be used until {}; ask the central "
                    "hospital for another",
                    when(invitation.expires_ms)));
  }
  const bool newer = invitation.why == "a newer one was made";
  return absl::PermissionDeniedError(fmt::format(
      "this invitation was withdrawn on {}, {}", when(invitation.withdrawn_ms),
      newer
          ? "when a newer one was made for this site: use the newest, or ask the central hospital "
            "for another"
          : "by the central hospital: ask them whether this site is to join"));
}

absl::Status FederationStore::Enrol(const SiteRecord& site, const std::string& token_hash,
                                    int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  MANAKO_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_.get()));
  // Of two at once one comes too late, and is told so.
  MANAKO_RETURN_IF_ERROR(InvitedSiteLocked(token_hash, now_ms).status());
  MANAKO_RETURN_IF_ERROR(database_->Run("UPDATE invitations SET used_ms = ?2 WHERE token_hash = ?1",
                                        token_hash, now_ms));
  MANAKO_RETURN_IF_ERROR(database_->Run(
      "INSERT INTO sites (name, state, serial, spki, public_key, expires_ms, enrolled_ms, seen_ms) "
      "VALUES (?1, 'enrolled', ?2, ?3, ?4, ?5, ?6, ?6) ON CONFLICT (name) DO UPDATE SET "
      "state = 'enrolled', serial = ?2, spki = ?3, public_key = ?4, expires_ms = ?5, enrolled_ms = "
      "?6, seen_ms = ?6",
      site.name, site.certificate_serial, site.spki_sha256, site.public_key,
      site.certificate_expires_ms, now_ms));
  MANAKO_RETURN_IF_ERROR(
      database_->Run("INSERT INTO events (time_ms, run, site, kind, fields) VALUES (?1, '', ?2, "
                     "'site_enrolled', '{}')",
                     now_ms, site.name));
  return transaction.Commit();
}

absl::Status FederationStore::Renewed(const SiteRecord& site) {
  const std::lock_guard lock(mutex_);
  return database_->Run(
      "UPDATE sites SET serial = ?2, spki = ?3, public_key = ?4, expires_ms = ?5 WHERE name = ?1 "
      "AND state = 'enrolled'",
      site.name, site.certificate_serial, site.spki_sha256, site.public_key,
      site.certificate_expires_ms);
}

absl::StatusOr<std::vector<SiteRecord>> FederationStore::Sites() {
  const std::lock_guard lock(mutex_);
  MANAKO_ASSIGN_OR_RETURN(Statement rows, database_->Prepare(fmt::format(
                                              "SELECT {} FROM sites ORDER BY name", kSiteColumns)));
  return All(std::move(rows), ReadSite);
}

absl::StatusOr<std::optional<SiteRecord>> FederationStore::Site(const std::string& name) {
  const std::lock_guard lock(mutex_);
  MANAKO_ASSIGN_OR_RETURN(
      Statement row,
      database_->Prepare(fmt::format("SELECT {} FROM sites WHERE name = ?1", kSiteColumns), name));
  MANAKO_ASSIGN_OR_RETURN(const bool found, row.Step());
  return found ? std::optional(ReadSite(row)) : std::nullopt;
}

absl::Status FederationStore::Seen(const std::string& site, int64_t now_ms,
                                   const std::string& version, const std::string& address,
                                   const std::string& status_json) {
  const std::lock_guard lock(mutex_);
  // Every site says this every few seconds, and behind a power cut nobody needs the last word: it
  // comes to the disk with the next transaction that counts, which need not wait for it.
  MANAKO_RETURN_IF_ERROR(database_->RunScript("PRAGMA synchronous = NORMAL"));
  const absl::Status status = database_->Run(
      "UPDATE sites SET seen_ms = ?2, version = ?3, address = ?4, status = ?5 WHERE name = ?1",
      site, now_ms, version, address, status_json);
  MANAKO_RETURN_IF_ERROR(database_->RunScript("PRAGMA synchronous = FULL"));
  return status;
}

absl::Status FederationStore::Revoke(const std::string& site, const std::string& why,
                                     int64_t now_ms) {
  return Part(site, "revoked", why, now_ms);
}

absl::Status FederationStore::Leave(const std::string& site, const std::string& why,
                                    int64_t now_ms) {
  return Part(site, "left", why, now_ms);
}

absl::Status FederationStore::Part(const std::string& site, const char* state,
                                   const std::string& why, int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  MANAKO_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_.get()));
  MANAKO_RETURN_IF_ERROR(database_->Run(
      "UPDATE sites SET state = ?2 WHERE name = ?1 AND state NOT IN ('revoked', 'left')", site,
      state));
  if (database_->changes() != 1) {
    return NotFound(
        "{} is no site of this federation, is revoked already, or has left: `manako server sites` "
        "lists them",
        site);
  }
  MANAKO_RETURN_IF_ERROR(database_->Run(kWithdraw, site, now_ms, state));
  MANAKO_RETURN_IF_ERROR(database_->Run(
      "INSERT INTO events (time_ms, run, site, kind, fields) VALUES (?1, '', ?2, ?4, ?3)", now_ms,
      site, json{{"why", why}}.dump(),
      std::string(state) == "left" ? "site_left_federation" : "site_revoked"));
  return transaction.Commit();
}

absl::Status FederationStore::AddRun(const RunRecord& run) {
  const std::lock_guard lock(mutex_);
  MANAKO_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_.get()));
  MANAKO_RETURN_IF_ERROR(database_->Run(
      "INSERT INTO runs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
      run.id, run.name, run.config, run.wanted, run.state, run.why, run.created_ms, run.started_ms,
      run.finished_ms, run.round, run.rounds, run.basis, run.rounds_state, run.best_round));
  MANAKO_RETURN_IF_ERROR(
      database_->Run("INSERT INTO events (time_ms, run, site, kind, fields) VALUES (?1, ?2, '', "
                     "'run_created', ?3)",
                     run.created_ms, run.id, json{{"name", run.name}}.dump()));
  return transaction.Commit();
}

absl::StatusOr<std::vector<RunRecord>> FederationStore::Runs() {
  const std::lock_guard lock(mutex_);
  MANAKO_ASSIGN_OR_RETURN(
      Statement rows,
      database_->Prepare(fmt::format("SELECT {} FROM runs ORDER BY created_ms, id", kRunColumns)));
  return All(std::move(rows), ReadRun);
}

absl::StatusOr<RunRecord> FederationStore::Run(const std::string& id) {
  const std::lock_guard lock(mutex_);
  MANAKO_ASSIGN_OR_RETURN(
      Statement row,
      database_->Prepare(fmt::format("SELECT {} FROM runs WHERE id = ?1", kRunColumns), id));
  MANAKO_ASSIGN_OR_RETURN(const bool found, row.Step());
  if (!found) return NotFound("there is no run {} here: `manako run list` lists them", id);
  return ReadRun(row);
}

namespace {

// The event of a person's wish; what comes of it is an event of its own.
const char* AskedFor(const std::string& before, const std::string& wanted) {
  if (wanted == "paused") return "run_paused";
  if (wanted == "cancelled") return "run_cancel_asked";
  return before == "paused" ? "run_resumed" : "run_start_asked";
}

}  // namespace

absl::Status FederationStore::Want(const std::string& id, const std::string& wanted,
                                   int64_t now_ms) {
  MANAKO_ASSIGN_OR_RETURN(const RunRecord run, Run(id));
  const bool over = run.state == "finished" || run.state == "cancelled" || run.state == "failed";
  if (over)
    return FailedPrecondition("run {} is {} and stays so: create another one", id, run.state);
  if (run.wanted == wanted) return FailedPrecondition("run {} is {} already", id, wanted);
  if (wanted == "paused" && run.wanted != "running")
    return FailedPrecondition("run {} is {}: only a running one can be paused", id, run.wanted);
  const std::lock_guard lock(mutex_);
  MANAKO_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_.get()));
  MANAKO_RETURN_IF_ERROR(database_->Run("UPDATE runs SET wanted = ?2 WHERE id = ?1", id, wanted));
  MANAKO_RETURN_IF_ERROR(database_->Run(
      "INSERT INTO events (time_ms, run, site, kind, fields) VALUES (?1, ?2, '', ?3, '{}')", now_ms,
      id, AskedFor(run.wanted, wanted)));
  return transaction.Commit();
}

absl::StatusOr<std::vector<RunSiteRecord>> FederationStore::RunSites(const std::string& run) {
  const std::lock_guard lock(mutex_);
  MANAKO_ASSIGN_OR_RETURN(
      Statement rows,
      database_->Prepare(
          "SELECT site, state, position, counts, why FROM run_sites WHERE run = ?1 ORDER BY site",
          run));
  return All(std::move(rows), [](const Statement& row) {
    return RunSiteRecord{row.Text(0), row.Text(1), static_cast<int>(row.Int(2)),
                         CountsFromJson(Parse(row.Text(3))), row.Text(4)};
  });
}

absl::StatusOr<std::vector<FederationStore::AskRecord>> FederationStore::Asks(
    const std::string& run) {
  const std::lock_guard lock(mutex_);
  MANAKO_ASSIGN_OR_RETURN(
      Statement rows, database_->Prepare("SELECT round, site, state, images, visits, sha256, l2, "
                                         "why FROM asks WHERE run = ?1 ORDER BY round, site",
                                         run));
  return All(std::move(rows), [](const Statement& row) {
    Ask ask{StateFromName(row.Text(2)),
            {row.Int(3), row.Int(4)},
            row.Text(5),
            row.Real(6),
            row.Text(7)};
    return AskRecord{static_cast<int>(row.Int(0)), row.Text(1), std::move(ask)};
  });
}

absl::StatusOr<std::vector<FederationStore::RoundRecord>> FederationStore::Rounds(
    const std::string& run) {
  const std::lock_guard lock(mutex_);
  MANAKO_ASSIGN_OR_RETURN(Statement rows,
                          database_->Prepare("SELECT round, opened_ms, closed_ms, model_sha256, "
                                             "metrics FROM rounds WHERE run = ?1 ORDER BY round",
                                             run));
  return All(std::move(rows), [](const Statement& row) {
    return RoundRecord{static_cast<int>(row.Int(0)), row.Int(1), row.Int(2), row.Text(3),
                       row.Text(4)};
  });
}

absl::StatusOr<std::vector<FederationStore::EvaluationRecord>> FederationStore::Evaluations(
    const std::string& run, int round) {
  const std::lock_guard lock(mutex_);
  MANAKO_ASSIGN_OR_RETURN(
      Statement rows, database_->Prepare("SELECT round, trained_by, site, result FROM evaluations "
                                         "WHERE run = ?1 AND (?2 < 0 OR round = ?2) "
                                         "ORDER BY round, trained_by, site",
                                         run, round));
  return All(std::move(rows), [](const Statement& row) {
    return EvaluationRecord{static_cast<int>(row.Int(0)), row.Text(1), row.Text(2), row.Text(3)};
  });
}

absl::StatusOr<std::vector<EventRecord>> FederationStore::Events(int64_t behind_seq, int limit,
                                                                 const std::string& run) {
  const std::lock_guard lock(mutex_);
  MANAKO_ASSIGN_OR_RETURN(
      Statement rows,
      database_->Prepare("SELECT seq, time_ms, run, site, kind, fields FROM events "
                         "WHERE seq > ?1 AND (?3 = '' OR run = ?3) ORDER BY seq LIMIT ?2",
                         behind_seq, limit, run));
  return All(std::move(rows), [](const Statement& row) {
    return EventRecord{row.Int(0),  row.Int(1),  row.Text(2),
                       row.Text(3), row.Text(4), Parse(row.Text(5))};
  });
}

absl::StatusOr<int64_t> FederationStore::LastEvent() {
  const std::lock_guard lock(mutex_);
  return database_->GetInt("SELECT coalesce(max(seq), 0) FROM events");
}

FederationStore::Batch FederationStore::Begin() {
  Batch batch(this, std::unique_lock(mutex_));
  auto transaction = Transaction::Begin(database_.get());
  if (transaction.ok()) {
    batch.transaction_.emplace(*std::move(transaction));
  } else {
    batch.status_ = transaction.status();
  }
  return batch;
}

template <typename... Values>
void FederationStore::Batch::Do(std::string_view sql, const Values&... values) {
  if (status_.ok()) status_ = store_->database_->Run(sql, values...);
}

void FederationStore::Batch::SaveRun(const RunRecord& run) {
  // What a person wants is theirs: a command may have written it a moment ago.
  Do("UPDATE runs SET state = ?2, why = ?3, started_ms = ?4, finished_ms = ?5, round = ?6, rounds "
     "= ?7, basis = ?8, "
     "rounds_state = ?9, best_round = ?10 WHERE id = ?1",
     run.id, run.state, run.why, run.started_ms, run.finished_ms, run.round, run.rounds, run.basis,
     run.rounds_state, run.best_round);
}

void FederationStore::Batch::SaveSite(const std::string& run, const RunSiteRecord& site) {
  Do("INSERT INTO run_sites VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (run, site) DO UPDATE SET "
     "state = ?3, position = ?4, counts = ?5, why = ?6",
     run, site.site, site.state, site.index, CountsToJson(site.counts).dump(), site.why);
}

void FederationStore::Batch::SaveAsk(const std::string& run, int round, const std::string& site,
                                     const Ask& ask, int64_t now_ms) {
  Do("INSERT INTO asks VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (run, round, "
     "site) DO UPDATE SET "
     "state = ?4, images = ?5, visits = ?6, sha256 = ?7, l2 = ?8, why = ?9, changed_ms = ?10",
     run, round, site, NameOf(ask.state), ask.facts.images, ask.facts.visits, ask.sha256, ask.l2,
     ask.why, now_ms);
}

void FederationStore::Batch::OpenRound(const std::string& run, int round, int64_t now_ms) {
  Do("INSERT INTO rounds (run, round, opened_ms) VALUES (?1, ?2, ?3) ON CONFLICT (run, round) DO "
     "UPDATE SET opened_ms = ?3",
     run, round, now_ms);
}

void FederationStore::Batch::CloseRound(const std::string& run, int round,
                                        const std::string& model_sha256, int64_t now_ms) {
  Do("INSERT INTO rounds (run, round, opened_ms, closed_ms, model_sha256) VALUES (?1, ?2, ?4, ?4, "
     "?3) "
     "ON CONFLICT (run, round) DO UPDATE SET closed_ms = ?4, model_sha256 = ?3",
     run, round, model_sha256, now_ms);
}

void FederationStore::Batch::SetMetrics(const std::string& run, int round,
                                        const std::string& text) {
  Do("UPDATE rounds SET metrics = ?3 WHERE run = ?1 AND round = ?2", run, round, text);
}

void FederationStore::Batch::AddEvaluation(const std::string& run,
                                           const EvaluationRecord& evaluation, int64_t now_ms) {
  // The first one counts: a site cannot think better of a result.
  Do("INSERT OR IGNORE INTO evaluations VALUES (?1, ?2, ?3, ?4, ?5, ?6)", run, evaluation.round,
     evaluation.trained_by, evaluation.site, evaluation.json, now_ms);
}

void FederationStore::Batch::AddEvent(const std::string& run, const std::string& site,
                                      const std::string& kind, const json& fields, int64_t now_ms) {
  Do("INSERT INTO events (time_ms, run, site, kind, fields) VALUES (?1, ?2, ?3, ?4, ?5)", now_ms,
     run, site, kind, fields.dump(-1, ' ', false, json::error_handler_t::replace));
}

absl::Status FederationStore::Batch::Commit() {
  if (status_.ok()) status_ = transaction_->Commit();
  transaction_.reset();
  lock_.unlock();
  return status_;
}

json CountsToJson(const SiteCounts& counts) {
  return {{"train", counts.train}, {"validation", counts.validation}, {"test", counts.test}};
}

SiteCounts CountsFromJson(const json& value) {
  SiteCounts counts;
  counts.train = value.value("train", counts.train);
  counts.validation = value.value("validation", counts.validation);
  counts.test = value.value("test", counts.test);
  return counts;
}

json BasisToJson(const RunBasis& basis) {
  return {{"sites", basis.sites}, {"images", basis.images}, {"per_class", basis.per_class}};
}

RunBasis BasisFromJson(const json& value) {
  RunBasis basis;
  basis.sites = value.value("sites", 1);
  basis.images = value.value("images", int64_t{0});
  basis.per_class = value.value("per_class", basis.per_class);
  return basis;
}

json ResultToJson(const EvaluationResult& result) {
  json value = {{"images", result.images}, {"loss", result.loss}, {"metrics", result.metrics}};
  if (result.bins > 0) {
    value["bins"] = result.bins;
    value["histogram"] = result.histogram;
  }
  if (!result.labels.empty()) {
    value["labels"] = result.labels;
    value["probabilities"] = result.probabilities;
  }
  return value;
}

EvaluationResult ResultFromJson(const json& value) {
  EvaluationResult result;
  result.images = value.value("images", int64_t{0});
  const auto number = [](const json& v) {
    return v.is_number() ? v.get<double>() : std::numeric_limits<double>::quiet_NaN();
  };
  if (value.contains("loss")) result.loss = number(value["loss"]);
  if (value.contains("metrics")) {
    for (const auto& [name, metric] : value["metrics"].items())
      result.metrics[name] = number(metric);
  }
  result.bins = value.value("bins", 0);
  result.histogram = value.value("histogram", result.histogram);
  result.labels = value.value("labels", result.labels);
  result.probabilities = value.value("probabilities", result.probabilities);
  return result;
}

}  // namespace manako
