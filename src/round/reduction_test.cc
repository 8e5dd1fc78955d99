#include "round/reduction.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/random.h"
#include "round/fedavg.h"
#include "round/testing.h"

namespace manako {
namespace {

std::vector<float> Normals(size_t n, uint64_t seed) {
  Random random(seed, "normals");
  std::vector<float> values(n);
  for (float& v : values) v = static_cast<float>(random.Normal());
  return values;
}

// The mean of arrays as a federation's model of that many numbers.
std::vector<float> Mean(const std::vector<std::vector<float>>& arrays,
                        const std::vector<double>& weights, int threads = 1) {
  const auto n = static_cast<int64_t>(arrays[0].size());
  const auto spec =
      std::make_shared<ModelSpec>(*ModelSpec::Create({{"w", {n}, TensorKind::kParameter}}));
  const FedAvg strategy(Weighting::kImages);
  std::vector<WeightedUpdate> updates;
  for (size_t k = 0; k < arrays.size(); ++k) {
    updates.push_back(
        {"site", weights[k],
         [&arrays, k](size_t, int64_t first, std::span<const float>, std::span<float> out) {
           for (size_t i = 0; i < out.size(); ++i) {
             const size_t at = static_cast<size_t>(first) + i;
             out[i] = at < arrays[k].size() ? arrays[k][at] : 0;  // the gap behind a tensor
           }
           return absl::OkStatus();
         }});
  }
  const GlobalState before = GlobalState::Begin(strategy, Shared(ParameterSet::Zero(spec)));
  const GlobalState after = *ReduceInMemory(strategy, updates, 1, before, threads);
  const auto values = after.model->Tensor(spec->tensors()[0]);
  return {values.begin(), values.end()};
}

TEST(ReductionTest, ByHand) {
  EXPECT_EQ(Mean({{1, 2, 3}, {5, 6, -9}}, {3, 1}), (std::vector<float>{2, 3, 0}));
}

TEST(ReductionTest, OneArrayComesBackToTheBit) {
  const auto a = Normals(10001, 1);
  const auto out = Mean({a}, {1555});
  EXPECT_EQ(std::memcmp(out.data(), a.data(), a.size() * sizeof(float)), 0);
}

// Frozen layers are the same in every update, and must be in the mean.
TEST(ReductionTest, WhatAllHaveComesBackToTheBit) {
  auto a = Normals(10001, 1);
  a[0] = -0.0f;
  a[1] = 0.0f;
  a[2] = 1e-42f;
  a[3] = -3.4e38f;
  for (const std::vector<double>& weights : {std::vector<double>{1, 1, 1},
                                             {519, 7, 1039},
                                             {3, 1, 4, 1, 5, 9, 2},
                                             {178956970, 178956970, 178956970}}) {
    const auto out = Mean(std::vector(weights.size(), a), weights);
    EXPECT_EQ(std::memcmp(out.data(), a.data(), a.size() * sizeof(float)), 0) << weights.size();
  }
}

TEST(ReductionTest, BitsDoNotDependOnThreads) {
  const std::vector<std::vector<float>> arrays = {Normals(300003, 1), Normals(300003, 2),
                                                  Normals(300003, 3)};
  EXPECT_EQ(Mean(arrays, {519, 518, 519}, 1), Mean(arrays, {519, 518, 519}, 7));
}

// In float32 this sum loses the small terms altogether.
TEST(ReductionTest, AddsInFloat64) {
  std::vector<std::vector<float>> arrays(1001, std::vector<float>{1e-5f});
  arrays[0] = {1000.0f};
  EXPECT_FLOAT_EQ(Mean(arrays, std::vector<double>(1001, 1.0))[0],
                  static_cast<float>((1000 + 1000 * static_cast<double>(1e-5f)) / 1001));
}

TEST(ReductionTest, AnUnreadableUpdateIsNamed) {
  const FedAvg strategy(Weighting::kImages);
  const auto spec =
      std::make_shared<ModelSpec>(*ModelSpec::Create({{"w", {4}, TensorKind::kParameter}}));
  const std::vector<WeightedUpdate> updates = {
      {"east", 1, [](size_t, int64_t, std::span<const float>, std::span<float>) {
         return absl::DataLossError("block 3 is damaged");
       }}};
  const auto after = ReduceInMemory(
      strategy, updates, 1, GlobalState::Begin(strategy, Shared(ParameterSet::Zero(spec))), 1);
  EXPECT_EQ(after.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(std::string(after.status().message()), "update of east: block 3 is damaged");
  EXPECT_FALSE(ReduceInMemory(strategy, {}, 1,
                              GlobalState::Begin(strategy, Shared(ParameterSet::Zero(spec))), 1)
                   .ok());
}

}  // namespace
}  // namespace manako
