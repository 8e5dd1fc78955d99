#include "core/codec/ordered_pipeline.h"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <vector>

#include "base/status_macros.h"

namespace manako {
namespace {

TEST(OrderedPipelineTest, ResultsAreTakenInOrderAndSlotsAreNotShared) {
  for (const int threads : {1, 2, 3, 8}) {
    for (const size_t n : {0, 1, 2, 7, 1000}) {
      std::vector<size_t> slots(PipelineSlots(threads)), taken;
      std::atomic<size_t> works = 0;
      const auto status = OrderedPipeline(
          threads, n,
          [&](size_t slot, size_t k) {
            slots[slot] = k;
            ++works;
            return absl::OkStatus();
          },
          [&](size_t slot, size_t k) {
            EXPECT_EQ(slots[slot], k);
            taken.push_back(k);
            return absl::OkStatus();
          });
      EXPECT_TRUE(status.ok());
      std::vector<size_t> all(n);
      std::iota(all.begin(), all.end(), size_t{0});
      EXPECT_EQ(taken, all);
      EXPECT_EQ(works, n);
    }
  }
}

TEST(OrderedPipelineTest, TheFirstErrorInOrderIsTheResult) {
  for (const int threads : {1, 2, 8}) {
    for (int repeat = 0; repeat < 50; ++repeat) {
      size_t taken = 0;
      const auto status = OrderedPipeline(
          threads, 100,
          [&](size_t, size_t k) {
            return k == 30 || k == 31 ? Internal("{}", k) : absl::OkStatus();
          },
          [&](size_t, size_t) { return ++taken, absl::OkStatus(); });
      EXPECT_EQ(status.message(), "30");
      EXPECT_EQ(taken, 30u);
    }
    const auto status = OrderedPipeline(
        threads, 100, [&](size_t, size_t) { return absl::OkStatus(); },
        [&](size_t, size_t k) { return k == 5 ? Internal("full") : absl::OkStatus(); });
    EXPECT_EQ(status.message(), "full");
  }
}

}  // namespace
}  // namespace manako
