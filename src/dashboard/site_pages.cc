#include "dashboard/site_pages.h"

#include "base/status_macros.h"
#include "dashboard/admin_json.h"
#include "dashboard/metrics_text.h"
#include "dashboard/page_files.h"

namespace manako {
namespace {

using nlohmann::json;

constexpr size_t kMaxRunBytes = 64, kMaxWhyBytes = 1000;
constexpr int kMaxLines = 500;

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

SitePages::SitePages(const Options& options, SiteAdmin* admin)
    : admin_(admin),
      users_(std::make_unique<WebUsers>(options.users_path)),
      gate_(MakeGate(options, {"manako_site", SitePageHtml(), kSiteWebPort},
                     {.users = users_.get(),
                      .now_ms = options.now_ms,
                      .healthy = [this] { return admin_->Healthy(); },
                      .metrics = [this] { return MetricsOf(admin_, gate_->sessions()); },
                      .api = [this](const HttpRequest& request,
                                    const Session& session) { return Api(request, session); }})) {}

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
  return EventStream([this, state = std::string()](bool first) mutable {
    std::string out;
    if (!first) admin_->WaitForChange(1000);
    if (const auto overview = Overview(); overview.ok()) {
      json compared = *overview;
      compared["status"].erase("now_ms");
      compared["status"].erase("reported_ms");
      if (std::string text = Write(compared); text != state) {
        state = std::move(text);
        out = ServerSentEvent("state", -1, *overview);
      }
    }
    return out;
  });
}

}  // namespace manako
