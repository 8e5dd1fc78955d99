#include "wire/listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <vector>

namespace manako {
namespace {

class ListenerTest : public testing::Test {
 protected:
  void Start(Listener::Options options) {
    options.address = "127.0.0.1:0";
    auto listener = Listener::Open(options);
    ASSERT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
    listener_->Run([this](int fd) {
      ::close(fd);
      ++handed_;
    });
  }
  void TearDown() override {
    for (const int fd : mine_) ::close(fd);
  }
  int Connect() {
    // Out of the way of the listener's numbers.
    const int low = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int fd = ::fcntl(low, F_DUPFD_CLOEXEC, 500);
    ::close(low);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(listener_->port()));
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    mine_.push_back(fd);
    return fd;
  }
  static void Say(int fd, const std::string& bytes) {
    EXPECT_EQ(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // Whether the other end closes within the time.
  static bool Closes(int fd, int ms) {
    pollfd poll{fd, POLLIN, 0};
    char byte;
    return ::poll(&poll, 1, ms) == 1 && ::recv(fd, &byte, 1, 0) <= 0;
  }
  bool Handed(int wanted) {
    for (int i = 0; i < 500 && handed_ < wanted; ++i) ::usleep(2000);
    return handed_ == wanted;
  }

  std::unique_ptr<Listener> listener_;
  std::atomic<int> handed_ = 0;
  std::vector<int> mine_;
};

std::string Record(size_t bytes) {
  return std::string("\x16\x03\x01", 3) + static_cast<char>(bytes >> 8) +
         static_cast<char>(bytes & 0xff) + std::string(bytes, 'x');
}

TEST_F(ListenerTest, HandsOnWhatHasBegunAHandshake) {
  Start({});
  const int whole = Connect(), slow = Connect();
  Say(whole, Record(300));
  EXPECT_TRUE(Handed(1));
  const std::string record = Record(500);
  for (const size_t at : {0u, 3u, 5u, 200u}) {
    const size_t to = at == 0 ? 3 : at == 3 ? 5 : at == 5 ? 200 : record.size();
    Say(slow, record.substr(at, to - at));
    ::usleep(20'000);
    EXPECT_EQ(handed_, at == 200 ? 2 : 1);
  }
  EXPECT_TRUE(Handed(2));
}

TEST_F(ListenerTest, ClosesWhatSpeaksSomethingElseOrNothing) {
  Start({.address = {}, .patience_ms = 200});
  const int web = Connect(), huge = Connect(), silent = Connect(), half = Connect();
  Say(web, "GET / HTTP/1.1\r\n\r\n");
  Say(huge, Record(20'000));
  Say(half, Record(300).substr(0, 100));
  EXPECT_TRUE(Closes(web, 100));
  EXPECT_TRUE(Closes(huge, 100));
  EXPECT_FALSE(Closes(silent, 20));
  EXPECT_TRUE(Closes(silent, 2000));
  EXPECT_TRUE(Closes(half, 2000));
  EXPECT_EQ(handed_, 0);
}

// Descriptors are few: who has waited longest goes, and who has something to say comes through.
TEST_F(ListenerTest, StaysWithinItsDescriptors) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlimit before = limit;
  limit.rlim_cur = 1024;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  const int free = ::dup(0);
  ::close(free);
  // At both ends of each connection here: this process has the strangers' descriptors, too.
  Start({.address = {}, .reserve = 1024 - free - 60});
  ::setrlimit(RLIMIT_NOFILE, &before);
  const int first = Connect();
  for (int i = 0; i < 100; ++i) Connect();
  EXPECT_TRUE(Closes(first, 2000));
  for (int i = 0; i < 20; ++i) Say(Connect(), Record(200));
  EXPECT_TRUE(Handed(20)) << handed_;
}

TEST_F(ListenerTest, TwoCannotListenAtOnePort) {
  Start({});
  const auto other = Listener::Open({.address = "127.0.0.1:" + std::to_string(listener_->port())});
  EXPECT_EQ(other.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(Listener::Open({.address = "nonsense"}).ok());
}

}  // namespace
}  // namespace manako
