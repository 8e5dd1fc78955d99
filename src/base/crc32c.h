// CRC-32C (Castagnoli): finds what chance does to a chunk of bytes, at memory speed. Against people
// there is SHA-256. RFC 3720 (iSCSI), section 12.1 and appendix B.4.
#ifndef MANAKO_BASE_CRC32C_H_
#define MANAKO_BASE_CRC32C_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace manako {

// The CRC of `size` bytes behind those whose CRC is `crc`: Crc32c(b, m, Crc32c(a, n)) is that of a
// and b together, and the CRC of nothing is 0. The same on every processor; with SSE 4.2 by its
// instruction, three streams at a time.
uint32_t Crc32c(const void* data, size_t size, uint32_t crc = 0);
inline uint32_t Crc32c(std::string_view bytes, uint32_t crc = 0) {
  return Crc32c(bytes.data(), bytes.size(), crc);
}

// What processors without the instruction do; here so that tests compare the two.
uint32_t Crc32cPortable(const void* data, size_t size, uint32_t crc = 0);

}  // namespace manako

#endif  // MANAKO_BASE_CRC32C_H_
