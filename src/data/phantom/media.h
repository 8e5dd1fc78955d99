// What lies between the retina and the camera. Internal to data/phantom.
#ifndef MANAKO_DATA_PHANTOM_MEDIA_H_
#define MANAKO_DATA_PHANTOM_MEDIA_H_

#include "data/phantom/eye.h"

namespace manako::phantom {

// Clouds in the vitreous, floaters, reflexes of the optics.
void PaintMedia(cv::Mat& canvas, Random& random, const Frame& frame);

// Lashes and sometimes the edge of a lid, out of focus, at the lower or upper edge.
void PaintLids(cv::Mat& canvas, Random& random, const Frame& frame);

}  // namespace manako::phantom

#endif  // MANAKO_DATA_PHANTOM_MEDIA_H_
