#include "round/weighted_mean.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "base/random.h"

namespace manako {
namespace {

std::vector<float> Normals(size_t n, uint64_t seed) {
  Random random(seed, "normals");
  std::vector<float> values(n);
  for (float& v : values) v = static_cast<float>(random.Normal());
  return values;
}

TEST(WeightedMeanTest, ByHand) {
  const std::vector<float> a = {1, 2, 3}, b = {5, 6, -9};
  std::vector<float> out(3);
  WeightedMean(std::vector<std::span<const float>>{a, b}, std::vector<double>{3, 1}, out);
  EXPECT_EQ(out, (std::vector<float>{2, 3, 0}));
}

TEST(WeightedMeanTest, OneArrayComesBackToTheBit) {
  const auto a = Normals(10001, 1);
  std::vector<float> out(a.size());
  WeightedMean(std::vector<std::span<const float>>{a}, std::vector<double>{1555}, out);
  EXPECT_EQ(std::memcmp(out.data(), a.data(), a.size() * sizeof(float)), 0);
}

TEST(WeightedMeanTest, BitsDoNotDependOnThreads) {
  const auto a = Normals(100003, 1), b = Normals(100003, 2), c = Normals(100003, 3);
  std::vector<float> one(a.size()), many(a.size());
  const std::vector<std::span<const float>> inputs = {a, b, c};
  const std::vector<double> weights = {519, 518, 519};
  WeightedMean(inputs, weights, one, 1);
  WeightedMean(inputs, weights, many, 7);
  EXPECT_EQ(one, many);
}

// In float32 this sum loses the small terms altogether.
TEST(WeightedMeanTest, AddsInFloat64) {
  std::vector<std::vector<float>> arrays(1001, std::vector<float>{1e-5f});
  arrays[0] = {1000.0f};
  std::vector<std::span<const float>> inputs(arrays.begin(), arrays.end());
  std::vector<float> out(1);
  WeightedMean(inputs, std::vector<double>(1001, 1.0), out);
  EXPECT_FLOAT_EQ(out[0], static_cast<float>((1000 + 1000 * static_cast<double>(1e-5f)) / 1001));
}

}  // namespace
}  // namespace manako
