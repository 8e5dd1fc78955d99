// For which processors the engine's own loops are taken.
#ifndef MANAKO_LEARN_FUSED_LOOP_LEVEL_H_
#define MANAKO_LEARN_FUSED_LOOP_LEVEL_H_

#include <cstdint>

namespace manako::fused {

enum class LoopLevel : uint8_t { kPortable, kAvx2, kAvx512 };

// The best that this processor has, and not better than oneDNN is allowed to be: with
// ONEDNN_MAX_CPU_ISA the whole engine walks down the ladder.
LoopLevel BestLoopLevel();

}  // namespace manako::fused

#endif  // MANAKO_LEARN_FUSED_LOOP_LEVEL_H_
