#include "data/phantom/canvas.h"

#include <numbers>
#include <opencv2/imgproc.hpp>

namespace manako::phantom {

cv::Mat Enlarged(const cv::Mat& small, cv::Size size) {
  cv::Mat large;
  cv::resize(small, large, size, 0, 0, cv::INTER_LINEAR);
  return large;
}

Pixel ColourBetween(Random& random, const Pixel& low, const Pixel& high) {
  Pixel colour;
  for (int i = 0; i < 3; ++i) colour[i] = static_cast<float>(random.Uniform(low[i], high[i]));
  return colour;
}

cv::Point2d SomewhereInField(Random& random, const Frame& frame, double from, double to) {
  const double angle = random.Uniform(0, 2 * std::numbers::pi), out = random.Uniform(from, to);
  return frame.centre +
         cv::Point2d(out * frame.semi_x * std::cos(angle), out * frame.semi_y * std::sin(angle));
}

}  // namespace manako::phantom
