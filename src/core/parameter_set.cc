#include "core/parameter_set.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/hash.h"
#include "base/status_macros.h"
#include "core/large_pages.h"

namespace manako {

namespace {

std::atomic<bool> large_pages = false;
constexpr size_t kLargePage = 2 << 20,
                 kManyPages = 4 * kLargePage;  // short arrays would waste them

float* Allocate(int64_t size) {
  if (size == 0) return nullptr;
  const size_t bytes = (static_cast<size_t>(size) * sizeof(float) + 63) / 64 * 64;
  const bool large = large_pages && bytes >= kManyPages;
  void* data = nullptr;
  if (::posix_memalign(&data, large ? kLargePage : 64, bytes) != 0) throw std::bad_alloc();
  if (large) ::madvise(data, bytes / kLargePage * kLargePage, MADV_HUGEPAGE);
  return static_cast<float*>(data);
}

}  // namespace

void UseLargePages() { large_pages = true; }

FlatArray::FlatArray(int64_t size) : data_(Allocate(size)), size_(size) {
  if (size > 0) std::memset(data_.get(), 0, static_cast<size_t>(size) * sizeof(float));
}

FlatArray FlatArray::Clone() const {
  FlatArray copy;
  copy.data_.reset(Allocate(size_));
  copy.size_ = size_;
  if (size_ > 0) std::memcpy(copy.data(), data(), static_cast<size_t>(size_) * sizeof(float));
  return copy;
}

void FlatArray::Discard() {
  if (size_ == 0) return;
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(data()),
             end = begin + static_cast<uintptr_t>(size_) * sizeof(float);
  const uintptr_t first = (begin + page - 1) / page * page, last = end / page * page;
  if (first >= last ||
      ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED) != 0) {
    std::memset(data(), 0, end - begin);
    return;
  }
  // Anonymous private pages that are given back read as zeros (madvise(2)).
  std::memset(data(), 0, first - begin);
  std::memset(reinterpret_cast<void*>(last), 0, end - last);
}

const FlatArray* FindArray(std::span<const NamedArray> arrays, std::string_view name) {
  for (const NamedArray& array : arrays) {
    if (array.name == name) return &array.values;
  }
  return nullptr;
}

ParameterSet ParameterSet::Zero(std::shared_ptr<const ModelSpec> spec) {
  FlatArray values(spec->size());
  return {std::move(spec), std::move(values)};
}

std::string ParameterSet::Digest() const {
  Sha256Hasher hasher;
  hasher.Add(spec->hash());
  hasher.Add(values.data(), static_cast<size_t>(values.size()) * sizeof(float));
  return ToHex(hasher.Finish());
}

absl::Status ParameterSet::CheckFinite() const {
  for (const TensorSpec& tensor : spec->tensors()) {
    for (const float value : Tensor(tensor)) {
      if (!std::isfinite(value)) {
        return InvalidArgument("tensor {} holds {}, which is no finite number", tensor.name, value);
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace manako
