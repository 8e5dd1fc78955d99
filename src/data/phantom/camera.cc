#include "data/phantom/camera.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "data/phantom/canvas.h"

namespace manako::phantom {
namespace {

// The camera sets its own exposure and white balance: most of the difference between the mean
// colour of the field and one that is drawn is evened out, whatever is in the picture. That takes
// the simplest clue to the class away; a little is left, or a totally detached retina would come
// out as orange as a healthy one.
Pixel Exposure(const cv::Mat& canvas, Random& random, const Frame& frame) {
  constexpr double kEvened = 0.6;
  constexpr double kUsual[3] = {132, 88, 40};  // the mean colour over many pictures before exposure
  double sum[3] = {0, 0, 0};
  int64_t counted = 1;
  for (int row = 0; row < canvas.rows; row += 3) {
    const Pixel* in = canvas.ptr<Pixel>(row);
    for (int column = 0; column < canvas.cols; column += 3) {
      if (frame.Eccentricity(cv::Point2d(column, row)) > 0.95) continue;
      for (int i = 0; i < 3; ++i) sum[i] += std::clamp(in[column][i], 0.0f, 255.0f);
      ++counted;
    }
  }
  const double red = random.Uniform(96, 150);
  const double wanted[3] = {red, red * random.Uniform(0.56, 0.82),
                            red * random.Uniform(0.18, 0.42)};
  Pixel gain;
  for (int i = 0; i < 3; ++i) {
    const double mean = std::max(8.0, sum[i] / static_cast<double>(counted));
    gain[i] = static_cast<float>(wanted[i] /
                                 (std::pow(mean, kEvened) * std::pow(kUsual[i], 1 - kEvened)));
  }
  return gain;
}

}  // namespace

PhantomPicture Expose(const PhantomEye& eye, const cv::Mat& canvas, const Frame& frame) {
  Random random = StreamOf(eye, Layer::kCamera);
  const Pixel gain = Exposure(canvas, random, frame);
  const float grain = static_cast<float>(random.Uniform(0.008, 0.034));
  const float black = static_cast<float>(random.Uniform(2, 8));
  const float border = static_cast<float>(random.Uniform(1.5, 5) * frame.unit / frame.semi_y);
  const float banding = Chance(random, 0.3) ? static_cast<float>(random.Uniform(0.006, 0.02)) : 0;
  const float band = static_cast<float>(2 * std::numbers::pi / (random.Uniform(3, 9) * frame.unit));

  PhantomPicture image{eye.width, eye.height, {}};
  image.pixels.resize(static_cast<size_t>(eye.width) * static_cast<size_t>(eye.height) * 3);
  uint8_t* out = image.pixels.data();
  Random noise = StreamOf(eye, Layer::kNoise);
  const float inverse_x = static_cast<float>(1 / frame.semi_x),
              inverse_y = static_cast<float>(1 / frame.semi_y);
  for (int row = 0; row < eye.height; ++row) {
    const Pixel* in = canvas.ptr<Pixel>(row);
    const float v = (static_cast<float>(row) - static_cast<float>(frame.centre.y)) * inverse_y;
    const float line = 1 + banding * std::sin(band * static_cast<float>(row));
    for (int column = 0; column < eye.width; ++column) {
      const float u = (static_cast<float>(column) - static_cast<float>(frame.centre.x)) * inverse_x;
      const float inside = SmoothStep(0, border, 1 - std::sqrt(u * u + v * v));
      // Four bytes of one number: two triangular deviations, one for red, one for green and blue.
      const uint32_t word = noise();
      const int deviation_red = static_cast<int>((word & 255) + ((word >> 8) & 255)) - 255;
      const int deviation_green = static_cast<int>(((word >> 16) & 255) + (word >> 24)) - 255;
      for (int i = 0; i < 3; ++i) {
        const float deviation = static_cast<float>(i == 0 ? deviation_red : deviation_green);
        const float light = inside * line * gain[i] * in[column][i] + black;
        const float noisy = light + grain * deviation * (0.35f + 0.65f * inside);
        *out++ = static_cast<uint8_t>(std::clamp(noisy + 0.5f, 0.0f, 255.0f));
      }
    }
  }
  return image;
}

}  // namespace manako::phantom
