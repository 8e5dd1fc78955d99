#include "site/folder_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "base/status_macros.h"

namespace manako {

absl::StatusOr<std::unique_ptr<FolderWatch>> FolderWatch::Start(
    const std::vector<std::string>& folders, std::vector<std::string> endings,
    std::function<void()> changed) {
  std::unique_ptr<FolderWatch> watch(new FolderWatch);
  watch->endings_ = std::move(endings);
  watch->changed_ = std::move(changed);
  watch->inotify_ = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  watch->wake_ = ::eventfd(0, EFD_CLOEXEC);
  const auto failed = [](std::string_view what) {
    return absl::UnavailableError(fmt::format(
        "cannot watch {}: {} (fs.inotify.max_user_instances and max_user_watches limit it)", what,
        std::strerror(errno)));
  };
  if (watch->inotify_ < 0 || watch->wake_ < 0) return failed("folders");
  for (const std::string& folder : folders) {
    if (::inotify_add_watch(watch->inotify_, folder.c_str(),
                            IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR) <
        0) {
      return failed(folder);
    }
  }
  watch->thread_ = std::thread([raw = watch.get()] { raw->Watch(); });
  return watch;
}

FolderWatch::~FolderWatch() {
  if (thread_.joinable()) {
    const uint64_t one = 1;
    while (::write(wake_, &one, sizeof one) < 0 && errno == EINTR) {
    }
    thread_.join();
  }
  if (inotify_ >= 0) ::close(inotify_);
  if (wake_ >= 0) ::close(wake_);
}

void FolderWatch::Watch() {
  alignas(inotify_event) char buffer[16384];
  while (true) {
    pollfd both[2] = {{inotify_, POLLIN, 0}, {wake_, POLLIN, 0}};
    if (::poll(both, 2, -1) < 0 && errno != EINTR) return;
    if (both[1].revents != 0) return;
    bool concerns = false;
    for (ssize_t n; (n = ::read(inotify_, buffer, sizeof buffer)) > 0;) {
      for (const char* at = buffer; at < buffer + n;) {
        const auto* event = reinterpret_cast<const inotify_event*>(at);
        at += sizeof(inotify_event) + event->len;
        // Events were lost: something may have happened.
        if ((event->mask & IN_Q_OVERFLOW) != 0) concerns = true;
        const std::string_view name = event->len > 0 ? event->name : "";
        concerns |= std::any_of(endings_.begin(), endings_.end(),
                                [&](const std::string& ending) { return name.ends_with(ending); });
      }
    }
    if (concerns) changed_();
  }
}

}  // namespace manako
