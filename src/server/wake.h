// Rings at a server in another process: "look at the database".
#ifndef MANAKO_SERVER_WAKE_H_
#define MANAKO_SERVER_WAKE_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"

namespace manako {

// Listens at `wake` in the server's folder, a datagram socket that only its owner may write to, and
// calls `ring` on a thread of its own for each ring (several that come together may be one).
class WakeListener {
 public:
  static absl::StatusOr<std::unique_ptr<WakeListener>> Start(const std::string& folder,
                                                             std::function<void()> ring);
  ~WakeListener();

 private:
  WakeListener(std::string path, int fd, int end_fd, std::function<void()> ring);
  std::string path_;
  int fd_, end_fd_;
  std::thread thread_;
};

// True when a server heard it. When none runs there is nothing to do: the next one looks at the
// database first.
bool Ring(const std::string& folder);

}  // namespace manako

#endif  // MANAKO_SERVER_WAKE_H_
