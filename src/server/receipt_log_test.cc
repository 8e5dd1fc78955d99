#include "server/receipt_log.h"

#include <gtest/gtest.h>

#include "base/status_macros.h"
#include "base/temporary_folder.h"

namespace manako {
namespace {

TEST(ReceiptLogTest, TheSameWordHasOneLine) {
  const TemporaryFolder folder;
  const std::string path = folder / "receipts";
  const PrivateKey key = *PrivateKey::Generate();
  Receipt kept;
  kept.run = "r";
  kept.round = 1;
  kept.sha256 = std::string(64, 'a');
  Receipt first = kept, again = kept, other = kept, refused = kept;
  refused.state = Receipt::State::kRefused;
  refused.why = "too large";
  {
    const auto log = *ReceiptLog::Open(path, key);
    ASSERT_TRUE(log->Record("east", first).ok());
    ASSERT_TRUE(log->Record("west", other).ok());
    ASSERT_TRUE(log->Record("east", again).ok());
    EXPECT_EQ(first.log_seq, 1);
    EXPECT_EQ(other.log_seq, 2);
    EXPECT_EQ(again.log_seq, 1);
    EXPECT_EQ(again.log_hash, first.log_hash);
  }
  const auto log = *ReceiptLog::Open(path, key);
  again = kept;
  ASSERT_TRUE(log->Record("east", again).ok());
  EXPECT_EQ(again.log_seq, 1);
  EXPECT_EQ(again.log_hash, first.log_hash);
  // Another word on the same update is a line of its own.
  ASSERT_TRUE(log->Record("east", refused).ok());
  EXPECT_EQ(refused.log_seq, 3);
}

}  // namespace
}  // namespace manako
