// From light to bytes. Internal to data/phantom.
#ifndef MANAKO_DATA_PHANTOM_CAMERA_H_
#define MANAKO_DATA_PHANTOM_CAMERA_H_

#include "data/phantom/draw.h"
#include "data/phantom/eye.h"

namespace manako::phantom {

// Sets the exposure, cuts the elliptical field of view out and adds the sensor's noise. `canvas` is
// CV_32FC3.
PhantomPicture Expose(const PhantomEye& eye, const cv::Mat& canvas, const Frame& frame);

}  // namespace manako::phantom

#endif  // MANAKO_DATA_PHANTOM_CAMERA_H_
