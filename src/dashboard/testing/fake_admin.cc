#include "dashboard/testing/fake_admin.h"

#include <algorithm>
#include <cmath>

#include "base/files.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "core/federated_run_config.h"

namespace manako {
namespace {

constexpr int64_t kMinute = 60'000, kHour = 60 * kMinute, kDay = 24 * kHour;
const char* const kSites[] = {"east-clinic", "north-hospital", "west-hospital"};
constexpr int64_t kImages[] = {612, 1480, 933};

std::string ConfigText() {
  FederatedRunConfig config;
  config.run.name = "Glaucoma";
  config.run.classes = {"normal", "glaucoma"};
  return config.ToToml();
}

double Rising(int round, double top) { return top - 0.36 * std::exp(-0.45 * round); }

}  // namespace

FakeServer::FakeServer(std::string folder, int64_t now_ms)
    : folder_(std::move(folder)), now_ms_(now_ms) {
  sites_.reserve(8);
  const auto site = [&](const char* name, const char* state, bool online) {
    SiteInfo info;
    info.name = name;
    info.state = state;
    info.online = online;
    sites_.push_back(std::move(info));
    return &sites_.back();
  };
  SiteInfo* east = site("east-clinic", "enrolled", true);
  east->enrolled_ms = now_ms - 40 * kDay;
  east->seen_ms = now_ms - 2'000;
  east->certificate_expires_ms = now_ms + 50 * kDay;
  east->version = "0.1.0";
  east->address = "203.0.113.8";
  east->status = {"training", "glaucoma-autumn", 4, 23, 77, 41.5};
  SiteInfo* north = site("north-hospital", "enrolled", true);
  *north = *east;
  north->name = "north-hospital";
  north->address = "198.51.100.20";
  north->certificate_expires_ms = now_ms + 9 * kDay;
  north->status = {"idle", "", 0, 0, 0, 0};
  SiteInfo* south = site("south-clinic", "invited", false);
  south->invitation_expires_ms = now_ms + 61 * kHour;
  south->invitations = {
      {"withdrawn", now_ms - 20 * kHour, now_ms + 52 * kHour, 0, now_ms - 11 * kHour},
      {"open", now_ms - 11 * kHour, now_ms + 61 * kHour, 0, 0}};
  SiteInfo* west = site("west-hospital", "enrolled", false);
  west->enrolled_ms = now_ms - 39 * kDay;
  west->seen_ms = now_ms - 3 * kHour;
  west->certificate_expires_ms = now_ms + 51 * kDay;
  west->version = "0.1.0";
  west->address = "192.0.2.77";
  SiteInfo* old = site("old-clinic", "revoked", false);
  old->enrolled_ms = now_ms - 90 * kDay;
  old->seen_ms = now_ms - 12 * kDay;
  old->revoked_ms = now_ms - 11 * kDay;
  old->why = "the clinic has closed";
  std::sort(sites_.begin(), sites_.end(), [](auto& a, auto& b) { return a.name < b.name; });

  RunDetails created;
  created.run.id = "retinopathy-winter";
  created.run.name = "Diabetic retinopathy, winter";
  created.run.wanted = created.run.state = "created";
  created.run.created_ms = now_ms - 20 * kMinute;
  created.classes = {"normal", "retinopathy"};
  created.config = ConfigText();

  RunDetails running;
  running.run.id = "glaucoma-autumn";
  running.run.name = "Glaucoma, autumn";
  running.run.wanted = "running";
  running.run.state = "training";
  running.run.created_ms = now_ms - 5 * kHour;
  running.run.started_ms = now_ms - 4 * kHour;
  running.run.round = 3;
  running.run.rounds = 30;
  running.run.open_round = 4;
  running.run.deadline_ms = now_ms + 26 * kMinute;
  running.run.waiting_for = {"east-clinic"};
  running.run.best_round = 3;
  running.classes = {"normal", "glaucoma"};
  running.config = ConfigText();

  RunDetails finished = running;
  finished.run.id = "glaucoma-spring";
  finished.run.name = "Glaucoma, spring";
  finished.run.state = "finished";
  finished.run.created_ms = now_ms - 60 * kDay;
  finished.run.started_ms = now_ms - 60 * kDay + kHour;
  finished.run.finished_ms = now_ms - 58 * kDay;
  finished.run.round = finished.run.rounds = 12;
  finished.run.open_round = 0;
  finished.run.deadline_ms = 0;
  finished.run.waiting_for.clear();
  finished.run.best_round = 11;
  finished.has_report = true;

  for (RunDetails* details : {&running, &finished}) {
    for (int i = 0; i < 3; ++i) {
      RunSiteInfo info;
      info.site = kSites[i];
      info.state = details == &finished ? "ended" : "ready";
      const int64_t n = kImages[i];
      info.counts = {
          .train = {n / 2, n - n / 2}, .validation = {n / 12, n / 12}, .test = {n / 6, n / 6}};
      details->sites.push_back(info);
    }
    for (int round = 0; round <= details->run.round; ++round) AddRound(*details, round, false);
  }
  AddRound(running, 4, true);
  for (const char* trainer : kSites) {
    for (int i = 0; i < 3; ++i) {
      EvaluationInfo evaluation;
      evaluation.round = 12;
      evaluation.trained_by = trainer;
      evaluation.site = kSites[i];
      evaluation.test.images = kImages[i] / 3;
      evaluation.test.loss = 0.4;
      evaluation.test.metrics = {
          {"auc", trainer == std::string(kSites[i]) ? 0.923 : 0.871 - 0.02 * i}};
      finished.evaluations.push_back(evaluation);
    }
  }
  runs_ = {created, running, finished};

  using nlohmann::json;
  AddEventLocked("glaucoma-autumn", "", "run_started",
                 {{"sites", {"east-clinic", "north-hospital", "west-hospital"}}});
  AddEventLocked("glaucoma-autumn", "east-clinic", "site_ready", json::object());
  AddEventLocked("glaucoma-autumn", "north-hospital", "site_ready", json::object());
  AddEventLocked("glaucoma-autumn", "", "training_began", {{"rounds", 30}});
  for (int round = 1; round <= 4; ++round) {
    AddEventLocked("glaucoma-autumn", "", "round_opened", {{"round", round}});
    AddEventLocked("glaucoma-autumn", "north-hospital", "update_kept", {{"round", round}});
    if (round == 2) {
      AddEventLocked("glaucoma-autumn", "west-hospital", "site_failed",
                     {{"round", 2}, {"why", "the loss was no number at step 14"}});
    }
    if (round < 4) {
      AddEventLocked("glaucoma-autumn", "east-clinic", "update_kept", {{"round", round}});
      AddEventLocked("glaucoma-autumn", "", "round_closed", {{"round", round}});
    }
  }
  for (size_t i = 0; i < events_.size(); ++i) {
    events_[i].time_ms = now_ms - static_cast<int64_t>(events_.size() - i) * 11 * kMinute;
  }
}

void FakeServer::AddRound(RunDetails& details, int round, bool open) {
  RoundInfo info;
  info.round = round;
  info.opened_ms = details.run.started_ms + (round - 1) * 55 * kMinute;
  if (!open) info.closed_ms = info.opened_ms + 51 * kMinute;
  info.needed = 2;
  if (round > 0) {
    for (int i = 0; i < 3; ++i) {
      AskInfo ask;
      ask.site = kSites[i];
      ask.state = "answered";
      if (i == 2 && round == 2) {
        ask.state = "failed";
        ask.why = "the loss was no number at step 14";
      }
      if (i == 2 && round == 3) ask.state = "late";
      if (open && i == 0) ask.state = "waiting";
      if (open && i == 2) {
        ask.state = "refused";
        ask.why = "no more than 3 rounds a day";
      }
      if (ask.state == "answered" || ask.state == "late") {
        ask.images = kImages[i];
        ask.visits = kImages[i] * 2;
        ask.train_loss = 0.66 * std::exp(-0.14 * round) + 0.03 * i;
        ask.l2 = 4.2 / round + 0.3 * i;
        ask.sha256 = Sha256Hex(details.run.id + ask.site + std::to_string(round));
      }
      info.asks.push_back(ask);
    }
    info.train_loss = open ? kNoNumber : 0.68 * std::exp(-0.14 * round);
    if (open) info.deadline_ms = details.run.deadline_ms;
  }
  if (!open) {
    info.model_sha256 = Sha256Hex(details.run.id + std::to_string(round));
    details.models.push_back(round);
    info.validation = {252, 0.7 - 0.03 * round, Rising(round, 0.93), "histograms"};
    info.test = {1008, 0.72 - 0.03 * round, Rising(round, 0.915), "histograms"};
    for (int i = 0; i < 3; ++i) {
      EvaluationInfo evaluation;
      evaluation.round = round;
      evaluation.site = kSites[i];
      evaluation.validation.images = kImages[i] / 12;
      evaluation.validation.loss = info.validation.loss + 0.02 * i;
      evaluation.validation.metrics = {{"auc", info.validation.auc - 0.015 * i}};
      evaluation.test.images = kImages[i] / 3;
      evaluation.test.loss = info.test.loss + 0.02 * i;
      evaluation.test.metrics = {{"auc", info.test.auc - 0.02 * i}, {"accuracy", 0.84 - 0.01 * i}};
      details.evaluations.push_back(evaluation);
    }
  }
  details.rounds.push_back(info);
}

RunDetails* FakeServer::Find(const std::string& run) {
  for (RunDetails& details : runs_) {
    if (details.run.id == run) return &details;
  }
  return nullptr;
}

void FakeServer::AddEventLocked(const std::string& run, const std::string& site,
                                const std::string& kind, nlohmann::json fields) {
  EventInfo event;
  event.seq = static_cast<int64_t>(events_.size()) + 1;
  event.time_ms = now_ms_;
  event.run = run;
  event.site = site;
  event.kind = kind;
  event.fields = std::move(fields);
  events_.push_back(std::move(event));
  changed_.notify_all();
}

void FakeServer::AddEvent(const std::string& run, const std::string& site, const std::string& kind,
                          nlohmann::json fields) {
  const std::lock_guard<std::mutex> lock(mutex_);
  AddEventLocked(run, site, kind, std::move(fields));
}

void FakeServer::SetHealth(absl::Status health) {
  const std::lock_guard<std::mutex> lock(mutex_);
  health_ = std::move(health);
}

void FakeServer::AnswerOpenRound() {
  const std::lock_guard<std::mutex> lock(mutex_);
  RunDetails* details = Find("glaucoma-autumn");
  const int round = details->run.open_round;
  details->rounds.pop_back();
  AddRound(*details, round, false);
  details->run.round = round;
  details->run.open_round = round + 1;
  AddRound(*details, round + 1, true);
  AddEventLocked(details->run.id, "east-clinic", "update_kept", {{"round", round}});
  AddEventLocked(details->run.id, "", "round_closed", {{"round", round}});
  AddEventLocked(details->run.id, "", "round_opened", {{"round", round + 1}});
}

absl::StatusOr<FederationInfo> FakeServer::Federation() {
  return FederationInfo{.name = "Himeji Eye Federation",
                        .address = "fed.example.org:8443",
                        .authority_sha256 = Sha256Hex("authority"),
                        .version = "0.1.0",
                        .now_ms = now_ms_,
                        .started_ms = now_ms_ - 6 * kDay};
}

absl::StatusOr<std::vector<SiteInfo>> FakeServer::Sites() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return sites_;
}

absl::StatusOr<std::vector<RunInfo>> FakeServer::Runs() {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<RunInfo> infos;
  for (const RunDetails& details : runs_) infos.push_back(details.run);
  return infos;
}

absl::StatusOr<RunDetails> FakeServer::Run(const std::string& run) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const RunDetails* details = Find(run);
  if (details == nullptr) return NotFound("there is no run {}", run);
  return *details;
}

absl::StatusOr<std::vector<EventInfo>> FakeServer::Events(int64_t behind_seq, int limit,
                                                          const std::string& run) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<EventInfo> found;
  for (const EventInfo& event : events_) {
    if (event.seq <= behind_seq || (!run.empty() && event.run != run)) continue;
    if (static_cast<int>(found.size()) == limit) break;
    found.push_back(event);
  }
  return found;
}

absl::StatusOr<int64_t> FakeServer::LastEvent() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<int64_t>(events_.size());
}

void FakeServer::WaitForEvent(int64_t behind_seq, int timeout_ms) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms),
                    [&] { return static_cast<int64_t>(events_.size()) > behind_seq; });
}

absl::Status FakeServer::Healthy() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return health_;
}

absl::StatusOr<InvitationInfo> FakeServer::Invite(const std::string& site, int hours,
                                                  const std::string& by) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found =
      std::find_if(sites_.begin(), sites_.end(), [&](auto& one) { return one.name == site; });
  if (found != sites_.end() && found->state == "enrolled") {
    return FailedPrecondition("{} takes part already: revoke it before it is invited anew", site);
  }
  SiteInfo invited;
  invited.name = site;
  invited.state = "invited";
  invited.invitation_expires_ms = now_ms_ + hours * kHour;
  invited.invitations.push_back({"open", now_ms_, invited.invitation_expires_ms, 0, 0});
  if (found != sites_.end()) {
    *found = invited;
  } else {
    sites_.push_back(invited);
  }
  AddEventLocked("", site, "site_invited", {{"by", by}, {"hours", hours}});
  return InvitationInfo{.line = "manako://fed.example.org:8443/v1/" + site + "/" +
                                Sha256Hex("authority") +
                                "/k3T9vJx0Qm7uYc2LrW5aNd8PzEo4HsGf1BiXtKMyRqU",
                        .site = site,
                        .expires_ms = invited.invitation_expires_ms};
}

absl::Status FakeServer::Revoke(const std::string& site, const std::string& why,
                                const std::string& by) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (SiteInfo& one : sites_) {
    if (one.name != site || one.state == "revoked") continue;
    one.state = "revoked";
    one.why = why;
    one.online = false;
    one.revoked_ms = now_ms_;
    AddEventLocked("", site, "site_revoked", {{"why", why}, {"by", by}});
    return absl::OkStatus();
  }
  return NotFound("there is no site {} that could be revoked", site);
}

std::string FakeServer::RunTemplate() { return ConfigText(); }

absl::StatusOr<std::string> FakeServer::CreateRun(const std::string& toml, const std::string& by) {
  MANAKO_ASSIGN_OR_RETURN(const FederatedRunConfig config,
                          FederatedRunConfig::FromToml(toml, "run.toml"));
  MANAKO_RETURN_IF_ERROR(config.Validate());
  const std::lock_guard<std::mutex> lock(mutex_);
  RunDetails details;
  details.run.id = "run-" + std::to_string(runs_.size() + 1);
  details.run.name = config.run.name;
  details.run.wanted = details.run.state = "created";
  details.run.created_ms = now_ms_;
  details.classes = config.run.classes;
  details.config = toml;
  runs_.insert(runs_.begin(), details);
  AddEventLocked(details.run.id, "", "run_created", {{"by", by}});
  return details.run.id;
}

absl::Status FakeServer::Act(const std::string& run, RunAction action, const std::string& by) {
  const std::lock_guard<std::mutex> lock(mutex_);
  RunDetails* details = Find(run);
  if (details == nullptr) return NotFound("there is no run {}", run);
  const std::string& state = details->run.state;
  if (state == "finished" || state == "cancelled" || state == "failed") {
    return FailedPrecondition("run {} is {} and cannot change any more", run, state);
  }
  switch (action) {
    case RunAction::kStart:
    case RunAction::kResume:
      details->run.wanted = "running";
      if (state == "created") {
        details->run.state = "gathering";
        details->run.started_ms = now_ms_;
        details->run.waiting_for = {"east-clinic", "north-hospital", "west-hospital"};
        for (const char* site : kSites) {
          RunSiteInfo info;
          info.site = site;
          info.state = "asked";
          details->sites.push_back(info);
        }
        AddEventLocked(run, "", "run_started", {{"by", by}});
      } else {
        AddEventLocked(run, "", "run_resumed", {{"by", by}});
      }
      break;
    case RunAction::kPause:
      details->run.wanted = "paused";
      AddEventLocked(run, "", "run_paused", {{"by", by}});
      break;
    case RunAction::kCancel:
      details->run.wanted = details->run.state = "cancelled";
      details->run.finished_ms = now_ms_;
      details->run.open_round = 0;
      details->run.waiting_for.clear();
      AddEventLocked(run, "", "run_cancelled", {{"by", by}});
      break;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<FileSource>> FakeServer::OpenModel(const std::string& run,
                                                                  int round) {
  const std::string name = run + "-round-" + std::to_string(round) + ".arr";
  MANAKO_RETURN_IF_ERROR(WriteFileAtomically(folder_ + "/" + name, std::string(3 << 20, 'm')));
  return FileSource::Open(folder_ + "/" + name, name, "application/octet-stream");
}

absl::StatusOr<std::unique_ptr<FileSource>> FakeServer::ExportModel(const std::string& run,
                                                                    int round) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const RunDetails* details = Find(run);
    if (details == nullptr) return NotFound("there is no run {}", run);
    if (std::find(details->models.begin(), details->models.end(), round) == details->models.end()) {
      return NotFound(
          "the model of round {} is not kept: only the best and the newest are (rounds {} and 12)",
          round, details->run.best_round);
    }
  }
  const std::string name = run + "-round-" + std::to_string(round) + ".pt";
  MANAKO_RETURN_IF_ERROR(WriteFileAtomically(folder_ + "/" + name, std::string(3 << 20, 'p')));
  return FileSource::Open(folder_ + "/" + name, name, "application/octet-stream");
}

absl::StatusOr<std::unique_ptr<FileSource>> FakeServer::OpenReport(const std::string& run) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const RunDetails* details = Find(run);
    if (details == nullptr || !details->has_report)
      return NotFound("run {} has no report yet", run);
  }
  MANAKO_RETURN_IF_ERROR(WriteFileAtomically(folder_ + "/report.html", "<script>1</script>"));
  return FileSource::Open(folder_ + "/report.html", run + "-report.html", "text/html");
}

FakeSite::FakeSite(int64_t now_ms) : now_ms_(now_ms) {
  status_ = {.site = "east-clinic",
             .federation = "Himeji Eye Federation",
             .server = "fed.example.org:8443",
             .version = "0.1.0",
             .now_ms = now_ms,
             .reported_ms = now_ms - 3'000,
             .agent_runs = true,
             .connected = true,
             .paused = false,
             .problem = "",
             .clock_skew_ms = 1'400,
             .work = {"training", "glaucoma-autumn", 4, 23, 77, 41.5},
             .run_name = "Glaucoma, autumn",
             .rounds_in_a_day = 3,
             .questions = 1};
  runs_ = {{"retinopathy-winter", "Diabetic retinopathy, winter", "asked", "", 0, 0, ConfigText()},
           {"glaucoma-autumn", "Glaucoma, autumn", "joined", "", 3, 30, ConfigText()},
           {"glaucoma-spring", "Glaucoma, spring", "ended", "finished", 12, 12, ConfigText()}};
  QuestionInfo question;
  question.run = "retinopathy-winter";
  question.name = "Diabetic retinopathy, winter";
  question.facts = {"A network resnet18 on 612 training images of 2 classes: normal, retinopathy",
                    "Up to 40 rounds, at most 3 a day by this site's policy",
                    "Asked by Himeji Eye Federation (fed.example.org:8443)"};
  question.leaves = {"The trained parameters of each round (46.8 MB, float32)",
                     "Number of images of each class, 1 to 4 given as 5",
                     "Of each test: loss, AUC, and a histogram of scores in 200 bins"};
  question.asked_ms = now_ms - 18 * kMinute;
  question.state = "waiting";
  questions_.push_back(question);
  QuestionInfo old = question;
  old.run = "glaucoma-autumn";
  old.name = "Glaucoma, autumn";
  old.asked_ms = now_ms - 5 * kHour;
  old.state = "granted";
  old.by = "admin";
  old.answered_ms = now_ms - 4 * kHour;
  questions_.push_back(old);
  for (int round = 0; round <= 3; ++round) {
    LedgerEntry entry;
    entry.run = "glaucoma-autumn";
    entry.round = round;
    entry.time_ms = now_ms - (4 - round) * 55 * kMinute;
    entry.recipient = "fed.example.org:8443";
    entry.recipient_fingerprint = Sha256Hex("authority");
    if (round == 0) {
      entry.kind = "offer answer";
      entry.contents = "counts";
      entry.bytes = 214;
    } else {
      entry.kind = "update";
      entry.contents = "parameters, train_loss";
      entry.bytes = 46'827'520;
      entry.l2 = 4.2 / round;
    }
    entry.sha256 = Sha256Hex("line" + std::to_string(round));
    AddLine(entry);
    if (round == 0) continue;
    LedgerEntry receipt = entry;
    receipt.kind = "receipt";
    receipt.contents = "";
    receipt.bytes = 0;
    receipt.l2.reset();
    receipt.receipt = "kept";
    receipt.log_seq = round * 3;
    receipt.log_hash = Sha256Hex("log" + std::to_string(round));
    AddLine(receipt);
    LedgerEntry evaluation = entry;
    evaluation.kind = "evaluation";
    evaluation.contents = "metrics, histogram";
    evaluation.bytes = 3'120;
    evaluation.l2.reset();
    evaluation.sha256 = Sha256Hex("evaluation" + std::to_string(round));
    AddLine(evaluation);
  }
}

void FakeSite::AddLine(LedgerEntry entry) {
  entry.seq = static_cast<int64_t>(ledger_.size()) + 1;
  ledger_.push_back(std::move(entry));
}

absl::StatusOr<LocalStatus> FakeSite::Status() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return status_;
}

absl::StatusOr<std::vector<LocalRun>> FakeSite::Runs() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return runs_;
}

absl::StatusOr<std::vector<QuestionInfo>> FakeSite::Questions() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return questions_;
}

absl::StatusOr<LedgerPage> FakeSite::Ledger(int64_t before, int limit) {
  const std::lock_guard<std::mutex> lock(mutex_);
  LedgerPage page;
  page.lines = static_cast<int64_t>(ledger_.size());
  for (int64_t seq = before == 0 ? page.lines : std::min(before - 1, page.lines);
       seq >= 1 && static_cast<int>(page.entries.size()) < limit; --seq) {
    page.entries.push_back(ledger_[static_cast<size_t>(seq - 1)]);
  }
  return page;
}

absl::StatusOr<int64_t> FakeSite::LastLine() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<int64_t>(ledger_.size());
}

void FakeSite::WaitForChange(int timeout_ms) {
  std::unique_lock<std::mutex> lock(mutex_);
  const int64_t before = changes_;
  changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms),
                    [&] { return changes_ != before; });
}

absl::Status FakeSite::Healthy() { return absl::OkStatus(); }

absl::Status FakeSite::Answer(const std::string& run, int round, bool granted,
                              const std::string& why, const std::string& by) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (QuestionInfo& question : questions_) {
    if (question.run != run || question.round != round) continue;
    question.state = granted ? "granted" : "refused";
    question.why = why;
    question.by = by;
    question.answered_ms = now_ms_;
    status_.questions = 0;
    for (LocalRun& one : runs_) {
      if (one.run == run) one.stage = granted ? "joined" : "refused";
    }
    ++changes_;
    changed_.notify_all();
    return absl::OkStatus();
  }
  return NotFound("nothing is asked of run {}, round {}", run, round);
}

absl::Status FakeSite::SetPaused(bool paused, const std::string& by) {
  const std::lock_guard<std::mutex> lock(mutex_);
  status_.paused = paused;
  ++changes_;
  changed_.notify_all();
  return absl::OkStatus();
}

}  // namespace manako
