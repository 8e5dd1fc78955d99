#include "dashboard/file_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/status_macros.h"

namespace manako {

absl::StatusOr<std::unique_ptr<FileSource>> FileSource::Open(const std::string& path,
                                                             std::string name,
                                                             std::string content_type) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT) return NotFound("{} is not there", name);
    return Internal("{}: {}", path, std::strerror(errno));
  }
  struct stat status {};
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    close(fd);
    return NotFound("{} is not there", name);
  }
  return std::unique_ptr<FileSource>(
      new FileSource(fd, status.st_size, std::move(name), std::move(content_type)));
}

FileSource::~FileSource() { close(fd_); }

absl::StatusOr<size_t> FileSource::Read(int64_t offset, char* to, size_t size) const {
  if (offset >= bytes_) return size_t{0};
  size = static_cast<size_t>(std::min<int64_t>(bytes_ - offset, static_cast<int64_t>(size)));
  for (;;) {
    const ssize_t got = pread(fd_, to, size, offset);
    if (got > 0) return static_cast<size_t>(got);
    if (got == 0) return DataLoss("{} was cut off at byte {}", name_, offset);
    if (errno != EINTR) return Internal("{}: {}", name_, std::strerror(errno));
  }
}

}  // namespace manako
