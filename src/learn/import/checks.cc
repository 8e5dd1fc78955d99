#include "learn/import/checks.h"

#include <algorithm>

#include "base/status_macros.h"

namespace manako {
namespace {

constexpr size_t kMaxQuotedBytes = 80;
constexpr size_t kMaxNameBytes = 4096;
constexpr uint64_t kMaxElements = uint64_t{1} << 62;
constexpr uint64_t kMaxAmplification = 64;

}  // namespace

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, kMaxQuotedBytes)) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c >= 0x20 && c < 0x7f) {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
    }
  }
  return out + (text.size() > kMaxQuotedBytes ? "...\"" : "\"");
}

absl::StatusOr<uint64_t> ElementCount(std::span<const int64_t> shape) {
  if (shape.size() > kMaxTensorAxes) {
    return InvalidArgument("a shape has {} axes, but {} is the most", shape.size(), kMaxTensorAxes);
  }
  bool empty = false;
  for (const int64_t size : shape) {
    if (size < 0) return InvalidArgument("a shape has the size {}; it must be >= 0", size);
    empty |= size == 0;
  }
  if (empty) return uint64_t{0};
  uint64_t count = 1;
  for (const int64_t size : shape) {
    if (__builtin_mul_overflow(count, static_cast<uint64_t>(size), &count) ||
        count > kMaxElements) {
      return InvalidArgument("a shape's sizes multiply to more than 2^62");
    }
  }
  return count;
}

absl::Status CheckTensorName(std::string_view name) {
  if (name.empty()) return InvalidArgument("a tensor has an empty name");
  if (name.size() > kMaxNameBytes) {
    return InvalidArgument("tensor {} has a name of {} bytes, but {} is the most", Quoted(name),
                           name.size(), kMaxNameBytes);
  }
  const bool control = std::any_of(
      name.begin(), name.end(), [](char c) { return static_cast<uint8_t>(c) < 0x20 || c == 0x7f; });
  if (control)
    return InvalidArgument("tensor {} has a control character in its name", Quoted(name));
  return absl::OkStatus();
}

ValueBudget::ValueBudget(const TensorFileLimits& limits, uint64_t file_bytes)
    : max_values_(std::min(limits.max_bytes, file_bytes > UINT64_MAX / kMaxAmplification
                                                 ? UINT64_MAX
                                                 : file_bytes * kMaxAmplification) /
                  sizeof(float)) {}

absl::Status ValueBudget::Take(std::string_view name, uint64_t count) {
  if (count > max_values_ - taken_) {
    return ResourceExhausted(
        "tensor {} has {} values, after {} in the tensors before it; this file may hold {} (a "
        "limit "
        "on bytes, and at most {} times the file's size)",
        Quoted(name), count, taken_, max_values_, kMaxAmplification);
  }
  taken_ += count;
  return absl::OkStatus();
}

}  // namespace manako
