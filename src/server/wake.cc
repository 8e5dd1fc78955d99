#include "server/wake.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/status_macros.h"

namespace manako {
namespace {

// A socket's path has at most 107 bytes; a folder's own may be longer, so it is reached through its
// open folder.
struct Address {
  explicit Address(const std::string& folder) {
    address.sun_family = AF_UNIX;
    path = folder + "/wake";
    if (path.size() >= sizeof(address.sun_path)) {
      char cwd[4096];
      if (::getcwd(cwd, sizeof(cwd)) != nullptr && path.starts_with(std::string(cwd) + "/"))
        path = path.substr(std::strlen(cwd) + 1);
    }
    fits = path.size() < sizeof(address.sun_path);
    if (fits) std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
  sockaddr_un address{};
  std::string path;
  bool fits = false;
};

}  // namespace

WakeListener::WakeListener(std::string path, int fd, int end_fd, std::function<void()> ring)
    : path_(std::move(path)), fd_(fd), end_fd_(end_fd), thread_([this, ring = std::move(ring)] {
        while (true) {
          pollfd fds[2] = {{fd_, POLLIN, 0}, {end_fd_, POLLIN, 0}};
          if (::poll(fds, 2, -1) < 0 && errno != EINTR) return;
          if (fds[1].revents != 0) return;
          if (fds[0].revents == 0) continue;
          char byte[16];
          while (::recv(fd_, byte, sizeof(byte), MSG_DONTWAIT) >= 0) {
          }
          ring();
        }
      }) {}

absl::StatusOr<std::unique_ptr<WakeListener>> WakeListener::Start(const std::string& folder,
                                                                  std::function<void()> ring) {
  const Address address(folder);
  if (!address.fits)
    return InvalidArgument(
        "{} is too long a path for a server's folder: use one of at most 100 bytes", folder);
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Internal("cannot make a socket: {}", std::strerror(errno));
  ::unlink(address.path
               .c_str());  // of a server that was killed; the folder's lock says that none runs now
  const mode_t before = ::umask(0177);
  const int bound = ::bind(fd, address.get(), sizeof(address.address));
  const int error = errno;
  ::umask(before);
  if (bound != 0) {
    ::close(fd);
    return FailedPrecondition("cannot listen at {}: {}", address.path, std::strerror(error));
  }
  return std::unique_ptr<WakeListener>(
      new WakeListener(address.path, fd, ::eventfd(0, EFD_CLOEXEC), std::move(ring)));
}

WakeListener::~WakeListener() {
  const uint64_t one = 1;
  static_cast<void>(!::write(end_fd_, &one, sizeof(one)));
  thread_.join();
  ::unlink(path_.c_str());
  ::close(fd_);
  ::close(end_fd_);
}

bool Ring(const std::string& folder) {
  const Address address(folder);
  if (!address.fits) return false;
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const ssize_t sent = ::sendto(fd, "!", 1, MSG_DONTWAIT, address.get(), sizeof(address.address));
  ::close(fd);
  return sent == 1;
}

}  // namespace manako
