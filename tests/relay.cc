#include "relay.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <deque>
#include <string>

#include "base/random.h"

namespace manako {
namespace {

constexpr size_t kPiece = 1400;
constexpr size_t kMostQueued = 256 << 10;

int64_t NowUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

// Closes it so that the other end sees a reset.
void Reset(int fd) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  ::close(fd);
}

void MakeQuick(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

}  // namespace

struct Relay::Way {
  struct Piece {
    int64_t due_us = 0;
    std::string bytes;
  };
  int from = -1, to = -1;
  Random random;
  std::deque<Piece> queue;
  size_t queued = 0;
  int64_t passed = 0, free_us = 0, last_due_us = 0;
  bool ended = false, told = false;

  void Take(const char* data, size_t size, const Options& options) {
    const bool plain =
        options.delay_ms == 0 && options.bytes_per_second == 0 && options.stall_share <= 0;
    while (size > 0) {
      const size_t n = plain ? size : std::min(size, kPiece);
      int64_t due = NowUs();
      if (!plain) {
        free_us = std::max(free_us, due);
        if (options.bytes_per_second > 0)
          free_us += static_cast<int64_t>(n) * 1'000'000 / options.bytes_per_second;
        due = free_us + options.delay_ms * 1000;
        if (options.stall_share > 0 && random.Uniform(0, 1) < options.stall_share)
          due += options.stall_ms * 1000;
        due = last_due_us = std::max(last_due_us, due);
      }
      queue.push_back({due, std::string(data, n)});
      queued += n;
      data += n;
      size -= n;
    }
  }
};

Relay::Relay(Options options) : options_(options) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::listen(listener_, 64), 0);
  EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

Relay::~Relay() {
  ending_ = true;
  acceptor_.join();
  for (std::thread& server : servers_) server.join();
  ::close(listener_);
}

void Relay::Accept() {
  while (!ending_) {
    pollfd ready{listener_, POLLIN, 0};
    if (::poll(&ready, 1, 20) <= 0) continue;
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    if (refuses_) {
      Reset(client);
      continue;
    }
    const int number = ++connections_;
    const std::lock_guard lock(mutex_);
    servers_.emplace_back([this, client, number] { Serve(client, number); });
  }
}

// Reads up to the empty line of a CONNECT and says yes.
bool Relay::AnswerConnect(int client) const {
  std::string request;
  while (!ending_ && request.find("\r\n\r\n") == std::string::npos) {
    pollfd ready{client, POLLIN, 0};
    if (::poll(&ready, 1, 20) <= 0) continue;
    char byte;
    if (::read(client, &byte, 1) != 1) return false;
    request += byte;
  }
  if (!request.starts_with("CONNECT ")) return false;
  static const std::string yes = "HTTP/1.1 200 Connection established\r\n\r\n";
  return ::write(client, yes.data(), yes.size()) == static_cast<ssize_t>(yes.size());
}

// What is due. False: the connection is to be reset.
bool Relay::Forward(Way& way, std::atomic<int64_t>& cut, std::atomic<int64_t>& most) {
  while (!way.queue.empty() && way.queue.front().due_us <= NowUs()) {
    std::string& bytes = way.queue.front().bytes;
    size_t n = bytes.size();
    const int64_t until = cut;
    if (until >= 0) n = std::min(n, static_cast<size_t>(std::max<int64_t>(0, until - way.passed)));
    const ssize_t sent = n == 0 ? 0 : ::send(way.to, bytes.data(), n, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    way.passed += sent;
    way.queued -= static_cast<size_t>(sent);
    if (way.passed > most) most = way.passed;
    if (static_cast<size_t>(sent) == bytes.size()) {
      way.queue.pop_front();
    } else {
      bytes.erase(0, static_cast<size_t>(sent));
    }
    int64_t expected = until;
    if (until >= 0 && way.passed >= until && cut.compare_exchange_strong(expected, -1)) {
      ++cuts_;
      return false;
    }
  }
  if (way.ended && way.queue.empty() && !way.told) {
    ::shutdown(way.to, SHUT_WR);
    way.told = true;
  }
  return true;
}

void Relay::Serve(int client, int number) {
  const int64_t made_us = NowUs();
  const int resets = resets_;
  const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(options_.to_port);
  if ((options_.proxy && !AnswerConnect(client)) ||
      ::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ::close(server);
    Reset(client);
    return;
  }
  MakeQuick(client);
  MakeQuick(server);
  Way up{client, server, Random(options_.seed, "relay.up", static_cast<uint64_t>(number)), {}};
  Way down{server, client, Random(options_.seed, "relay.down", static_cast<uint64_t>(number)), {}};
  bool good = true;
  while (good && !ending_ && !(up.told && down.told)) {
    if (resets != resets_) break;
    if (options_.lifetime_ms > 0 && NowUs() - made_us > options_.lifetime_ms * 1000) {
      ++cuts_;
      break;
    }
    if (parted_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      continue;
    }
    int64_t wait_us = 20'000;
    std::vector<pollfd> ready;
    for (Way* way : {&up, &down}) {
      if (!way->ended && way->queued < kMostQueued) ready.push_back({way->from, POLLIN, 0});
      if (way->queue.empty()) continue;
      const int64_t left = way->queue.front().due_us - NowUs();
      if (left <= 0) ready.push_back({way->to, POLLOUT, 0});
      wait_us = std::min(wait_us, std::max<int64_t>(left, 0));
    }
    // Whole milliseconds, rounded up: a queue that is due in less must not be waited for without
    // sleep.
    ::poll(ready.data(), ready.size(),
           static_cast<int>((wait_us + 999) / 1000) + (wait_us == 0 ? 1 : 0));
    for (Way* way : {&up, &down}) {
      if (!way->ended && way->queued < kMostQueued) {
        char piece[65536];
        const ssize_t n = ::read(way->from, piece, sizeof piece);
        if (n > 0) way->Take(piece, static_cast<size_t>(n), options_);
        if (n == 0) way->ended = true;
        if (n < 0 && errno != EAGAIN && errno != EINTR) good = false;
      }
      good = good &&
             Forward(*way, way == &up ? cut_up_ : cut_down_, way == &up ? most_up_ : most_down_);
    }
  }
  if (up.told && down.told) {
    ::close(client);
    ::close(server);
  } else {
    Reset(client);
    Reset(server);
  }
}

}  // namespace manako
