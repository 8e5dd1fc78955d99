#include "data/exif.h"

#include <cstddef>
#include <cstring>

namespace manako {

int ExifOrientation(std::string_view app1) {
  constexpr std::string_view kMagic("Exif\0\0", 6);
  if (!app1.starts_with(kMagic)) return 1;
  const std::string_view tiff = app1.substr(kMagic.size());
  if (!tiff.starts_with("II") && !tiff.starts_with("MM")) return 1;
  const bool little = tiff[0] == 'I';
  const auto read = [&](uint64_t at, int size) -> uint64_t {
    if (at > tiff.size() || tiff.size() - at < static_cast<uint64_t>(size)) return 0;
    uint64_t value = 0;
    for (int i = 0; i < size; ++i) {
      const int place = little ? size - 1 - i : i;
      value = value << 8 | static_cast<uint8_t>(tiff[at + static_cast<uint64_t>(place)]);
    }
    return value;
  };
  if (read(2, 2) != 42) return 1;
  const uint64_t directory = read(4, 4);
  const uint64_t entries = read(directory, 2);
  for (uint64_t i = 0; i < entries; ++i) {
    const uint64_t entry = directory + 2 + 12 * i;
    if (entry >= tiff.size()) break;
    if (read(entry, 2) != 0x0112) continue;
    const uint64_t value = read(entry + 8, 2);
    const bool is_short = read(entry + 2, 2) == 3 && read(entry + 4, 4) == 1;
    return is_short && value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

void ApplyOrientation(int orientation, int side, uint8_t* rgb) {
  if (orientation <= 1 || orientation > 8) return;
  const std::vector<uint8_t> from(rgb, rgb + static_cast<size_t>(side) * side * 3);
  const int last = side - 1;
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) {
      int from_x = x, from_y = y;
      switch (orientation) {
        case 2:
          from_x = last - x;
          break;
        case 3:
          from_x = last - x, from_y = last - y;
          break;
        case 4:
          from_y = last - y;
          break;
        case 5:
          from_x = y, from_y = x;
          break;
        case 6:
          from_x = y, from_y = last - x;
          break;
        case 7:
          from_x = last - y, from_y = last - x;
          break;
        default:
          from_x = last - y, from_y = x;
          break;
      }
      std::memcpy(rgb + (static_cast<size_t>(y) * side + x) * 3,
                  from.data() + (static_cast<size_t>(from_y) * side + from_x) * 3, 3);
    }
  }
}

}  // namespace manako
