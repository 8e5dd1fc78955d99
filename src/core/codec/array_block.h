// One block of an array file: its numbers to its bytes and back. Knows nothing of the file around
// it.
#ifndef MANAKO_CORE_CODEC_ARRAY_BLOCK_H_
#define MANAKO_CORE_CODEC_ARRAY_BLOCK_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/codec/array_file.h"
#include "core/codec/byte_planes.h"

namespace manako {

// Elements that lie one after the other. Not owned.
struct ArrayPiece {
  std::span<const float> values = {};
  // The same elements of the base: for a section of changes, or where the file has a base that the
  // receiver holds too. Empty when there is none.
  std::span<const float> base = {};
  // Error feedback, for lossy encodings: what encoding these elements lost until now, which is
  // added to what is encoded, and where to put what is lost then. Both or none; they may be the
  // same memory. Zero before the first time. So the sum of all that was decoded never strays from
  // the sum of all that was encoded by more than one rounding. Seide et al., "1-Bit Stochastic
  // Gradient Descent", Interspeech 2014; Karimireddy et al., "Error Feedback Fixes SignSGD", ICML
  // 2019.
  std::span<const float> residual = {};
  std::span<float> new_residual = {};
};

// What ArrayStatistics sums up.
struct BlockStatistics {
  double squares = 0, change_squares = 0;
  uint32_t largest_bits = 0;      // of |value|; above 0x7f7fffff when something is not finite
  int64_t first_non_finite = -1;  // index in the section
};

// A block's place.
struct BlockPlace {
  const ArraySection* section = nullptr;
  uint32_t number = 0;  // in the file, over all sections
  uint64_t first = 0;   // index in the section of its first element
};

// Every block begins with this many bytes: payload length, number, method, CRC.
inline constexpr size_t kBlockHeader = 16;

// The most bytes that a block of n elements can have, its header included.
inline size_t MaxBlockBytes(ArrayEncoding encoding, size_t n) {
  return kBlockHeader + EncodedSize(encoding, n);
}

// Holds the buffers; one for each thread.
class BlockEncoder {
 public:
  struct Options {
    bool compress = true;
    // Whether the receiver has the base, so that lossless bits may be coded against it.
    bool may_use_base = false;
  };
  // The block is header() and then payload(), which hold until the next call, as long as the piece
  // does. InvalidArgument, for lossy encodings: a value, or its change and residual, is not finite;
  // says which and where.
  absl::Status Encode(const BlockPlace& place, const ArrayPiece& piece, const Options& options,
                      BlockStatistics& statistics);
  std::string_view header() const { return {reinterpret_cast<const char*>(header_), kBlockHeader}; }
  std::string_view payload() const {
    return {reinterpret_cast<const char*>(payload_.data()), payload_.size()};
  }

 private:
  absl::Status EncodeLossy(const BlockPlace& place, const ArrayPiece& piece,
                           BlockStatistics& statistics);

  uint8_t header_[kBlockHeader];
  std::span<const uint8_t> payload_;
  std::vector<uint8_t> encoded_;
  std::vector<float> wanted_, decoded_;
  PlanePacker packer_;
};

class BlockDecoder {
 public:
  // Where a block's bytes must be put before it is decoded.
  std::span<uint8_t> Buffer(size_t size);
  // The numbers of the block of out.size() elements in the buffer. FailedPrecondition: it is coded
  // against a base and none was given; DataLoss: anything else that Encode() would not have
  // written, and a wrong CRC.
  absl::Status Decode(const BlockPlace& place, std::span<const float> base, std::span<float> out);
  // Whether the block, stored as its numbers are (BlockMethod::kRaw), is good where it was read to:
  // its header and, behind that, its payload, the bytes of n encoded numbers. False, and nothing is
  // said, when it is stored by another method. DataLoss as above.
  static absl::StatusOr<bool> CheckRaw(const BlockPlace& place, const uint8_t* header,
                                       std::span<const uint8_t> payload, size_t n);
  // The same n numbers without a copy where there need be none; they hold until the next call.
  absl::StatusOr<std::span<const float>> View(const BlockPlace& place, std::span<const float> base,
                                              size_t n);

 private:
  struct Stored {
    BlockMethod method;
    std::span<const uint8_t> payload;
  };
  static absl::StatusOr<Stored> Check(const BlockPlace& place, const uint8_t* header,
                                      std::span<const uint8_t> payload, size_t n);
  absl::StatusOr<Stored> Check(const BlockPlace& place, size_t n) const;
  absl::Status Decode(const BlockPlace& place, const Stored& stored, std::span<const float> base,
                      std::span<float> out);

  std::vector<uint8_t> buffer_, raw_;
  size_t size_ = 0;  // of the block in buffer_
  std::vector<float> values_;
  PlanePacker packer_;
};

// What the numbers are, for a summary. `base` may be empty.
BlockStatistics Measure(const BlockPlace& place, std::span<const float> stored,
                        std::span<const float> base);

}  // namespace manako

#endif  // MANAKO_CORE_CODEC_ARRAY_BLOCK_H_
