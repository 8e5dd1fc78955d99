#include "dashboard/server_pages.h"

#include <charconv>
#include <set>

#include "base/status_macros.h"
#include "dashboard/admin_json.h"
#include "dashboard/metrics_text.h"
#include "dashboard/page_files.h"
#include "identity/names.h"

namespace manako {
namespace {

using nlohmann::json;

constexpr int kMaxEvents = 1000;
constexpr size_t kMaxTomlBytes = 128 << 10, kMaxWhyBytes = 1000;

// A run's id as a path's segment: it names folders, so nothing else gets as far as an admin.
bool IsRunId(std::string_view id) {
  if (id.empty() || id.size() > 64 || id[0] == '.') return false;
  for (const char c : id) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '_' || c == '.';
    if (!good) return false;
  }
  return true;
}

// "/api/runs/RUN/what" -> RUN and "what"; false for anything else.
bool Split(std::string_view path, std::string_view prefix, std::string& name, std::string& what) {
  if (!path.starts_with(prefix)) return false;
  path.remove_prefix(prefix.size());
  const size_t slash = std::min(path.find('/'), path.size());
  name = path.substr(0, slash);
  what = slash < path.size() ? path.substr(slash + 1) : std::string_view();
  return true;
}

absl::StatusOr<std::string> MetricsOf(ServerAdmin* admin, Sessions& sessions) {
  MANAKO_ASSIGN_OR_RETURN(const FederationInfo federation, admin->Federation());
  MANAKO_ASSIGN_OR_RETURN(const std::vector<SiteInfo> sites, admin->Sites());
  MANAKO_ASSIGN_OR_RETURN(const std::vector<RunInfo> runs, admin->Runs());
  MANAKO_ASSIGN_OR_RETURN(const int64_t last_event, admin->LastEvent());
  MetricsText text;
  text.Metric("manako_build_info", "gauge", "The program's version.");
  text.Sample(1, {{"version", federation.version}});
  text.Metric("manako_start_time_seconds", "gauge", "When the server started, since 1970.");
  text.Sample(static_cast<double>(federation.started_ms) / 1e3);
  text.Metric("manako_site_online", "gauge", "Whether an enrolled site is connected.");
  for (const SiteInfo& site : sites) {
    if (site.state == "enrolled") text.Sample(site.online ? 1 : 0, {{"site", site.name}});
  }
  text.Metric("manako_site_last_seen_seconds", "gauge",
              "When a site was last heard of, since 1970.");
  for (const SiteInfo& site : sites) {
    if (site.state == "enrolled" && site.seen_ms > 0) {
      text.Sample(static_cast<double>(site.seen_ms) / 1e3, {{"site", site.name}});
    }
  }
  text.Metric("manako_site_certificate_expires_seconds", "gauge",
              "When a site's certificate expires, since 1970.");
  for (const SiteInfo& site : sites) {
    if (site.state == "enrolled" && site.certificate_expires_ms > 0) {
      text.Sample(static_cast<double>(site.certificate_expires_ms) / 1e3, {{"site", site.name}});
    }
  }
  text.Metric("manako_run_info", "gauge", "The runs and their states.");
  for (const RunInfo& run : runs) {
    text.Sample(
        1, {{"run", run.id}, {"name", run.name}, {"state", run.state}, {"wanted", run.wanted}});
  }
  text.Metric("manako_run_round", "gauge", "Completed rounds of a run.");
  for (const RunInfo& run : runs) text.Sample(run.round, {{"run", run.id}});
  text.Metric("manako_run_rounds", "gauge", "Rounds of a run in all.");
  for (const RunInfo& run : runs) {
    if (run.rounds > 0) text.Sample(run.rounds, {{"run", run.id}});
  }
  text.Metric("manako_run_waiting_sites", "gauge", "Sites that a run waits for.");
  for (const RunInfo& run : runs) {
    text.Sample(static_cast<double>(run.waiting_for.size()), {{"run", run.id}});
  }
  text.Metric("manako_run_deadline_seconds", "gauge",
              "Deadline of a run's open round, since 1970.");
  for (const RunInfo& run : runs) {
    if (run.deadline_ms > 0)
      text.Sample(static_cast<double>(run.deadline_ms) / 1e3, {{"run", run.id}});
  }
  text.Metric("manako_events_total", "counter", "Events of the federation's record.");
  text.Sample(static_cast<double>(last_event));
  text.Metric("manako_web_sign_in_failures_total", "counter", "Wrong names or passwords.");
  text.Sample(static_cast<double>(sessions.failed()));
  text.Metric("manako_web_sessions", "gauge", "People who are signed in.");
  text.Sample(static_cast<double>(sessions.open()));
  return text.text();
}

}  // namespace

ServerPages::ServerPages(const Options& options, ServerAdmin* admin)
    : admin_(admin),
      users_(std::make_unique<WebUsers>(options.users_path)),
      gate_(MakeGate(options, {"manako_server", ServerPageHtml(), kServerWebPort},
                     {.users = users_.get(),
                      .now_ms = options.now_ms,
                      .healthy = [this] { return admin_->Healthy(); },
                      .metrics = [this] { return MetricsOf(admin_, gate_->sessions()); },
                      .api = [this](const HttpRequest& request,
                                    const Session& session) { return Api(request, session); }})) {}

absl::StatusOr<json> ServerPages::Overview() {
  MANAKO_ASSIGN_OR_RETURN(const int64_t last_event, admin_->LastEvent());
  MANAKO_ASSIGN_OR_RETURN(const FederationInfo federation, admin_->Federation());
  MANAKO_ASSIGN_OR_RETURN(const std::vector<SiteInfo> sites, admin_->Sites());
  MANAKO_ASSIGN_OR_RETURN(const std::vector<RunInfo> runs, admin_->Runs());
  return json{{"federation", ToJson(federation)},
              {"sites", ToJson(sites)},
              {"runs", ToJson(runs)},
              {"last_event", last_event}};
}

HttpAnswer ServerPages::Api(const HttpRequest& request, const Session& session) {
  return request.method == "POST" ? Post(request, session) : Get(request);
}

HttpAnswer ServerPages::Get(const HttpRequest& request) {
  std::string name, what;
  if (request.path == "/api/overview") {
    const auto overview = Overview();
    return overview.ok() ? JsonAnswer(*overview) : ErrorAnswer(overview.status());
  }
  if (request.path == "/api/live") return Live(request);
  if (request.path == "/api/template") return JsonAnswer({{"toml", admin_->RunTemplate()}});
  if (request.path == "/api/events") {
    const auto behind = QueryNumber(request, "behind", 0, 0, INT64_MAX);
    if (!behind.ok()) return ErrorAnswer(behind.status());
    const auto limit = QueryNumber(request, "limit", 200, 1, kMaxEvents);
    if (!limit.ok()) return ErrorAnswer(limit.status());
    const auto latest = QueryNumber(request, "latest", 0, 1, kMaxEvents);
    if (!latest.ok()) return ErrorAnswer(latest.status());
    const std::string run(request.Query("run"));
    if (!run.empty() && !IsRunId(run)) return ErrorAnswer(404, "there is no such run");
    const auto events = *latest > 0 ? admin_->LatestEvents(static_cast<int>(*latest), run)
                                    : admin_->Events(*behind, static_cast<int>(*limit), run);
    return events.ok() ? JsonAnswer({{"events", ToJson(*events)}}) : ErrorAnswer(events.status());
  }
  if (Split(request.path, "/api/runs/", name, what)) {
    if (!IsRunId(name)) return ErrorAnswer(404, "there is no such run");
    if (what.empty()) {
      const auto run = admin_->Run(name);
      return run.ok() ? JsonAnswer(ToJson(*run)) : ErrorAnswer(run.status());
    }
    absl::StatusOr<std::unique_ptr<FileSource>> file = absl::NotFoundError("there is nothing here");
    if (what == "model" || what == "model.pt") {
      const auto round = QueryNumber(request, "round", -1, 0, INT32_MAX);
      if (!round.ok()) return ErrorAnswer(round.status());
      if (*round < 0) return ErrorAnswer(400, "round must be given");
      file = what == "model" ? admin_->OpenModel(name, static_cast<int>(*round))
                             : admin_->ExportModel(name, static_cast<int>(*round));
    } else if (what == "report") {
      file = admin_->OpenReport(name);
    }
    if (!file.ok()) return ErrorAnswer(file.status());
    HttpAnswer answer;
    answer.content_type = (*file)->content_type();
    answer.file = *std::move(file);
    return answer;
  }
  return ErrorAnswer(404, "there is nothing here");
}

HttpAnswer ServerPages::Post(const HttpRequest& request, const Session& session) {
  const auto body = BodyOf(request);
  if (!body.ok()) return ErrorAnswer(body.status());
  const auto done = [](const absl::Status& status) {
    return status.ok() ? JsonAnswer(json::object()) : ErrorAnswer(status);
  };
  std::string name, what;
  if (request.path == "/api/runs") {
    const auto toml = TextOf(*body, "toml", kMaxTomlBytes);
    if (!toml.ok()) return ErrorAnswer(toml.status());
    const auto run = admin_->CreateRun(*toml, session.user);
    return run.ok() ? JsonAnswer({{"id", *run}}) : ErrorAnswer(run.status());
  }
  if (Split(request.path, "/api/runs/", name, what)) {
    if (!IsRunId(name)) return ErrorAnswer(404, "there is no such run");
    if (what == "start") return done(admin_->Act(name, RunAction::kStart, session.user));
    if (what == "pause") return done(admin_->Act(name, RunAction::kPause, session.user));
    if (what == "resume") return done(admin_->Act(name, RunAction::kResume, session.user));
    if (what == "cancel") return done(admin_->Act(name, RunAction::kCancel, session.user));
  }
  if (Split(request.path, "/api/sites/", name, what)) {
    if (const absl::Status good = CheckSiteName(name); !good.ok()) return ErrorAnswer(good);
    if (what == "invite") {
      const auto hours = NumberOf(*body, "hours", 1, 24 * 30);
      if (!hours.ok()) return ErrorAnswer(hours.status());
      const auto invitation = admin_->Invite(name, static_cast<int>(*hours), session.user);
      return invitation.ok() ? JsonAnswer(ToJson(*invitation)) : ErrorAnswer(invitation.status());
    }
    if (what == "revoke") {
      const auto why = TextOf(*body, "why", kMaxWhyBytes);
      if (!why.ok()) return ErrorAnswer(why.status());
      if (why->empty()) return ErrorAnswer(400, "why must say for what reason, but is empty");
      return done(admin_->Revoke(name, *why, session.user));
    }
  }
  return ErrorAnswer(404, "there is nothing here");
}

// Each call sends what has come since the last one, or waits for it a second at most.
HttpAnswer ServerPages::Live(const HttpRequest& request) {
  int64_t behind = -1;
  const std::string_view last = request.Header("last-event-id");
  if (!last.empty()) {
    const auto [end, error] = std::from_chars(last.data(), last.data() + last.size(), behind);
    if (error != std::errc() || end != last.data() + last.size() || behind < 0) {
      return ErrorAnswer(400, "Last-Event-ID is no event's number");
    }
  } else {
    const auto asked = QueryNumber(request, "behind", -1, 0, INT64_MAX);
    if (!asked.ok()) return ErrorAnswer(asked.status());
    behind = *asked;
  }
  const auto newest = admin_->LastEvent();
  if (!newest.ok()) return ErrorAnswer(newest.status());
  // A number from the future (the database was restored from an older copy): begin anew.
  if (behind < 0 || behind > *newest) behind = *newest;
  return EventStream([this, behind, state = std::string()](bool first) mutable {
    std::string out;
    if (!first) admin_->WaitForEvent(behind, 1000);
    const auto events = admin_->Events(behind, kMaxEvents, "");
    const auto overview = Overview();
    // The database may be busy for a moment; then there is nothing new.
    if (events.ok()) {
      for (const EventInfo& event : *events) {
        behind = std::max(behind, event.seq);
        out += ServerSentEvent("event", event.seq, ToJson(event));
      }
    }
    if (overview.ok()) {
      // The clock alone is no change.
      json compared = *overview;
      compared["federation"].erase("now_ms");
      if (std::string text = Write(compared); text != state) {
        state = std::move(text);
        out += ServerSentEvent("state", -1, *overview);
      }
    }
    return out;
  });
}

}  // namespace manako
