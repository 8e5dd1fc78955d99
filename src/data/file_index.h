// Remembers the digests of files, so that a second run need not read gigabytes to know that nothing
// has changed.
#ifndef MANAKO_DATA_FILE_INDEX_H_
#define MANAKO_DATA_FILE_INDEX_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace manako {

// A file counts as unchanged while its size, modification and status-change times (nanoseconds)
// are.
struct FileStamp {
  int64_t size = -1, modified_ns = 0, changed_ns = 0;
  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

// NotFound, PermissionDenied or Unavailable; InvalidArgument when it is no regular file.
absl::StatusOr<FileStamp> StampOf(const std::string& path);

// Text, one line a file: CRC-32 of the rest of the line, SHA-256, size, both times, absolute path
// (escaped as by ToDisplay()). A line whose checksum fails is passed over, so damage costs one
// digest. Not shared between threads.
class FileIndex {
 public:
  // What can be read of the file at `path`; nothing when there is none.
  static FileIndex Read(const std::string& path);
  static FileIndex Parse(std::string_view text);

  // The digest (hex) of a file that is unchanged since Put(), else null.
  const std::string* Find(const std::string& file, const FileStamp& stamp) const;
  void Put(const std::string& file, const FileStamp& stamp, const std::string& sha256);
  bool changed() const { return changed_; }
  std::string ToText() const;

 private:
  struct Entry {
    FileStamp stamp;
    std::string sha256;
  };
  std::map<std::string, Entry> entries_;  // by escaped absolute path
  bool changed_ = false;
};

}  // namespace manako

#endif  // MANAKO_DATA_FILE_INDEX_H_
