// Puts a Server on the network: gRPC over TLS 1.3, one port.
#ifndef MANAKO_WIRE_GRPC_SERVER_H_
#define MANAKO_WIRE_GRPC_SERVER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/enrolment.h"
#include "server/server.h"

namespace manako {

// Who calls is settled by the client's certificate, which the federation's authority has signed:
// each call is checked against the site's state in the database, so that a revoked site is refused
// at its next word, on a connection that is open too.
class GrpcServer {
 public:
  struct Options {
    std::string listen = "0.0.0.0:8443";  // address:port; port 0: any
    std::string software;                 // this version
    int threads = 4;                      // that judge updates and write answers down
  };
  struct Deps {
    Server* server = nullptr;
    Enrolment* enrolment = nullptr;
    FederationStore* store = nullptr;
    std::function<int64_t()> now_ms;
    std::function<void(std::string_view line)> log;
  };
  // Unavailable: the address cannot be listened at (says which).
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(Options options, Deps deps);
  // Ends open calls; state is safe at any moment.
  ~GrpcServer();

  int port() const;
  // Sites may have been revoked: what they wait for ends.
  void Recheck();
  // Open connections' waiting calls: for tests and metrics.
  size_t waiting() const;

 private:
  struct Impl;
  explicit GrpcServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// TLS 1.3 and nothing below, for every gRPC connection of this process: call before the first is
// made. (gRPC 1.51 has no setting for it. Its list of TLS 1.2 ciphers is one that needs a
// pre-shared key, which nobody has; TLS 1.3's are not in that list.)
void RequireTls13();

}  // namespace manako

#endif  // MANAKO_WIRE_GRPC_SERVER_H_
