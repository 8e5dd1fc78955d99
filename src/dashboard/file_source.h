// A file that is downloaded.
#ifndef MANAKO_DASHBOARD_FILE_SOURCE_H_
#define MANAKO_DASHBOARD_FILE_SOURCE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace manako {

// An open file: what it held when it was opened is what is sent, though its path be replaced.
class FileSource {
 public:
  // `name` is what the browser calls it. NotFound: no such file.
  static absl::StatusOr<std::unique_ptr<FileSource>> Open(const std::string& path, std::string name,
                                                          std::string content_type);
  ~FileSource();
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  const std::string& name() const { return name_; }
  const std::string& content_type() const { return content_type_; }
  int64_t bytes() const { return bytes_; }
  // Up to `size` bytes from `offset`; 0 only at the end. DataLoss: the file has been cut off.
  absl::StatusOr<size_t> Read(int64_t offset, char* to, size_t size) const;

 private:
  FileSource(int fd, int64_t bytes, std::string name, std::string content_type)
      : fd_(fd), bytes_(bytes), name_(std::move(name)), content_type_(std::move(content_type)) {}
  int fd_;
  int64_t bytes_;
  std::string name_, content_type_;
};

}  // namespace manako

#endif  // MANAKO_DASHBOARD_FILE_SOURCE_H_
