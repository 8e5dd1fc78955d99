// Draws one synthetic ultra-widefield fundus photograph.
#ifndef MANAKO_DATA_PHANTOM_DRAW_H_
#define MANAKO_DATA_PHANTOM_DRAW_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/phantom/plan.h"

namespace manako {

inline constexpr int kMinPhantomSide = 64, kMaxPhantomSide = 4096;  // pixels

// 8-bit RGB, row by row, three bytes a pixel.
struct PhantomPicture {
  int width = 0, height = 0;
  std::vector<uint8_t> pixels;
};

// The picture. A function of `eye` alone: other pictures, threads and earlier calls don't touch it.
// The bits may differ between versions or builds of OpenCV, whose resizing and blurring it uses.
// Both sides must lie in [kMinPhantomSide, kMaxPhantomSide].
PhantomPicture DrawPhantom(const PhantomEye& eye);

// The share of the field of view, in [0, 1], that is detached in DrawPhantom(eye). Much cheaper
// than drawing.
double DetachmentShare(const PhantomEye& eye);

// JPEG of quality 92. Internal when the encoder fails.
absl::StatusOr<std::string> EncodeJpeg(const PhantomPicture& image);

}  // namespace manako

#endif  // MANAKO_DATA_PHANTOM_DRAW_H_
