// A disk that is too small, for tests.
#ifndef MANAKO_TESTS_SMALL_DISK_H_
#define MANAKO_TESTS_SMALL_DISK_H_

#include <sys/mount.h>

#include <filesystem>
#include <string>

namespace manako {

// A small file system in memory; unmounted by the destructor.
class SmallDisk {
 public:
  SmallDisk(const std::string& at, const std::string& size) : at_(at) {
    std::filesystem::create_directories(at);
    const std::string options = "size=" + size;
    mounted_ = ::mount("tmpfs", at.c_str(), "tmpfs", 0, options.c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(at_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  bool mounted() const { return mounted_; }
  bool Remount(unsigned long flags, const std::string& size) {
    const std::string options = "size=" + size;
    return ::mount("tmpfs", at_.c_str(), "tmpfs", MS_REMOUNT | flags, options.c_str()) == 0;
  }

 private:
  std::string at_;
  bool mounted_ = false;
};

#define SKIP_UNLESS_MOUNTED(disk) \
  if (!(disk).mounted()) GTEST_SKIP() << "a file system in memory can be mounted by root only"

}  // namespace manako

#endif  // MANAKO_TESTS_SMALL_DISK_H_
