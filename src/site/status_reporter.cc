#include "site/status_reporter.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace manako {
namespace {

using SteadyClock = std::chrono::steady_clock;

SteadyClock::duration Seconds(double seconds) {
  return std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(seconds));
}

// Whole or not at all, but not synced: behind a power cut nobody needs it, and a sync each second
// would hold up those that matter.
void WriteUnsynced(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".new";
  {
    std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
    out << text;
    if (!out.flush()) return;
  }
  std::error_code ignored;
  std::filesystem::rename(temporary, path, ignored);
}

}  // namespace

StatusReporter::StatusReporter(Options options, Deps deps)
    : options_(options), deps_(std::move(deps)) {
  report_.work.phase = "idle";
  thread_ = std::thread([this] { Work(); });
}

StatusReporter::~StatusReporter() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void StatusReporter::Begin(std::string_view phase, const std::string& run, int round) {
  std::lock_guard lock(mutex_);
  ++work_number_;
  dropped_ = false;
  report_.work = {};
  report_.work.phase = phase;
  report_.work.run = run;
  report_.work.round = round;
  news_ = true;
  wake_.notify_all();
}

void StatusReporter::Phase(std::string_view phase) {
  std::lock_guard lock(mutex_);
  report_.work.phase = phase;
  report_.work.step = report_.work.steps = 0;
  news_ = true;
  wake_.notify_all();
}

void StatusReporter::Progress(int64_t step, int64_t steps) {
  std::lock_guard lock(mutex_);
  report_.work.step = step;
  report_.work.steps = steps;
  if (!news_) wake_.notify_all();
  news_ = true;
}

void StatusReporter::Connection(bool connected, std::string_view problem) {
  std::lock_guard lock(mutex_);
  if (report_.connected == connected && report_.problem == problem) return;
  report_.connected = connected;
  report_.problem = problem;
  news_ = true;
  wake_.notify_all();
}

bool StatusReporter::Dropped() const {
  std::lock_guard lock(mutex_);
  return dropped_;
}

std::string StatusReporter::WhyDropped() const {
  std::lock_guard lock(mutex_);
  return why_dropped_;
}

void StatusReporter::Work() {
  while (true) {
    const auto began = SteadyClock::now();
    Report();
    std::unique_lock lock(mutex_);
    const auto heartbeat = began + Seconds(options_.heartbeat_seconds);
    const auto soonest =
        began + Seconds(std::min(options_.shortest_seconds, options_.heartbeat_seconds));
    wake_.wait_until(lock, heartbeat, [&] { return ending_ || news_; });
    wake_.wait_until(lock, soonest, [&] { return ending_; });
    if (ending_) break;
  }
  Report();
}

void StatusReporter::Report() {
  SiteReport report;
  uint64_t number;
  bool ending;
  {
    std::lock_guard lock(mutex_);
    news_ = false;
    report = report_;
    number = work_number_;
    ending = ending_;
  }
  report.time_ms = deps_.now_ms();
  report.pid = ::getpid();
  report.rounds_in_a_day = deps_.store->RoundsInADay(report.time_ms);
  for (const Approval& approval : ListApprovals(deps_.store->folder())) {
    report.questions += approval.consent == Consent::kNone;
  }
  for (const RunState& run : deps_.store->Runs()) {
    report.runs.push_back({run.run, run.name, NameOf(run.stage), run.why, run.trained, run.rounds});
  }
  WriteUnsynced(deps_.store->folder().status(), ToJson(report));
  if (ending) return;

  const int64_t sent_ms = deps_.now_ms();
  const auto reply = deps_.channel->ReportStatus(report.work);
  const int64_t back_ms = deps_.now_ms();
  bool dropped = false;
  {
    std::lock_guard lock(mutex_);
    if (!reply.ok()) return;
    // The agent's first call waits at the server for half a minute: this one has come through.
    if (!report_.connected && report_.problem.empty()) report_.connected = news_ = true;
    if (reply->time_ms != 0) report_.clock_skew_ms = reply->time_ms - (sent_ms + back_ms) / 2;
    if (!reply->drop_run.empty() && reply->drop_run == report.work.run && number == work_number_ &&
        !dropped_) {
      dropped = dropped_ = true;
      why_dropped_ = reply->why;
    }
  }
  if (dropped && deps_.dropped) deps_.dropped();
}

}  // namespace manako
