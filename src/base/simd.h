// One mark for hot loops over arrays.
#ifndef MANAKO_BASE_SIMD_H_
#define MANAKO_BASE_SIMD_H_

// A function with this mark is compiled for several generations of processors and the best one is
// chosen when the program is loaded. The bits are the same in all of them: the build forbids the
// contraction of a * b + c. Not with sanitizers (they start before the choice is made) nor with
// clang (it lacks the levels).
//
// GCC puts no function into it that is compiled otherwise, also none of the standard library's: in
// the loop write builtins and operators, because std::min or std::sqrt would be called for each
// number, and nothing would be vectors.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define MANAKO_SIMD \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), optimize("O3")))
#else
#define MANAKO_SIMD
#endif

#endif  // MANAKO_BASE_SIMD_H_
