// The loops behind array_encoding.h and array_block.h, one pass each. Lengths are in elements;
// buffers must not overlap.
#ifndef MANAKO_CORE_CODEC_FLOAT_KERNELS_H_
#define MANAKO_CORE_CODEC_FLOAT_KERNELS_H_

#include <cstddef>
#include <cstdint>

namespace manako {

void FloatsToBfloat16(const float* values, size_t n, uint16_t* out);
void Bfloat16ToFloats(const uint16_t* in, size_t n, float* values);
void FloatsToFloat16(const float* values, size_t n, uint16_t* out);
void Float16ToFloats(const uint16_t* in, size_t n, float* values);
// steps: one for each 256 elements, the last group may be short.
void FloatsToInt8(const float* values, size_t n, float* steps, int8_t* out);
void Int8ToFloats(const float* steps, const int8_t* in, size_t n, float* values);

// The largest bit pattern without the sign: of max|value|, or above 0x7f7fffff when something is
// not finite.
uint32_t LargestBits(const float* values, size_t n);
// Sums of squares in float64, added in one order: 16 sums side by side, joined pairwise. So the
// bits are the same on every processor, at the site and at the server.
double SumOfSquares(const float* values, size_t n);
// Of values[i] - base[i], each rounded to float32.
double SumOfSquaredChanges(const float* values, const float* base, size_t n);

// out[i] = a[i] - b[i], and out[i] = a[i] + b[i], rounded to float32. out may be a or b.
void Subtract(const float* a, const float* b, size_t n, float* out);
void Add(const float* a, const float* b, size_t n, float* out);

}  // namespace manako

#endif  // MANAKO_CORE_CODEC_FLOAT_KERNELS_H_
