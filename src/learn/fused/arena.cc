#include "learn/fused/arena.h"

#include <algorithm>
#include <numeric>

namespace manako::fused {

ArenaPlan PlanArena(const std::vector<BufferLife>& buffers) {
  constexpr int64_t kAlign = 16;
  ArenaPlan plan;
  plan.offsets.assign(buffers.size(), 0);
  std::vector<size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return buffers[a].floats > buffers[b].floats; });
  std::vector<size_t> placed;  // by offset
  for (const size_t index : order) {
    const BufferLife& life = buffers[index];
    if (life.first < 0) continue;
    const int64_t size = (life.floats + kAlign - 1) / kAlign * kAlign;
    int64_t offset = 0;
    for (const size_t other : placed) {
      const BufferLife& theirs = buffers[other];
      if (theirs.last < life.first || theirs.first > life.last) continue;
      if (offset + size <= plan.offsets[other]) break;
      offset =
          std::max(offset, plan.offsets[other] + (theirs.floats + kAlign - 1) / kAlign * kAlign);
    }
    plan.offsets[index] = offset;
    plan.floats = std::max(plan.floats, offset + size);
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), index,
                         [&](size_t a, size_t b) { return plan.offsets[a] < plan.offsets[b]; }),
        index);
  }
  return plan;
}

}  // namespace manako::fused
