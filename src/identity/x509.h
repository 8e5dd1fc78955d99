// What the .cc files of certificate.h share.
#ifndef MANAKO_IDENTITY_X509_H_
#define MANAKO_IDENTITY_X509_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "identity/certificate.h"
#include "identity/openssl_types.h"

namespace manako {

absl::StatusOr<Certificate> Describe(X509* x509);
// Null when it is none, or has bytes behind it.
X509Ptr ReadDer(std::string_view der);
std::string SiteUri(std::string_view site);

}  // namespace manako

#endif  // MANAKO_IDENTITY_X509_H_
