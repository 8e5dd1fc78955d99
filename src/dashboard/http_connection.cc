#include "dashboard/http_connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

namespace manako {
namespace {

void Name(const sockaddr_storage& address, std::string& ip, int& port) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    port = ntohs(v4.sin_port);
  } else if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    port = ntohs(v6.sin6_port);
  }
  ip = text;
  if (ip.starts_with("::ffff:")) ip = ip.substr(7);
}

}  // namespace

int64_t SteadyMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

HttpConnection::HttpConnection(int fd, SSL_CTX* context, int write_ms)
    : fd_(fd), write_ms_(write_ms) {
  fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK);
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getpeername(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    Name(address, remote_, remote_port_);
  }
  if (context != nullptr) {
    ssl_ = SSL_new(context);
    if (ssl_ == nullptr || SSL_set_fd(ssl_, fd_) != 1) failed_ = true;
  }
}

HttpConnection::~HttpConnection() {
  if (ssl_ != nullptr) SSL_free(ssl_);
}

bool HttpConnection::Poll(short events, int64_t until_ms) const {
  for (;;) {
    const int64_t left = until_ms - SteadyMs();
    if (left <= 0) return false;
    pollfd wanted{.fd = fd_, .events = events, .revents = 0};
    const int ready = poll(&wanted, 1, static_cast<int>(std::min<int64_t>(left, 60'000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

bool HttpConnection::Handshake(int timeout_ms) {
  if (failed_) return false;
  if (ssl_ == nullptr) return true;
  const int64_t until = SteadyMs() + timeout_ms;
  for (;;) {
    ERR_clear_error();
    const int result = SSL_accept(ssl_);
    if (result == 1) return true;
    const int error = SSL_get_error(ssl_, result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) break;
    if (!Poll(error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, until)) break;
  }
  failed_ = true;
  return false;
}

bool HttpConnection::WaitForRequest(int timeout_ms) {
  if (failed_) return false;
  if (begin_ < end_ || (ssl_ != nullptr && SSL_pending(ssl_) > 0)) return true;
  return Poll(POLLIN, SteadyMs() + timeout_ms);
}

void HttpConnection::StartRequest(size_t max_bytes, int timeout_ms) {
  may_read_ = max_bytes;
  read_until_ms_ = SteadyMs() + timeout_ms;
}

ssize_t HttpConnection::Fill() {
  begin_ = end_ = 0;
  for (;;) {
    if (failed_ || SteadyMs() >= read_until_ms_) return -1;
    if (ssl_ != nullptr) {
      ERR_clear_error();
      const int got = SSL_read(ssl_, buffer_.data(), static_cast<int>(buffer_.size()));
      if (got > 0) {
        end_ = static_cast<size_t>(got);
        return got;
      }
      const int error = SSL_get_error(ssl_, got);
      if (error == SSL_ERROR_ZERO_RETURN) return 0;
      if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
        failed_ = true;
        return -1;
      }
      if (!Poll(error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, read_until_ms_)) return -1;
      continue;
    }
    const ssize_t got = recv(fd_, buffer_.data(), buffer_.size(), 0);
    if (got >= 0) {
      end_ = static_cast<size_t>(got);
      return got;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return -1;
    if (!Poll(POLLIN, read_until_ms_)) return -1;
  }
}

ssize_t HttpConnection::read(char* to, size_t size) {
  if (size == 0) return 0;
  if (may_read_ == 0) return -1;
  if (begin_ == end_) {
    const ssize_t got = Fill();
    if (got <= 0) return got;
  }
  const size_t taken = std::min({size, end_ - begin_, may_read_});
  std::memcpy(to, buffer_.data() + begin_, taken);
  begin_ += taken;
  may_read_ -= taken;
  return static_cast<ssize_t>(taken);
}

bool HttpConnection::ReadExactly(std::string& to, size_t size) {
  to.clear();
  std::array<char, 4096> piece;
  while (to.size() < size) {
    const ssize_t got = read(piece.data(), std::min(piece.size(), size - to.size()));
    if (got <= 0) return false;
    to.append(piece.data(), static_cast<size_t>(got));
  }
  return true;
}

ssize_t HttpConnection::write(const char* from, size_t size) {
  constexpr size_t kPiece = 16 << 10;
  size_t done = 0;
  int64_t until = SteadyMs() + write_ms_;
  while (done < size) {
    if (failed_) return -1;
    const size_t piece = std::min(kPiece, size - done);
    if (ssl_ != nullptr) {
      ERR_clear_error();
      const int sent = SSL_write(ssl_, from + done, static_cast<int>(piece));
      if (sent > 0) {
        done += static_cast<size_t>(sent);
        until = SteadyMs() + write_ms_;
        continue;
      }
      const int error = SSL_get_error(ssl_, sent);
      const bool waits = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
      if (waits && Poll(error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, until)) continue;
      failed_ = true;
      return -1;
    }
    const ssize_t sent = send(fd_, from + done, piece, MSG_NOSIGNAL);
    if (sent >= 0) {
      done += static_cast<size_t>(sent);
      // One byte now and then is no progress: the time starts anew with whole pieces alone.
      if (static_cast<size_t>(sent) == piece) until = SteadyMs() + write_ms_;
      continue;
    }
    if (errno == EINTR) continue;
    if ((errno == EAGAIN || errno == EWOULDBLOCK) && Poll(POLLOUT, until)) continue;
    failed_ = true;
    return -1;
  }
  return static_cast<ssize_t>(done);
}

void HttpConnection::FinishWriting() {
  if (ssl_ != nullptr && !failed_) SSL_shutdown(ssl_);
  shutdown(fd_, SHUT_WR);
  const int64_t until = SteadyMs() + 1'000;
  char thrown[4096];
  for (size_t total = 0; total < (size_t{4} << 20) && Poll(POLLIN, until);) {
    const ssize_t got = recv(fd_, thrown, sizeof thrown, 0);
    if (got <= 0) return;
    total += static_cast<size_t>(got);
  }
}

bool HttpConnection::gone() const {
  if (failed_) return true;
  pollfd state{.fd = fd_, .events = POLLRDHUP, .revents = 0};
  return poll(&state, 1, 0) > 0;
}

bool HttpConnection::is_readable() const { return begin_ < end_ || Poll(POLLIN, read_until_ms_); }

bool HttpConnection::is_writable() const {
  return !failed_ && Poll(POLLOUT, SteadyMs() + write_ms_);
}

void HttpConnection::get_remote_ip_and_port(std::string& ip, int& port) const {
  ip = remote_;
  port = remote_port_;
}

void HttpConnection::get_local_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0) Name(address, ip, port);
}

}  // namespace manako
