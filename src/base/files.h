// Files that survive kill -9: whole or absent, never half.
#ifndef MANAKO_BASE_FILES_H_
#define MANAKO_BASE_FILES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace manako {

// Writes `bytes` to `path` so that at any moment the path holds the old content or the new: a
// temporary file beside it, fsync, rename, fsync of the folder. Errors name the path and the
// system's reason (a full disk is ResourceExhausted). `mode` is the file's from its first byte on:
// 0600 for what others must never read.
absl::Status WriteFileAtomically(const std::string& path, std::string_view bytes, int mode = 0644);

// Removes the temporary files that killed writers left in a folder. Those of living ones, in any
// process, stay.
void RemoveUnfinishedFiles(const std::string& folder);

// The whole content. NotFound when there is no such file; ResourceExhausted when it is larger than
// max_bytes.
absl::StatusOr<std::string> ReadFile(const std::string& path,
                                     uint64_t max_bytes = uint64_t{1} << 33);

// Puts a file that was written piece by piece under another name in the same file system, after its
// content is on the disk; what stood there is replaced.
absl::Status MoveFileDurably(const std::string& from, const std::string& to);

// Has the system begin to write a growing file to its disk, so that the sync at its end finds
// little left to wait for. `size` is the file's length now, `*begun` what was begun before.
// Promises nothing: only a sync does.
void BeginWriteback(int fd, int64_t size, int64_t* begun);

// mkdir -p. FailedPrecondition when something on the way is not a folder or may not be written.
absl::Status MakeFolders(const std::string& path);

// A file that is written in place and piece by piece, then put under its name whole: Append() any
// number of times, then Commit(). Without Commit() the destructor removes what was written.
class AtomicFileWriter {
 public:
  static absl::StatusOr<std::unique_ptr<AtomicFileWriter>> Create(const std::string& path,
                                                                  int mode = 0644);
  ~AtomicFileWriter();
  AtomicFileWriter(const AtomicFileWriter&) = delete;
  AtomicFileWriter& operator=(const AtomicFileWriter&) = delete;
  absl::Status Append(const void* data, size_t size);
  absl::Status Append(std::string_view bytes) { return Append(bytes.data(), bytes.size()); }
  // Writes at an offset; safe from several threads at once as long as their ranges do not overlap.
  absl::Status WriteAt(uint64_t offset, const void* data, size_t size);
  absl::Status Commit();
  // Where the content is until then.
  const std::string& temporary_path() const { return temporary_; }

 private:
  AtomicFileWriter(std::string path, std::string temporary, int fd);
  std::string path_, temporary_;
  int fd_;
  int64_t appended_ = 0, begun_ = 0;  // of Append(); see BeginWriteback()
};

// A log of lines. Each Append() is one write() of a whole line, followed by fdatasync. A torn last
// line (a crash in the middle of a write) is cut off when the log is opened again.
class LineLog {
 public:
  static absl::StatusOr<std::unique_ptr<LineLog>> Open(const std::string& path);
  ~LineLog();
  LineLog(const LineLog&) = delete;
  LineLog& operator=(const LineLog&) = delete;
  // `line` without its newline, which it must not contain.
  absl::Status Append(std::string_view line);

 private:
  LineLog(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::string path_;
  int fd_;
};

// A file mapped into memory for reading.
class MappedFile {
 public:
  static absl::StatusOr<std::unique_ptr<MappedFile>> Open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::span<const uint8_t> bytes() const { return {data_, size_}; }

 private:
  MappedFile(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  const uint8_t* data_;
  size_t size_;
};

// A lock that one process holds on a folder while it writes there, freed by the system when the
// process ends, however it ends. FailedPrecondition, with the holder's process id, when another
// holds it.
class FolderLock {
 public:
  static absl::StatusOr<std::unique_ptr<FolderLock>> Take(const std::string& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  explicit FolderLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace manako

#endif  // MANAKO_BASE_FILES_H_
