// How an image tensor lies in memory.
#ifndef MANAKO_LEARN_FUSED_LAYOUT_H_
#define MANAKO_LEARN_FUSED_LAYOUT_H_

#include <cstdint>

namespace manako::fused {

inline constexpr int64_t kLanes = 8;  // channels that the loops of kernels.h take at once

// [n][channels / block][height][width][block] floats: oneDNN's nChw8c and nChw16c. Where the
// channels are no multiple of the block, the last block's rest is there and holds zeros.
struct Layout {
  int64_t n = 0, channels = 0, height = 0, width = 0;
  int64_t block = kLanes;

  int64_t padded() const { return (channels + block - 1) / block * block; }
  int64_t pixels() const { return height * width; }
  int64_t groups() const { return padded() / kLanes; }
  int64_t image() const { return padded() * pixels(); }
  int64_t floats() const { return n * image(); }
  // The first float of the group's first pixel; the next pixel is `block` floats further.
  int64_t Plane(int64_t image_index, int64_t group) const {
    const int64_t first = group * kLanes;
    return image_index * image() + first / block * block * pixels() + first % block;
  }
};

}  // namespace manako::fused

#endif  // MANAKO_LEARN_FUSED_LAYOUT_H_
