#include "study/scheduler.h"

#include <gtest/gtest.h>

#include <atomic>

namespace manako {
namespace {

TEST(SchedulerTest, EarliestChainFirstAndNewChainsOnlyWhenIdle) {
  Scheduler scheduler;
  std::vector<std::string> order;
  for (int c = 0; c < 2; ++c) {
    scheduler.AddChain([&scheduler, &order, c] {
      order.push_back("start" + std::to_string(c));
      for (int j = 0; j < 2; ++j) {
        scheduler.AddJob(
            c, [&order, c, j] { order.push_back(std::to_string(c) + std::to_string(j)); });
      }
    });
  }
  scheduler.Run(1);
  EXPECT_EQ(order, (std::vector<std::string>{"start0", "00", "01", "start1", "10", "11"}));
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
