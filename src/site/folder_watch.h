// Sees at once what other processes put into a folder.
#ifndef MANAKO_SITE_FOLDER_WATCH_H_
#define MANAKO_SITE_FOLDER_WATCH_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"

namespace manako {

// Linux's inotify; no polling. Does not see what other machines write into a network folder.
class FolderWatch {
 public:
  // Calls changed() on a thread of its own when a file with one of the `endings` of its name
  // appears, is replaced or goes in one of the folders, until this is destroyed. Unavailable: the
  // system has no watch left to give (says which limit).
  static absl::StatusOr<std::unique_ptr<FolderWatch>> Start(const std::vector<std::string>& folders,
                                                            std::vector<std::string> endings,
                                                            std::function<void()> changed);
  ~FolderWatch();
  FolderWatch(const FolderWatch&) = delete;
  FolderWatch& operator=(const FolderWatch&) = delete;

 private:
  FolderWatch() = default;
  void Watch();

  int inotify_ = -1, wake_ = -1;
  std::vector<std::string> endings_;
  std::function<void()> changed_;
  std::thread thread_;
};

}  // namespace manako

#endif  // MANAKO_SITE_FOLDER_WATCH_H_
