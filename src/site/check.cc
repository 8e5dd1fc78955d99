#include "site/check.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/status_macros.h"
#include "site/policy.h"

namespace manako {
namespace {

using Level = Finding::Level;

constexpr int64_t kMuchSkewMs = 60 * 1000;
constexpr uintmax_t kLittleSpace = uintmax_t{2} << 30;

int64_t At(const std::vector<int64_t>& counts, size_t c) {
  return c < counts.size() ? counts[c] : 0;
}

void CheckFolder(const SiteCheck& check, std::vector<Finding>& out) {
  const std::string& root = check.folder.root;
  if (::access(root.c_str(), W_OK | X_OK) != 0) {
    out.push_back({Level::kError,
                   fmt::format("{} cannot be written: {}", root, std::strerror(errno)),
                   "give it to the user that runs manako"});
    return;
  }
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(root, error);
  if (!error && space.available < kLittleSpace) {
    out.push_back(
        {Level::kWarning,
         fmt::format("{} MB are free where {} is: models, updates and decoded images need room",
                     space.available >> 20, root),
         "free some space, or give [compute] cache a folder on another disk"});
  } else if (!error) {
    out.push_back(
        {Level::kGood, fmt::format("{} GB are free where {} is", space.available >> 30, root), ""});
  }
}

void CheckKeys(const SiteCheck& check, std::vector<Finding>& out) {
  for (const std::string& path : check.key_files) {
    struct stat info;
    if (::stat(path.c_str(), &info) != 0) {
      out.push_back({Level::kError, fmt::format("{}: {}", path, std::strerror(errno)),
                     "join the federation again with a new invitation"});
    } else if ((info.st_mode & 077) != 0) {
      out.push_back({Level::kError,
                     fmt::format("{} can be read by others than its owner (mode {:o})", path,
                                 info.st_mode & 0777),
                     "chmod 600 " + path});
    } else {
      out.push_back({Level::kGood, path + " is its owner's alone", ""});
    }
  }
}

void CheckImages(const SiteCheck& check, std::vector<Finding>& out) {
  const auto ignore = [](int64_t, int64_t) {};
  auto prepared = check.work->Prepare(check.sample, check.progress ? check.progress : ignore);
  if (!prepared.ok()) {
    out.push_back({Level::kError,
                   "the images cannot be used: " + std::string(MessageOf(prepared.status())),
                   "mend site.toml, [data] and [labels]"});
    return;
  }
  const SiteCounts& counts = (*prepared)->counts();
  const SiteCounts rounded = RoundedCounts(check.config.policy, counts);
  const auto& classes = check.sample.run.classes;
  for (size_t c = 0; c < classes.size(); ++c) {
    const bool changed = At(counts.train, c) != At(rounded.train, c) ||
                         At(counts.validation, c) != At(rounded.validation, c) ||
                         At(counts.test, c) != At(rounded.test, c);
    std::string what =
        fmt::format("{}: {} images to train, {} to validate, {} to test", classes[c],
                    At(counts.train, c), At(counts.validation, c), At(counts.test, c));
    if (changed) {
      what += fmt::format("; the server is told {}, {}, {}", At(rounded.train, c),
                          At(rounded.validation, c), At(rounded.test, c));
    }
    out.push_back({Level::kGood, std::move(what), ""});
    if (At(counts.test, c) == 0) {
      out.push_back({Level::kNote,
                     fmt::format("no test images of {}: tests here say little", classes[c]), ""});
    }
  }
  for (const std::string& reason : TooFewImages(check.config.policy, check.sample, counts)) {
    out.push_back({Level::kWarning, "a run like this is refused: " + reason,
                   "more images, or another policy.min_images_per_class"});
  }
}

void CheckServer(const SiteCheck& check, std::vector<Finding>& out) {
  if (check.config.server.proxy.empty()) {
    for (const char* name : {"https_proxy", "HTTPS_PROXY"}) {
      if (const char* proxy = std::getenv(name); proxy != nullptr && *proxy != '\0') {
        out.push_back(
            {Level::kNote, fmt::format("the server is reached through the proxy of {}", name), ""});
        break;
      }
    }
  }
  SiteStatus status;
  status.phase = "idle";
  const int64_t sent_ms = check.now_ms();
  const auto reply = check.channel->ReportStatus(status);
  const int64_t back_ms = check.now_ms();
  if (!reply.ok()) {
    out.push_back(
        {Level::kError,
         fmt::format("{} does not answer as it should: {}", check.config.server.address,
                     MessageOf(reply.status())),
         "check address, proxy and firewall: one outbound TCP connection is all that is needed"});
    return;
  }
  out.push_back(
      {Level::kGood,
       fmt::format("{} answers within {} ms", check.config.server.address, back_ms - sent_ms), ""});
  if (reply->time_ms == 0) return;
  const int64_t skew_ms = reply->time_ms - (sent_ms + back_ms) / 2;
  if (std::abs(skew_ms) > kMuchSkewMs) {
    out.push_back({Level::kWarning,
                   fmt::format("this clock is {} s {} the server's", std::abs(skew_ms) / 1000,
                               skew_ms > 0 ? "behind" : "before"),
                   "set the clock (timedatectl set-ntp true)"});
  }
}

}  // namespace

std::vector<Finding> CheckSite(const SiteCheck& check) {
  std::vector<Finding> findings;
  if (absl::Status valid = check.config.Validate(); !valid.ok()) {
    findings.push_back(
        {Level::kError, "site.toml: " + std::string(MessageOf(valid)), "mend that line"});
  } else {
    findings.push_back({Level::kGood, "site.toml is in order", ""});
  }
  CheckFolder(check, findings);
  CheckKeys(check, findings);
  if (check.work != nullptr) CheckImages(check, findings);
  if (check.channel != nullptr) CheckServer(check, findings);
  return findings;
}

Finding::Level WorstOf(const std::vector<Finding>& findings) {
  Level worst = Level::kGood;
  for (const Finding& finding : findings) worst = std::max(worst, finding.level);
  return worst;
}

}  // namespace manako
