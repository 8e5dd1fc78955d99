#include "data/phantom/eye.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace manako::phantom {

Random StreamOf(const PhantomEye& eye, Layer layer) {
  return Random(eye.seed, "phantom", static_cast<uint64_t>(eye.index), eye.detachment ? 1 : 0,
                static_cast<uint64_t>(layer));
}

Traits TraitsOf(const PhantomEye& eye) {
  Random random(eye.seed, "phantom patient", static_cast<uint64_t>(eye.patient));
  Traits traits;
  traits.pigment = random.Uniform();
  traits.red = random.Uniform();
  traits.tessellation = random.Uniform();
  traits.winding = random.Uniform();
  traits.drusen = random.Uniform();
  return traits;
}

double Frame::Eccentricity(cv::Point2d p) const {
  return std::hypot((p.x - centre.x) / semi_x, (p.y - centre.y) / semi_y);
}

Frame FrameOf(const PhantomEye& eye) {
  Random random = StreamOf(eye, Layer::kFrame);
  Frame frame;
  frame.size = cv::Size(eye.width, eye.height);
  const double unit = frame.unit = std::min(eye.width / 512.0, eye.height / 420.0);
  frame.centre = {eye.width / 2.0 + unit * random.Uniform(-8, 8),
                  eye.height / 2.0 + unit * random.Uniform(-8, 8)};
  frame.semi_x = eye.width * random.Uniform(0.465, 0.51);
  frame.semi_y = eye.height * random.Uniform(0.455, 0.51);
  frame.temporal = eye.right_eye ? -1 : 1;
  // The patient looks roughly, not exactly, at the lamp.
  frame.macula = frame.centre + cv::Point2d{unit * (random.Uniform(-30, 30) + 12 * frame.temporal),
                                            unit * random.Uniform(-22, 26)};
  frame.disc = frame.macula - cv::Point2d{frame.temporal * unit * random.Uniform(76, 90),
                                          unit * random.Uniform(2, 14)};
  frame.disc_radius = unit * random.Uniform(11.5, 15);
  return frame;
}

cv::Mat SmoothNoise(Random& random, cv::Size size, double cell) {
  const int columns = std::max(4, static_cast<int>(std::ceil(size.width / cell)) + 2);
  const int rows = std::max(4, static_cast<int>(std::ceil(size.height / cell)) + 2);
  cv::Mat small(rows, columns, CV_32F);
  for (int y = 0; y < rows; ++y) {
    float* row = small.ptr<float>(y);
    for (int x = 0; x < columns; ++x)
      row[x] = static_cast<float>(random() * (2.0 / 4294967296.0) - 1);
  }
  cv::Mat large;
  cv::resize(small, large, size, 0, 0, cv::INTER_CUBIC);
  return large;
}

}  // namespace manako::phantom
