// A federation for tests: an authority, a server and a site.
#ifndef MANAKO_IDENTITY_CERTIFICATE_TESTING_H_
#define MANAKO_IDENTITY_CERTIFICATE_TESTING_H_

#include <string>
#include <utility>
#include <vector>

#include "identity/certificate.h"

namespace manako {

inline const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);  // 2027-01-15 08:00 UTC
inline constexpr absl::Duration kDay = absl::Hours(24);

inline CertificateAuthority MakeAuthority(std::string_view name = "Himeji Eye Federation",
                                          absl::Time now = kNow) {
  PrivateKey key = *PrivateKey::Generate();
  Certificate certificate = *MakeFederationCa(key, name, now);
  return {std::move(certificate), std::move(key)};
}

struct TestFederation {
  CertificateAuthority authority = MakeAuthority();
  PrivateKey server_key = *PrivateKey::Generate();
  std::vector<std::string> hosts = {"fed.example.org", "10.0.0.1", "2001:db8::1"};
  Certificate server = *MakeServerCertificate(authority, server_key.public_key(), hosts, kNow);
  PrivateKey site_key = *PrivateKey::Generate();
  std::string request = *MakeSiteRequest(site_key, "east-clinic");
  Certificate site = *SignSiteRequest(authority, request, "east-clinic", kNow);
  std::string chain() const { return server.pem + authority.certificate.pem; }
};

}  // namespace manako

#endif  // MANAKO_IDENTITY_CERTIFICATE_TESTING_H_
