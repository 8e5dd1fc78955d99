#include "identity/names.h"

#include <arpa/inet.h>

#include <algorithm>

#include "base/status_macros.h"

namespace manako {
namespace {

constexpr size_t kMaxShown = 80;

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return IsLower(c) || (c >= 'A' && c <= 'Z'); }

// The characters of a UTF-8 text, or -1 when it is none, or holds a control character (C0, DEL, C1,
// and the separators and directions that make one line look like another).
int CountCharacters(std::string_view text) {
  int count = 0;
  for (size_t i = 0; i < text.size(); ++count) {
    const auto lead = static_cast<uint8_t>(text[i]);
    const int size = lead < 0x80                   ? 1
                     : lead >= 0xc2 && lead < 0xe0 ? 2
                     : lead >= 0xe0 && lead < 0xf0 ? 3
                     : lead >= 0xf0 && lead < 0xf5 ? 4
                                                   : 0;
    if (size == 0 || i + static_cast<size_t>(size) > text.size()) return -1;
    uint32_t code = size == 1 ? lead : lead & (0x7fu >> size);
    for (int k = 1; k < size; ++k) {
      const auto next = static_cast<uint8_t>(text[i + static_cast<size_t>(k)]);
      if ((next & 0xc0) != 0x80) return -1;
      code = code << 6 | (next & 0x3f);
    }
    constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < kLeast[size] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return -1;
    if (code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x200b && code <= 0x200f) ||
        (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) ||
        code == 0xfeff) {
      return -1;
    }
    i += static_cast<size_t>(size);
  }
  return count;
}

bool IsAddressOf(int family, std::string_view host) {
  unsigned char bytes[16];
  return host.size() < 64 && host.find('\0') == std::string_view::npos &&
         inet_pton(family, std::string(host).c_str(), bytes) == 1;
}

}  // namespace

std::string Printable(std::string_view bytes) {
  std::string text;
  for (const char c : bytes.substr(0, kMaxShown)) {
    if (c >= ' ' && c <= '~') {
      text.push_back(c);
    } else {
      text += fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
    }
  }
  if (bytes.size() > kMaxShown) text += "...";
  return text;
}

absl::Status CheckSiteName(std::string_view name) {
  if (name.empty() || name.size() > 40 || !std::all_of(name.begin(), name.end(), [](char c) {
        return IsLower(c) || IsDigit(c) || c == '-';
      })) {
    return InvalidArgument(
        "a site's name has 1 to 40 of the characters a-z, 0-9 and -, but this one is \"{}\"",
        Printable(name));
  }
  return absl::OkStatus();
}

absl::Status CheckFederationName(std::string_view name) {
  const int count = CountCharacters(name);
  if (count < 1 || count > 64 || name.front() == ' ' || name.back() == ' ') {
    return InvalidArgument(
        "a federation's name has 1 to 64 printable characters (UTF-8) and no space at its ends, "
        "but this one is \"{}\"",
        Printable(name));
  }
  return absl::OkStatus();
}

bool IsIpAddress(std::string_view host) {
  return IsAddressOf(AF_INET, host) || IsAddressOf(AF_INET6, host);
}

absl::Status CheckHost(std::string_view host) {
  if (IsIpAddress(host)) return absl::OkStatus();
  bool good = !host.empty() && host.size() <= 253;
  size_t label = 0;
  bool only_digits = true;  // in the last label: it would be a mistyped IPv4 address
  for (size_t i = 0; good && i < host.size(); ++i) {
    const char c = host[i];
    if (c == '.') {
      good = label > 0 && host[i - 1] != '-';
      label = 0;
      only_digits = true;
      continue;
    }
    good = (IsLetter(c) || IsDigit(c) || c == '_' || (c == '-' && label > 0)) && ++label <= 63;
    only_digits = only_digits && IsDigit(c);
  }
  if (!good || label == 0 || host.back() == '-' || only_digits) {
    return InvalidArgument("\"{}\" is no host name and no IP address", Printable(host));
  }
  return absl::OkStatus();
}

absl::StatusOr<ServerAddress> ParseServerAddress(std::string_view text) {
  ServerAddress address;
  std::string_view host = text;
  std::string_view port;
  bool has_port = false;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos)
      return InvalidArgument("\"{}\" has no closing ]", Printable(text));
    host = text.substr(1, end - 1);
    const std::string_view rest = text.substr(end + 1);
    if (!IsAddressOf(AF_INET6, host) || (!rest.empty() && rest[0] != ':')) {
      return InvalidArgument("\"{}\" is not [IPv6 address]:port", Printable(text));
    }
    has_port = !rest.empty();
    if (has_port) port = rest.substr(1);
  } else if (const size_t colon = text.find(':'); colon != std::string_view::npos) {
    if (text.find(':', colon + 1) != std::string_view::npos) {
      return InvalidArgument(
          "\"{}\" has several colons: an IPv6 address stands in brackets, as in [::1]:{}",
          Printable(text), kDefaultServerPort);
    }
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    has_port = true;
  }
  MANAKO_RETURN_IF_ERROR(CheckHost(host));
  if (has_port) {
    uint32_t number = 0;
    const bool digits = !port.empty() && port.size() <= 5 && port[0] != '0' &&
                        std::all_of(port.begin(), port.end(), IsDigit);
    for (const char c : digits ? port : "") number = number * 10 + static_cast<uint32_t>(c - '0');
    if (number < 1 || number > 65535) {
      return InvalidArgument("a port is a number from 1 to 65535, but this one is \"{}\"",
                             Printable(port));
    }
    address.port = static_cast<uint16_t>(number);
  }
  for (const char c : host) {
    address.host.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
  }
  return address;
}

std::string ToText(const ServerAddress& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", address.host, v6 ? "]" : "", address.port);
}

}  // namespace manako
