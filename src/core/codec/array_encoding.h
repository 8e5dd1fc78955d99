// How float32 numbers become bytes, and what numbers come back. docs/array-file.md says it to the
// byte.
#ifndef MANAKO_CORE_CODEC_ARRAY_ENCODING_H_
#define MANAKO_CORE_CODEC_ARRAY_ENCODING_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "absl/status/statusor.h"

namespace manako {

// The values are those in a file's header.
enum class ArrayEncoding : uint8_t {
  kFloat32 = 0,   // the bits themselves, NaN and infinity included
  kBfloat16 = 1,  // float32's upper half; rounded to nearest, ties to even
  kFloat16 = 2,   // IEEE 754 binary16; rounded to nearest, ties to even
  kInt8 = 3,      // whole multiples, -127 to 127, of a step for each 256 elements
};

// Elements that share a step in kInt8.
inline constexpr size_t kInt8Group = 256;

// "float32", "bfloat16", "float16", "int8", and back. InvalidArgument for another name.
std::string_view NameOf(ArrayEncoding encoding);
absl::StatusOr<ArrayEncoding> ParseArrayEncoding(std::string_view name);
inline bool IsLossy(ArrayEncoding encoding) { return encoding != ArrayEncoding::kFloat32; }

// Bytes of n encoded elements: 4n, 2n, 2n, or n + 4 * ceil(n / 256).
size_t EncodedSize(ArrayEncoding encoding, size_t n);

// Both ways give the same bits on every processor, whatever it does with denormal numbers. Values
// must be finite unless the encoding is kFloat32. `bytes` holds exactly EncodedSize() bytes; values
// and bytes must not overlap.
//
// The 16-bit encodings round what is too large for them to their largest number, not to infinity:
// 65504 for kFloat16, about 3.39e38 for kBfloat16. In kInt8 the step of a group is max|value| /
// 127, rounded to float32 (and one number lower when 127 steps would be infinite), and a number
// becomes value / step in float32, rounded to nearest, ties to even, and cut to -127..127. A group
// whose step would not be a normal number (max|value| below about 1.5e-36) becomes zeros.
void EncodeValues(ArrayEncoding encoding, std::span<const float> values, uint8_t* bytes);
// Any bytes are numbers, though perhaps not finite ones.
void DecodeValues(ArrayEncoding encoding, const uint8_t* bytes, std::span<float> values);

}  // namespace manako

#endif  // MANAKO_CORE_CODEC_ARRAY_ENCODING_H_
