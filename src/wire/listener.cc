#include "wire/listener.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include "base/status_macros.h"
#include "base/system_error.h"

namespace manako {
namespace {

// A TLS record: type, version, length; a handshake's is at most 16 KiB.
constexpr size_t kRecordHeader = 5, kMostRecord = 16384;
constexpr uint8_t kHandshake = 22;

int64_t MonotonicMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// A socket that listens at one address of the resolver's; -1: it cannot (errno).
int ListenAt(const addrinfo& at, bool both_families) {
  const int fd = ::socket(at.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  const int on = 1, only = both_families ? 0 : 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (at.ai_family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
  if (::bind(fd, at.ai_addr, at.ai_addrlen) == 0 && ::listen(fd, SOMAXCONN) == 0) return fd;
  const int error = errno;
  ::close(fd);
  errno = error;
  return -1;
}

int PortOf(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&address)->sin6_port
                                             : reinterpret_cast<sockaddr_in*>(&address)->sin_port);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Listener>> Listener::Open(Options options) {
  const size_t colon = options.address.rfind(':');
  if (colon == std::string::npos)
    return InvalidArgument("{} is no address to listen at: give HOST:PORT", options.address);
  std::string host = options.address.substr(0, colon);
  const std::string port = options.address.substr(colon + 1);
  if (host.size() > 1 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  const bool all = host.empty() || host == "0.0.0.0" || host == "::";
  int fd = -1;
  // All addresses: of both families by one socket, where the machine has IPv6.
  for (const char* name : {all ? "::" : host.c_str(), all ? "0.0.0.0" : ""}) {
    if (fd >= 0 || *name == '\0') continue;
    addrinfo hints{};
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(name, port.c_str(), &hints, &found) != 0) continue;
    for (const addrinfo* at = found; at != nullptr && fd < 0; at = at->ai_next)
      fd = ListenAt(*at, all);
    ::freeaddrinfo(found);
  }
  if (fd < 0) {
    return absl::UnavailableError(
        fmt::format("cannot listen at {}: is another server running, or the port below 1024?",
                    options.address));
  }
  std::unique_ptr<Listener> listener(new Listener(std::move(options), fd, PortOf(fd)));
  if (listener->epoll_ < 0 || listener->end_ < 0) return SystemError("cannot wait at", "a socket");
  return listener;
}

Listener::Listener(Options options, int fd, int port)
    : options_(std::move(options)),
      fd_(fd),
      port_(port),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      end_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const int most = static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 1 << 24));
  const int reserve = options_.reserve > 0 ? options_.reserve : std::clamp(most / 4, 32, 256);
  highest_ = std::max(most - reserve, 1);
}

Listener::~Listener() {
  if (thread_.joinable()) {
    const uint64_t one = 1;
    static_cast<void>(::write(end_, &one, sizeof one));
    thread_.join();
  }
  for (const Waiting& waiting : waiting_) ::close(waiting.fd);
  for (const int fd : {fd_, epoll_, end_}) {
    if (fd >= 0) ::close(fd);
  }
}

void Listener::Run(std::function<void(int fd)> hand) {
  hand_ = std::move(hand);
  for (const int fd : {fd_, end_}) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }
  thread_ = std::thread([this] { Work(); });
}

void Listener::Work() {
  std::array<epoll_event, 256> events;
  while (true) {
    int timeout = -1;
    const int64_t now = MonotonicMs();
    while (!waiting_.empty() && now >= waiting_.front().since_ms + options_.patience_ms)
      Drop(waiting_.front().fd, /*close=*/true);
    if (!waiting_.empty())
      timeout = static_cast<int>(waiting_.front().since_ms + options_.patience_ms - now);
    const int n = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), timeout);
    bool take = false;
    for (int i = 0; i < n; ++i) {
      const int fd = events[static_cast<size_t>(i)].data.fd;
      if (fd == end_) return;
      // What is new comes last: until then no descriptor of these events is another connection's.
      if (fd == fd_) {
        take = true;
      } else if ((events[static_cast<size_t>(i)].events & EPOLLRDHUP) != 0) {
        Drop(fd, /*close=*/true);
      } else {
        Look(fd);
      }
    }
    if (take) Take();
  }
}

void Listener::Take() {
  for (int i = 0; i < 64; ++i) {
    int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) return;
      // The whole reserve is in use, or the machine's. It will pass.
      if (!waiting_.empty()) {
        Drop(waiting_.front().fd, /*close=*/true);
        continue;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      return;
    }
    if (!MakeRoom(&fd)) {
      ::close(fd);
      continue;
    }
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    waiting_.push_back({fd, MonotonicMs()});
    places_[fd] = std::prev(waiting_.end());
    epoll_event event{};
    event.events = EPOLLIN | EPOLLRDHUP | EPOLLET;  // at each arrival once
    event.data.fd = fd;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) {
      Drop(fd, /*close=*/true);
    } else {
      Look(fd);  // who speaks at once is not pushed out by those that come with it
    }
  }
}

// The kernel gives the lowest number that is free: so it tells how many are in use, as long as no
// connection keeps a higher one.
bool Listener::MakeRoom(int* fd) {
  while (*fd >= highest_ || waiting_.size() >= options_.most_waiting) {
    // What has begun its handshake since is handed on first.
    if (!waiting_.empty()) Look(waiting_.front().fd);
    if (waiting_.empty()) return false;
    Drop(waiting_.front().fd, /*close=*/true);
    const int lower = ::fcntl(*fd, F_DUPFD_CLOEXEC, 0);
    if (lower < 0) return false;
    ::close(std::exchange(*fd, lower));
  }
  return true;
}

void Listener::Look(int fd) {
  if (!places_.contains(fd)) return;
  std::array<uint8_t, kRecordHeader + kMostRecord> bytes;
  const ssize_t n = ::recv(fd, bytes.data(), bytes.size(), MSG_PEEK);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0 || bytes[0] != kHandshake) return Drop(fd, /*close=*/true);
  const auto size = static_cast<size_t>(n);
  if (size < kRecordHeader) return;
  const size_t record = static_cast<size_t>(bytes[3]) << 8 | bytes[4];
  if (record > kMostRecord) return Drop(fd, /*close=*/true);
  if (size < kRecordHeader + record) return;
  Drop(fd, /*close=*/false);
  hand_(fd);
}

void Listener::Drop(int fd, bool close) {
  const auto place = places_.find(fd);
  if (place == places_.end()) return;
  waiting_.erase(place->second);
  places_.erase(place);
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  if (close) ::close(fd);
}

}  // namespace manako
