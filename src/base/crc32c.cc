#include "base/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace manako {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // 0x1edc6f41, the lowest bit first

using Table = std::array<std::array<uint32_t, 256>, 8>;

// Slicing by 8: tables[k][b] is what byte b does to the remainder when k more bytes follow it.
constexpr Table MakeTables() {
  Table tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}

constexpr Table kTables = MakeTables();

uint64_t Load64(const uint8_t* at) {
  uint64_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

#if defined(__x86_64__)

// A linear map of remainders as four tables, one for each byte of the remainder.
using ShiftTable = std::array<std::array<uint32_t, 256>, 4>;
using Matrix = std::array<uint32_t, 32>;

constexpr uint32_t Times(const Matrix& matrix, uint32_t vector) {
  uint32_t sum = 0;
  for (size_t bit = 0; vector != 0; vector >>= 1, ++bit) {
    if ((vector & 1) != 0) sum ^= matrix[bit];
  }
  return sum;
}

// What 2^log2_bits zero bits do to a remainder.
constexpr ShiftTable MakeShift(int log2_bits) {
  Matrix matrix{};
  matrix[0] = kPolynomial;
  for (size_t bit = 1; bit < 32; ++bit) matrix[bit] = uint32_t{1} << (bit - 1);
  for (int i = 0; i < log2_bits; ++i) {
    Matrix square{};
    for (size_t bit = 0; bit < 32; ++bit) square[bit] = Times(matrix, matrix[bit]);
    matrix = square;
  }
  ShiftTable shift{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    for (uint32_t k = 0; k < 4; ++k) shift[k][byte] = Times(matrix, byte << (8 * k));
  }
  return shift;
}

constexpr uint32_t Shift(const ShiftTable& shift, uint32_t crc) {
  return shift[0][crc & 0xff] ^ shift[1][(crc >> 8) & 0xff] ^ shift[2][(crc >> 16) & 0xff] ^
         shift[3][crc >> 24];
}

// The instruction takes three cycles and one can start in each, so three stretches side by side
// triple the rate. Their remainders are joined by shifting one over the length of the next.
constexpr size_t kLong = 8192, kShort = 256;
constexpr ShiftTable kLongShift = MakeShift(16), kShortShift = MakeShift(11);

__attribute__((target("sse4.2"))) uint32_t ThreeStreams(const uint8_t*& at, size_t& size,
                                                        size_t stretch, const ShiftTable& shift,
                                                        uint32_t crc) {
  while (size >= 3 * stretch) {
    uint64_t a = crc, b = 0, c = 0;
    for (size_t i = 0; i < stretch; i += 8) {
      a = _mm_crc32_u64(a, Load64(at + i));
      b = _mm_crc32_u64(b, Load64(at + stretch + i));
      c = _mm_crc32_u64(c, Load64(at + 2 * stretch + i));
    }
    crc = Shift(shift, static_cast<uint32_t>(a)) ^ static_cast<uint32_t>(b);
    crc = Shift(shift, crc) ^ static_cast<uint32_t>(c);
    at += 3 * stretch;
    size -= 3 * stretch;
  }
  return crc;
}

__attribute__((target("sse4.2"))) uint32_t Crc32cHardware(const void* data, size_t size,
                                                          uint32_t crc) {
  const uint8_t* at = static_cast<const uint8_t*>(data);
  crc = ~crc;
  crc = ThreeStreams(at, size, kLong, kLongShift, crc);
  crc = ThreeStreams(at, size, kShort, kShortShift, crc);
  uint64_t wide = crc;
  for (; size >= 8; at += 8, size -= 8) wide = _mm_crc32_u64(wide, Load64(at));
  crc = static_cast<uint32_t>(wide);
  for (; size > 0; ++at, --size) crc = _mm_crc32_u8(crc, *at);
  return ~crc;
}

#endif

}  // namespace

uint32_t Crc32cPortable(const void* data, size_t size, uint32_t crc) {
  const uint8_t* at = static_cast<const uint8_t*>(data);
  crc = ~crc;
  for (; size >= 8; at += 8, size -= 8) {
    uint32_t low = crc;
    for (int k = 0; k < 4; ++k) low ^= static_cast<uint32_t>(at[k]) << (8 * k);
    crc = kTables[7][low & 0xff] ^ kTables[6][(low >> 8) & 0xff] ^ kTables[5][(low >> 16) & 0xff] ^
          kTables[4][low >> 24] ^ kTables[3][at[4]] ^ kTables[2][at[5]] ^ kTables[1][at[6]] ^
          kTables[0][at[7]];
  }
  for (; size > 0; ++at, --size) crc = (crc >> 8) ^ kTables[0][(crc ^ *at) & 0xff];
  return ~crc;
}

uint32_t Crc32c(const void* data, size_t size, uint32_t crc) {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2");
  if (has_instruction) return Crc32cHardware(data, size, crc);
#endif
  return Crc32cPortable(data, size, crc);
}

}  // namespace manako
