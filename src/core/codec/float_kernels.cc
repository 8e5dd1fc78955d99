#include "core/codec/float_kernels.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "base/simd.h"
#include "core/codec/array_encoding.h"

namespace manako {
namespace {

constexpr uint32_t kSign = 0x80000000u;

// The loops below are written so that a compiler makes vector code of them: no branches, each lane
// by itself, and the builtin in place of std::bit_cast, which GCC calls instead of inlining it
// where a function has a target of its own.

MANAKO_SIMD void Bfloat16Loop(const float* __restrict values, size_t n, uint16_t* __restrict out) {
  for (size_t i = 0; i < n; ++i) {
    const uint32_t bits = __builtin_bit_cast(uint32_t, values[i]);
    const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    // Only numbers above the largest bfloat16 round to its infinity.
    const bool infinite = (rounded & 0x7fff) >= 0x7f80;
    out[i] = static_cast<uint16_t>(infinite ? (bits >> 31 << 15) | 0x7f7f : rounded);
  }
}

MANAKO_SIMD void FromBfloat16Loop(const uint16_t* __restrict in, size_t n,
                                  float* __restrict values) {
  for (size_t i = 0; i < n; ++i)
    values[i] = __builtin_bit_cast(float, static_cast<uint32_t>(in[i]) << 16);
}

MANAKO_SIMD void Float16Loop(const float* __restrict values, size_t n, uint16_t* __restrict out) {
  for (size_t i = 0; i < n; ++i) {
    const uint32_t bits = __builtin_bit_cast(uint32_t, values[i]);
    const uint32_t magnitude = bits & ~kSign;
    // A normal number: rebias the exponent, then round at bit 13, ties to even by the bit that
    // stays.
    const uint32_t normal = (magnitude - (112u << 23) + 0xfff + ((magnitude >> 13) & 1)) >> 13;
    // A denormal one: added to 0.5, whose last place is 2^-24, the adder rounds it where it must be
    // rounded.
    const uint32_t denormal =
        __builtin_bit_cast(uint32_t, __builtin_bit_cast(float, magnitude) + 0.5f) -
        __builtin_bit_cast(uint32_t, 0.5f);
    uint32_t half = magnitude < (113u << 23) ? denormal : normal;
    // 65520 is where rounding would give infinity.
    half = magnitude >= 0x477ff000u ? 0x7bff : half;
    out[i] = static_cast<uint16_t>(half | (bits >> 31 << 15));
  }
}

MANAKO_SIMD void FromFloat16Loop(const uint16_t* __restrict in, size_t n,
                                 float* __restrict values) {
  constexpr float kSmallestNormal = 6.103515625e-05f;  // 2^-14
  for (size_t i = 0; i < n; ++i) {
    const uint32_t half = in[i];
    const uint32_t shifted = (half & 0x7fff) << 13;
    const uint32_t exponent = shifted & (0x1fu << 23);
    const uint32_t normal = shifted + (112u << 23);
    const uint32_t special = shifted + (224u << 23);  // infinity and NaN
    // With the exponent of 2^-14 put before it and that number taken away, the subtraction
    // normalises it, exactly.
    const uint32_t denormal = __builtin_bit_cast(
        uint32_t, __builtin_bit_cast(float, shifted + (113u << 23)) - kSmallestNormal);
    uint32_t bits = exponent == 0 ? denormal : normal;
    bits = exponent == (0x1fu << 23) ? special : bits;
    values[i] = __builtin_bit_cast(float, bits | ((half & 0x8000) << 16));
  }
}

MANAKO_SIMD uint32_t LargestBitsLoop(const float* values, size_t n) {
  uint32_t largest = 0;
  for (size_t i = 0; i < n; ++i) {
    const uint32_t bits = __builtin_bit_cast(uint32_t, values[i]) & ~kSign;
    largest = bits > largest ? bits : largest;
  }
  return largest;
}

// 1.5 * 2^23: a float of that size has no places behind the point, so adding it rounds to nearest,
// ties to even.
constexpr float kRounder = 12582912.0f;

MANAKO_SIMD void Int8Loop(const float* __restrict values, size_t n, float step,
                          int8_t* __restrict out) {
  for (size_t i = 0; i < n; ++i) {
    float steps = values[i] / step;
    steps = steps > 127.0f ? 127.0f : steps;
    steps = steps < -127.0f ? -127.0f : steps;
    const uint32_t bits =
        __builtin_bit_cast(uint32_t, steps + kRounder) - __builtin_bit_cast(uint32_t, kRounder);
    out[i] = static_cast<int8_t>(bits);
  }
}

MANAKO_SIMD void FromInt8Loop(const int8_t* __restrict in, size_t n, float step,
                              float* __restrict values) {
  for (size_t i = 0; i < n; ++i) values[i] = static_cast<float>(in[i]) * step;
}

constexpr size_t kLanes = 16;

double Join(std::array<double, kLanes> sums) {
  for (size_t width = kLanes / 2; width > 0; width /= 2) {
    for (size_t i = 0; i < width; ++i) sums[i] += sums[i + width];
  }
  return sums[0];
}

MANAKO_SIMD void SumOfSquaresLoop(const float* __restrict values, size_t n,
                                  double* __restrict sums) {
  double lanes[kLanes] = {};
  for (size_t i = 0; i < n; i += kLanes) {
    for (size_t k = 0; k < kLanes; ++k) {
      const double value = static_cast<double>(values[i + k]);
      lanes[k] += value * value;
    }
  }
  for (size_t k = 0; k < kLanes; ++k) sums[k] = lanes[k];
}

MANAKO_SIMD void SumOfChangesLoop(const float* __restrict values, const float* __restrict base,
                                  size_t n, double* __restrict sums) {
  double lanes[kLanes] = {};
  for (size_t i = 0; i < n; i += kLanes) {
    for (size_t k = 0; k < kLanes; ++k) {
      const double change = static_cast<double>(values[i + k] - base[i + k]);
      lanes[k] += change * change;
    }
  }
  for (size_t k = 0; k < kLanes; ++k) sums[k] = lanes[k];
}

MANAKO_SIMD void SubtractLoop(const float* a, const float* b, size_t n, float* out) {
  for (size_t i = 0; i < n; ++i) out[i] = a[i] - b[i];
}

MANAKO_SIMD void AddLoop(const float* a, const float* b, size_t n, float* out) {
  for (size_t i = 0; i < n; ++i) out[i] = a[i] + b[i];
}

// The step of a group. Division and product are rounded once each, so the same everywhere.
float StepOf(float largest) {
  float step = largest / 127.0f;
  if (step < std::numeric_limits<float>::min()) return 0;
  if (std::isinf(step * 127.0f)) step = std::nextafter(step, 0.0f);
  return step;
}

}  // namespace

void FloatsToBfloat16(const float* values, size_t n, uint16_t* out) {
  Bfloat16Loop(values, n, out);
}
void Bfloat16ToFloats(const uint16_t* in, size_t n, float* values) {
  FromBfloat16Loop(in, n, values);
}
void FloatsToFloat16(const float* values, size_t n, uint16_t* out) { Float16Loop(values, n, out); }
void Float16ToFloats(const uint16_t* in, size_t n, float* values) {
  FromFloat16Loop(in, n, values);
}

void FloatsToInt8(const float* values, size_t n, float* steps, int8_t* out) {
  for (size_t i = 0; i < n; i += kInt8Group) {
    const size_t size = std::min(kInt8Group, n - i);
    const float step = StepOf(std::bit_cast<float>(LargestBitsLoop(values + i, size)));
    steps[i / kInt8Group] = step;
    if (step > 0) {
      Int8Loop(values + i, size, step, out + i);
    } else {
      std::fill(out + i, out + i + size, int8_t{0});
    }
  }
}

void Int8ToFloats(const float* steps, const int8_t* in, size_t n, float* values) {
  for (size_t i = 0; i < n; i += kInt8Group) {
    FromInt8Loop(in + i, std::min(kInt8Group, n - i), steps[i / kInt8Group], values + i);
  }
}

uint32_t LargestBits(const float* values, size_t n) { return LargestBitsLoop(values, n); }

double SumOfSquares(const float* values, size_t n) {
  std::array<double, kLanes> sums;
  const size_t whole = n - n % kLanes;
  SumOfSquaresLoop(values, whole, sums.data());
  for (size_t i = whole; i < n; ++i) {
    const double value = static_cast<double>(values[i]);
    sums[i - whole] += value * value;
  }
  return Join(sums);
}

double SumOfSquaredChanges(const float* values, const float* base, size_t n) {
  std::array<double, kLanes> sums;
  const size_t whole = n - n % kLanes;
  SumOfChangesLoop(values, base, whole, sums.data());
  for (size_t i = whole; i < n; ++i) {
    const double change = static_cast<double>(values[i] - base[i]);
    sums[i - whole] += change * change;
  }
  return Join(sums);
}

void Subtract(const float* a, const float* b, size_t n, float* out) { SubtractLoop(a, b, n, out); }
void Add(const float* a, const float* b, size_t n, float* out) { AddLoop(a, b, n, out); }

}  // namespace manako
