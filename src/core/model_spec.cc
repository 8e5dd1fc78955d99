#include "core/model_spec.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/hash.h"
#include "base/status_macros.h"

namespace manako {
namespace {

constexpr int64_t kAlignment = 16;  // elements: 64 bytes, a cache line and an AVX-512 register
constexpr int64_t kMaxElements = int64_t{1} << 40;

std::string Describe(const TensorSpec& tensor) {
  return fmt::format("{} [{}]{}", tensor.name, fmt::join(tensor.shape, ", "),
                     tensor.kind == TensorKind::kBuffer ? " (buffer)" : "");
}

}  // namespace

absl::StatusOr<ModelSpec> ModelSpec::Create(const std::vector<Entry>& entries) {
  ModelSpec spec;
  std::set<std::string> names;
  for (const TensorKind kind : {TensorKind::kParameter, TensorKind::kBuffer}) {
    for (const Entry& entry : entries) {
      if (entry.kind != kind) continue;
      if (!names.insert(entry.name).second) {
        return InvalidArgument("the model has two tensors named {}", entry.name);
      }
      int64_t size = 1;
      for (const int64_t extent : entry.shape) {
        if (extent < 0 || (extent > 0 && size > kMaxElements / extent)) {
          return InvalidArgument("tensor {} has an impossible shape [{}]", entry.name,
                                 fmt::join(entry.shape, ", "));
        }
        size *= extent;
      }
      if (size > kMaxElements - kAlignment - spec.size_) {
        return InvalidArgument("the model is too large at tensor {}", entry.name);
      }
      spec.tensors_.push_back({entry.name, entry.shape, kind, spec.size_, size});
      spec.size_ += (size + kAlignment - 1) / kAlignment * kAlignment;
      if (kind == TensorKind::kParameter) spec.parameter_count_ += size;
    }
    if (kind == TensorKind::kParameter) spec.parameter_extent_ = spec.size_;
  }
  std::string text = "manako model spec 1\n";
  for (const TensorSpec& tensor : spec.tensors_) text += Describe(tensor) + "\n";
  spec.hash_ = Sha256Hex(text);
  return spec;
}

absl::Status ModelSpec::CheckSame(const ModelSpec& other) const {
  if (hash_ == other.hash_) return absl::OkStatus();
  const size_t common = std::min(tensors_.size(), other.tensors_.size());
  for (size_t i = 0; i < common; ++i) {
    const std::string mine = Describe(tensors_[i]), theirs = Describe(other.tensors_[i]);
    if (mine != theirs) {
      return FailedPrecondition("the models differ at tensor {}: {} here, {} there", i + 1, mine,
                                theirs);
    }
  }
  const bool more_here = tensors_.size() > common;
  return FailedPrecondition("the models differ: tensor {} is only {}",
                            (more_here ? tensors_ : other.tensors_)[common].name,
                            more_here ? "here" : "there");
}

const TensorSpec* ModelSpec::Find(const std::string& name) const {
  const auto found = std::find_if(tensors_.begin(), tensors_.end(),
                                  [&](const TensorSpec& tensor) { return tensor.name == name; });
  return found == tensors_.end() ? nullptr : &*found;
}

}  // namespace manako
