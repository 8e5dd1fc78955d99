#include "base/scratch_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "base/temporary_folder.h"

namespace manako {
namespace {

TEST(ScratchMemoryTest, HoldsWhatIsWrittenAndLeavesNothing) {
  const TemporaryFolder folder;
  {
    const auto memory = ScratchMemory::Create(folder.path(), 1 << 20);
    ASSERT_TRUE(memory.ok()) << memory.status();
    auto* const bytes = static_cast<char*>((*memory)->data());
    EXPECT_EQ(bytes[12345], 0);
    std::memset(bytes, 7, 1 << 20);
    EXPECT_EQ(bytes[(1 << 20) - 1], 7);
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_EQ((*ScratchMemory::Create(folder.path(), 0))->size(), 0u);
}

TEST(ScratchMemoryTest, MoreThanTheDiskHasIsAnError) {
  const TemporaryFolder folder;
  const auto status = ScratchMemory::Create(folder.path(), size_t{1} << 60).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("MB left"));
  EXPECT_FALSE(ScratchMemory::Create(folder / "none", 10).ok());
}

}  // namespace
}  // namespace manako
