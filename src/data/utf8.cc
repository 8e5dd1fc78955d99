#include "data/utf8.h"

#include <fmt/format.h>

#include <cctype>
#include <cstdint>

namespace manako {
namespace {

// Length of the well-formed sequence that starts at `at`, or 0.
size_t SequenceAt(std::string_view bytes, size_t at) {
  const auto byte = [&](size_t i) -> uint8_t {
    return at + i < bytes.size() ? static_cast<uint8_t>(bytes[at + i]) : 0;
  };
  const auto follows = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return follows(1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    if (lead == 0xe0 && byte(1) < 0xa0) return 0;
    if (lead == 0xed && byte(1) > 0x9f) return 0;
    return follows(1) && follows(2) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    if (lead == 0xf0 && byte(1) < 0x90) return 0;
    if (lead == 0xf4 && byte(1) > 0x8f) return 0;
    return follows(1) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

size_t FindInvalidUtf8(std::string_view bytes) {
  size_t at = 0;
  while (at < bytes.size()) {
    const size_t length = SequenceAt(bytes, at);
    if (length == 0) return at;
    at += length;
  }
  return bytes.size();
}

std::string ToDisplay(std::string_view bytes) {
  std::string text;
  size_t at = 0;
  while (at < bytes.size()) {
    const size_t length = SequenceAt(bytes, at);
    const auto c = static_cast<uint8_t>(bytes[at]);
    const bool escape_like = c == '%' && at + 2 < bytes.size() &&
                             std::isxdigit(static_cast<uint8_t>(bytes[at + 1])) &&
                             std::isxdigit(static_cast<uint8_t>(bytes[at + 2]));
    if (length == 0 || c < 0x20 || c == 0x7f || escape_like) {
      text += fmt::format("%{:02X}", c);
      ++at;
    } else {
      text.append(bytes.substr(at, length));
      at += length;
    }
  }
  return text;
}

std::string ToLowerAscii(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

}  // namespace manako
