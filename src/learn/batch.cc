#include "learn/batch.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/simd.h"

namespace manako {
namespace {

// Pixels that stay in place have 256 possible values a channel: a table does normalisation and
// colour at once.
void PrepareInPlace(const uint8_t* pixels, size_t count, const float (&table)[3][256], float* out) {
  for (size_t i = 0; i < count; ++i) {
    out[3 * i] = table[0][pixels[3 * i]];
    out[3 * i + 1] = table[1][pixels[3 * i + 1]];
    out[3 * i + 2] = table[2][pixels[3 * i + 2]];
  }
}

struct RowPosition {
  int offset;  // of the upper left of the four source pixels, in floats of the frame
  float weight[4];
};

// A pixel's three channels and a fourth number that nobody reads.
using Pixel = float __attribute__((vector_size(16)));
constexpr int kPixel = 4;

Pixel Load(const float* from) {
  Pixel pixel;
  std::memcpy(&pixel, from, sizeof pixel);
  return pixel;
}

// The image with a black frame of two pixels, so that no tap needs a test: positions are clamped
// into the frame. Each pixel becomes a float once, not for each of the four taps that meet it.
class Framed {
 public:
  Framed(const uint8_t* pixels, int height, int width)
      : stride_(kPixel * (width + 4)),
        values_(static_cast<size_t>(stride_) * static_cast<size_t>(height + 4), 0.0f) {
    for (int y = 0; y < height; ++y) {
      float* row =
          values_.data() + static_cast<size_t>(y + 2) * static_cast<size_t>(stride_) + 2 * kPixel;
      const uint8_t* from = pixels + static_cast<size_t>(y) * 3 * static_cast<size_t>(width);
      for (int x = 0; x < width; ++x) {
        for (int c = 0; c < 3; ++c) row[kPixel * x + c] = from[3 * x + c];
      }
    }
  }
  const float* data() const { return values_.data(); }
  int stride() const { return stride_; }

 private:
  int stride_;
  std::vector<float> values_;
};

// Each pixel of a row from its four taps.
void Blend(const float* frame, int stride, const RowPosition* positions, int n, float* row) {
  for (int i = 0; i < n; ++i) {
    const RowPosition& at = positions[i];
    const float *upper = frame + at.offset, *lower = upper + stride;
    const Pixel pixel = at.weight[0] * Load(upper) + at.weight[1] * Load(upper + kPixel) +
                        at.weight[2] * Load(lower) + at.weight[3] * Load(lower + kPixel);
    // The fourth number is the next pixel's first, which follows; there is none behind the last.
    std::memcpy(row + 3 * i, &pixel, i + 1 < n ? sizeof pixel : 3 * sizeof(float));
  }
}

// std::clamp, for loops with MANAKO_SIMD.
template <typename T>
inline __attribute__((always_inline)) T Between(T value, T low, T high) {
  value = value < low ? low : value;
  return high < value ? high : value;
}

MANAKO_SIMD void FindPositions(double x0, double y0, double dx, double dy, int width, int height,
                               int n, int stride, RowPosition* positions) {
  for (int i = 0; i < n; ++i) {
    // Two pixels outside is as black as any further.
    const double sx = Between(x0 + dx * i, -2.0, width + 0.5);
    const double sy = Between(y0 + dy * i, -2.0, height + 0.5);
    const int ix = static_cast<int>(sx + 2), iy = static_cast<int>(sy + 2);
    const auto fx = static_cast<float>(sx + 2 - ix), fy = static_cast<float>(sy + 2 - iy);
    positions[i].offset = iy * stride + kPixel * ix;
    positions[i].weight[0] = (1 - fx) * (1 - fy);
    positions[i].weight[1] = fx * (1 - fy);
    positions[i].weight[2] = (1 - fx) * fy;
    positions[i].weight[3] = fx * fy;
  }
}

MANAKO_SIMD void Colour(const float (&scale)[3], const float (&shift)[3], const float (&low)[3],
                        const float (&high)[3], int n, float* row) {
  for (int i = 0; i < n; ++i) {
    for (int c = 0; c < 3; ++c) {
      row[3 * i + c] = Between(row[3 * i + c] * scale[c] + shift[c], low[c], high[c]);
    }
  }
}

}  // namespace

Augmentation DrawAugmentation(const AugmentConfig& config, Random random) {
  const bool flip_x = random.Uniform() < 0.5, flip_y = random.Uniform() < 0.5;
  const double angle = random.Uniform(-1, 1) * config.rotate_degrees * M_PI / 180;
  const double scale = 1 + random.Uniform(-1, 1) * config.scale;
  const double brightness = random.Uniform(-1, 1) * config.brightness;
  const double contrast = 1 + random.Uniform(-1, 1) * config.contrast;
  Augmentation out;
  const double cosine = std::cos(angle) / scale, sine = std::sin(angle) / scale;
  const double mirror_x = config.flip_horizontal && flip_x ? -1 : 1;
  const double mirror_y = config.flip_vertical && flip_y ? -1 : 1;
  out.a = mirror_x * cosine;
  out.b = -mirror_x * sine;
  out.c = mirror_y * sine;
  out.d = mirror_y * cosine;
  out.gain = static_cast<float>(contrast);
  out.offset = static_cast<float>(brightness);
  out.moves = out.a != 1 || out.b != 0 || out.c != 0 || out.d != 1;
  return out;
}

void PrepareImage(const uint8_t* pixels, int height, int width, const Augmentation& augmentation,
                  const Normalisation& normalisation, float* out) {
  // Of a value v in 0..255: ((gain (v/255 - 0.5) + 0.5 + offset) clamped to 0..1 - mean) / std.
  float scale[3], shift[3], low[3], high[3];
  for (int c = 0; c < 3; ++c) {
    const float mean = normalisation.mean[c], std = normalisation.std[c];
    scale[c] = augmentation.gain / 255 / std;
    shift[c] = (0.5f - 0.5f * augmentation.gain + augmentation.offset - mean) / std;
    low[c] = (0 - mean) / std;
    high[c] = (1 - mean) / std;
  }
  if (!augmentation.moves) {
    float table[3][256];
    for (int c = 0; c < 3; ++c) {
      for (int v = 0; v < 256; ++v) {
        table[c][v] =
            std::min(std::max(static_cast<float>(v) * scale[c] + shift[c], low[c]), high[c]);
      }
    }
    PrepareInPlace(pixels, static_cast<size_t>(height) * static_cast<size_t>(width), table, out);
    return;
  }
  const Framed framed(pixels, height, width);
  const int stride = framed.stride();
  const double cx = 0.5 * (width - 1), cy = 0.5 * (height - 1);
  std::vector<RowPosition> positions(static_cast<size_t>(width));
  for (int y = 0; y < height; ++y) {
    const double x0 = cx + augmentation.a * -cx + augmentation.b * (y - cy);
    const double y0 = cy + augmentation.c * -cx + augmentation.d * (y - cy);
    FindPositions(x0, y0, augmentation.a, augmentation.c, width, height, width, stride,
                  positions.data());
    float* row = out + static_cast<size_t>(y) * static_cast<size_t>(width) * 3;
    Blend(framed.data(), stride, positions.data(), width, row);
    Colour(scale, shift, low, high, width, row);
  }
}

}  // namespace manako
