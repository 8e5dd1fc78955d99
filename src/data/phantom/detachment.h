// Where the retina is detached, how far it stands off, and what that looks like. Internal to
// data/phantom.
//
// The signs drawn are those of the textbooks (for instance Kanski's Clinical Ophthalmology,
// "Retinal detachment"): bullous folds that reach from the periphery and end towards the pole in a
// convex line, a surface that is corrugated and has lost the choroid's pattern, darker and winding
// vessels over it, sometimes a break, sometimes a demarcation line.
#ifndef MANAKO_DATA_PHANTOM_DETACHMENT_H_
#define MANAKO_DATA_PHANTOM_DETACHMENT_H_

#include "data/phantom/eye.h"

namespace manako::phantom {

// Maps of the picture at half its width and height (rounded up), CV_32F. Empty when nothing is
// detached.
struct Detachment {
  cv::Mat cover;             // 0 attached to 1 detached, soft over the border
  cv::Mat shade;             // about -1 to 1: light and shadow on the slopes of bullae and folds
  cv::Mat shift_x, shift_y;  // how far vessels are moved, in pixels of the picture
  cv::Mat line;              // 0 to 1: the demarcation line
  double opacity = 0;        // how much the detached retina veils what is behind, 0 to 1
  bool has_break = false;
  cv::Point2d break_at;  // pixels of the picture
  double break_radius = 0;
  double break_angle = 0;  // radians: where the flap hangs
};

// Normal eyes get an empty one.
Detachment DetachmentOf(const PhantomEye& eye, const Frame& frame);

// The share of the field of view, in [0, 1], that DetachmentOf() detaches.
double DetachedShare(const PhantomEye& eye, const Frame& frame);

// A patch of the kind that is grey, reaches in from the periphery and is *not* detached (white
// without pressure, a haze): the same outlines, but flat. `softness` is the width of its border in
// units of the field's radius.
cv::Mat FlatPatch(Random& random, const Frame& frame, double softness);

}  // namespace manako::phantom

#endif  // MANAKO_DATA_PHANTOM_DETACHMENT_H_
