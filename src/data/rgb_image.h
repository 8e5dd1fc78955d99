// A picture in memory.
#ifndef MANAKO_DATA_RGB_IMAGE_H_
#define MANAKO_DATA_RGB_IMAGE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace manako {

// 8-bit RGB, row by row without gaps: height * width * 3 bytes.
struct RgbImage {
  int width = 0, height = 0;
  std::vector<uint8_t> pixels;

  const uint8_t* Row(int y) const { return pixels.data() + static_cast<size_t>(y) * width * 3; }
};

// A rectangle of whole pixels.
struct Box {
  int x = 0, y = 0, width = 0, height = 0;
  friend bool operator==(const Box&, const Box&) = default;
};

// The most bytes that one decoded image may take while it is read.
inline constexpr uint64_t kMaxDecodedBytes = uint64_t{400} << 20;

}  // namespace manako

#endif  // MANAKO_DATA_RGB_IMAGE_H_
