// Turns 8-bit images into the normalised float batches that a network reads.
#ifndef MANAKO_LEARN_BATCH_H_
#define MANAKO_LEARN_BATCH_H_

#include <array>
#include <cstdint>
#include <span>

#include "base/random.h"
#include "core/image_store.h"
#include "core/run_config.h"

namespace manako {

// (x / 255 - mean) / std for each of red, green and blue: ImageNet's, which torchvision's weights
// expect.
struct Normalisation {
  std::array<float, 3> mean = {0.485f, 0.456f, 0.406f};
  std::array<float, 3> std = {0.229f, 0.224f, 0.225f};
};

// One input of a network: an image's pixels as [height][width][3], or features that another part of
// the network computed, as [features][height][width], or [features] where there is no height.
struct InputShape {
  int64_t height = 0, width = 0;
  int64_t features = 0;  // channels; 0: pixels
  int64_t elements() const {
    return features == 0 ? height * width * 3 : height == 0 ? features : features * height * width;
  }
  bool operator==(const InputShape&) const = default;
};

// Where an output pixel is taken from and how its value changes; drawn once for each visit of an
// image.
struct Augmentation {
  // Source position of output pixel (x, y), in pixels from the image's centre: (a x + b y, c x + d
  // y).
  double a = 1, b = 0, c = 0, d = 1;
  float gain = 1, offset = 0;  // value' = gain * (value - 0.5) + 0.5 + offset, value in 0..1
  bool moves = false;          // false: the pixels stay in place, only their values change
};

// Draws in a fixed order, whatever is switched off, so that one flag does not change the others'
// draws.
Augmentation DrawAugmentation(const AugmentConfig& config, Random random);

// Writes one image as height x width x 3 floats (channels last). Positions outside the image are
// black before normalisation; values are clamped to 0..1 after gain and offset. Bilinear.
void PrepareImage(const uint8_t* pixels, int height, int width, const Augmentation& augmentation,
                  const Normalisation& normalisation, float* out);

}  // namespace manako

#endif  // MANAKO_LEARN_BATCH_H_
