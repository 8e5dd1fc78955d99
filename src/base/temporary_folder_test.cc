#include "base/temporary_folder.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>

namespace manako {
namespace {

namespace fs = std::filesystem;

// TMPDIR as it was.
class TemporaryFolderTest : public testing::Test {
 protected:
  TemporaryFolderTest() {
    if (const char* found = getenv("TMPDIR")) before_ = found;
  }
  ~TemporaryFolderTest() override {
    before_ ? setenv("TMPDIR", before_->c_str(), 1) : unsetenv("TMPDIR");
  }
  std::optional<std::string> before_;
};

TEST_F(TemporaryFolderTest, IsNewWhereTmpdirSaysAndGoesWithAllInIt) {
  const TemporaryFolder outer;
  setenv("TMPDIR", outer.path().c_str(), 1);
  {
    const TemporaryFolder one, two;
    EXPECT_NE(one.path(), two.path());
    EXPECT_EQ(fs::path(one.path()).parent_path(), outer.path());
    EXPECT_TRUE(fs::is_empty(one.path()));
    EXPECT_EQ(fs::status(one.path()).permissions(), fs::perms::owner_all);
    EXPECT_EQ(one / "a/b", one.path() + "/a/b");
    fs::create_directory(one / "a");
    std::ofstream(one / "a/b") << "content";
  }
  EXPECT_TRUE(fs::is_empty(outer.path()));
}

TEST_F(TemporaryFolderTest, ThrowsWhereThereIsNoPlace) {
  const TemporaryFolder outer;
  for (const std::string& parent : {outer / "none", std::string("/proc")}) {
    setenv("TMPDIR", parent.c_str(), 1);
    EXPECT_THROW(TemporaryFolder(), std::system_error) << parent;
  }
}

TEST_F(TemporaryFolderTest, InMemoryIsAFolderToo) {
  std::string path;
  {
    const TemporaryFolder folder = TemporaryFolder::InMemory();
    path = folder.path();
    EXPECT_TRUE(fs::is_empty(path));
  }
  EXPECT_FALSE(fs::exists(path));
}

}  // namespace
}  // namespace manako
