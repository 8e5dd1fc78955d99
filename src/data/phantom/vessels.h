// The retinal vessels: four arcades and some nasal vessels from the disc, each an artery and a
// vein, with their trees of branches. Internal to data/phantom.
#ifndef MANAKO_DATA_PHANTOM_VESSELS_H_
#define MANAKO_DATA_PHANTOM_VESSELS_H_

#include <vector>

#include "data/phantom/eye.h"

namespace manako::phantom {

struct Vessel {
  std::vector<cv::Point2f> points;  // pixels of the picture, from the disc outwards
  float width = 0;                  // pixels at the first point; it tapers to a quarter
  bool vein = false;
};

// `winding` in [0, 1].
std::vector<Vessel> GrowVessels(Random& random, const Frame& frame, double winding);

// How much light the vessels take away, CV_8U in the picture's size: 0 none, 255 a wide vein.
cv::Mat PaintVessels(const Frame& frame, const std::vector<Vessel>& vessels);

}  // namespace manako::phantom

#endif  // MANAKO_DATA_PHANTOM_VESSELS_H_
