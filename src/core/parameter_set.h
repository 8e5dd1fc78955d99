// A model's parameters and float buffers as one flat, aligned float32 array.
#ifndef MANAKO_CORE_PARAMETER_SET_H_
#define MANAKO_CORE_PARAMETER_SET_H_

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/model_spec.h"

namespace manako {

// Floats that start at a multiple of 64 bytes. Zero at first. Movable; copied only by Clone().
class FlatArray {
 public:
  FlatArray() = default;
  explicit FlatArray(int64_t size);
  FlatArray Clone() const;
  // All zero again, and as far as the system takes it back, without memory until it is written to.
  void Discard();
  int64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  float* data() { return data_.get(); }
  const float* data() const { return data_.get(); }
  std::span<float> values() { return {data_.get(), static_cast<size_t>(size_)}; }
  std::span<const float> values() const { return {data_.get(), static_cast<size_t>(size_)}; }

 private:
  struct Free {
    void operator()(float* data) const { std::free(data); }
  };
  std::unique_ptr<float, Free> data_;
  int64_t size_ = 0;
};

// An array that goes along with a model under a name: "model" (the parameters themselves),
// "momentum", "control".
struct NamedArray {
  std::string name;
  FlatArray values;
};

// The array of that name, or null.
const FlatArray* FindArray(std::span<const NamedArray> arrays, std::string_view name);

// A spec and the array that it describes. The spec is shared and never changes.
struct ParameterSet {
  std::shared_ptr<const ModelSpec> spec;
  FlatArray values;

  static ParameterSet Zero(std::shared_ptr<const ModelSpec> spec);
  ParameterSet Clone() const { return {spec, values.Clone()}; }
  std::span<const float> Tensor(const TensorSpec& tensor) const {
    return values.values().subspan(static_cast<size_t>(tensor.offset),
                                   static_cast<size_t>(tensor.size));
  }
  std::span<float> Tensor(const TensorSpec& tensor) {
    return values.values().subspan(static_cast<size_t>(tensor.offset),
                                   static_cast<size_t>(tensor.size));
  }
  // SHA-256 (hex) of the spec's hash and the array's bytes: two models with one digest are the same
  // bits.
  std::string Digest() const;
  // InvalidArgument that names the first tensor with a NaN or an infinity.
  absl::Status CheckFinite() const;
};

}  // namespace manako

#endif  // MANAKO_CORE_PARAMETER_SET_H_
