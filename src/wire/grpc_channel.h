// A site's way to the server: gRPC over TLS 1.3, outwards only.
#ifndef MANAKO_WIRE_GRPC_CHANNEL_H_
#define MANAKO_WIRE_GRPC_CHANNEL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/server_channel.h"
#include "identity/invitation.h"
#include "identity/private_key.h"

namespace manako {

// What joining gives.
struct Joined {
  std::string certificate, authority;  // PEM
  std::string site, federation;
  int64_t clock_skew_ms = 0;  // this machine's clock less the server's
};

// Joins with an invitation: the server is known by its authority's fingerprint, checked before the
// token is sent. Proxies as https_proxy and no_proxy say. PermissionDenied: another authority, or
// the token; Unavailable: cannot be reached.
absl::StatusOr<Joined> JoinFederation(const Invitation& invitation, const PrivateKey& key,
                                      const std::string& software, int64_t now_ms);

class GrpcChannel : public ServerChannel {
 public:
  struct Options {
    ServerAddress server;
    std::string authority;    // PEM
    std::string certificate;  // PEM
    std::string software;
    int64_t wait_ms = 25'000;  // of NextTask: below what proxies allow a silent call
  };
  static absl::StatusOr<std::unique_ptr<GrpcChannel>> Connect(Options options,
                                                              const PrivateKey& key);
  ~GrpcChannel() override;

  struct Greeting {
    std::string software, federation, site;
    int64_t clock_skew_ms = 0;
  };
  // A process's first call.
  absl::StatusOr<Greeting> Hello(int64_t now_ms);
  // A new certificate for this key.
  absl::StatusOr<Joined> Renew(const PrivateKey& key, int64_t now_ms);

  // The site's last word. PermissionDenied: it is none of this federation already.
  absl::Status Leave(const std::string& why);
  // Calls from now on are made with this certificate (of the same key).
  void Use(const std::string& certificate);

  absl::StatusOr<SiteTask> NextTask() override;
  absl::Status Answer(const SiteAnswer& answer) override;
  absl::StatusOr<StatusReply> ReportStatus(const SiteStatus& status) override;
  absl::Status Download(const std::string& run, const ArtifactId& artifact, const std::string& path,
                        const std::function<void(int64_t done)>& progress) override;
  absl::StatusOr<Receipt> Submit(const Submission& submission, const std::string& path,
                                 const std::function<void(int64_t done)>& progress) override;
  // Ends calls that wait, from another thread: they become Unavailable. For good.
  void Cancel();

 private:
  struct Impl;
  explicit GrpcChannel(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace manako

#endif  // MANAKO_WIRE_GRPC_CHANNEL_H_
