#include <algorithm>

#include "base/status_macros.h"
#include "data/formats.h"

namespace manako {
namespace {

// `size` bytes at `at` as a number; 0 outside.
uint64_t Number(std::string_view bytes, uint64_t at, int size, bool little = true) {
  if (at > bytes.size() || bytes.size() - at < static_cast<uint64_t>(size)) return 0;
  uint64_t value = 0;
  for (int i = 0; i < size; ++i) {
    const int place = little ? size - 1 - i : i;
    value = value << 8 | static_cast<uint8_t>(bytes[at + static_cast<uint64_t>(place)]);
  }
  return value;
}

}  // namespace

Extent TiffExtent(std::string_view bytes) {
  const bool little = bytes.starts_with("II");
  const bool big_tiff = Number(bytes, 2, 2, little) == 43;
  const uint64_t directory = big_tiff ? Number(bytes, 8, 8, little) : Number(bytes, 4, 4, little);
  const int count_size = big_tiff ? 8 : 2;
  const uint64_t entry_size = big_tiff ? 20 : 12, value_at = big_tiff ? 12 : 8;
  if (directory >= bytes.size()) return {};
  const uint64_t entries = std::min<uint64_t>(Number(bytes, directory, count_size, little), 4096);
  Extent extent;
  for (uint64_t i = 0; i < entries; ++i) {
    const uint64_t entry = directory + static_cast<uint64_t>(count_size) + i * entry_size;
    const uint64_t tag = Number(bytes, entry, 2, little),
                   type = Number(bytes, entry + 2, 2, little);
    const int size = type == 3 ? 2 : type == 4 ? 4 : type == 16 ? 8 : 0;
    if (size == 0) continue;
    // A repeated tag: whichever libtiff takes, the larger is the one to allow for.
    if (tag == 256)
      extent.width = std::max(extent.width, Number(bytes, entry + value_at, size, little));
    if (tag == 257)
      extent.height = std::max(extent.height, Number(bytes, entry + value_at, size, little));
  }
  return extent;
}

Extent BmpExtent(std::string_view bytes) {
  if (Number(bytes, 14, 4) == 12) return {Number(bytes, 18, 2), Number(bytes, 20, 2)};
  const auto side = [&](uint64_t at) {
    const auto value = static_cast<int32_t>(Number(bytes, at, 4));
    return static_cast<uint64_t>(value < 0 ? -int64_t{value} : value);
  };
  return {side(18), side(22)};
}

Extent WebpExtent(std::string_view bytes) {
  const std::string_view chunk = bytes.substr(std::min<size_t>(12, bytes.size()), 4);
  if (chunk == "VP8X") return {1 + Number(bytes, 24, 3), 1 + Number(bytes, 27, 3)};
  if (chunk == "VP8 ") return {Number(bytes, 26, 2) & 0x3fff, Number(bytes, 28, 2) & 0x3fff};
  if (chunk == "VP8L") {
    const uint64_t bits = Number(bytes, 21, 4);
    return {1 + (bits & 0x3fff), 1 + (bits >> 14 & 0x3fff)};
  }
  return {};
}

int UsedBits(uint16_t brightest) {
  for (const int bits : {8, 10, 12, 14}) {
    if (brightest < 1u << bits) return bits;
  }
  return 16;
}

absl::Status CheckDecodedSize(uint64_t width, uint64_t height, uint64_t bytes_per_pixel) {
  constexpr uint64_t kMaxSide = uint64_t{1} << 30;
  if (width == 0 || height == 0) return DataLoss("an image of {}x{} pixels", width, height);
  if (width <= kMaxSide && height <= kMaxSide &&
      width * height <= kMaxDecodedBytes / bytes_per_pixel) {
    return absl::OkStatus();
  }
  return ResourceExhausted(
      "{}x{} pixels take more than {} MB to decode: save it smaller, or as baseline JPEG", width,
      height, kMaxDecodedBytes >> 20);
}

}  // namespace manako
