// Eight floats at once, in what GCC and Clang offer for every processor.
#ifndef MANAKO_LEARN_FUSED_VECTOR_H_
#define MANAKO_LEARN_FUSED_VECTOR_H_

#include <cstdint>

namespace manako::fused {

// For use inside functions marked MANAKO_SIMD; never an argument of a function that is not inlined.
using V8 = float __attribute__((vector_size(32), may_alias));
using I8 = int32_t __attribute__((vector_size(32), may_alias));
using Bytes8 = uint8_t __attribute__((vector_size(8), may_alias, aligned(1)));

#define MANAKO_INLINE static inline __attribute__((always_inline))

MANAKO_INLINE V8& At(float* p) { return *reinterpret_cast<V8*>(p); }
MANAKO_INLINE const V8& At(const float* p) { return *reinterpret_cast<const V8*>(p); }
MANAKO_INLINE void Broadcast(float value, V8& out) {
  out = V8{value, value, value, value, value, value, value, value};
}

// Sums of float vectors, in double beyond a few hundred terms.
struct Sum8 {
  double total[8] = {};
};
MANAKO_INLINE void Flush(V8& part, Sum8& sum) {
  for (int i = 0; i < 8; ++i) sum.total[i] += static_cast<double>(part[i]);
  part = V8{};
}

}  // namespace manako::fused

#endif  // MANAKO_LEARN_FUSED_VECTOR_H_
