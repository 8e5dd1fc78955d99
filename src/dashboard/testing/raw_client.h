// A TCP connection on which a test says what it likes.
#ifndef MANAKO_DASHBOARD_TESTING_RAW_CLIENT_H_
#define MANAKO_DASHBOARD_TESTING_RAW_CLIENT_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace manako {

class RawClient {
 public:
  explicit RawClient(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawClient() { close(fd_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  // Everything until `text` has come, the other side closes, or the time is up.
  std::string ReadUntil(std::string_view text, int timeout_ms = 20'000) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
    while (text.empty() || got_.find(text) == std::string::npos) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          until - std::chrono::steady_clock::now());
      pollfd ready{.fd = fd_, .events = POLLIN, .revents = 0};
      if (left.count() <= 0 || poll(&ready, 1, static_cast<int>(left.count())) <= 0) break;
      char piece[65536];
      const ssize_t size = recv(fd_, piece, sizeof piece, 0);
      if (size <= 0) {
        closed_ = true;
        break;
      }
      got_.append(piece, static_cast<size_t>(size));
    }
    return got_;
  }
  std::string ReadToEnd(int timeout_ms = 20'000) { return ReadUntil("", timeout_ms); }
  bool closed() const { return closed_; }
  void Forget() { got_.clear(); }

 private:
  const int fd_;
  bool connected_ = false, closed_ = false;
  std::string got_;
};

}  // namespace manako

#endif  // MANAKO_DASHBOARD_TESTING_RAW_CLIENT_H_
