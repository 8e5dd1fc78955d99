// BatchNorm's loops, and other sums of channels.
#include <algorithm>

#include "base/simd.h"
#include "learn/fused/kernels.h"
#include "learn/fused/vector.h"

namespace manako::fused {
namespace {

constexpr int64_t kChunk = 256;  // pixels whose sum is made in float

// Of one plane: sums of x - origin and of its square.
MANAKO_SIMD void PlaneMoments(const float* x, int64_t pixels, int64_t step, const float* origin,
                              Sum8* sum, Sum8* squares) {
  const V8 o = At(origin);
  for (int64_t begin = 0; begin < pixels; begin += kChunk) {
    const int64_t end = std::min(pixels, begin + kChunk);
    V8 s0{}, s1{}, q0{}, q1{};
    int64_t i = begin;
    for (; i + 2 <= end; i += 2) {
      const V8 a = At(x + i * step) - o, b = At(x + (i + 1) * step) - o;
      s0 += a;
      s1 += b;
      q0 += a * a;
      q1 += b * b;
    }
    if (i < end) {
      const V8 a = At(x + i * step) - o;
      s0 += a;
      q0 += a * a;
    }
    s0 += s1;
    q0 += q1;
    Flush(s0, *sum);
    Flush(q0, *squares);
  }
}

template <bool kResidual, bool kRelu>
MANAKO_INLINE void PlaneScaleShift(const float* x, int64_t pixels, int64_t step, const float* scale,
                                   const float* shift, const float* residual, float* y) {
  const V8 a = At(scale), b = At(shift), zero{};
  for (int64_t i = 0; i < pixels; ++i) {
    V8 value = At(x + i * step) * a + b;
    if (kResidual) value += At(residual + i * step);
    if (kRelu) value = value < zero ? zero : value;  // NaN stays
    At(y + i * step) = value;
  }
}

MANAKO_SIMD void PlaneScale(const float* x, int64_t pixels, int64_t step, const float* scale,
                            const float* shift, float* y) {
  PlaneScaleShift<false, false>(x, pixels, step, scale, shift, nullptr, y);
}
MANAKO_SIMD void PlaneScaleRelu(const float* x, int64_t pixels, int64_t step, const float* scale,
                                const float* shift, float* y) {
  PlaneScaleShift<false, true>(x, pixels, step, scale, shift, nullptr, y);
}
MANAKO_SIMD void PlaneScaleAdd(const float* x, int64_t pixels, int64_t step, const float* scale,
                               const float* shift, const float* residual, float* y) {
  PlaneScaleShift<true, false>(x, pixels, step, scale, shift, residual, y);
}
MANAKO_SIMD void PlaneScaleAddRelu(const float* x, int64_t pixels, int64_t step, const float* scale,
                                   const float* shift, const float* residual, float* y) {
  PlaneScaleShift<true, true>(x, pixels, step, scale, shift, residual, y);
}

enum class Mask { kNone, kOutput, kRecomputed };

// The gradient that counts at one pixel.
template <Mask kMask>
MANAKO_INLINE void Gradient(const float* d1, const float* d2, const float* output, int64_t at,
                            const V8& x, const V8& scale, const V8& shift, V8& d) {
  const V8 zero{};
  d = At(d1 + at);
  if (d2 != nullptr) d += At(d2 + at);
  if (kMask == Mask::kOutput) d = At(output + at) > zero ? d : zero;
  if (kMask == Mask::kRecomputed) d = x * scale + shift > zero ? d : zero;
}

struct Plane {
  int64_t pixels, step;
  const float *x, *d1, *d2, *output;
  const float *mean, *inverse, *scale, *shift;  // of the group
  float* out;
};

template <Mask kMask, bool kWrite>
MANAKO_INLINE void SumPlane(const Plane& p, Sum8* sum_d, Sum8* sum_dx) {
  const V8 mean = At(p.mean), inverse = At(p.inverse), scale = At(p.scale), shift = At(p.shift);
  for (int64_t begin = 0; begin < p.pixels; begin += kChunk) {
    const int64_t end = std::min(p.pixels, begin + kChunk);
    V8 s{}, q{};
    for (int64_t i = begin; i < end; ++i) {
      const int64_t at = i * p.step;
      const V8 x = At(p.x + at);
      V8 d;
      Gradient<kMask>(p.d1, p.d2, p.output, at, x, scale, shift, d);
      if (kWrite) At(p.out + at) = d;
      s += d;
      q += d * ((x - mean) * inverse);
    }
    Flush(s, *sum_d);
    Flush(q, *sum_dx);
  }
}

MANAKO_SIMD void SumPlain(const Plane& p, Sum8* sum_d, Sum8* sum_dx) {
  SumPlane<Mask::kNone, false>(p, sum_d, sum_dx);
}
MANAKO_SIMD void SumRecomputed(const Plane& p, Sum8* sum_d, Sum8* sum_dx) {
  SumPlane<Mask::kRecomputed, false>(p, sum_d, sum_dx);
}
MANAKO_SIMD void SumOutput(const Plane& p, Sum8* sum_d, Sum8* sum_dx) {
  SumPlane<Mask::kOutput, false>(p, sum_d, sum_dx);
}
MANAKO_SIMD void SumPlainWrite(const Plane& p, Sum8* sum_d, Sum8* sum_dx) {
  SumPlane<Mask::kNone, true>(p, sum_d, sum_dx);
}
MANAKO_SIMD void SumRecomputedWrite(const Plane& p, Sum8* sum_d, Sum8* sum_dx) {
  SumPlane<Mask::kRecomputed, true>(p, sum_d, sum_dx);
}
MANAKO_SIMD void SumOutputWrite(const Plane& p, Sum8* sum_d, Sum8* sum_dx) {
  SumPlane<Mask::kOutput, true>(p, sum_d, sum_dx);
}

// dx = scale * (d - mean of d - (x - mean) * inverse * mean of d (x - mean) inverse)
template <Mask kMask>
MANAKO_INLINE void ApplyPlane(const Plane& p, const float* mean_d, const float* factor) {
  const V8 mean = At(p.mean), scale = At(p.scale), shift = At(p.shift), md = At(mean_d),
           f = At(factor);
  for (int64_t i = 0; i < p.pixels; ++i) {
    const int64_t at = i * p.step;
    const V8 x = At(p.x + at);
    V8 d;
    Gradient<kMask>(p.d1, p.d2, p.output, at, x, scale, shift, d);
    At(p.out + at) = scale * (d - md - (x - mean) * f);
  }
}
MANAKO_SIMD void ApplyPlain(const Plane& p, const float* mean_d, const float* factor) {
  ApplyPlane<Mask::kNone>(p, mean_d, factor);
}
MANAKO_SIMD void ApplyRecomputed(const Plane& p, const float* mean_d, const float* factor) {
  ApplyPlane<Mask::kRecomputed>(p, mean_d, factor);
}
MANAKO_SIMD void ApplyOutput(const Plane& p, const float* mean_d, const float* factor) {
  ApplyPlane<Mask::kOutput>(p, mean_d, factor);
}

template <bool kMasked, bool kWrite>
MANAKO_INLINE void SumChannels(int64_t pixels, int64_t step, const float* output, float* d,
                               Sum8* sum) {
  const V8 zero{};
  for (int64_t begin = 0; begin < pixels; begin += kChunk) {
    const int64_t end = std::min(pixels, begin + kChunk);
    V8 s0{}, s1{};
    for (int64_t i = begin; i < end; ++i) {
      V8 value = At(d + i * step);
      if (kMasked) value = At(output + i * step) > zero ? value : zero;
      if (kWrite) At(d + i * step) = value;
      (i % 2 == 0 ? s0 : s1) += value;
    }
    s0 += s1;
    Flush(s0, *sum);
  }
}
MANAKO_SIMD void SumAll(int64_t pixels, int64_t step, const float* output, float* d, Sum8* sum) {
  SumChannels<false, false>(pixels, step, output, d, sum);
}
MANAKO_SIMD void SumMasked(int64_t pixels, int64_t step, const float* output, float* d, Sum8* sum) {
  SumChannels<true, false>(pixels, step, output, d, sum);
}
MANAKO_SIMD void SumAndMask(int64_t pixels, int64_t step, const float* output, float* d,
                            Sum8* sum) {
  SumChannels<true, true>(pixels, step, output, d, sum);
}

Plane PlaneOf(const Layout& layout, const NormBackward& norm, int64_t n, int64_t g, const float* d1,
              const float* d2, float* out) {
  const int64_t at = layout.Plane(n, g), c = g * kLanes;
  return {layout.pixels(),
          layout.block,
          norm.x + at,
          d1 + at,
          d2 != nullptr ? d2 + at : nullptr,
          norm.output != nullptr ? norm.output + at : nullptr,
          norm.mean + c,
          norm.inverse + c,
          norm.scale + c,
          norm.shift + c,
          out != nullptr ? out + at : nullptr};
}

}  // namespace

void Moments(const Layout& layout, const float* x, float* mean, float* variance) {
#pragma omp parallel for
  for (int64_t g = 0; g < layout.groups(); ++g) {
    const auto pixels = static_cast<double>(layout.pixels()),
               count = pixels * static_cast<double>(layout.n);
    // Values are counted from the first image's mean, so that no large squares are subtracted.
    alignas(32) float origin[kLanes] = {};
    Sum8 first, ignored;
    PlaneMoments(x + layout.Plane(0, g), layout.pixels(), layout.block, origin, &first, &ignored);
    for (int64_t i = 0; i < kLanes; ++i) origin[i] = static_cast<float>(first.total[i] / pixels);
    Sum8 sum, squares;
    for (int64_t n = 0; n < layout.n; ++n) {
      PlaneMoments(x + layout.Plane(n, g), layout.pixels(), layout.block, origin, &sum, &squares);
    }
    for (int64_t i = 0; i < kLanes; ++i) {
      const double from_origin = sum.total[i] / count;
      mean[g * kLanes + i] = static_cast<float>(static_cast<double>(origin[i]) + from_origin);
      variance[g * kLanes + i] =
          static_cast<float>(std::max(0.0, squares.total[i] / count - from_origin * from_origin));
    }
  }
}

void ScaleShift(const Layout& layout, const float* x, const float* scale, const float* shift,
                const float* residual, bool relu, float* y) {
  const int64_t groups = layout.groups();
#pragma omp parallel for
  for (int64_t i = 0; i < layout.n * groups; ++i) {
    const int64_t g = i % groups, at = layout.Plane(i / groups, g), c = g * kLanes;
    const int64_t pixels = layout.pixels(), step = layout.block;
    if (residual == nullptr) {
      (relu ? PlaneScaleRelu : PlaneScale)(x + at, pixels, step, scale + c, shift + c, y + at);
    } else {
      (relu ? PlaneScaleAddRelu : PlaneScaleAdd)(x + at, pixels, step, scale + c, shift + c,
                                                 residual + at, y + at);
    }
  }
}

void NormBackwardSums(const Layout& layout, const NormBackward& norm, const float* d1,
                      const float* d2, float* out, float* sum_d, float* sum_dx) {
  const Mask mask = norm.output != nullptr ? Mask::kOutput
                    : norm.relu            ? Mask::kRecomputed
                                           : Mask::kNone;
  const auto sum = out == nullptr ? (mask == Mask::kNone     ? SumPlain
                                     : mask == Mask::kOutput ? SumOutput
                                                             : SumRecomputed)
                                  : (mask == Mask::kNone     ? SumPlainWrite
                                     : mask == Mask::kOutput ? SumOutputWrite
                                                             : SumRecomputedWrite);
#pragma omp parallel for
  for (int64_t g = 0; g < layout.groups(); ++g) {
    Sum8 d, dx;
    for (int64_t n = 0; n < layout.n; ++n) sum(PlaneOf(layout, norm, n, g, d1, d2, out), &d, &dx);
    for (int64_t i = 0; i < kLanes; ++i) {
      sum_d[g * kLanes + i] = static_cast<float>(d.total[i]);
      sum_dx[g * kLanes + i] = static_cast<float>(dx.total[i]);
    }
  }
}

void NormBackwardApply(const Layout& layout, const NormBackward& norm, const float* d1,
                       const float* d2, bool mask_again, const float* sum_d, const float* sum_dx,
                       float* dx) {
  const Mask mask = !mask_again              ? Mask::kNone
                    : norm.output != nullptr ? Mask::kOutput
                    : norm.relu              ? Mask::kRecomputed
                                             : Mask::kNone;
  const auto apply = mask == Mask::kNone     ? ApplyPlain
                     : mask == Mask::kOutput ? ApplyOutput
                                             : ApplyRecomputed;
  const float count = static_cast<float>(layout.n * layout.pixels());
#pragma omp parallel for
  for (int64_t g = 0; g < layout.groups(); ++g) {
    alignas(32) float mean_d[kLanes] = {}, factor[kLanes] = {};
    for (int64_t i = 0; i < kLanes && norm.batch_statistics; ++i) {
      const int64_t c = g * kLanes + i;
      mean_d[i] = sum_d[c] / count;
      factor[i] = sum_dx[c] / count * norm.inverse[c];
    }
    for (int64_t n = 0; n < layout.n; ++n)
      apply(PlaneOf(layout, norm, n, g, d1, d2, dx), mean_d, factor);
  }
}

void ChannelSums(const Layout& layout, const float* output, bool write, float* d, float* sums) {
  const auto add = output == nullptr ? SumAll : write ? SumAndMask : SumMasked;
#pragma omp parallel for
  for (int64_t g = 0; g < layout.groups(); ++g) {
    Sum8 sum;
    for (int64_t n = 0; n < layout.n; ++n) {
      const int64_t at = layout.Plane(n, g);
      add(layout.pixels(), layout.block, output != nullptr ? output + at : nullptr, d + at, &sum);
    }
    for (int64_t i = 0; i < kLanes && g * kLanes + i < layout.channels; ++i)
      sums[g * kLanes + i] = static_cast<float>(sum.total[i]);
  }
}

}  // namespace manako::fused
