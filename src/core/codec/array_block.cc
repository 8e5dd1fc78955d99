#include "core/codec/array_block.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "base/crc32c.h"
#include "base/status_macros.h"
#include "core/codec/float_kernels.h"

namespace manako {
namespace {

constexpr uint32_t kInfinityBits = 0x7f800000u;
constexpr size_t kCrcAt = 12;

enum Method : uint8_t { kRaw = 0 };

int64_t FirstNonFinite(std::span<const float> values) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) return static_cast<int64_t>(i);
  }
  return -1;
}

uint32_t Load32(const uint8_t* at) {
  uint32_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

void Store32(uint8_t* at, uint32_t value) { std::memcpy(at, &value, sizeof value); }

uint32_t BlockCrc(std::span<const uint8_t> block) {
  const uint32_t crc = Crc32c(block.data(), kCrcAt);
  return Crc32c(block.data() + kBlockHeader, block.size() - kBlockHeader, crc);
}

// Grows only: a buffer that shrinks and grows again would be filled with zeros each time.
template <typename T>
T* AtLeast(std::vector<T>& buffer, size_t size) {
  if (buffer.size() < size) buffer.resize(size);
  return buffer.data();
}

}  // namespace

BlockStatistics Measure(const BlockPlace& place, std::span<const float> stored,
                        std::span<const float> base) {
  BlockStatistics statistics;
  const size_t n = stored.size();
  statistics.squares = SumOfSquares(stored.data(), n);
  statistics.largest_bits = LargestBits(stored.data(), n);
  if (statistics.largest_bits >= kInfinityBits) {
    statistics.first_non_finite = static_cast<int64_t>(place.first) + FirstNonFinite(stored);
  }
  if (place.section->is_change) {
    statistics.change_squares = statistics.squares;
  } else if (!base.empty()) {
    statistics.change_squares = SumOfSquaredChanges(stored.data(), base.data(), n);
  }
  return statistics;
}

absl::Status BlockEncoder::EncodeLossy(const BlockPlace& place, const ArrayPiece& piece,
                                       BlockStatistics& statistics) {
  const size_t n = piece.values.size();
  float* wanted = AtLeast(wanted_, n);
  float* decoded = AtLeast(decoded_, n);
  std::span<const float> source = piece.values;
  if (place.section->is_change) {
    Subtract(source.data(), piece.base.data(), n, wanted);
    source = {wanted, n};
  }
  if (!piece.residual.empty()) {
    Add(source.data(), piece.residual.data(), n, wanted);
    source = {wanted, n};
  }
  if (LargestBits(source.data(), n) >= kInfinityBits) {
    const auto i = static_cast<size_t>(FirstNonFinite(source));
    if (!std::isfinite(piece.values[i])) {
      return InvalidArgument("element {} of array {} is {}: {} takes finite numbers only",
                             place.first + i, place.section->name, piece.values[i],
                             NameOf(place.section->encoding));
    }
    return InvalidArgument(
        "the change of element {} of array {} is {}: {} takes finite numbers only", place.first + i,
        place.section->name, source[i], NameOf(place.section->encoding));
  }
  EncodeValues(place.section->encoding, source, bytes_.data() + kBlockHeader);
  DecodeValues(place.section->encoding, bytes_.data() + kBlockHeader, {decoded, n});
  if (!piece.new_residual.empty()) Subtract(source.data(), decoded, n, piece.new_residual.data());
  statistics = Measure(place, {decoded, n}, {});
  if (!place.section->is_change && !piece.base.empty()) {
    statistics.change_squares = SumOfSquaredChanges(decoded, piece.base.data(), n);
  }
  return absl::OkStatus();
}

absl::Status BlockEncoder::Encode(const BlockPlace& place, const ArrayPiece& piece,
                                  const Options& options, BlockStatistics& statistics) {
  const ArrayEncoding encoding = place.section->encoding;
  const size_t n = piece.values.size();
  size_ = MaxBlockBytes(encoding, n);
  uint8_t* block = AtLeast(bytes_, size_);
  if (IsLossy(encoding)) {
    MANAKO_RETURN_IF_ERROR(EncodeLossy(place, piece, statistics));
  } else {
    EncodeValues(encoding, piece.values, block + kBlockHeader);
    statistics = Measure(place, piece.values, piece.base);
  }
  Store32(block, static_cast<uint32_t>(size_ - kBlockHeader));
  Store32(block + 4, place.number);
  Store32(block + 8, kRaw);
  Store32(block + kCrcAt, BlockCrc({block, size_}));
  return absl::OkStatus();
}

std::span<uint8_t> BlockDecoder::Buffer(size_t size) { return {AtLeast(buffer_, size), size}; }

absl::Status BlockDecoder::Decode(const BlockPlace& place, std::span<const uint8_t> bytes,
                                  std::span<const float> base, std::span<float> out) {
  const ArrayEncoding encoding = place.section->encoding;
  const auto damaged = [&](std::string_view what) {
    return DataLoss("block {} (array {}, element {}): {}", place.number, place.section->name,
                    place.first, what);
  };
  if (bytes.size() < kBlockHeader) return damaged("is shorter than a block's header");
#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
  if (Load32(bytes.data() + kCrcAt) != BlockCrc(bytes)) return damaged("the checksum is wrong");
#endif
  if (Load32(bytes.data()) != bytes.size() - kBlockHeader)
    return damaged("states another length than the table");
  if (Load32(bytes.data() + 4) != place.number) return damaged("states another number");
  const std::span<const uint8_t> payload = bytes.subspan(kBlockHeader);
  switch (Load32(bytes.data() + 8)) {
    case kRaw:
      if (payload.size() != EncodedSize(encoding, out.size()))
        return damaged("has not the length of its elements");
      DecodeValues(encoding, payload.data(), out);
      return absl::OkStatus();
    default:
      return damaged("is stored by an unknown method");
  }
}

}  // namespace manako
