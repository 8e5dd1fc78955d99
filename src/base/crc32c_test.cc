#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"

namespace manako {
namespace {

std::string RandomBytes(size_t size) {
  Random random(7, "bytes");
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

// RFC 3720, appendix B.4.
TEST(Crc32cTest, KnownAnswers) {
  std::string ascending, descending;
  for (int i = 0; i < 32; ++i) {
    ascending.push_back(static_cast<char>(i));
    descending.push_back(static_cast<char>(31 - i));
  }
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(Crc32c(ascending), 0x46dd794eu);
  EXPECT_EQ(Crc32c(descending), 0x113fdb5cu);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c(""), 0u);
}

// Every length around the stretches that the instruction takes at once, and every alignment.
TEST(Crc32cTest, TheInstructionAndTheTablesAgree) {
  const std::string bytes = RandomBytes(60000);
  for (size_t size = 0; size < 2000; ++size) {
    ASSERT_EQ(Crc32c(bytes.data() + size % 9, size), Crc32cPortable(bytes.data() + size % 9, size))
        << size;
  }
  for (const size_t size : {3 * 8192 - 1, 3 * 8192, 3 * 8192 + 1, 6 * 8192 + 3 * 256 + 7, 59990}) {
    ASSERT_EQ(Crc32c(bytes.data() + 3, size), Crc32cPortable(bytes.data() + 3, size)) << size;
  }
}

TEST(Crc32cTest, PiecesMakeTheWhole) {
  const std::string bytes = RandomBytes(30000);
  for (const size_t cut : {0, 1, 7, 800, 24577, 30000}) {
    EXPECT_EQ(Crc32c(bytes.data() + cut, bytes.size() - cut, Crc32c(bytes.data(), cut)),
              Crc32c(bytes))
        << cut;
  }
}

}  // namespace
}  // namespace manako
