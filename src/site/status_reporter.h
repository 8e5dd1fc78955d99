// Says what the agent does, while it does it: to the server as heartbeats, to this machine as
// status.json.
#ifndef MANAKO_SITE_STATUS_REPORTER_H_
#define MANAKO_SITE_STATUS_REPORTER_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "core/server_channel.h"
#include "site/site_store.h"

namespace manako {

// With a thread of its own, so that long work is not taken for death. Thread-safe.
class StatusReporter {
 public:
  struct Options {
    double heartbeat_seconds = 5;
    double shortest_seconds = 1;  // between two reports, however much happens
  };
  struct Deps {
    ServerChannel* channel = nullptr;
    const SiteStore* store = nullptr;
    std::function<int64_t()> now_ms;
    std::function<void()> dropped;  // the server wants the present work given up (see Dropped())
  };
  StatusReporter(Options options, Deps deps);
  ~StatusReporter();  // writes a last status.json

  // What the agent does from now on. A word of the server to drop work belongs to the work that it
  // was told of.
  void Begin(std::string_view phase, const std::string& run = "", int round = 0);
  // The same work's next phase.
  void Phase(std::string_view phase);
  void Progress(int64_t step, int64_t steps);
  // Whether the last call to the server went well, and what keeps the agent from working; empty:
  // nothing.
  void Connection(bool connected, std::string_view problem);
  // Whether the server wants the present work given up, and why.
  bool Dropped() const;
  std::string WhyDropped() const;

 private:
  void Work();
  void Report();

  const Options options_;
  const Deps deps_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  SiteReport report_;
  uint64_t work_number_ = 0;
  bool news_ = true, ending_ = false, dropped_ = false;
  std::string why_dropped_;
  std::thread thread_;
};

}  // namespace manako

#endif  // MANAKO_SITE_STATUS_REPORTER_H_
