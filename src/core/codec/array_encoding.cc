#include "core/codec/array_encoding.h"

#include <bit>
#include <cstring>

#include "base/status_macros.h"
#include "core/codec/float_kernels.h"

namespace manako {
namespace {

static_assert(std::endian::native == std::endian::little,
              "numbers are copied as they lie in memory, which is how the format has them on these "
              "machines only");

constexpr std::string_view kNames[] = {"float32", "bfloat16", "float16", "int8"};

}  // namespace

std::string_view NameOf(ArrayEncoding encoding) { return kNames[static_cast<size_t>(encoding)]; }

absl::StatusOr<ArrayEncoding> ParseArrayEncoding(std::string_view name) {
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (kNames[i] == name) return static_cast<ArrayEncoding>(i);
  }
  return InvalidArgument("an encoding must be float32, bfloat16, float16 or int8, but is {}", name);
}

size_t EncodedSize(ArrayEncoding encoding, size_t n) {
  switch (encoding) {
    case ArrayEncoding::kFloat32:
      return 4 * n;
    case ArrayEncoding::kBfloat16:
    case ArrayEncoding::kFloat16:
      return 2 * n;
    case ArrayEncoding::kInt8:
      return n + (n + kInt8Group - 1) / kInt8Group * sizeof(float);
  }
  return 0;
}

// Buffers come from vectors, which are aligned for anything; a block's header is 16 bytes, so what
// follows it is too.
void EncodeValues(ArrayEncoding encoding, std::span<const float> values, uint8_t* bytes) {
  const size_t n = values.size();
  switch (encoding) {
    case ArrayEncoding::kFloat32:
      if (n > 0) std::memcpy(bytes, values.data(), 4 * n);
      return;
    case ArrayEncoding::kBfloat16:
      return FloatsToBfloat16(values.data(), n, reinterpret_cast<uint16_t*>(bytes));
    case ArrayEncoding::kFloat16:
      return FloatsToFloat16(values.data(), n, reinterpret_cast<uint16_t*>(bytes));
    case ArrayEncoding::kInt8:
      return FloatsToInt8(values.data(), n, reinterpret_cast<float*>(bytes),
                          reinterpret_cast<int8_t*>(bytes + EncodedSize(encoding, n) - n));
  }
}

void DecodeValues(ArrayEncoding encoding, const uint8_t* bytes, std::span<float> values) {
  const size_t n = values.size();
  switch (encoding) {
    case ArrayEncoding::kFloat32:
      if (n > 0) std::memcpy(values.data(), bytes, 4 * n);
      return;
    case ArrayEncoding::kBfloat16:
      return Bfloat16ToFloats(reinterpret_cast<const uint16_t*>(bytes), n, values.data());
    case ArrayEncoding::kFloat16:
      return Float16ToFloats(reinterpret_cast<const uint16_t*>(bytes), n, values.data());
    case ArrayEncoding::kInt8:
      return Int8ToFloats(reinterpret_cast<const float*>(bytes),
                          reinterpret_cast<const int8_t*>(bytes + EncodedSize(encoding, n) - n), n,
                          values.data());
  }
}

}  // namespace manako
