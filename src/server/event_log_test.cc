#include "server/event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/files.h"
#include "base/status_macros.h"
#include "base/temporary_folder.h"

namespace manako {
namespace {

using testing::ElementsAre;

class EventLogTest : public testing::Test {
 protected:
  static EventRecord Event(int64_t seq) {
    return {seq,    1'800'000'000'000 + seq, "r",
            "east", "update_kept",           {{"round", 2}, {"event", "no"}}};
  }
  std::vector<nlohmann::json> Read(const std::string& path) {
    std::vector<nlohmann::json> lines;
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
  }
  std::vector<int64_t> Numbers(const std::string& path) {
    std::vector<int64_t> numbers;
    for (const auto& line : Read(path)) numbers.push_back(line.value("seq", int64_t{0}));
    return numbers;
  }
  const TemporaryFolder folder_;
  const std::string path_ = folder_ / "events";
};

TEST_F(EventLogTest, EachEventIsOneLineAndStandsThereOnce) {
  {
    const auto log = *EventLog::Open(path_);
    EXPECT_EQ(log->last_seq(), 0);
    EXPECT_TRUE(log->Write(Event(1)).ok());
    EXPECT_TRUE(log->Write(Event(2)).ok());
    EXPECT_TRUE(log->Write(Event(2)).ok());
    EXPECT_TRUE(log->Note("a \"note\"\nof two lines", 1'800'000'000'000).ok());
  }
  std::ofstream(path_, std::ios::app) << "{\"time\":\"2027";  // a killed writer's
  const auto log = *EventLog::Open(path_);
  EXPECT_EQ(log->last_seq(), 2);
  EXPECT_TRUE(log->Write(Event(1)).ok());
  EXPECT_TRUE(log->Write(Event(3)).ok());
  const auto lines = Read(path_);
  ASSERT_THAT(Numbers(path_), ElementsAre(1, 2, 0, 3));
  EXPECT_EQ(
      lines[0].dump(),
      R"({"event":"update_kept","round":2,"run":"r","seq":1,"site":"east","time":"2027-01-15T08:00:00.001Z"})");
  EXPECT_EQ(lines[2]["text"], "a \"note\"\nof two lines");
}

TEST_F(EventLogTest, ALongLogBecomesTwoFiles) {
  const auto log = *EventLog::Open(path_, {.most_bytes = 400});
  for (int64_t seq = 1; seq <= 10; ++seq) EXPECT_TRUE(log->Write(Event(seq)).ok());
  EXPECT_THAT(Numbers(path_ + ".1"), ElementsAre(5, 6, 7, 8));
  EXPECT_THAT(Numbers(path_), ElementsAre(9, 10));
}

TEST_F(EventLogTest, AFullDiskLosesNothing) {
  if (::access("/dev/full", W_OK) != 0) GTEST_SKIP() << "no /dev/full here";
  std::filesystem::create_symlink("/dev/full", path_);
  const auto log = EventLog::Open(path_);
  ASSERT_TRUE(log.ok()) << log.status();
  EXPECT_EQ((*log)->Write(Event(1)).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ((*log)->last_seq(), 0);
}

}  // namespace
}  // namespace manako
