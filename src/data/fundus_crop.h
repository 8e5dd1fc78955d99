// Finds the round picture of a fundus camera inside its black frame.
#ifndef MANAKO_DATA_FUNDUS_CROP_H_
#define MANAKO_DATA_FUNDUS_CROP_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "data/rgb_image.h"

namespace manako {

enum class CropMode { kOff, kOn, kAuto };

// "auto", "on", "off"; InvalidArgument otherwise.
absl::StatusOr<CropMode> ParseCropMode(std::string_view text);

// The bounding box of what is brighter than the border, by the projections on rows and columns: a
// row counts when at least 2% of it is brighter, and rows that stand apart with at most 5% of the
// light (a line of text) do not, so specks and labels do not count. "Brighter" is measured against
// level and noise of the four corners. kAuto gives the whole frame unless all four corners are
// dark, the box leaves out at least 3% of the width or the height, and what is bright is a round
// field (round_field.h): an X-ray with dark corners stays as it is. kOn gives the box whenever
// there is one; kOff the whole frame.
Box FindContent(const RgbImage& image, CropMode mode);

}  // namespace manako

#endif  // MANAKO_DATA_FUNDUS_CROP_H_
