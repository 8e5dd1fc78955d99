// What is wrong at a site before a run finds out: the logic of `manako site check`.
#ifndef MANAKO_SITE_CHECK_H_
#define MANAKO_SITE_CHECK_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/server_channel.h"
#include "core/site_work.h"
#include "site/site_config.h"
#include "site/site_folder.h"

namespace manako {

struct Finding {
  enum class Level : uint8_t { kGood, kNote, kWarning, kError };
  Level level = Level::kGood;
  std::string what;  // one line
  std::string fix;   // what to do about it; empty: nothing
};

struct SiteCheck {
  SiteFolder folder;
  SiteConfig config;  // as read; its own mistakes are findings
  FederatedRunConfig
      sample;  // a run as it might be offered, to read the images by; its classes are shown
  std::vector<std::string> key_files;  // that only their owner may read
  SiteWork* work = nullptr;            // null: the images are not looked at
  ServerChannel* channel = nullptr;    // null: the server is not asked
  std::function<int64_t()> now_ms;
  std::function<void(int64_t done, int64_t total)> progress;  // of reading images; may be null
};

// Looks at everything, whatever it finds; in the order in which a person would go about it.
std::vector<Finding> CheckSite(const SiteCheck& check);
// The worst of them.
Finding::Level WorstOf(const std::vector<Finding>& findings);

}  // namespace manako

#endif  // MANAKO_SITE_CHECK_H_
