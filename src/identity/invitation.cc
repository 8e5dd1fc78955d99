#include "identity/invitation.h"

#include <algorithm>
#include <vector>

#include "base/hash.h"
#include "base/status_macros.h"
#include "identity/random_token.h"

namespace manako {
namespace {

constexpr std::string_view kScheme = "manako://";
constexpr std::string_view kVersion = "v1";
constexpr size_t kMaxBytes = 2000;
constexpr size_t kCheckBytes = 6;
constexpr char kAskAgain[] = "copy the whole line from the central hospital's message once more";
constexpr char kHexDigits[] = "0123456789abcdef";

std::string CheckOf(std::string_view text) {
  const Sha256Digest digest = Sha256(text);
  return ToBase64Url({reinterpret_cast<const char*>(digest.data()), kCheckBytes});
}

bool NeedsNoEncoding(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

std::string PercentEncode(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    if (NeedsNoEncoding(c)) {
      text.push_back(c);
    } else {
      text += fmt::format("%{:02X}", static_cast<uint8_t>(c));
    }
  }
  return text;
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// False for what PercentEncode() would not have written.
bool PercentDecode(std::string_view text, std::string& bytes) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      bytes.push_back(text[i]);
      continue;
    }
    if (i + 2 >= text.size()) return false;
    const int high = HexValue(text[i + 1]);
    const int low = HexValue(text[i + 2]);
    if (high < 0 || low < 0) return false;
    bytes.push_back(static_cast<char>(high << 4 | low));
    i += 2;
  }
  return PercentEncode(bytes) == text;
}

std::string ToHexText(std::string_view bytes) {
  std::string hex;
  for (const char c : bytes) {
    hex.push_back(kHexDigits[static_cast<uint8_t>(c) >> 4]);
    hex.push_back(kHexDigits[static_cast<uint8_t>(c) & 15]);
  }
  return hex;
}

absl::StatusOr<std::string> FromHexText(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    const int high = HexValue(hex[i]);
    const int low = HexValue(hex[i + 1]);
    if (high >= 0 && low >= 0) bytes.push_back(static_cast<char>(high << 4 | low));
  }
  if (ToHexText(bytes) != hex || bytes.size() != 32) {
    return InvalidArgument(
        "the authority's fingerprint has 64 hexadecimal digits (lower case), but this one is "
        "\"{}\"",
        Printable(hex));
  }
  return bytes;
}

std::vector<std::string_view> Split(std::string_view text) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t slash = text.find('/');
    parts.push_back(text.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    text.remove_prefix(slash + 1);
  }
}

}  // namespace

std::string NewInvitationToken() { return RandomBytes(kInvitationTokenBytes); }

// With a name before it, so that it is the hash of nothing else that Manako ever hashes.
std::string TokenHash(std::string_view token) {
  Sha256Hasher hasher;
  hasher.Add("manako invitation token v1\n");
  hasher.Add(token);
  return ToHex(hasher.Finish());
}

absl::StatusOr<std::string> FormatInvitation(const Invitation& invitation) {
  MANAKO_RETURN_IF_ERROR(CheckSiteName(invitation.site));
  const std::string server = ToText(invitation.server);
  MANAKO_ASSIGN_OR_RETURN(const ServerAddress address, ParseServerAddress(server));
  if (address != invitation.server)
    return InvalidArgument("\"{}\" is no server's address", Printable(server));
  MANAKO_ASSIGN_OR_RETURN(const std::string authority, FromHexText(invitation.ca_sha256));
  if (invitation.token.size() != kInvitationTokenBytes) {
    return InvalidArgument("an invitation's token has {} bytes, but this one has {}",
                           kInvitationTokenBytes, invitation.token.size());
  }
  if (!invitation.federation_name.empty()) {
    MANAKO_RETURN_IF_ERROR(CheckFederationName(invitation.federation_name));
  }
  const std::string text = fmt::format(
      "{}{}/{}/{}/{}/{}/{}/", kScheme, server, kVersion, invitation.site, ToBase64Url(authority),
      ToBase64Url(invitation.token), PercentEncode(invitation.federation_name));
  return text + CheckOf(text);
}

absl::StatusOr<Invitation> ParseInvitation(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  text = text.substr(0, text.find_last_not_of(kSpace) + 1);
  if (text.empty()) return InvalidArgument("the invitation is empty: {}", kAskAgain);
  if (!text.starts_with(kScheme)) {
    return InvalidArgument("an invitation begins with {}, but this text begins with \"{}\": {}",
                           kScheme, Printable(text.substr(0, kScheme.size())), kAskAgain);
  }
  if (text.size() > kMaxBytes) {
    return InvalidArgument("an invitation has at most {} characters, but this text has {}: {}",
                           kMaxBytes, text.size(), kAskAgain);
  }
  for (size_t i = 0; i < text.size(); ++i) {
    if (kSpace.find(text[i]) != std::string_view::npos) {
      return InvalidArgument(
          "the invitation has a space or line end after {} characters (a mail program may have "
          "broken it): put it into one line",
          i);
    }
    if (text[i] < '!' || text[i] > '~') {
      return InvalidArgument("the invitation's character {} is none that an invitation has: {}",
                             i + 1, kAskAgain);
    }
  }
  const std::vector<std::string_view> parts = Split(text.substr(kScheme.size()));
  if (parts.size() > 1 && parts[1] != kVersion && parts[1].starts_with('v') &&
      parts[1].size() < 8) {
    return InvalidArgument(
        "the invitation is of version \"{}\", but this manako knows only {}: install the central "
        "hospital's version",
        Printable(parts[1]), kVersion);
  }
  const size_t check_size = ToBase64Url(std::string(kCheckBytes, 'x')).size();
  if (parts.size() < 7 || (parts.size() == 7 && parts[6].size() < check_size)) {
    return InvalidArgument("the invitation is cut off after {} characters: {}", text.size(),
                           kAskAgain);
  }
  const std::string_view covered = text.substr(0, text.rfind('/') + 1);
  if (parts.size() > 7 || parts[6] != CheckOf(covered)) {
    return InvalidArgument(
        "the invitation does not fit its checksum: one of its characters is wrong, missing or one "
        "too many: "
        "{}",
        kAskAgain);
  }
  // From here on it is what somebody's program wrote, which may be no friend's.
  Invitation invitation;
  MANAKO_ASSIGN_OR_RETURN(invitation.server, ParseServerAddress(parts[0]));
  if (parts[1] != kVersion) return InvalidArgument("the invitation has no version: {}", kAskAgain);
  MANAKO_RETURN_IF_ERROR(CheckSiteName(parts[2]));
  invitation.site = parts[2];
  const absl::StatusOr<std::string> authority = FromBase64Url(parts[3]);
  if (!authority.ok() || authority->size() != 32) {
    return InvalidArgument("the invitation's fingerprint of the authority is none: {}", kAskAgain);
  }
  invitation.ca_sha256 = ToHexText(*authority);
  absl::StatusOr<std::string> token = FromBase64Url(parts[4]);
  if (!token.ok() || token->size() != kInvitationTokenBytes) {
    return InvalidArgument("the invitation's token is none: {}", kAskAgain);
  }
  invitation.token = *std::move(token);
  if (!PercentDecode(parts[5], invitation.federation_name)) {
    return InvalidArgument("the federation's name in the invitation is none: \"{}\"",
                           Printable(parts[5]));
  }
  if (!invitation.federation_name.empty()) {
    MANAKO_RETURN_IF_ERROR(CheckFederationName(invitation.federation_name));
  }
  return invitation;
}

}  // namespace manako
