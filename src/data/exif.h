// The one EXIF tag that changes what a picture shows.
#ifndef MANAKO_DATA_EXIF_H_
#define MANAKO_DATA_EXIF_H_

#include <cstdint>
#include <string_view>
#include <vector>

namespace manako {

// The orientation (1 to 8) from the content of a JPEG's APP1 segment ("Exif\0\0", then TIFF;
// EXIF 2.32, 4.6.4). 1 when there is none, or when the bytes are damaged.
int ExifOrientation(std::string_view app1);

// Turns a square picture of side * side RGB pixels upright, in place.
void ApplyOrientation(int orientation, int side, uint8_t* rgb);

}  // namespace manako

#endif  // MANAKO_DATA_EXIF_H_
