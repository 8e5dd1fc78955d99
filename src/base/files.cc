#include "base/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/status_macros.h"
#include "base/system_error.h"

namespace manako {
namespace {

namespace fs = std::filesystem;

absl::Status PathError(int error, std::string_view doing, std::string_view path) {
  const bool misplaced =
      error == ENOTDIR || error == EISDIR || error == ELOOP || error == ENAMETOOLONG;
  return FileError(
      error, fmt::format("{} {}", doing, path),
      misplaced ? absl::StatusCode::kFailedPrecondition : absl::StatusCode::kUnavailable);
}

absl::Status WriteAll(int fd, const void* data, size_t size, const std::string& path) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = ::write(fd, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return PathError(errno, "cannot write", path);
    at += n;
    size -= static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

std::string FolderOf(const std::string& path) {
  const std::string folder = fs::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

absl::Status SyncFolder(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return PathError(errno, "cannot open folder", folder);
  const int result = ::fsync(fd);
  const int error = errno;
  ::close(fd);
  // Some file systems have no fsync for folders; they promise the rename's order otherwise.
  if (result != 0 && error != EINVAL) return PathError(error, "cannot sync folder", folder);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<AtomicFileWriter>> AtomicFileWriter::Create(const std::string& path,
                                                                           int mode) {
  while (true) {
    std::string temporary = fmt::format("{}.{}.XXXXXX", path, "part");
    const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
    if (fd < 0) return PathError(errno, "cannot create", path);
    // The lock says that somebody writes here; the system frees it however the writer ends.
    // RemoveUnfinishedFiles() may have been quicker: then once more. Where a file system has no
    // locks, nothing is ever taken for abandoned.
    struct stat info;
    if (::flock(fd, LOCK_EX) == 0 && ::fstat(fd, &info) == 0 && info.st_nlink == 0) {
      ::close(fd);
      continue;
    }
    ::fchmod(fd, static_cast<mode_t>(mode));
    return std::unique_ptr<AtomicFileWriter>(new AtomicFileWriter(path, std::move(temporary), fd));
  }
}

AtomicFileWriter::AtomicFileWriter(std::string path, std::string temporary, int fd)
    : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {}

AtomicFileWriter::~AtomicFileWriter() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

absl::Status AtomicFileWriter::Append(const void* data, size_t size) {
  MANAKO_RETURN_IF_ERROR(WriteAll(fd_, data, size, path_));
  appended_ += static_cast<int64_t>(size);
  BeginWriteback(fd_, appended_, &begun_);
  return absl::OkStatus();
}

absl::Status AtomicFileWriter::WriteAt(uint64_t offset, const void* data, size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = ::pwrite(fd_, at, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return PathError(errno, "cannot write", path_);
    at += n;
    offset += static_cast<uint64_t>(n);
    size -= static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

absl::Status AtomicFileWriter::Commit() {
  if (::fsync(fd_) != 0) return PathError(errno, "cannot sync", path_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    return PathError(errno, "cannot put in place", path_);
  }
  ::close(fd_);
  fd_ = -1;
  return SyncFolder(FolderOf(path_));
}

absl::Status WriteFileAtomically(const std::string& path, std::string_view bytes, int mode) {
  MANAKO_ASSIGN_OR_RETURN(auto writer, AtomicFileWriter::Create(path, mode));
  MANAKO_RETURN_IF_ERROR(writer->Append(bytes));
  return writer->Commit();
}

void RemoveUnfinishedFiles(const std::string& folder) {
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    // What mkostemp makes of "<name>.part.XXXXXX".
    if (name.size() <= 12 || name.compare(name.size() - 12, 6, ".part.") != 0) continue;
    const int fd = ::open(entry.path().c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) continue;
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) ::unlink(entry.path().c_str());
    ::close(fd);
  }
}

absl::StatusOr<std::string> ReadFile(const std::string& path, uint64_t max_bytes) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return PathError(errno, "cannot open", path);
  std::string bytes;
  std::string piece(1 << 18, '\0');
  while (true) {
    const ssize_t n = ::read(fd, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int error = errno;
      ::close(fd);
      return PathError(error, "cannot read", path);
    }
    if (n == 0) break;
    bytes.append(piece, 0, static_cast<size_t>(n));
    if (bytes.size() > max_bytes) {
      ::close(fd);
      return ResourceExhausted("{} is larger than {} bytes, the most that is read here", path,
                               max_bytes);
    }
  }
  ::close(fd);
  return bytes;
}

absl::Status MoveFileDurably(const std::string& from, const std::string& to) {
  const int fd = ::open(from.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return PathError(errno, "cannot open", from);
  const int synced = ::fsync(fd);
  const int error = errno;
  ::close(fd);
  if (synced != 0) return PathError(error, "cannot sync", from);
  if (::rename(from.c_str(), to.c_str()) != 0) return PathError(errno, "cannot rename to", to);
  return SyncFolder(FolderOf(to));
}

void BeginWriteback(int fd, int64_t size, int64_t* begun) {
  // Long enough for the disk to work at its full rate.
  constexpr int64_t kStretch = 8 << 20;
  if (size - *begun < kStretch) return;
  static_cast<void>(::sync_file_range(fd, *begun, size - *begun, SYNC_FILE_RANGE_WRITE));
  *begun = size;
}

absl::Status MakeFolders(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return PathError(error.value(), "cannot make folder", path);
  if (!fs::is_directory(path, error)) return FailedPrecondition("{} is not a folder", path);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<LineLog>> LineLog::Open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return PathError(errno, "cannot open", path);
  std::unique_ptr<LineLog> log(new LineLog(path, fd));
  // Walk back from the end to the last newline: what stands behind it was torn by a crash.
  off_t end = ::lseek(fd, 0, SEEK_END);
  char c = '\n';
  while (end > 0) {
    if (::pread(fd, &c, 1, end - 1) != 1) return PathError(errno, "cannot read", path);
    if (c == '\n') break;
    --end;
  }
  if (::ftruncate(fd, end) != 0) return PathError(errno, "cannot repair", path);
  ::lseek(fd, end, SEEK_SET);
  return log;
}

LineLog::~LineLog() { ::close(fd_); }

absl::Status LineLog::Append(std::string_view line) {
  std::string bytes(line);
  bytes.push_back('\n');
  const off_t start = ::lseek(fd_, 0, SEEK_CUR);
  if (absl::Status status = WriteAll(fd_, bytes.data(), bytes.size(), path_); !status.ok()) {
    // A half-written line (a full disk) must not run into the next one.
    if (::ftruncate(fd_, start) == 0) ::lseek(fd_, start, SEEK_SET);
    return status;
  }
  if (::fdatasync(fd_) != 0) return PathError(errno, "cannot sync", path_);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<MappedFile>> MappedFile::Open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return PathError(errno, "cannot open", path);
  struct stat info;
  if (::fstat(fd, &info) != 0) {
    const int error = errno;
    ::close(fd);
    return PathError(error, "cannot read", path);
  }
  const size_t size = static_cast<size_t>(info.st_size);
  void* data = nullptr;
  if (size > 0) {
    data = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED) {
      const int error = errno;
      ::close(fd);
      return PathError(error, "cannot map", path);
    }
  }
  ::close(fd);
  return std::unique_ptr<MappedFile>(new MappedFile(static_cast<const uint8_t*>(data), size));
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<uint8_t*>(data_), size_);
}

absl::StatusOr<std::unique_ptr<FolderLock>> FolderLock::Take(const std::string& folder) {
  const std::string path = folder + "/.lock";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return PathError(errno, "cannot open", path);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    char holder[32] = {};
    if (::pread(fd, holder, sizeof holder - 1, 0) <= 0) std::strcpy(holder, "unknown");
    ::close(fd);
    return FailedPrecondition(
        "{} is in use by another manako (process {}): wait for it, or give another folder", folder,
        holder);
  }
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, pid.data(), pid.size(), 0) < 0) {
    const int error = errno;
    ::close(fd);
    return PathError(error, "cannot write", path);
  }
  return std::unique_ptr<FolderLock>(new FolderLock(fd));
}

FolderLock::~FolderLock() { ::close(fd_); }

}  // namespace manako
