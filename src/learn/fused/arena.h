// Places buffers whose lives are known in one piece of memory.
#ifndef MANAKO_LEARN_FUSED_ARENA_H_
#define MANAKO_LEARN_FUSED_ARENA_H_

#include <cstdint>
#include <vector>

namespace manako::fused {

// A buffer of `floats`, used from step `first` to step `last`.
struct BufferLife {
  int64_t floats = 0;
  int first = -1, last = -1;  // -1: never
};

struct ArenaPlan {
  std::vector<int64_t> offsets;  // of each buffer, in floats; multiples of 16 (64 bytes)
  int64_t floats = 0;            // in all
};

// Buffers share memory where their lives do not meet. The largest are placed first, each as low as
// it fits: "greedy by size" of Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
// Inference", MLSys 2020.
ArenaPlan PlanArena(const std::vector<BufferLife>& buffers);

}  // namespace manako::fused

#endif  // MANAKO_LEARN_FUSED_ARENA_H_
