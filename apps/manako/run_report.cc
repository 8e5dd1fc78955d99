#include "apps/manako/run_report.h"

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "apps/manako/commands.h"
#include "base/status_macros.h"
#include "core/classes.h"
#include "core/federated_run_config.h"
#include "report/federated_report.h"

namespace manako {
namespace {

using nlohmann::json;

double Number(const json& value, const char* key) {
  return value.is_object() && value.contains(key) && value[key].is_number()
             ? value[key].get<double>()
             : stats::kUndefined;
}

// Training losses are in the events alone; by round and site.
absl::StatusOr<std::map<std::pair<int, std::string>, double>> TrainLosses(FederationStore* store,
                                                                          const std::string& run) {
  std::map<std::pair<int, std::string>, double> losses;
  MANAKO_ASSIGN_OR_RETURN(const auto events, store->Events(0, 1'000'000, run));
  for (const EventRecord& event : events) {
    if (event.kind == "update_kept" && event.fields.contains("metrics")) {
      losses[{event.fields.value("round", 0), event.site}] =
          Number(event.fields["metrics"], "train_loss");
    }
  }
  return losses;
}

absl::Status AddRounds(FederationStore* store, FederatedRun& run) {
  MANAKO_ASSIGN_OR_RETURN(const auto rounds, store->Rounds(run.id));
  MANAKO_ASSIGN_OR_RETURN(const auto asks, store->Asks(run.id));
  MANAKO_ASSIGN_OR_RETURN(const auto losses, TrainLosses(store, run.id));
  for (const auto& record : rounds) {
    FederatedRun::Round round;
    round.round = record.round;
    round.opened_ms = record.opened_ms;
    round.closed_ms = record.closed_ms;
    if (const json metrics = json::parse(record.metrics, nullptr, false); metrics.is_object()) {
      round.validation_auc = Number(metrics, "validation_auc");
      round.test_auc = Number(metrics, "test_auc");
      round.method = metrics.value("method", "");
    }
    double loss = 0, images = 0;
    for (const auto& ask : asks) {
      if (ask.round != record.round) continue;
      ++round.asked;
      round.answered += ask.ask.state == AskState::kAnswered;
      round.refused += ask.ask.state == AskState::kRefused;
      round.failed += ask.ask.state == AskState::kFailed;
      round.late += ask.ask.state == AskState::kLate;
      if (ask.ask.state != AskState::kAnswered) continue;
      round.visits += ask.ask.facts.visits;
      const auto found = losses.find({record.round, ask.site});
      if (found == losses.end() || !std::isfinite(found->second)) continue;
      loss += found->second * static_cast<double>(ask.ask.facts.images);
      images += static_cast<double>(ask.ask.facts.images);
    }
    if (images > 0) round.train_loss = loss / images;
    run.all_rounds.push_back(std::move(round));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<FederatedRun> ReadFederatedRun(FederationStore* store, const std::string& id) {
  MANAKO_ASSIGN_OR_RETURN(const RunRecord record, store->Run(id));
  FederatedRun run;
  run.manako_version = kVersion;
  MANAKO_ASSIGN_OR_RETURN(run.federation, store->Setting("name"));
  run.id = record.id;
  run.name = record.name;
  run.state = record.state;
  run.why = record.why;
  run.created_ms = record.created_ms;
  run.started_ms = record.started_ms;
  run.finished_ms = record.finished_ms;
  run.round = record.round;
  run.rounds = record.rounds;
  run.best_round = record.best_round;
  run.config_toml = record.config;
  MANAKO_ASSIGN_OR_RETURN(const FederatedRunConfig config,
                          FederatedRunConfig::FromToml(record.config, id));
  run.classes = config.run.classes;
  run.positive = PositiveClass(config.run.classes, config.run.positive);
  run.chosen = config.training.federation.select != "last";
  run.report = config.run.report;
  run.bins = config.run.bins;
  MANAKO_ASSIGN_OR_RETURN(const auto sites, store->RunSites(id));
  for (const RunSiteRecord& site : sites)
    run.sites.push_back({site.site, site.state, site.why, site.counts});
  MANAKO_RETURN_IF_ERROR(AddRounds(store, run));
  MANAKO_ASSIGN_OR_RETURN(const auto evaluations, store->Evaluations(id));
  for (const auto& evaluation : evaluations) {
    const json result = json::parse(evaluation.json, nullptr, false);
    if (!result.is_object()) continue;
    run.tests.push_back({evaluation.round, evaluation.trained_by, evaluation.site,
                         ResultFromJson(result.value("validation", json::object())),
                         ResultFromJson(result.value("test", json::object()))});
  }
  return run;
}

absl::Status MayReport(const FederatedRun& run) {
  if (run.started_ms > 0) return absl::OkStatus();
  return FailedPrecondition("run {} has not been started: there is nothing to report", run.id);
}

absl::StatusOr<std::string> RunReportPage(FederationStore* store, const std::string& id) {
  MANAKO_ASSIGN_OR_RETURN(const FederatedRun run, ReadFederatedRun(store, id));
  MANAKO_RETURN_IF_ERROR(MayReport(run));
  return FederatedReportPage(BuildFederatedReport(run));
}

}  // namespace manako
