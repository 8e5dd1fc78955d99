// The federation's authority: what makes a folder the central hospital's, who may join, and with
// what certificate.
#ifndef MANAKO_SERVER_ENROLMENT_H_
#define MANAKO_SERVER_ENROLMENT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "identity/certificate.h"
#include "identity/private_key.h"
#include "server/federation_store.h"

namespace manako {

// The central hospital's folder:
//
//     federation.db                everything but models (federation_store.h)
//     ca.key ca.pem                the authority; the key is used to sign certificates only
//     server.key server.pem        this server, signed by the authority, renewed by itself
//     receipts.log                 signed record of every receipt given (receipt_log.h)
//     server.log                   events, for machines (event_log.h)
//     runs/                        models and updates (run_folder.h)
struct CentralOptions {
  std::string name;  // of the federation
  std::string host;  // as sites reach it
  int port = 8443;
  std::vector<std::string> more_hosts;  // further names or addresses in the certificate
};

// AlreadyExists: it is one already. InvalidArgument: a name or host that is none.
absl::Status MakeCentral(const std::string& folder, const CentralOptions& options, int64_t now_ms);

// NotFound when the folder is no central hospital's: says how it becomes one. Looks at nothing
// else, and makes nothing.
absl::Status CheckCentral(const std::string& folder);

class Enrolment {
 public:
  // NotFound, when the folder is no central hospital's: says how it becomes one.
  static absl::StatusOr<std::unique_ptr<Enrolment>> Open(const std::string& folder,
                                                         FederationStore* store);

  // An invitation as one line, for one site, once, for `hours`. InvalidArgument: a site name that
  // is none; AlreadyExists: the site is enrolled (revoke it first).
  absl::StatusOr<std::string> Invite(const std::string& site, double hours, int64_t now_ms);

  struct Enrolled {
    std::string site, federation;
    std::string certificate, authority;  // PEM
  };
  // PermissionDenied: the token. InvalidArgument: the request. Used up only when the certificate is
  // made.
  absl::StatusOr<Enrolled> Enrol(const std::string& token, const std::string& request_pem,
                                 int64_t now_ms);
  // A new certificate for an enrolled site, for the key that it asks with.
  absl::StatusOr<Enrolled> Renew(const std::string& site, const std::string& request_pem,
                                 int64_t now_ms);

  // The server's certificate, made anew when less than a third of its time is left.
  absl::StatusOr<Certificate> ServerCertificate(int64_t now_ms);
  bool CertificateIsDue(int64_t now_ms) const;
  // How long CertificateIsDue() need not be asked.
  int64_t UntilNextLookMs(int64_t now_ms) const;
  const PrivateKey& server_key() const { return server_key_; }
  const Certificate& authority() const { return authority_.certificate; }
  const std::string& federation() const { return federation_; }
  const std::string& host() const { return host_; }
  int port() const { return port_; }

 private:
  Enrolment(std::string folder, FederationStore* store, CertificateAuthority authority,
            PrivateKey server_key)
      : folder_(std::move(folder)),
        store_(store),
        authority_(std::move(authority)),
        server_key_(std::move(server_key)) {}

  std::string folder_;
  FederationStore* store_;
  CertificateAuthority authority_;
  PrivateKey server_key_;
  std::string federation_, host_;
  std::vector<std::string> hosts_;
  int port_ = 8443;
};

}  // namespace manako

#endif  // MANAKO_SERVER_ENROLMENT_H_
