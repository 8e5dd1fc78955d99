#include "base/temporary_folder.h"

#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

namespace manako {

namespace fs = std::filesystem;

TemporaryFolder::TemporaryFolder() : TemporaryFolder(fs::temp_directory_path().string()) {}

TemporaryFolder TemporaryFolder::InMemory() {
  constexpr char kMemory[] = "/dev/shm";
  return TemporaryFolder(::access(kMemory, W_OK) == 0 ? kMemory
                                                      : fs::temp_directory_path().string());
}

TemporaryFolder::TemporaryFolder(const std::string& parent)
    : path_((fs::path(parent) / "manako-XXXXXX").string()) {
  if (::mkdtemp(path_.data()) == nullptr)
    throw std::system_error(errno, std::generic_category(), "cannot make " + path_);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string TemporaryFolder::operator/(std::string_view name) const {
  return path_ + "/" + std::string(name);
}

}  // namespace manako
