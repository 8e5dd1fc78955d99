// Compiles the file MANAKO_LOOPS once for each level of processors, each in a namespace of its own.
// MANAKO_BEST(F<T, W>) is that of the level of the processor at hand.
//
// GCC's target_clones, which does the same for a function by itself, takes vectors apart for the
// oldest processor before it makes the others' clones, and then has to find them again.
//
// The bits are the same in all: the build forbids the contraction of a * b + c.

#ifndef MANAKO_LOOPS
#error "MANAKO_LOOPS is the file with the loops"
#endif

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>

#include "learn/fused/kernels.h"
#include "learn/fused/layout.h"
#include "learn/fused/loop_level.h"
#include "learn/fused/planes.h"

#if defined(__GNUC__) && !defined(__clang__)
// Vectors are passed by value to functions that are always inlined: no call, so no convention of
// one that could differ.
#pragma GCC diagnostic ignored "-Wpsabi"
#endif

#define MANAKO_INLINE MANAKO_LOOP static inline __attribute__((always_inline))

namespace manako::fused {
namespace {

namespace portable {
#define MANAKO_LOOP
#include "learn/fused/vector.inc"
#include MANAKO_LOOPS
#undef MANAKO_LOOP
}  // namespace portable

#if defined(__x86_64__) && defined(__GNUC__)

namespace avx2 {
#define MANAKO_LOOP __attribute__((target("avx2,bmi,bmi2")))
#include "learn/fused/vector.inc"
#include MANAKO_LOOPS
#undef MANAKO_LOOP
}  // namespace avx2

namespace avx512 {
#define MANAKO_LOOP      \
  __attribute__((target( \
      "avx2,bmi,bmi2,avx512f,avx512bw,avx512cd,avx512dq,avx512vl,prefer-vector-width=512")))
#include "learn/fused/vector.inc"
#include MANAKO_LOOPS
#undef MANAKO_LOOP
}  // namespace avx512

const LoopLevel kLevel = BestLoopLevel();
#define MANAKO_BEST(...)                              \
  (kLevel == LoopLevel::kAvx512 ? avx512::__VA_ARGS__ \
   : kLevel == LoopLevel::kAvx2 ? avx2::__VA_ARGS__   \
                                : portable::__VA_ARGS__)

#else
#define MANAKO_BEST(...) portable::__VA_ARGS__
#endif

}  // namespace
}  // namespace manako::fused
