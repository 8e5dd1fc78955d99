// Where tests and benchmarks write.
#ifndef MANAKO_BASE_TEMPORARY_FOLDER_H_
#define MANAKO_BASE_TEMPORARY_FOLDER_H_

#include <string>
#include <string_view>

namespace manako {

// A new and empty folder, its owner's alone, below the system's folder for temporary files (TMPDIR,
// else /tmp). The destructor removes it with all in it; what is killed leaves it behind. Throws
// std::system_error where it cannot be made.
class TemporaryFolder {
 public:
  TemporaryFolder();
  // One whose content is in memory, if the system has a place for that: for what writes a lot and
  // needs no disk.
  static TemporaryFolder InMemory();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  // Absolute if TMPDIR is, without a slash at its end.
  const std::string& path() const { return path_; }
  // The path of something in the folder.
  std::string operator/(std::string_view name) const;

 private:
  explicit TemporaryFolder(const std::string& parent);
  std::string path_;
};

}  // namespace manako

#endif  // MANAKO_BASE_TEMPORARY_FOLDER_H_
