// Checks that every tensor format shares: what a file says of itself against what it can hold.
#ifndef MANAKO_LEARN_IMPORT_CHECKS_H_
#define MANAKO_LEARN_IMPORT_CHECKS_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "learn/import/tensor_file.h"

namespace manako {

// No tensor has more axes than this (PyTorch's own operators stop at 64).
inline constexpr size_t kMaxTensorAxes = 64;

// A file's text, fit to stand in a message: quoted, at most 80 bytes, everything but printable
// ASCII escaped.
std::string Quoted(std::string_view text);

// The product of a shape. InvalidArgument: a negative size, too many axes, or a product beyond
// 2^62.
absl::StatusOr<uint64_t> ElementCount(std::span<const int64_t> shape);

// InvalidArgument when a tensor's name is empty, longer than 4096 bytes or has control characters
// in it.
absl::Status CheckTensorName(std::string_view name);

// Counts the float32 values that are about to be allocated. Views let a small file claim the same
// bytes again and again, so besides limits.max_bytes the values may take at most 64 times the
// file's own size: room for int8 (4 times) in weights that 16 layers share.
class ValueBudget {
 public:
  ValueBudget(const TensorFileLimits& limits, uint64_t file_bytes);
  // Before `count` values are allocated for the tensor `name`. ResourceExhausted when there are too
  // many.
  absl::Status Take(std::string_view name, uint64_t count);

 private:
  uint64_t max_values_, taken_ = 0;
};

}  // namespace manako

#endif  // MANAKO_LEARN_IMPORT_CHECKS_H_
