// The number types that tensor files hold, and their conversion to float32.
#ifndef MANAKO_LEARN_IMPORT_CONVERT_H_
#define MANAKO_LEARN_IMPORT_CONVERT_H_

#include <cstddef>
#include <cstdint>

namespace manako {

enum class ScalarType {
  kBool,
  kUInt8,
  kInt8,
  kUInt16,
  kInt16,
  kUInt32,
  kInt32,
  kUInt64,
  kInt64,
  kFloat16,
  kBFloat16,
  kFloat32,
  kFloat64,
};

// Bytes of one number in a file.
size_t SizeOf(ScalarType type);

// True for the integers and for bool.
bool IsInteger(ScalarType type);

// Converts `count` little-endian numbers to float32. Number i lies at source + i * stride_bytes;
// nothing needs to be aligned. The caller answers for the bounds. Rounds to nearest even; what
// float32 cannot hold becomes infinity; a NaN stays a NaN; every bool that is not 0 is 1.
void ConvertToFloat(ScalarType type, const char* source, size_t stride_bytes, size_t count,
                    float* destination);

}  // namespace manako

#endif  // MANAKO_LEARN_IMPORT_CONVERT_H_
