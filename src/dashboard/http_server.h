// HTTP/1.1 over TCP, or over TLS, for a handful of people and Prometheus. The bytes that come may
// be hostile; so may their pace.
#ifndef MANAKO_DASHBOARD_HTTP_SERVER_H_
#define MANAKO_DASHBOARD_HTTP_SERVER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "dashboard/http_message.h"

namespace manako {

// The destructor ends all connections and waits for their handlers.
class HttpServer {
 public:
  struct Options {
    std::string host = "127.0.0.1";          // IP address to listen at
    uint16_t port = 0;                       // 0: any free one
    std::string certificate = {}, key = {};  // PEM files; empty: no TLS
    int max_connections = 128;               // more are closed at once
    int max_connections_per_address = 64;
    int request_ms = 10'000;  // for a whole request to come, from its first byte
    int idle_ms = 15'000;     // between requests
    int write_ms = 20'000;    // for each 16 KiB of an answer to leave
    size_t max_header_bytes = 32 << 10;
    size_t max_body_bytes = 256 << 10;
  };
  // InvalidArgument: an address other than this machine's own (loopback) without TLS;
  // FailedPrecondition: the certificate or the key cannot be used; Unavailable: the address is
  // taken.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const Options& options,
                                                           HttpHandler handler);
  virtual ~HttpServer() = default;
  virtual uint16_t port() const = 0;
};

// 127.0.0.0/8, ::1.
bool IsLoopback(const std::string& ip);

}  // namespace manako

#endif  // MANAKO_DASHBOARD_HTTP_SERVER_H_
