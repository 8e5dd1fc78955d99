// Makes encoded numbers smaller, without loss, where that pays: first bytes together, second bytes
// together, and so on (a plane each), then zstd on those planes that are not noise. The exponents
// of a model's numbers are alike, the ends of their mantissas are not; against the global model the
// upper bits of a trained model are nearly all zero.
#ifndef MANAKO_CORE_CODEC_BYTE_PLANES_H_
#define MANAKO_CORE_CODEC_BYTE_PLANES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "core/codec/array_encoding.h"

namespace manako {

// A block's payload, by method (docs/array-file.md).
enum class BlockMethod : uint32_t {
  kRaw = 0,        // the encoded numbers
  kPlanes = 1,     // in planes, each as it is or compressed
  kXorPlanes = 2,  // the same, of float32 bits xor the base's bits
};

// Holds buffers and zstd's state; one for each thread.
class PlanePacker {
 public:
  PlanePacker();
  ~PlanePacker();
  PlanePacker(PlanePacker&&) noexcept;
  PlanePacker& operator=(PlanePacker&&) noexcept;

  // Packs n encoded numbers (EncodedSize() bytes at `raw`) when a sample of 1,024 says that an
  // eighth is saved, and the result saves a sixteenth. Gives the method and puts the payload into
  // packed(); kRaw when it doesn't pay. `base`: n numbers, or null; used for kFloat32 only.
  BlockMethod Pack(ArrayEncoding encoding, size_t n, const uint8_t* raw, const float* base);
  std::span<const uint8_t> packed() const { return {packed_.data(), packed_size_}; }

  // The other way, into the EncodedSize() bytes at `raw`. DataLoss when the payload is not one of
  // Pack(). `base` must not be null for kXorPlanes.
  absl::Status Unpack(ArrayEncoding encoding, size_t n, std::span<const uint8_t> payload,
                      BlockMethod method, const float* base, uint8_t* raw);

 private:
  struct Zstd;
  std::unique_ptr<Zstd> zstd_;
  std::vector<uint8_t> planes_, packed_;
  size_t packed_size_ = 0;
};

}  // namespace manako

#endif  // MANAKO_CORE_CODEC_BYTE_PLANES_H_
