// Turns the bytes of an image file, whatever its format, into a square RGB picture of the size that
// a model is fed.
#ifndef MANAKO_DATA_DECODE_H_
#define MANAKO_DATA_DECODE_H_

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "data/fundus_crop.h"
#include "data/rgb_image.h"

namespace manako {

// Goes up whenever the same file gives other pixels than before, so that caches are made again.
inline constexpr int kDecoderVersion = 2;

struct DecodeOptions {
  int size = 224;  // side of the result, > 0
  CropMode crop = CropMode::kAuto;
};

// Writes size * size * 3 bytes to `rgb`: decoded, the black border cropped (fundus_crop.h), scaled
// with its aspect kept and filtered against aliasing, centred on black (letterbox). Grey becomes
// three equal channels; transparency is ignored; 16-bit images are scaled by the smallest of 8, 10,
// 12, 14 or 16 bits that holds their brightest pixel; JPEG's EXIF orientation is applied.
//
// The format is told by the content, not by the name: JPEG (grey, RGB, YCbCr, CMYK, YCCK), PNG,
// TIFF (first page), BMP, WebP. JPEG and PNG are reduced while they are read, so a picture of
// 30000x30000 pixels takes little memory.
//
// InvalidArgument: no image or a format that is not read. DataLoss: truncated or damaged.
// ResourceExhausted: reading it would take more than kMaxDecodedBytes. The message does not name
// the file. Threads: any number at once.
absl::Status DecodeImage(std::string_view bytes, const DecodeOptions& options, uint8_t* rgb);

// The same from pixels that are decoded already.
void FitImage(const RgbImage& image, const DecodeOptions& options, uint8_t* rgb);

// The first step of DecodeImage: the whole picture, reduced by the largest whole factor its format
// offers that leaves the longer side at least `longer` pixels (or not at all, when it is smaller).
// Not yet turned: `orientation` is EXIF's 1 to 8.
struct Decoded {
  RgbImage image;
  bool reduced = false;
  int orientation = 1;
};
absl::StatusOr<Decoded> DecodeReduced(std::string_view bytes, int longer);

}  // namespace manako

#endif  // MANAKO_DATA_DECODE_H_
