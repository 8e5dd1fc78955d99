#include "learn/fused/weight_gradient.h"

#include <algorithm>
#include <cstring>
#include <dnnl.hpp>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace manako::fused {

#if defined(__x86_64__)
namespace {

#define MANAKO_FMA __attribute__((target("avx2,fma")))
#define MANAKO_FMA_INLINE static inline __attribute__((target("avx2,fma"), always_inline))

using Vector = __m256;
constexpr int64_t kTaps = 9, kLanes = 8;

// sum += a b. The compiler's choice among the instruction's forms costs moves and spills where all
// 16 registers are in use.
MANAKO_FMA_INLINE Vector AddProduct(Vector a, Vector b, Vector sum) {
  __asm__("vfmadd231ps %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
  return sum;
}

// Of one input channel: the sums for the three taps of a row of the kernel. (Arrays of these would
// be put into memory.)
struct Taps {
  Vector left, middle, right;
};
MANAKO_FMA_INLINE void Load(const float* tile, Taps& taps) {
  taps = {_mm256_load_ps(tile), _mm256_load_ps(tile + kLanes), _mm256_load_ps(tile + 2 * kLanes)};
}
MANAKO_FMA_INLINE void Store(const Taps& taps, float* tile) {
  _mm256_store_ps(tile, taps.left);
  _mm256_store_ps(tile + kLanes, taps.middle);
  _mm256_store_ps(tile + 2 * kLanes, taps.right);
}
struct Sums {
  Taps c0, c1, c2, c3;  // of four input channels
};

// An input pixel's value in one channel, and the three output pixels that a row of the kernel ties
// it to.
MANAKO_FMA_INLINE void MeetChannel(const float* x, const Vector& next, const Vector& now,
                                   const Vector& before, Taps& taps) {
  const Vector value = _mm256_broadcast_ss(x);
  taps.left = AddProduct(value, next, taps.left);
  taps.middle = AddProduct(value, now, taps.middle);
  taps.right = AddProduct(value, before, taps.right);
}
MANAKO_FMA_INLINE void Meet(const float* x, const Vector& next, const Vector& now,
                            const Vector& before, Sums& sums) {
  MeetChannel(x, next, now, before, sums.c0);
  MeetChannel(x + 1, next, now, before, sums.c1);
  MeetChannel(x + 2, next, now, before, sums.c2);
  MeetChannel(x + 3, next, now, before, sums.c3);
}

// Adds one image's part for four input channels, eight output channels and row `kh` of the kernel.
// The output pixels stay in registers while an input row goes by: five loads for twelve products.
// tile[input channel][9][8]: of the row's first tap.
MANAKO_FMA void AddRows(int64_t height, int64_t width, int64_t kh, const float* x, const float* dy,
                        float* tile) {
  constexpr int64_t kChannel = kTaps * kLanes;
  Sums sums;
  Load(tile, sums.c0);
  Load(tile + kChannel, sums.c1);
  Load(tile + 2 * kChannel, sums.c2);
  Load(tile + 3 * kChannel, sums.c3);
  const int64_t first = std::max<int64_t>(0, 1 - kh), last = std::min(height, height + 1 - kh);
  for (int64_t row = first; row < last; ++row) {
    const float* const in = x + (row + kh - 1) * width * kLanes;
    const float* const d = dy + row * width * kLanes;
    // The output pixels before, at and behind the input pixel take turns in three registers.
    Vector a = _mm256_setzero_ps(), b = _mm256_load_ps(d), c;
    int64_t i = 0;
    for (; i + 3 < width; i += 3) {
      c = _mm256_load_ps(d + (i + 1) * kLanes);
      Meet(in + i * kLanes, c, b, a, sums);
      a = _mm256_load_ps(d + (i + 2) * kLanes);
      Meet(in + (i + 1) * kLanes, a, c, b, sums);
      b = _mm256_load_ps(d + (i + 3) * kLanes);
      Meet(in + (i + 2) * kLanes, b, a, c, sums);
    }
    for (; i < width; ++i) {
      c = i + 1 < width ? _mm256_load_ps(d + (i + 1) * kLanes) : _mm256_setzero_ps();
      Meet(in + i * kLanes, c, b, a, sums);
      a = b;
      b = c;
    }
  }
  Store(sums.c0, tile);
  Store(sums.c1, tile + kChannel);
  Store(sums.c2, tile + 2 * kChannel);
  Store(sums.c3, tile + 3 * kChannel);
}

}  // namespace

bool HasWeightGradient(const Op& op, const Layout& in, const Layout& out) {
  static const bool is_avx2 =
      dnnl::get_effective_cpu_isa() == dnnl::cpu_isa::avx2 && __builtin_cpu_supports("fma");
  return is_avx2 && op.kernel == Pair{3, 3} && op.stride == Pair{1, 1} &&
         op.padding == Pair{1, 1} && op.dilation == Pair{1, 1} && op.groups == 1 &&
         in.block == kLanes && in.channels % kLanes == 0 && out.channels % kLanes == 0;
}

void WeightGradient(const Layout& in, const Layout& out, const float* x, const float* dy,
                    float* scratch, float* gradient) {
  const int64_t in_groups = in.blocks(), out_groups = out.blocks(),
                tile = kLanes * kTaps * kLanes;  // a tile: [in][9][8 outputs]
  std::memset(scratch, 0, static_cast<size_t>(out_groups * in_groups * tile) * sizeof(float));
  // As many images at a time as stay in the second cache while all output channels meet them.
  constexpr int64_t kNear = 64 << 10;
  const int64_t images = std::max<int64_t>(1, kNear / in.image());
  for (int64_t begin = 0; begin < in.n; begin += images) {
    const int64_t end = std::min(in.n, begin + images);
#pragma omp parallel for
    for (int64_t og = 0; og < out_groups; ++og) {
      for (int64_t ig = 0; ig < in_groups; ++ig) {
        float* const sums = scratch + (og * in_groups + ig) * tile;
        for (int64_t n = begin; n < end; ++n) {
          const float* const d = dy + out.Plane(n, og);
          for (int64_t half = 0; half < kLanes; half += 4) {
            for (int64_t kh = 0; kh < 3; ++kh) {
              AddRows(in.height, in.width, kh, x + in.Plane(n, ig) + half, d,
                      sums + (half * kTaps + kh * 3) * kLanes);
            }
          }
        }
      }
    }
  }
  const int64_t length = in.channels * kTaps;
#pragma omp parallel for
  for (int64_t og = 0; og < out_groups; ++og) {
    const float* const sums = scratch + og * in_groups * tile;
    for (int64_t i = 0; i < length; ++i) {
      for (int64_t o = 0; o < kLanes; ++o)
        gradient[(og * kLanes + o) * length + i] = sums[i * kLanes + o];
    }
  }
}

#else

bool HasWeightGradient(const Op&, const Layout&, const Layout&) { return false; }
void WeightGradient(const Layout&, const Layout&, const float*, const float*, float*, float*) {}

#endif

}  // namespace manako::fused
