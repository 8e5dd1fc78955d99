#include "study/scheduler.h"

#include <gtest/gtest.h>

#include <atomic>

namespace manako {
namespace {

// What a single thread does of `chains` chains, each of which starts and then runs two jobs.
std::vector<std::string> Order(int chains) {
  Scheduler scheduler;
  std::vector<std::string> order;
  for (int c = 0; c < chains; ++c) {
    scheduler.AddChain([&scheduler, &order, c] {
      order.push_back("start" + std::to_string(c));
      for (int j = 0; j < 2; ++j) {
        scheduler.AddJob(
            c, [&order, c, j] { order.push_back(std::to_string(c) + std::to_string(j)); });
      }
    });
  }
  scheduler.Run(1);
  return order;
}

TEST(SchedulerTest, EarliestChainFirstAndNewChainsOnlyWhenIdle) {
  const std::vector<std::string> order = Order(4);
  EXPECT_EQ(std::vector<std::string>(order.begin(), order.begin() + 7),
            (std::vector<std::string>{"start0", "00", "01", "start1", "10", "11", "start2"}));
}

TEST(SchedulerTest, TheLastChainsTakeTurns) {
  EXPECT_EQ(Order(2), (std::vector<std::string>{"start0", "start1", "00", "01", "10", "11"}));
  // Each goes on by one job at a time.
  Scheduler scheduler;
  std::vector<int> order;
  for (int c = 0; c < 2; ++c) {
    scheduler.AddChain([&scheduler, &order, c] {
      order.push_back(c);
      scheduler.AddJob(c, [&scheduler, &order, c] {
        order.push_back(c);
        scheduler.AddJob(c, [&order, c] { order.push_back(c); });
      });
    });
  }
  scheduler.Run(1);
  EXPECT_EQ(order, (std::vector<int>{0, 1, 0, 1, 0, 1}));
}

TEST(SchedulerTest, AfterStopNothingBegins) {
  Scheduler scheduler;
  std::atomic<int> done{0};
  for (int c = 0; c < 3; ++c) {
    scheduler.AddChain([&, c] {
      ++done;
      scheduler.AddJob(c, [&] { ++done; });
      scheduler.Stop();
      scheduler.AddJob(c, [&] { ++done; });
    });
  }
  scheduler.Run(1);
  EXPECT_EQ(done, 1);
}

// What waited is gone, though its chain runs nothing that could say so.
TEST(SchedulerTest, AfterStopItEnds) {
  Scheduler scheduler;
  std::atomic<int> done{0};
  scheduler.AddChain([&] { scheduler.AddJob(0, [&] { ++done; }); });
  scheduler.AddChain([&] { scheduler.Stop(); });
  scheduler.Run(1);
  EXPECT_EQ(done, 0);
}

TEST(SchedulerTest, ManyThreadsDoEveryJobOnce) {
  Scheduler scheduler;
  std::atomic<int> done{0};
  for (int c = 0; c < 20; ++c) {
    scheduler.AddChain([&, c] {
      for (int j = 0; j < 10; ++j) {
        scheduler.AddJob(c, [&, c] {
          ++done;
          scheduler.AddJob(c, [&] { ++done; });
        });
      }
    });
  }
  scheduler.Run(4);
  EXPECT_EQ(done, 400);
}

}  // namespace
}  // namespace manako
