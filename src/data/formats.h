// The decoders of single formats, behind decode.h. Each checks the size that the header tells
// before it takes memory.
#ifndef MANAKO_DATA_FORMATS_H_
#define MANAKO_DATA_FORMATS_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "data/decode.h"

namespace manako {

// As DecodeReduced(). JPEG: reduced by 2, 4 or 8 in the inverse DCT (libjpeg).
absl::StatusOr<Decoded> DecodeJpeg(std::string_view bytes, int longer);
// PNG: read row by row, averaged over blocks of whole pixels (interlaced files are read whole
// first).
absl::StatusOr<Decoded> DecodePng(std::string_view bytes, int longer);
// TIFF, BMP and WebP through OpenCV, whole.
absl::StatusOr<Decoded> DecodeWithOpenCv(std::string_view bytes, std::string_view format);

// Width and height from the header; {0, 0} when there are none to be found.
struct Extent {
  uint64_t width = 0, height = 0;
};
Extent TiffExtent(std::string_view bytes);
Extent BmpExtent(std::string_view bytes);
Extent WebpExtent(std::string_view bytes);

// The number of bits that 16-bit samples really use: the smallest of 8, 10, 12, 14 and 16 that
// holds `brightest`. X-rays of 10 to 14 bits are often stored in 16.
int UsedBits(uint16_t brightest);

// ResourceExhausted when width * height * bytes_per_pixel > kMaxDecodedBytes.
absl::Status CheckDecodedSize(uint64_t width, uint64_t height, uint64_t bytes_per_pixel);

}  // namespace manako

#endif  // MANAKO_DATA_FORMATS_H_
