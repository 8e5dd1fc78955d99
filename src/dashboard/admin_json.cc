#include "dashboard/admin_json.h"

#include <cmath>

namespace manako {
namespace {

using nlohmann::json;

json Number(double value) { return std::isfinite(value) ? json(value) : json(nullptr); }

json StatusJson(const SiteStatus& status) {
  return {{"phase", status.phase}, {"run", status.run},
          {"round", status.round}, {"step", status.step},
          {"steps", status.steps}, {"images_per_second", Number(status.images_per_second)}};
}

json CountsJson(const SiteCounts& counts) {
  return {{"train", counts.train}, {"validation", counts.validation}, {"test", counts.test}};
}

json AskJson(const AskInfo& ask) {
  return {{"site", ask.site},
          {"state", ask.state},
          {"images", ask.images},
          {"visits", ask.visits},
          {"train_loss", Number(ask.train_loss)},
          {"l2", Number(ask.l2)},
          {"sha256", ask.sha256},
          {"why", ask.why}};
}

json PooledJson(const PooledInfo& pooled) {
  return {{"images", pooled.images},
          {"loss", Number(pooled.loss)},
          {"auc", Number(pooled.auc)},
          {"method", pooled.method}};
}

json RoundJson(const RoundInfo& round) {
  json asks = json::array();
  for (const AskInfo& ask : round.asks) asks.push_back(AskJson(ask));
  return {{"round", round.round},
          {"opened_ms", round.opened_ms},
          {"closed_ms", round.closed_ms},
          {"deadline_ms", round.deadline_ms},
          {"extended", round.extended},
          {"needed", round.needed},
          {"model_sha256", round.model_sha256},
          {"asks", std::move(asks)},
          {"train_loss", Number(round.train_loss)},
          {"validation", PooledJson(round.validation)},
          {"test", PooledJson(round.test)}};
}

// Without histograms and scores: they are the report's.
json ResultJson(const EvaluationResult& result) {
  if (result.images == 0) return nullptr;
  json metrics = json::object();
  for (const auto& [name, value] : result.metrics) metrics[name] = Number(value);
  return {
      {"images", result.images}, {"loss", Number(result.loss)}, {"metrics", std::move(metrics)}};
}

json EvaluationJson(const EvaluationInfo& evaluation) {
  return {{"round", evaluation.round},
          {"trained_by", evaluation.trained_by},
          {"site", evaluation.site},
          {"validation", ResultJson(evaluation.validation)},
          {"test", ResultJson(evaluation.test)}};
}

}  // namespace

json ToJson(const FederationInfo& info) {
  return {{"name", info.name},
          {"address", info.address},
          {"authority_sha256", info.authority_sha256},
          {"version", info.version},
          {"now_ms", info.now_ms},
          {"started_ms", info.started_ms}};
}

json ToJson(const SiteInfo& info) {
  json invitations = json::array();
  for (const InvitationState& invitation : info.invitations) {
    invitations.push_back({{"state", invitation.state},
                           {"created_ms", invitation.created_ms},
                           {"expires_ms", invitation.expires_ms},
                           {"used_ms", invitation.used_ms},
                           {"withdrawn_ms", invitation.withdrawn_ms}});
  }
  return {{"name", info.name},
          {"state", info.state},
          {"why", info.why},
          {"online", info.online},
          {"invitation_expires_ms", info.invitation_expires_ms},
          {"invitations", std::move(invitations)},
          {"enrolled_ms", info.enrolled_ms},
          {"seen_ms", info.seen_ms},
          {"revoked_ms", info.revoked_ms},
          {"certificate_expires_ms", info.certificate_expires_ms},
          {"version", info.version},
          {"address", info.address},
          {"status", StatusJson(info.status)}};
}

json ToJson(const RunInfo& info) {
  return {{"id", info.id},
          {"name", info.name},
          {"wanted", info.wanted},
          {"state", info.state},
          {"why", info.why},
          {"created_ms", info.created_ms},
          {"started_ms", info.started_ms},
          {"finished_ms", info.finished_ms},
          {"round", info.round},
          {"rounds", info.rounds},
          {"open_round", info.open_round},
          {"deadline_ms", info.deadline_ms},
          {"waiting_for", info.waiting_for},
          {"best_round", info.best_round}};
}

json ToJson(const RunDetails& details) {
  json sites = json::array(), rounds = json::array(), evaluations = json::array();
  for (const RunSiteInfo& site : details.sites) {
    sites.push_back({{"site", site.site},
                     {"state", site.state},
                     {"counts", CountsJson(site.counts)},
                     {"why", site.why}});
  }
  for (const RoundInfo& round : details.rounds) rounds.push_back(RoundJson(round));
  for (const EvaluationInfo& evaluation : details.evaluations) {
    evaluations.push_back(EvaluationJson(evaluation));
  }
  return {{"run", ToJson(details.run)},  {"classes", details.classes},
          {"config", details.config},    {"sites", std::move(sites)},
          {"rounds", std::move(rounds)}, {"evaluations", std::move(evaluations)},
          {"models", details.models},    {"has_report", details.has_report}};
}

json ToJson(const EventInfo& info) {
  return {{"seq", info.seq},   {"time_ms", info.time_ms}, {"run", info.run},
          {"site", info.site}, {"kind", info.kind},       {"fields", info.fields}};
}

json ToJson(const InvitationInfo& info) {
  return {{"line", info.line}, {"site", info.site}, {"expires_ms", info.expires_ms}};
}

json ToJson(const LocalStatus& status) {
  return {{"site", status.site},
          {"federation", status.federation},
          {"server", status.server},
          {"version", status.version},
          {"now_ms", status.now_ms},
          {"reported_ms", status.reported_ms},
          {"agent_runs", status.agent_runs},
          {"connected", status.connected},
          {"paused", status.paused},
          {"problem", status.problem},
          {"clock_skew_ms", status.clock_skew_ms},
          {"work", StatusJson(status.work)},
          {"run_name", status.run_name},
          {"rounds_in_a_day", status.rounds_in_a_day},
          {"questions", status.questions}};
}

json ToJson(const LocalRun& run) {
  return {{"run", run.run},     {"name", run.name},     {"stage", run.stage},  {"why", run.why},
          {"round", run.round}, {"rounds", run.rounds}, {"config", run.config}};
}

json ToJson(const QuestionInfo& question) {
  return {{"run", question.run},       {"round", question.round},
          {"name", question.name},     {"facts", question.facts},
          {"leaves", question.leaves}, {"asked_ms", question.asked_ms},
          {"state", question.state},   {"by", question.by},
          {"why", question.why},       {"answered_ms", question.answered_ms}};
}

json ToJson(const LedgerEntry& entry) {
  return {{"seq", entry.seq},
          {"time_ms", entry.time_ms},
          {"kind", entry.kind},
          {"run", entry.run},
          {"round", entry.round},
          {"contents", entry.contents},
          {"bytes", entry.bytes},
          {"sha256", entry.sha256},
          {"l2", entry.l2 ? Number(*entry.l2) : json(nullptr)},
          {"recipient", entry.recipient},
          {"recipient_fingerprint", entry.recipient_fingerprint},
          {"receipt", entry.receipt},
          {"why", entry.why},
          {"log_seq", entry.log_seq},
          {"log_hash", entry.log_hash}};
}

json ToJson(const LedgerPage& page) {
  return {{"lines", page.lines},
          {"intact", page.intact},
          {"problem", page.problem},
          {"entries", ToJson(page.entries)}};
}

std::string Write(const json& json) {
  return json.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace manako
