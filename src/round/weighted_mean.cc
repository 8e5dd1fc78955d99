#include "round/weighted_mean.h"

#include <algorithm>
#include <array>

#include "base/thread_pool.h"

namespace manako {
namespace {

// 4096 doubles of sums stay in the first-level cache while the inputs stream by.
constexpr size_t kChunk = 4096;

}  // namespace

void WeightedMean(std::span<const std::span<const float>> inputs, std::span<const double> weights,
                  std::span<float> out, int threads) {
  double total = 0;
  for (const double weight : weights) total += weight;
  const size_t chunks = (out.size() + kChunk - 1) / kChunk;
  ParallelFor(threads, chunks, [&](size_t chunk) {
    std::array<double, kChunk> sum{};
    const size_t begin = chunk * kChunk;
    const size_t n = std::min(kChunk, out.size() - begin);
    for (size_t k = 0; k < inputs.size(); ++k) {
      const double weight = weights[k];
      const float* in = inputs[k].data() + begin;
      for (size_t i = 0; i < n; ++i) sum[i] += weight * static_cast<double>(in[i]);
    }
    for (size_t i = 0; i < n; ++i) out[begin + i] = static_cast<float>(sum[i] / total);
  });
}

}  // namespace manako
