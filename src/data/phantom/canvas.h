// The picture while it is painted, and soft spots on it. Internal to data/phantom.
#ifndef MANAKO_DATA_PHANTOM_CANVAS_H_
#define MANAKO_DATA_PHANTOM_CANVAS_H_

#include <algorithm>
#include <cmath>
#include <opencv2/core.hpp>

#include "data/phantom/eye.h"

namespace manako::phantom {

using Pixel = cv::Vec3f;  // red, green, blue; 0 to 255, though in between it may leave that range

// Sizes of the smaller maps, rounded up.
inline cv::Size HalfOf(cv::Size size) { return {(size.width + 1) / 2, (size.height + 1) / 2}; }
inline cv::Size QuarterOf(cv::Size size) { return {(size.width + 3) / 4, (size.height + 3) / 4}; }

// Bilinear.
cv::Mat Enlarged(const cv::Mat& small, cv::Size size);

inline void Mix(Pixel& pixel, const Pixel& with, float amount) { pixel += amount * (with - pixel); }

// Each channel uniform between `low` and `high`.
Pixel ColourBetween(Random& random, const Pixel& low, const Pixel& high);

// Anywhere between two eccentricities (see Frame). Pixels of the picture.
cv::Point2d SomewhereInField(Random& random, const Frame& frame, double from, double to);

// The part of a picture that a soft spot at `centre` can reach.
inline cv::Rect Around(cv::Point2d centre, double reach, cv::Size size) {
  const int margin = static_cast<int>(reach) + 2;
  return cv::Rect(static_cast<int>(centre.x) - margin, static_cast<int>(centre.y) - margin,
                  2 * margin + 1, 2 * margin + 1) &
         cv::Rect(cv::Point(0, 0), size);
}

// A spot with a soft border. `border` is its share of the radius, 0 to 1; `stretch` lengthens it
// along `angle`.
struct Spot {
  cv::Point2d at;
  double radius = 1, border = 0.5, stretch = 1, angle = 0;
};

// Calls paint(pixel, amount) with amount from 0 to 1 wherever the spot covers the canvas.
template <typename Paint>
void PaintSpot(cv::Mat& canvas, const Spot& spot, const Paint& paint) {
  const cv::Rect around = Around(spot.at, spot.radius * std::max(1.0, spot.stretch), canvas.size());
  const double c = std::cos(spot.angle), s = std::sin(spot.angle);
  for (int y = around.y; y < around.y + around.height; ++y) {
    Pixel* row = canvas.ptr<Pixel>(y);
    for (int x = around.x; x < around.x + around.width; ++x) {
      const double dx = x - spot.at.x, dy = y - spot.at.y;
      const double r = std::hypot((dx * c + dy * s) / spot.stretch, -dx * s + dy * c) / spot.radius;
      if (r >= 1) continue;
      paint(row[x], SmoothStep(0, static_cast<float>(spot.border), static_cast<float>(1 - r)));
    }
  }
}

}  // namespace manako::phantom

#endif  // MANAKO_DATA_PHANTOM_CANVAS_H_
