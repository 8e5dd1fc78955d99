// Certificates (X.509): the federation's authority, the server's and the sites'; their making,
// reading and checking.
//
// The authority signs the server's certificate and those of the sites directly (path length 0).
// Sites know it by the SHA-256 of its certificate, which came with their invitation, so no public
// authority has a say. All keys made here are P-256.
#ifndef MANAKO_IDENTITY_CERTIFICATE_H_
#define MANAKO_IDENTITY_CERTIFICATE_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "identity/private_key.h"

namespace manako {

// How far into the past certificates are dated, so that a machine whose clock is a day late can use
// them at once.
constexpr absl::Duration kBackdated = absl::Hours(48);
constexpr absl::Duration kCaValidity = absl::Hours(24 * 365 * 20);
constexpr absl::Duration kServerValidity = absl::Hours(24 * 365);
constexpr absl::Duration kSiteValidity = absl::Hours(24 * 90);

// What a certificate says. Strings are those of the certificate's writer: show them with
// Printable().
struct Certificate {
  std::string pem, der;
  std::string common_name;                // of the subject; empty when there is not exactly one
  std::vector<std::string> dns_names;     // subject alternative names
  std::vector<std::string> ip_addresses;  // as text
  std::vector<std::string> uris;
  std::string serial;  // lower-case hexadecimal, 32 digits in those made here
  absl::Time not_before, not_after;
  std::string spki_sha256;  // of the public key, as PublicKey::SpkiSha256()
  std::string fingerprint;  // SHA-256 of the DER, lower-case hexadecimal
  bool is_ca = false;
  bool for_server = false, for_client = false;  // extended key usage, stated
};

// One certificate, PEM or DER, and nothing behind it but white space. InvalidArgument otherwise;
// the bytes may be hostile.
absl::StatusOr<Certificate> ParseCertificate(std::string_view pem_or_der);
// PEM certificates one behind the other, from 1 to 8, as a TLS peer presents them: its own is the
// first.
absl::StatusOr<std::vector<Certificate>> ParseChain(std::string_view pem);

// The federation's authority, self-signed, for 20 years. InvalidArgument when the name is none
// (names.h).
absl::StatusOr<Certificate> MakeFederationCa(const PrivateKey& key,
                                             std::string_view federation_name, absl::Time now);

// An authority that signs.
struct CertificateAuthority {
  Certificate certificate;
  PrivateKey key;
};

// The server's certificate for the hosts (names or IP addresses, at least one) at which sites reach
// it. FailedPrecondition when the authority's key is not that of its certificate, or when it has
// expired; no certificate is valid for longer than the authority's.
absl::StatusOr<Certificate> MakeServerCertificate(const CertificateAuthority& authority,
                                                  const PublicKey& key,
                                                  std::span<const std::string> hosts,
                                                  absl::Time now,
                                                  absl::Duration validity = kServerValidity);

// A site's request (PKCS #10, PEM), made where its key is. The name in it is for people.
absl::StatusOr<std::string> MakeSiteRequest(const PrivateKey& key, std::string_view site);
// The key of a request (PEM), once the request's signature has shown that its sender has the
// private one. Nothing else is taken from a request. InvalidArgument otherwise; the bytes may be
// hostile.
absl::StatusOr<PublicKey> CheckSiteRequest(std::string_view request_pem);
// The certificate of the site that the server, not the request, says it is: CN=<site> and the URI
// manako://site/<site>. FailedPrecondition as above, InvalidArgument for the request.
absl::StatusOr<Certificate> SignSiteRequest(const CertificateAuthority& authority,
                                            std::string_view request_pem, std::string_view site,
                                            absl::Time now,
                                            absl::Duration validity = kSiteValidity);

// Less than a third of its validity is left.
bool NeedsRenewal(const Certificate& certificate, absl::Time now);
// How long whoever keeps it may wait before the next look: six hours, or a tenth of what is left.
absl::Duration UntilNextLook(const Certificate& certificate, absl::Time now);

// What a site does with the chain that a server has presented: the authority is the one whose
// fingerprint it knows, the server's certificate is signed by it, for a server, for this host, and
// valid now. Returns the authority's certificate, with which TLS is then set up. PermissionDenied
// (another authority, another host, not signed by it), FailedPrecondition (a date: the message says
// how far off the clock of this machine or the certificate is) or InvalidArgument (no such bytes),
// in one line.
absl::StatusOr<Certificate> VerifyPinnedChain(std::string_view chain_pem,
                                              std::string_view ca_sha256, std::string_view host,
                                              absl::Time now);

// What a server does with a site's certificate: it is signed by the authority, for a client, and
// valid now. Returns the site's name. Errors as above. Whether it has been revoked is for the
// caller to know, by serial.
absl::StatusOr<std::string> VerifySiteCertificate(const Certificate& certificate,
                                                  const Certificate& authority, absl::Time now);

// The site that a certificate names; InvalidArgument when its CN and its URI do not agree on one.
// No check of who signed it.
absl::StatusOr<std::string> SiteOf(const Certificate& certificate);

}  // namespace manako

#endif  // MANAKO_IDENTITY_CERTIFICATE_H_
