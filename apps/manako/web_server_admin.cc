#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>

#include "apps/manako/commands.h"
#include "apps/manako/output.h"
#include "apps/manako/run_export.h"
#include "apps/manako/run_report.h"
#include "apps/manako/web_admin.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "core/federated_run_config.h"
#include "identity/invitation.h"
#include "identity/random_token.h"
#include "learn/frozen_network.h"
#include "learn/networks.h"
#include "server/run_folder.h"

namespace manako {
namespace {

using nlohmann::json;

// A run's identifier: the day, and letters that no other run has.
std::string NewRunId() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  std::string id =
      fmt::format("{:04}{:02}{:02}-", local.tm_year + 1900, local.tm_mon + 1, local.tm_mday);
  for (const char c : RandomBytes(5))
    id += "bcdfghjkmnpqrstvwxz"[static_cast<unsigned char>(c) % 19];
  return id;
}

double Number(const json& value, const char* key) {
  return value.is_object() && value.contains(key) && value[key].is_number()
             ? value[key].get<double>()
             : kNoNumber;
}

SiteStatus StatusFromJson(const std::string& text) {
  const json value = json::parse(text, nullptr, false);
  SiteStatus status;
  if (!value.is_object()) return status;
  status.phase = value.value("phase", "");
  status.run = value.value("run", "");
  status.round = value.value("round", 0);
  status.step = value.value("step", int64_t{0});
  status.steps = value.value("steps", int64_t{0});
  status.images_per_second = value.value("images_per_second", 0.0);
  return status;
}

class StoreAdmin : public ServerAdmin {
 public:
  StoreAdmin(std::string folder, FederationStore* store, Enrolment* enrolment,
             std::function<void()> changed)
      : folder_(std::move(folder)),
        store_(store),
        enrolment_(enrolment),
        changed_(std::move(changed)),
        started_ms_(NowMs()),
        exports_(folder_, store) {}

  absl::StatusOr<FederationInfo> Federation() override {
    FederationInfo info;
    info.name = enrolment_->federation();
    info.address =
        ToText(ServerAddress{enrolment_->host(), static_cast<uint16_t>(enrolment_->port())});
    info.authority_sha256 = enrolment_->authority().fingerprint;
    info.version = kVersion;
    info.now_ms = NowMs();
    info.started_ms = started_ms_;
    return info;
  }

  absl::StatusOr<std::vector<SiteInfo>> Sites() override {
    MANAKO_ASSIGN_OR_RETURN(const auto records, store_->Sites());
    MANAKO_ASSIGN_OR_RETURN(const auto invitations, store_->Invitations());
    std::vector<SiteInfo> sites;
    for (const SiteRecord& record : records) {
      SiteInfo site;
      site.name = record.name;
      site.state = record.state;
      site.online = record.state == "enrolled" && NowMs() - record.seen_ms < 30'000;
      site.enrolled_ms = record.enrolled_ms;
      site.seen_ms = record.seen_ms;
      site.certificate_expires_ms = record.certificate_expires_ms;
      site.version = record.version;
      site.address = record.address;
      site.status = StatusFromJson(record.status);
      for (const auto& invitation : invitations) {
        if (invitation.site != record.name) continue;
        site.invitations.push_back({invitation.StateAt(NowMs()), invitation.created_ms,
                                    invitation.expires_ms, invitation.used_ms,
                                    invitation.withdrawn_ms});
        site.invitation_expires_ms = invitation.expires_ms;
      }
      sites.push_back(std::move(site));
    }
    return sites;
  }

  absl::StatusOr<std::vector<RunInfo>> Runs() override {
    MANAKO_ASSIGN_OR_RETURN(const auto records, store_->Runs());
    std::vector<RunInfo> runs;
    for (const RunRecord& record : records) {
      MANAKO_ASSIGN_OR_RETURN(RunInfo info, Info(record));
      runs.insert(runs.begin(), std::move(info));
    }
    return runs;
  }

  absl::StatusOr<RunDetails> Run(const std::string& id) override {
    MANAKO_ASSIGN_OR_RETURN(const RunRecord record, store_->Run(id));
    RunDetails details;
    MANAKO_ASSIGN_OR_RETURN(details.run, Info(record));
    details.config = record.config;
    if (const auto config = FederatedRunConfig::FromToml(record.config, id); config.ok())
      details.classes = config->run.classes;
    MANAKO_ASSIGN_OR_RETURN(const auto sites, store_->RunSites(id));
    for (const RunSiteRecord& site : sites)
      details.sites.push_back({site.site, site.state, site.counts, site.why});
    MANAKO_RETURN_IF_ERROR(AddRounds(record, details));
    MANAKO_ASSIGN_OR_RETURN(const auto evaluations, store_->Evaluations(id));
    for (const auto& evaluation : evaluations) {
      const json result = json::parse(evaluation.json, nullptr, false);
      if (!result.is_object()) continue;
      details.evaluations.push_back({evaluation.round, evaluation.trained_by, evaluation.site,
                                     ResultFromJson(result.value("validation", json::object())),
                                     ResultFromJson(result.value("test", json::object()))});
    }
    std::error_code ignored;
    for (const auto& round : details.rounds) {
      if (std::filesystem::exists(RunFolder(folder_ + "/runs/" + id).ModelPath(round.round),
                                  ignored))
        details.models.push_back(round.round);
    }
    details.has_report = record.started_ms > 0;  // it is made when it is fetched
    return details;
  }

  absl::StatusOr<std::vector<EventInfo>> Events(int64_t behind_seq, int limit,
                                                const std::string& run) override {
    MANAKO_ASSIGN_OR_RETURN(const auto records, store_->Events(behind_seq, limit, run));
    std::vector<EventInfo> events;
    for (const EventRecord& record : records)
      events.push_back(
          {record.seq, record.time_ms, record.run, record.site, record.kind, record.fields});
    return events;
  }

  absl::StatusOr<int64_t> LastEvent() override { return store_->LastEvent(); }

  void WaitForEvent(int64_t behind_seq, int timeout_ms) override {
    // Other processes write events too, so the database is what is looked at; a look is one lookup
    // by key.
    for (int waited = 0; waited < std::min(timeout_ms, 1000); waited += 50) {
      if (const auto last = store_->LastEvent(); last.ok() && *last > behind_seq) return;
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, std::chrono::milliseconds(50));
    }
  }

  absl::Status Healthy() override { return store_->LastEvent().status(); }

  absl::StatusOr<InvitationInfo> Invite(const std::string& site, int hours,
                                        const std::string&) override {
    const int64_t now = NowMs();
    MANAKO_ASSIGN_OR_RETURN(const std::string line, enrolment_->Invite(site, hours, now));
    Changed();
    return InvitationInfo{line, site, now + int64_t{hours} * 3'600'000};
  }

  absl::Status Revoke(const std::string& site, const std::string& why,
                      const std::string& by) override {
    MANAKO_RETURN_IF_ERROR(store_->Revoke(
        site, why.empty() ? "by " + by : fmt::format("{} (by {})", why, by), NowMs()));
    Changed();
    return absl::OkStatus();
  }

  std::string RunTemplate() override { return manako::RunTemplate(); }

  absl::StatusOr<std::string> CreateRun(const std::string& toml, const std::string&) override {
    auto id = manako::CreateRun(folder_, store_, toml, "run.toml", nullptr);
    Changed();
    return id;
  }

  absl::Status Act(const std::string& run, RunAction action, const std::string&) override {
    const char* wanted = action == RunAction::kPause    ? "paused"
                         : action == RunAction::kCancel ? "cancelled"
                                                        : "running";
    MANAKO_RETURN_IF_ERROR(store_->Want(run, wanted, NowMs()));
    Changed();
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<FileSource>> OpenModel(const std::string& run,
                                                        int round) override {
    MANAKO_RETURN_IF_ERROR(store_->Run(run).status());  // so that `run` is a name, and no path
    return FileSource::Open(RunFolder(folder_ + "/runs/" + run).ModelPath(round),
                            fmt::format("{}-round-{}.arr", run, round), "application/octet-stream");
  }

  absl::StatusOr<std::unique_ptr<FileSource>> ExportModel(const std::string& run,
                                                          int round) override {
    return exports_.Open(run, round);
  }

  absl::StatusOr<std::unique_ptr<FileSource>> OpenReport(const std::string& run) override {
    MANAKO_ASSIGN_OR_RETURN(const std::string page, RunReportPage(store_, run));
    // Written anew each time, so that it is never older than the run; who downloads the one before
    // keeps what was opened.
    const std::string folder = folder_ + "/runs/" + run + "/report";
    MANAKO_RETURN_IF_ERROR(MakeFolders(folder));
    MANAKO_RETURN_IF_ERROR(WriteFileAtomically(folder + "/report.html", page));
    return FileSource::Open(folder + "/report.html", run + "-report.html",
                            "text/html; charset=utf-8");
  }

 private:
  void Changed() {
    if (changed_) changed_();
    wake_.notify_all();
  }

  absl::StatusOr<RunInfo> Info(const RunRecord& record) {
    RunInfo info;
    info.id = record.id;
    info.name = record.name;
    info.wanted = record.wanted;
    info.state = record.state;
    info.why = record.why;
    info.created_ms = record.created_ms;
    info.started_ms = record.started_ms;
    info.finished_ms = record.finished_ms;
    info.round = record.round;
    info.rounds = record.rounds;
    info.best_round = record.best_round;
    const json state = json::parse(record.rounds_state, nullptr, false);
    if (state.is_object() && state.contains("rounds")) {
      RoundState rounds({.rounds = record.rounds});
      if (rounds.FromJson(state["rounds"]).ok() && rounds.open()) {
        info.open_round = rounds.round();
        info.deadline_ms = rounds.deadline_ms();
        for (const auto& [site, ask] : rounds.asks()) {
          if (ask.state == AskState::kWaiting) info.waiting_for.push_back(site);
        }
      }
    }
    if (record.state == "gathering") {
      MANAKO_ASSIGN_OR_RETURN(const auto sites, store_->RunSites(record.id));
      for (const RunSiteRecord& site : sites) {
        if (site.state == "asked" || site.state == "waiting") info.waiting_for.push_back(site.site);
      }
    }
    return info;
  }

  absl::Status AddRounds(const RunRecord& record, RunDetails& details) {
    MANAKO_ASSIGN_OR_RETURN(const auto rounds, store_->Rounds(record.id));
    MANAKO_ASSIGN_OR_RETURN(const auto asks, store_->Asks(record.id));
    std::map<std::pair<int, std::string>, double> losses;
    MANAKO_ASSIGN_OR_RETURN(const auto events, store_->Events(0, 1'000'000, record.id));
    for (const EventRecord& event : events) {
      if (event.kind == "update_kept" && event.fields.contains("metrics")) {
        losses[{event.fields.value("round", 0), event.site}] =
            Number(event.fields["metrics"], "train_loss");
      }
    }
    for (const auto& record_of_round : rounds) {
      RoundInfo round;
      round.round = record_of_round.round;
      round.opened_ms = record_of_round.opened_ms;
      round.closed_ms = record_of_round.closed_ms;
      round.model_sha256 = record_of_round.model_sha256;
      if (round.round == details.run.open_round) round.deadline_ms = details.run.deadline_ms;
      const json metrics = json::parse(record_of_round.metrics, nullptr, false);
      if (metrics.is_object()) {
        const std::string method = metrics.value("method", "");
        round.validation = {metrics.value("validation_images", int64_t{0}),
                            Number(metrics, "validation_loss"), Number(metrics, "validation_auc"),
                            method};
        round.test = {metrics.value("test_images", int64_t{0}), Number(metrics, "test_loss"),
                      Number(metrics, "test_auc"), method};
      }
      double loss = 0, images = 0;
      for (const auto& ask : asks) {
        if (ask.round != round.round) continue;
        AskInfo info;
        info.site = ask.site;
        info.state = std::string(NameOf(ask.ask.state));
        info.images = ask.ask.facts.images;
        info.visits = ask.ask.facts.visits;
        if (ask.ask.l2 > 0) info.l2 = ask.ask.l2;
        info.sha256 = ask.ask.sha256;
        info.why = ask.ask.why;
        if (const auto found = losses.find({round.round, ask.site}); found != losses.end())
          info.train_loss = found->second;
        if (std::isfinite(info.train_loss) && ask.ask.state == AskState::kAnswered) {
          loss += info.train_loss * static_cast<double>(info.images);
          images += static_cast<double>(info.images);
        }
        round.asks.push_back(std::move(info));
      }
      if (images > 0) round.train_loss = loss / images;
      round.needed = static_cast<int>(round.asks.size());
      if (const auto config = FederatedRunConfig::FromToml(record.config, record.id);
          config.ok() && config->run.quorum > 0)
        round.needed = config->run.quorum;
      details.rounds.push_back(std::move(round));
    }
    return absl::OkStatus();
  }

  const std::string folder_;
  FederationStore* const store_;
  Enrolment* const enrolment_;
  const std::function<void()> changed_;
  const int64_t started_ms_;
  RunExports exports_;
  std::mutex mutex_;
  std::condition_variable wake_;
};

}  // namespace

absl::StatusOr<std::string> CreateRun(const std::string& folder, FederationStore* store,
                                      const std::string& toml, const std::string& name,
                                      std::string* note) {
  MANAKO_ASSIGN_OR_RETURN(FederatedRunConfig config, FederatedRunConfig::FromToml(toml, name));
  RunConfig& training = config.training;
  if (training.data.image_size == 0)
    training.data.image_size = UsualImageSize(training.model.architecture);
  if (training.train.learning_rate == 0)
    training.train.learning_rate = UsualLearningRate(training.train, training.model);
  MANAKO_RETURN_IF_ERROR(Annotate(config.Validate(), name));
  MANAKO_ASSIGN_OR_RETURN(const ArrayEncoding encoding, ParseArrayEncoding(config.run.encoding));
  const NetworkOptions network{training.model.architecture,
                               static_cast<int>(config.run.classes.size()), training.model.dropout,
                               training.data.image_size};
  MANAKO_ASSIGN_OR_RETURN(const auto pool, NetworkPool::Create(network));
  MANAKO_RETURN_IF_ERROR(CheckFrozenAreTrained(training));
  if (const std::string layer = FrozenUntil(training.train); !layer.empty()) {
    MANAKO_RETURN_IF_ERROR(FrozenNetwork::Create(network, layer).status());
  }
  MANAKO_ASSIGN_OR_RETURN(
      const std::shared_ptr<const ParameterSet> initial,
      pool->InitialParameters(InitialSeed(config.run.seed), training.model.init, note));
  // What the sites are told of the initial parameters is what they get; where the file was is this
  // server's own matter.
  training.model.init.clear();
  RunRecord record;
  record.id = NewRunId();
  record.name = config.run.name.empty() ? record.id : config.run.name;
  record.config = config.ToToml();
  record.wanted = record.state = "created";
  record.created_ms = NowMs();
  MANAKO_RETURN_IF_ERROR(RunFolder(folder + "/runs/" + record.id).Create(*initial, encoding, 2));
  MANAKO_RETURN_IF_ERROR(store->AddRun(record));
  return record.id;
}

std::string RunTemplate() {
  FederatedRunConfig config;
  config.run.classes = {"detachment", "normal"};
  return "# What a run depends on, with its defaults. Set run.classes; leave out what may stay as "
         "it is.\n" +
         config.ToToml();
}

std::unique_ptr<ServerAdmin> MakeServerAdmin(const std::string& folder, FederationStore* store,
                                             Enrolment* enrolment, std::function<void()> changed) {
  return std::make_unique<StoreAdmin>(folder, store, enrolment, std::move(changed));
}

}  // namespace manako
