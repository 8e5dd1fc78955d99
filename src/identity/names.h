// The names that institutions go by, each with the one function that says whether it is one.
#ifndef MANAKO_IDENTITY_NAMES_H_
#define MANAKO_IDENTITY_NAMES_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace manako {

constexpr uint16_t kDefaultServerPort = 8443;

// A site: 1 to 40 of a-z, 0-9 and '-'. It names folders, certificates and lines of the ledger.
// InvalidArgument otherwise.
absl::Status CheckSiteName(std::string_view name);

// A federation: 1 to 64 characters of any script (UTF-8), none of them a control character, no
// space at either end.
absl::Status CheckFederationName(std::string_view name);

// A host: a DNS name (letters, digits, '-', '_' and dots; 253 at most), an IPv4 or an IPv6 address
// without brackets. No wildcards.
absl::Status CheckHost(std::string_view host);
// Whether it is an IP address.
bool IsIpAddress(std::string_view host);

// Where a server is.
struct ServerAddress {
  std::string host;  // lower case, no brackets
  uint16_t port = kDefaultServerPort;
  friend bool operator==(const ServerAddress&, const ServerAddress&) = default;
};

// "host", "host:port", "[IPv6]" or "[IPv6]:port". InvalidArgument otherwise.
absl::StatusOr<ServerAddress> ParseServerAddress(std::string_view text);
// Always with its port.
std::string ToText(const ServerAddress& address);

// Foreign bytes, so that they can stand in a message of one line: what is not printable ASCII is
// shown as \x.., and what is too long is cut.
std::string Printable(std::string_view bytes);

}  // namespace manako

#endif  // MANAKO_IDENTITY_NAMES_H_
