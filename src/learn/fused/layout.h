// How an image tensor lies in memory.
#ifndef MANAKO_LEARN_FUSED_LAYOUT_H_
#define MANAKO_LEARN_FUSED_LAYOUT_H_

#include <cstdint>

namespace manako::fused {

// A bfloat16 in memory: the upper half of a float.
struct Bfloat16 {
  uint16_t bits = 0;
};

// [n][channels / block][height][width][block]: oneDNN's nChw8c and nChw16c, of floats or Bfloat16
// (of blocks of 16 alone). Where the channels are no multiple of the block, the last block's rest
// is there and holds zeros.
struct Layout {
  int64_t n = 0, channels = 0, height = 0, width = 0;
  int64_t block = 8;

  int64_t blocks() const { return (channels + block - 1) / block; }
  int64_t padded() const { return blocks() * block; }
  int64_t pixels() const { return height * width; }
  int64_t image() const { return padded() * pixels(); }
  int64_t elements() const { return n * image(); }
  // The first element of a block's first pixel; the next pixel is `block` elements further.
  int64_t Plane(int64_t image_index, int64_t block_index) const {
    return image_index * image() + block_index * block * pixels();
  }
};

}  // namespace manako::fused

#endif  // MANAKO_LEARN_FUSED_LAYOUT_H_
