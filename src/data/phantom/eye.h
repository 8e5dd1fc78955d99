// The frame that everything in a phantom is placed in, and what its picture is drawn from. Internal
// to data/phantom, as is every header here that names OpenCV: the public ones are phantom.h, draw.h
// and plan.h.
#ifndef MANAKO_DATA_PHANTOM_EYE_H_
#define MANAKO_DATA_PHANTOM_EYE_H_

#include <opencv2/core.hpp>

#include "base/random.h"
#include "data/phantom/plan.h"

namespace manako::phantom {

// What is drawn from a stream of its own, so that a change to one leaves the others as they are.
enum class Layer : uint64_t {
  kFrame,
  kVessels,
  kDetachment,
  kFundus,
  kLookalikes,
  kCamera,
  kNoise,
};

// The stream of one layer of one picture.
Random StreamOf(const PhantomEye& eye, Layer layer);

// What both eyes of a patient share. Each in [0, 1].
struct Traits {
  double pigment = 0;       // pale to dark fundus
  double red = 0;           // orange to brown
  double tessellation = 0;  // how far the choroid's vessels shine through
  double winding = 0;       // of the retinal vessels
  double drusen = 0;
};
Traits TraitsOf(const PhantomEye& eye);

// Lengths in pixels of the picture, positions with the origin at the upper left.
struct Frame {
  cv::Size size;
  double unit = 1;  // pixels per pixel of a picture of 512 x 420
  cv::Point2d centre;
  double semi_x = 0, semi_y = 0;  // of the elliptical field of view
  double temporal = 1;  // the direction of x that leads from the disc to the macula: 1 or -1
  cv::Point2d disc, macula;
  double disc_radius = 0;

  // 0 in the middle of the field, 1 at its edge.
  double Eccentricity(cv::Point2d p) const;
};
Frame FrameOf(const PhantomEye& eye);

// Smooth noise, about -1 to 1, whose hills are `cell` pixels apart: a small random map, enlarged.
// CV_32F.
cv::Mat SmoothNoise(Random& random, cv::Size size, double cell);

inline float SmoothStep(float low, float high, float x) {
  const float t = std::min(1.0f, std::max(0.0f, (x - low) / (high - low)));
  return t * t * (3 - 2 * t);
}

// True with the given probability.
inline bool Chance(Random& random, double probability) { return random.Uniform() < probability; }

}  // namespace manako::phantom

#endif  // MANAKO_DATA_PHANTOM_EYE_H_
