#include "learn/import/convert.h"

#include <bit>
#include <cstring>

namespace manako {
namespace {

static_assert(std::endian::native == std::endian::little, "tensor files are little-endian");

// IEEE 754 binary16: 1 sign bit, 5 exponent bits with bias 15, 10 fraction bits.
float FromFloat16(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t exponent = half >> 10 & 0x1f;
  const uint32_t fraction = half & 0x3ff;
  if (exponent == 0) {
    // Zero or subnormal: a multiple of 2^-24, which float32 holds exactly.
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | sign);
  }
  const uint32_t widened = exponent == 31 ? 255 : exponent + (127 - 15);
  return std::bit_cast<float>(sign | widened << 23 | fraction << 13);
}

// bfloat16 is the upper half of a float32.
float FromBFloat16(uint16_t upper) {
  return std::bit_cast<float>(static_cast<uint32_t>(upper) << 16);
}

template <typename T, typename Convert>
void Each(const char* source, size_t stride_bytes, size_t count, float* destination,
          Convert convert) {
  for (size_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, source + i * stride_bytes, sizeof(T));
    destination[i] = convert(value);
  }
}

template <typename T>
void Each(const char* source, size_t stride_bytes, size_t count, float* destination) {
  Each<T>(source, stride_bytes, count, destination, [](T x) { return static_cast<float>(x); });
}

}  // namespace

size_t SizeOf(ScalarType type) {
  switch (type) {
    case ScalarType::kBool:
    case ScalarType::kUInt8:
    case ScalarType::kInt8:
      return 1;
    case ScalarType::kUInt16:
    case ScalarType::kInt16:
    case ScalarType::kFloat16:
    case ScalarType::kBFloat16:
      return 2;
    case ScalarType::kUInt32:
    case ScalarType::kInt32:
    case ScalarType::kFloat32:
      return 4;
    case ScalarType::kUInt64:
    case ScalarType::kInt64:
    case ScalarType::kFloat64:
      return 8;
  }
  return 0;
}

bool IsInteger(ScalarType type) {
  switch (type) {
    case ScalarType::kFloat16:
    case ScalarType::kBFloat16:
    case ScalarType::kFloat32:
    case ScalarType::kFloat64:
      return false;
    default:
      return true;
  }
}

void ConvertToFloat(ScalarType type, const char* source, size_t stride_bytes, size_t count,
                    float* destination) {
  const char* s = source;
  const size_t stride = stride_bytes;
  float* d = destination;
  switch (type) {
    // Read as a byte: a bool object that is neither 0 nor 1 would be undefined behaviour.
    case ScalarType::kBool:
      return Each<uint8_t>(s, stride, count, d, [](uint8_t x) { return x != 0 ? 1.0f : 0.0f; });
    case ScalarType::kUInt8:
      return Each<uint8_t>(s, stride, count, d);
    case ScalarType::kInt8:
      return Each<int8_t>(s, stride, count, d);
    case ScalarType::kUInt16:
      return Each<uint16_t>(s, stride, count, d);
    case ScalarType::kInt16:
      return Each<int16_t>(s, stride, count, d);
    case ScalarType::kUInt32:
      return Each<uint32_t>(s, stride, count, d);
    case ScalarType::kInt32:
      return Each<int32_t>(s, stride, count, d);
    case ScalarType::kUInt64:
      return Each<uint64_t>(s, stride, count, d);
    case ScalarType::kInt64:
      return Each<int64_t>(s, stride, count, d);
    case ScalarType::kFloat16:
      return Each<uint16_t>(s, stride, count, d, FromFloat16);
    case ScalarType::kBFloat16:
      return Each<uint16_t>(s, stride, count, d, FromBFloat16);
    case ScalarType::kFloat64:
      return Each<double>(s, stride, count, d);
    case ScalarType::kFloat32:
      if (stride == sizeof(float) && count > 0) {
        std::memcpy(d, s, count * sizeof(float));
        return;
      }
      return Each<float>(s, stride, count, d);
  }
}

}  // namespace manako
