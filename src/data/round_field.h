// Tells the round field of a fundus camera from other pictures with dark corners, such as X-rays.
#ifndef MANAKO_DATA_ROUND_FIELD_H_
#define MANAKO_DATA_ROUND_FIELD_H_

#include "data/rgb_image.h"

namespace manako {

// The brightest of a pixel's three colours.
uint8_t Brightness(const uint8_t* pixel);

// Whether what is brighter than `threshold` fills an upright ellipse, and all around it is dark:
// the outermost bright points of rows and columns lie on one ellipse (fitted by least squares to
// those that agree), in each of its four quarters, and nearly nothing outside of it is bright.
// Sides that the picture's edge cuts off are allowed (a circle cut at its top and bottom), and so
// are a notch, a shadow over part of the edge and labels in the corners. Deterministic.
bool IsRoundField(const RgbImage& image, int threshold);

}  // namespace manako

#endif  // MANAKO_DATA_ROUND_FIELD_H_
