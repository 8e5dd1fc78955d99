// One TCP or TLS connection as httplib reads and writes it, with an end to everybody's patience.
#ifndef MANAKO_DASHBOARD_HTTP_CONNECTION_H_
#define MANAKO_DASHBOARD_HTTP_CONNECTION_H_

#include <httplib.h>
#include <openssl/ssl.h>

#include <array>
#include <cstdint>
#include <string>

namespace manako {

// Milliseconds of a clock that nobody sets.
int64_t SteadyMs();

// Of one thread. The socket is the owner's to close.
class HttpConnection : public httplib::Stream {
 public:
  // Without `context` no TLS. The socket is made non-blocking.
  HttpConnection(int fd, SSL_CTX* context, int write_ms);
  ~HttpConnection() override;

  // TLS's handshake; true at once without TLS.
  bool Handshake(int timeout_ms);
  // Waits for the first byte of a request. False: none came, or the other side is gone.
  bool WaitForRequest(int timeout_ms);
  // From now on at most so many bytes are read, within so many milliseconds.
  void StartRequest(size_t max_bytes, int timeout_ms);
  // Exactly so many bytes.
  bool ReadExactly(std::string& to, size_t size);
  // Tells the other side that nothing more will come, and lets it read what was sent before the
  // connection is closed on what it may still be sending.
  void FinishWriting();
  // The other side has closed the connection.
  bool gone() const;

  bool is_readable() const override;
  bool is_writable() const override;
  ssize_t read(char* to, size_t size) override;
  ssize_t write(const char* from, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return fd_; }

  const std::string& remote() const { return remote_; }
  bool tls() const { return ssl_ != nullptr; }
  void CloseBehindAnswer() { close_ = true; }
  bool closes_behind_answer() const { return close_; }

 private:
  ssize_t Fill();  // more bytes into buffer_; <= 0: none will come
  bool Poll(short events, int64_t until_ms) const;

  const int fd_;
  SSL* ssl_ = nullptr;
  const int write_ms_;
  std::string remote_;
  int remote_port_ = 0;
  bool close_ = false, failed_ = false;
  int64_t read_until_ms_ = 0;
  size_t may_read_ = 0;
  std::array<char, 4096> buffer_;
  size_t begin_ = 0, end_ = 0;
};

}  // namespace manako

#endif  // MANAKO_DASHBOARD_HTTP_CONNECTION_H_
