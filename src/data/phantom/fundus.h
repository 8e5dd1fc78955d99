// The back of the eye behind its vessels. Internal to data/phantom.
#ifndef MANAKO_DATA_PHANTOM_FUNDUS_H_
#define MANAKO_DATA_PHANTOM_FUNDUS_H_

#include "data/phantom/eye.h"

namespace manako::phantom {

// Pigment, choroid, the lamp's fall-off, the green cast of the periphery, the macula. CV_32FC3 in
// the picture's size. `cover` (CV_32F in the picture's size, or empty) is where a detachment hides
// the choroid's pattern.
cv::Mat PaintFundus(Random& random, const Frame& frame, const Traits& traits, const cv::Mat& cover);

void PaintDisc(cv::Mat& canvas, Random& random, const Frame& frame);

// Harmless or at least other things on the retina, alike in both classes: drusen, pigment spots,
// old scars, small haemorrhages.
void PaintLookalikeSpots(cv::Mat& canvas, Random& random, const Frame& frame, const Traits& traits);

}  // namespace manako::phantom

#endif  // MANAKO_DATA_PHANTOM_FUNDUS_H_
