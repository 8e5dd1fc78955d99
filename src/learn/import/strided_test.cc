#include "learn/import/strided.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace manako {
namespace {

using testing::HasSubstr;

struct View {
  int64_t offset = 0;
  std::vector<int64_t> shape = {}, strides = {};
};

// A view of the ten bytes 0 to 9.
absl::StatusOr<NamedTensor> Gather(const View& view, uint64_t max_bytes = 1 << 20) {
  const std::string storage("\0\1\2\3\4\5\6\7\x8\x9", 10);
  TorchTensor tensor;
  tensor.name = "t";
  tensor.storage = {.key = "0", .type = ScalarType::kUInt8, .elements = 10, .view_elements = 10};
  tensor.offset = view.offset;
  tensor.shape = view.shape;
  tensor.strides = view.strides;
  ValueBudget budget({.max_bytes = max_bytes}, max_bytes);
  return GatherTensor(tensor, storage, budget);
}

TEST(StridedTest, FollowsStridesInRowMajorOrder) {
  EXPECT_EQ(Gather({})->values, std::vector<float>{0});
  EXPECT_EQ(Gather({7, {3}, {1}})->values, (std::vector<float>{7, 8, 9}));
  EXPECT_EQ(Gather({1, {2, 3}, {1, 3}})->values, (std::vector<float>{1, 4, 7, 2, 5, 8}));
  EXPECT_EQ(Gather({9, {2, 2}, {0, 0}})->values, (std::vector<float>{9, 9, 9, 9}));
  EXPECT_EQ(Gather({0, {2, 2, 2}, {1, 2, 4}})->values,
            (std::vector<float>{0, 4, 2, 6, 1, 5, 3, 7}));
  EXPECT_EQ(Gather({3, {1, 2, 1}, {INT64_MAX, 5, INT64_MAX}})->values, (std::vector<float>{3, 8}));
  EXPECT_TRUE(Gather({INT64_MAX, {0, INT64_MAX}, {INT64_MAX, 1}})->values.empty());
}

TEST(StridedTest, RefusesTheFirstNumberBeyondTheStorage) {
  EXPECT_TRUE(Gather({1, {3, 2}, {4, 0}}).ok());
  EXPECT_FALSE(Gather({2, {3, 2}, {4, 0}}).ok());
  EXPECT_FALSE(Gather({10, {}, {}}).ok());
  EXPECT_FALSE(Gather({0, {11}, {1}}).ok());
}

TEST(StridedTest, RefusesReachesThatOverflow) {
  const int64_t half = int64_t{1} << 62;
  // Sums and products that are small again modulo 2^64.
  for (const View& view : {View{0, {5, 1}, {half, 1}}, View{0, {3, 3, 2}, {half, half, 1}},
                           View{INT64_MAX, {2, 2}, {INT64_MAX, 2}}}) {
    EXPECT_THAT(Gather(view).status().ToString(), HasSubstr("reaches beyond the 10 numbers"));
  }
  EXPECT_THAT(Gather({0, {half, 4}, {0, 0}}).status().ToString(), HasSubstr("2^62"));
  EXPECT_THAT(
      Gather({0, std::vector<int64_t>(65, 1), std::vector<int64_t>(65, 1)}).status().ToString(),
      HasSubstr("65 axes"));
}

TEST(StridedTest, RepetitionCountsAgainstTheBudget) {
  EXPECT_EQ(Gather({0, {16}, {0}}, 64)->values.size(), 16u);
  EXPECT_EQ(Gather({0, {17}, {0}}, 64).status().code(), absl::StatusCode::kResourceExhausted);
  ValueBudget budget({.max_bytes = 1 << 20}, /*file_bytes=*/10);
  EXPECT_TRUE(budget.Take("a", 100).ok());
  EXPECT_TRUE(budget.Take("b", 60).ok());  // 160 values are 640 bytes
  EXPECT_EQ(budget.Take("c", 1).code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace manako
