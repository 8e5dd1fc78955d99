// Scaling with a filter against aliasing.
#ifndef MANAKO_DATA_RESAMPLE_H_
#define MANAKO_DATA_RESAMPLE_H_

#include <cstdint>

#include "data/rgb_image.h"

namespace manako {

// Scales the part `box` of `image` to width * height pixels and writes them into the picture at
// `to`, whose rows are `stride` bytes apart. Separable triangle filter whose support grows with the
// reduction (what Pillow and torchvision call bilinear with antialiasing), in float32 in a fixed
// order: the same bits on every machine.
struct Target {
  uint8_t* to;
  int width, height;
  size_t stride;
};
void Resample(const RgbImage& image, const Box& box, const Target& target);

}  // namespace manako

#endif  // MANAKO_DATA_RESAMPLE_H_
