// Memory for more than should lie in the system's own: a file without a name.
#ifndef MANAKO_BASE_SCRATCH_MEMORY_H_
#define MANAKO_BASE_SCRATCH_MEMORY_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace manako {

// Zeros at first. The system keeps in its page cache what it has room for and the disk the rest.
// Nobody else can open it, and it is gone with the process, however that ends.
class ScratchMemory {
 public:
  // Takes all of its room on the disk of `folder`, which must be there, at once. ResourceExhausted:
  // there is less.
  static absl::StatusOr<std::unique_ptr<ScratchMemory>> Create(const std::string& folder,
                                                               size_t bytes);
  ~ScratchMemory();
  ScratchMemory(const ScratchMemory&) = delete;
  ScratchMemory& operator=(const ScratchMemory&) = delete;

  void* data() const { return data_; }  // at the beginning of a page; null where it has no bytes
  size_t size() const { return size_; }

 private:
  ScratchMemory(void* data, size_t size) : data_(data), size_(size) {}
  void* data_;
  size_t size_;
};

}  // namespace manako

#endif  // MANAKO_BASE_SCRATCH_MEMORY_H_
