#include "base/scratch_memory.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/status_macros.h"
#include "base/system_error.h"

namespace manako {
namespace {

// -1: an error, in errno.
int OpenNameless(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR)) return fd;
  // The name is that of an unfinished file, in case the process ends right behind this.
  std::string path = folder + "/scratch.part.XXXXXX";
  const int named = ::mkostemp(path.data(), O_CLOEXEC);
  if (named >= 0) ::unlink(path.c_str());
  return named;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ScratchMemory>> ScratchMemory::Create(const std::string& folder,
                                                                     size_t bytes) {
  if (bytes == 0) return std::unique_ptr<ScratchMemory>(new ScratchMemory(nullptr, 0));
  struct statvfs disk;
  if (::statvfs(folder.c_str(), &disk) == 0) {
    const size_t room = size_t{disk.f_bavail} * disk.f_frsize;
    if (room < bytes) {
      return ResourceExhausted("{} MB are needed, but {} has {} MB left", (bytes >> 20) + 1, folder,
                               room >> 20);
    }
  }
  const int fd = OpenNameless(folder);
  if (fd < 0) return SystemError("cannot make a file in", folder);
  const auto size = static_cast<off_t>(bytes);
  // Room that is only promised would end the process at the page that it runs out at.
  bool made = ::fallocate(fd, 0, 0, size) == 0;
  if (!made && errno == EOPNOTSUPP) made = ::ftruncate(fd, size) == 0;
  void* const data =
      made ? ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
  const absl::Status status =
      data != MAP_FAILED ? absl::OkStatus() : SystemError("cannot take room for a file in", folder);
  ::close(fd);
  MANAKO_RETURN_IF_ERROR(status);
  return std::unique_ptr<ScratchMemory>(new ScratchMemory(data, bytes));
}

ScratchMemory::~ScratchMemory() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace manako
