#include "dashboard/site_pages.h"

#include <chrono>

#include "base/status_macros.h"
#include "dashboard/admin_json.h"
#include "dashboard/metrics_text.h"
#include "dashboard/page_files.h"

namespace manako {
namespace {

using nlohmann::json;

constexpr size_t kMaxRunBytes = 64, kMaxWhyBytes = 1000;
constexpr int kMaxLines = 500;
constexpr int64_t kHeartbeatMs = 15'000;

int64_t SystemNowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

absl::StatusOr<std::string> MetricsOf(SiteAdmin* admin, Sessions& sessions) {
  MANAKO_ASSIGN_OR_RETURN(const LocalStatus status, admin->Status());
  MANAKO_ASSIGN_OR_RETURN(const std::vector<LocalRun> runs, admin->Runs());
  MANAKO_ASSIGN_OR_RETURN(const int64_t lines, admin->LastLine());
  MetricsText text;
  text.Metric("manako_build_info", "gauge", "The program's version.");
  text.Sample(1, {{"version", status.version}, {"site", status.site}});
  text.Metric("manako_agent_running", "gauge", "Whether the site's agent is at work.");
  text.Sample(status.agent_runs ? 1 : 0);
  text.Metric("manako_agent_connected", "gauge",
              "Whether the last word with the server was a good one.");
  text.Sample(status.connected ? 1 : 0);
  text.Metric("manako_agent_paused", "gauge", "Whether the agent takes no further task.");
  text.Sample(status.paused ? 1 : 0);
  text.Metric("manako_agent_report_seconds", "gauge",
              "When the agent last wrote its state, since 1970.");
  text.Sample(static_cast<double>(status.reported_ms) / 1e3);
  text.Metric("manako_clock_skew_seconds", "gauge", "The server's clock minus this one.");
  text.Sample(static_cast<double>(status.clock_skew_ms) / 1e3);
  text.Metric("manako_questions_waiting", "gauge", "Questions that wait for a person.");
  text.Sample(status.questions);
  text.Metric("manako_rounds_in_a_day", "gauge", "Rounds trained in the last 24 hours.");
  text.Sample(status.rounds_in_a_day);
  text.Metric("manako_ledger_lines_total", "counter", "Lines of the ledger of what has left.");
  text.Sample(static_cast<double>(lines));
  text.Metric("manako_run_round", "gauge", "The last round of a run that was trained here.");
  for (const LocalRun& run : runs) text.Sample(run.round, {{"run", run.run}, {"stage", run.stage}});
  text.Metric("manako_web_sign_in_failures_total", "counter", "Wrong names or passwords.");
  text.Sample(static_cast<double>(sessions.failed()));
  return text.text();
}

}  // namespace

SitePages::SitePages(Options options, SiteAdmin* admin)
    : admin_(admin), users_(std::make_unique<WebUsers>(options.users_path)) {
  std::function<int64_t()> now_ms = options.now_ms ? options.now_ms : SystemNowMs;
  options.limits.idle_ms = int64_t{options.config.idle_minutes} * 60'000;
  options.limits.absolute_ms = int64_t{options.config.session_hours} * 3'600'000;
  Gate::Options gate{.cookie = "manako_site",
                     .page = SitePageHtml(),
                     .hosts = options.config.hosts,
                     .sessions = options.limits};
  uint16_t port = kSiteWebPort;
  if (const auto at = options.config.ServerOptions(kSiteWebPort); at.ok()) {
    gate.hosts.push_back(at->host);
    port = at->port;
  }
  // Browsers keep cookies by host, not by port: several sites' pages on one machine differ.
  gate.cookie += "_" + std::to_string(port);
  gate_ = std::make_unique<Gate>(
      std::move(gate),
      Gate::Deps{.users = users_.get(),
                 .now_ms = now_ms,
                 .healthy = [this] { return admin_->Healthy(); },
                 .metrics = [this] { return MetricsOf(admin_, gate_->sessions()); },
                 .api = [this](const HttpRequest& request,
                               const Session& session) { return Api(request, session); }});
}

absl::StatusOr<json> SitePages::Overview() {
  MANAKO_ASSIGN_OR_RETURN(const LocalStatus status, admin_->Status());
  MANAKO_ASSIGN_OR_RETURN(const std::vector<LocalRun> runs, admin_->Runs());
  MANAKO_ASSIGN_OR_RETURN(const std::vector<QuestionInfo> questions, admin_->Questions());
  MANAKO_ASSIGN_OR_RETURN(const int64_t last_line, admin_->LastLine());
  return json{{"status", ToJson(status)},
              {"runs", ToJson(runs)},
              {"questions", ToJson(questions)},
              {"last_line", last_line}};
}

HttpAnswer SitePages::Api(const HttpRequest& request, const Session& session) {
  if (request.method == "POST") return Post(request, session);
  if (request.path == "/api/overview") {
    const auto overview = Overview();
    return overview.ok() ? JsonAnswer(*overview) : ErrorAnswer(overview.status());
  }
  if (request.path == "/api/ledger") {
    const auto before = QueryNumber(request, "before", 0, 0, INT64_MAX);
    if (!before.ok()) return ErrorAnswer(before.status());
    const auto limit = QueryNumber(request, "limit", 50, 1, kMaxLines);
    if (!limit.ok()) return ErrorAnswer(limit.status());
    const auto page = admin_->Ledger(*before, static_cast<int>(*limit));
    return page.ok() ? JsonAnswer(ToJson(*page)) : ErrorAnswer(page.status());
  }
  if (request.path == "/api/live") return Live(request);
  return ErrorAnswer(404, "there is nothing here");
}

HttpAnswer SitePages::Post(const HttpRequest& request, const Session& session) {
  const auto body = BodyOf(request);
  if (!body.ok()) return ErrorAnswer(body.status());
  const auto done = [](const absl::Status& status) {
    return status.ok() ? JsonAnswer(json::object()) : ErrorAnswer(status);
  };
  if (request.path == "/api/pause") return done(admin_->SetPaused(true, session.user));
  if (request.path == "/api/resume") return done(admin_->SetPaused(false, session.user));
  if (request.path == "/api/answer") {
    const auto run = TextOf(*body, "run", kMaxRunBytes);
    if (!run.ok()) return ErrorAnswer(run.status());
    const auto round = NumberOf(*body, "round", 0, INT32_MAX);
    if (!round.ok()) return ErrorAnswer(round.status());
    const auto granted = body->find("granted");
    if (granted == body->end() || !granted->is_boolean()) {
      return ErrorAnswer(400, "granted must be true or false");
    }
    std::string why;
    if (body->contains("why")) {
      const auto given = TextOf(*body, "why", kMaxWhyBytes);
      if (!given.ok()) return ErrorAnswer(given.status());
      why = *given;
    }
    return done(
        admin_->Answer(*run, static_cast<int>(*round), granted->get<bool>(), why, session.user));
  }
  return ErrorAnswer(404, "there is nothing here");
}

HttpAnswer SitePages::Live(const HttpRequest&) {
  HttpAnswer answer;
  answer.content_type = "text/event-stream";
  answer.headers.emplace_back("X-Accel-Buffering", "no");
  answer.stream = [this, state = std::string(), said = int64_t{0},
                   begun = false](const HttpWriter& write) mutable {
    const int64_t now = std::chrono::duration_cast<std::chrono::milliseconds>(
                            std::chrono::steady_clock::now().time_since_epoch())
                            .count();
    std::string out;
    if (!begun) {
      begun = true;
      out = "retry: 2000\n\n";
    } else {
      admin_->WaitForChange(1000);
    }
    if (const auto overview = Overview(); overview.ok()) {
      json compared = *overview;
      compared["status"].erase("now_ms");
      compared["status"].erase("reported_ms");
      std::string text = Write(compared);
      if (text != state) {
        state = std::move(text);
        out += ServerSentEvent("state", -1, *overview);
      }
    }
    if (out.empty()) {
      if (now - said < kHeartbeatMs) return true;
      out = ": still here\n\n";
    }
    said = now;
    return write(out);
  };
  return answer;
}

}  // namespace manako
