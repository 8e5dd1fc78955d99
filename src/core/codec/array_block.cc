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

uint32_t BlockCrc(const uint8_t* header, std::span<const uint8_t> payload) {
  return Crc32c(payload.data(), payload.size(), Crc32c(header, kCrcAt));
}

absl::Status Damaged(const BlockPlace& place, std::string_view what) {
  return DataLoss("block {} (array {}, element {}): {}", place.number, place.section->name,
                  place.first, what);
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
  uint8_t* encoded = AtLeast(encoded_, EncodedSize(place.section->encoding, n));
  EncodeValues(place.section->encoding, source, encoded);
  payload_ = {encoded, EncodedSize(place.section->encoding, n)};
  DecodeValues(place.section->encoding, encoded, {decoded, n});
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
  if (IsLossy(encoding)) {
    MANAKO_RETURN_IF_ERROR(EncodeLossy(place, piece, statistics));
  } else {
    // Encoded float32 is what lies in memory.
    payload_ = {reinterpret_cast<const uint8_t*>(piece.values.data()), EncodedSize(encoding, n)};
    statistics = Measure(place, piece.values, piece.base);
  }
  BlockMethod method = BlockMethod::kRaw;
  if (options.compress) {
    const float* base = options.may_use_base && !piece.base.empty() ? piece.base.data() : nullptr;
    method = packer_.Pack(encoding, n, payload_.data(), base);
    if (method != BlockMethod::kRaw) payload_ = packer_.packed();
  }
  Store32(header_, static_cast<uint32_t>(payload_.size()));
  Store32(header_ + 4, place.number);
  Store32(header_ + 8, static_cast<uint32_t>(method));
  Store32(header_ + kCrcAt, BlockCrc(header_, payload_));
  return absl::OkStatus();
}

std::span<uint8_t> BlockDecoder::Buffer(size_t size) {
  size_ = size;
  return {AtLeast(buffer_, size), size};
}

absl::StatusOr<BlockDecoder::Stored> BlockDecoder::Check(const BlockPlace& place, size_t n) const {
  if (size_ < kBlockHeader) return Damaged(place, "is shorter than a block's header");
  return Check(place, buffer_.data(), {buffer_.data() + kBlockHeader, size_ - kBlockHeader}, n);
}

absl::StatusOr<bool> BlockDecoder::CheckRaw(const BlockPlace& place, const uint8_t* header,
                                            std::span<const uint8_t> payload, size_t n) {
  MANAKO_ASSIGN_OR_RETURN(const Stored stored, Check(place, header, payload, n));
  return stored.method == BlockMethod::kRaw;
}

absl::StatusOr<BlockDecoder::Stored> BlockDecoder::Check(const BlockPlace& place,
                                                         const uint8_t* header,
                                                         std::span<const uint8_t> payload,
                                                         size_t n) {
  if (kLookAtChecksums && Load32(header + kCrcAt) != BlockCrc(header, payload)) {
    return Damaged(place, "the checksum is wrong");
  }
  if (Load32(header) != payload.size()) {
    return Damaged(place, "states another length than the table");
  }
  if (Load32(header + 4) != place.number) return Damaged(place, "states another number");
  const uint32_t method = Load32(header + 8);
  if (method > static_cast<uint32_t>(BlockMethod::kXorPlanes)) {
    return Damaged(place, "is stored by an unknown method");
  }
  const Stored stored{static_cast<BlockMethod>(method), payload};
  if (stored.method == BlockMethod::kRaw &&
      payload.size() != EncodedSize(place.section->encoding, n)) {
    return Damaged(place, "has not the length of its elements");
  }
  return stored;
}

absl::Status BlockDecoder::Decode(const BlockPlace& place, const Stored& stored,
                                  std::span<const float> base, std::span<float> out) {
  const ArrayEncoding encoding = place.section->encoding;
  if (stored.method == BlockMethod::kRaw) {
    DecodeValues(encoding, stored.payload.data(), out);
    return absl::OkStatus();
  }
  if (stored.method == BlockMethod::kXorPlanes && base.empty()) {
    return FailedPrecondition(
        "block {} (array {}, element {}) is coded against the base, which is not given",
        place.number, place.section->name, place.first);
  }
  // Float32 needs no place between: its encoded bytes are the numbers.
  const bool in_place = !IsLossy(encoding);
  uint8_t* raw = in_place ? reinterpret_cast<uint8_t*>(out.data())
                          : AtLeast(raw_, EncodedSize(encoding, out.size()));
  const absl::Status status =
      packer_.Unpack(encoding, out.size(), stored.payload, stored.method, base.data(), raw);
  if (absl::IsDataLoss(status)) return Damaged(place, MessageOf(status));
  MANAKO_RETURN_IF_ERROR(status);
  if (!in_place) DecodeValues(encoding, raw, out);
  return absl::OkStatus();
}

absl::Status BlockDecoder::Decode(const BlockPlace& place, std::span<const float> base,
                                  std::span<float> out) {
  MANAKO_ASSIGN_OR_RETURN(const Stored stored, Check(place, out.size()));
  return Decode(place, stored, base, out);
}

absl::StatusOr<std::span<const float>> BlockDecoder::View(const BlockPlace& place,
                                                          std::span<const float> base, size_t n) {
  MANAKO_ASSIGN_OR_RETURN(const Stored stored, Check(place, n));
  if (stored.method == BlockMethod::kRaw && !IsLossy(place.section->encoding)) {
    return std::span<const float>(reinterpret_cast<const float*>(stored.payload.data()), n);
  }
  const std::span<float> values(AtLeast(values_, n), n);
  MANAKO_RETURN_IF_ERROR(Decode(place, stored, base, values));
  return std::span<const float>(values);
}

}  // namespace manako
