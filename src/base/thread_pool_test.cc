#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>

namespace manako {
namespace {

TEST(ThreadPoolTest, WaitCoversJobsAddedByJobs) {
  std::atomic<int> done{0};
  ThreadPool pool(3);
  for (int i = 0; i < 50; ++i) {
    pool.Add([&] {
      pool.Add([&] { ++done; });
      ++done;
    });
  }
  pool.Wait();
  EXPECT_EQ(done, 100);
}

TEST(ThreadPoolTest, ParallelForVisitsEachIndexOnce) {
  for (int threads : {1, 2, 7}) {
    std::vector<std::atomic<int>> visits(1000);
    ParallelFor(threads, visits.size(), [&](size_t i) { ++visits[i]; });
    for (const auto& count : visits) EXPECT_EQ(count, 1);
  }
}

}  // namespace
}  // namespace manako
