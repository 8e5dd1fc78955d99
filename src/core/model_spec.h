// What a model's flat parameter array holds, and where.
#ifndef MANAKO_CORE_MODEL_SPEC_H_
#define MANAKO_CORE_MODEL_SPEC_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace manako {

// A parameter is trained; a buffer (BatchNorm's running statistics) is float too and is averaged,
// but has no gradient. Integer buffers (num_batches_tracked) are no part of a spec: they stay where
// they are.
enum class TensorKind : uint8_t { kParameter = 0, kBuffer = 1 };

struct TensorSpec {
  std::string name;            // torchvision's, e.g. "layer1.0.bn1.running_mean"
  std::vector<int64_t> shape;  // row-major
  TensorKind kind;
  int64_t offset;  // first element in the flat array
  int64_t size;    // elements
};

// Immutable. All parameters stand before all buffers, so the trained part of the array is its
// prefix. Offsets are multiples of 16 elements (64 bytes); the gaps hold zeros and count in size().
class ModelSpec {
 public:
  struct Entry {
    std::string name;
    std::vector<int64_t> shape;
    TensorKind kind;
  };
  ModelSpec() = default;
  // InvalidArgument for a repeated name, a negative extent, or more than 2^40 elements.
  static absl::StatusOr<ModelSpec> Create(const std::vector<Entry>& entries);

  const std::vector<TensorSpec>& tensors() const { return tensors_; }
  int64_t size() const { return size_; }  // of the flat array, in elements
  int64_t parameter_extent() const {
    return parameter_extent_;
  }                                                             // the prefix that holds parameters
  int64_t parameter_count() const { return parameter_count_; }  // trained numbers, without gaps
  // SHA-256 (hex) of names, shapes and kinds, in order.
  const std::string& hash() const { return hash_; }
  // OK when equal; otherwise FailedPrecondition that names the first tensor that differs.
  absl::Status CheckSame(const ModelSpec& other) const;
  const TensorSpec* Find(const std::string& name) const;

 private:
  std::vector<TensorSpec> tensors_;
  int64_t size_ = 0, parameter_extent_ = 0, parameter_count_ = 0;
  std::string hash_;
};

}  // namespace manako

#endif  // MANAKO_CORE_MODEL_SPEC_H_
