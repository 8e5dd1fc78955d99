// The site's agent: takes what the server asks, does what the site's policy allows, and sends the
// answers.
#ifndef MANAKO_SITE_AGENT_H_
#define MANAKO_SITE_AGENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/server_channel.h"
#include "core/site_work.h"
#include "site/ledger.h"
#include "site/site_config.h"
#include "site/site_store.h"

namespace manako {

// Knows neither network nor learner. One for each folder; Run() once.
class SiteAgent {
 public:
  struct Options {
    SiteConfig config;                  // validated
    std::vector<std::string> networks;  // architectures that are built in (policy.h)
    int threads = 1;                    // to encode and decode with
    double heartbeat_seconds = 5;
    // Between tries after an error that passes: the first one, doubled each time up to the longest,
    // each drawn uniformly from its upper half.
    double first_retry_seconds = 0.2, longest_retry_seconds = 30;
    uint64_t retry_seed = 0;  // another at every site, so that they do not all come back at once
  };
  // Nothing is owned; all must outlive the agent.
  struct Deps {
    ServerChannel* channel = nullptr;
    SiteWork* work = nullptr;
    SiteStore* store = nullptr;
    Ledger* ledger = nullptr;
    std::function<int64_t()> now_ms;  // since 1970
    std::function<void(std::string_view line)>
        log;  // any thread; what a person should know, one line
    // Called once, from any thread, when the agent is to end, whoever said so: ends calls that wait
    // at the server. May be empty.
    std::function<void()> ending = nullptr;
  };
  SiteAgent(Options options, Deps deps);
  ~SiteAgent();

  // Works until it is told to stop (`stop`, or the folder's stop flag: OK, behind the task that it
  // is at, or at once where that waits for the server or a person), or until an error that will not
  // pass: Unauthenticated and PermissionDenied of the server (revoked, another federation), or a
  // folder that cannot be written. Everything else is one run's matter: that run gets a Failure,
  // and the agent goes on.
  absl::Status Run(std::stop_token stop);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace manako

#endif  // MANAKO_SITE_AGENT_H_
