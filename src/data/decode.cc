#include "data/decode.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/status_macros.h"
#include "data/exif.h"
#include "data/formats.h"
#include "data/resample.h"

namespace manako {
namespace {

// Paste of `box`, its aspect kept, in the middle of a black square.
void Letterbox(const RgbImage& image, const Box& box, int size, uint8_t* rgb) {
  const int longer = std::max(box.width, box.height);
  const auto scaled = [&](int side) {
    return std::max(1, static_cast<int>((int64_t{side} * size + longer / 2) / longer));
  };
  const int width = scaled(box.width), height = scaled(box.height);
  const size_t stride = static_cast<size_t>(size) * 3;
  std::memset(rgb, 0, stride * static_cast<size_t>(size));
  uint8_t* to = rgb + static_cast<size_t>((size - height) / 2) * stride +
                3 * static_cast<size_t>((size - width) / 2);
  Resample(image, box, {to, width, height, stride});
}

std::string FirstBytes(std::string_view bytes) {
  std::string text;
  for (char c : bytes.substr(0, 4)) text += fmt::format("{:02x}", static_cast<uint8_t>(c));
  return text;
}

}  // namespace

absl::StatusOr<Decoded> DecodeReduced(std::string_view bytes, int longer) {
  using namespace std::string_view_literals;
  if (bytes.empty()) return DataLoss("empty file");
  if (bytes.starts_with("\xff\xd8\xff")) return DecodeJpeg(bytes, longer);
  if (bytes.starts_with("\x89PNG")) return DecodePng(bytes, longer);
  // Before the formats that OpenCV reads: whatever a file begins with, OpenCV's own look at these
  // bytes would hand it to GDCM, which ends the process at some damaged files.
  if (bytes.size() >= 132 && bytes.substr(128, 4) == "DICM") {
    // DICOM goes here: DecodeDicom(bytes).
    return InvalidArgument("DICOM is not read: export it as PNG or JPEG");
  }
  if (bytes.size() > INT32_MAX) return ResourceExhausted("file of {} bytes", bytes.size());
  const std::string_view magic = bytes.substr(0, 4);
  if (magic == "II*\0"sv || magic == "MM\0*"sv || magic == "II+\0"sv || magic == "MM\0+"sv) {
    return DecodeWithOpenCv(bytes, "TIFF");
  }
  if (magic == "RIFF" && bytes.size() >= 12 && bytes.substr(8, 4) == "WEBP")
    return DecodeWithOpenCv(bytes, "WebP");
  if (bytes.starts_with("BM") && bytes.size() >= 26) return DecodeWithOpenCv(bytes, "BMP");
  if (magic == "GIF8") return InvalidArgument("GIF is not read: save it as PNG");
  return InvalidArgument("not an image (begins with bytes {})", FirstBytes(bytes));
}

void FitImage(const RgbImage& image, const DecodeOptions& options, uint8_t* rgb) {
  Letterbox(image, FindContent(image, options.crop), options.size, rgb);
}

absl::Status DecodeImage(std::string_view bytes, const DecodeOptions& options, uint8_t* rgb) {
  int longer = options.size;
  // Where the border turns out to be so wide that the reduced content is smaller than asked for,
  // once more, finer.
  for (int attempt = 0;; ++attempt) {
    MANAKO_ASSIGN_OR_RETURN(const Decoded decoded, DecodeReduced(bytes, longer));
    const Box box = FindContent(decoded.image, options.crop);
    const int content = std::max(box.width, box.height);
    if (!decoded.reduced || content >= options.size || attempt == 2) {
      Letterbox(decoded.image, box, options.size, rgb);
      ApplyOrientation(decoded.orientation, options.size, rgb);
      return absl::OkStatus();
    }
    const int side = std::max(decoded.image.width, decoded.image.height);
    longer = std::max(side + 1, static_cast<int>(std::ceil(1.02 * side * options.size / content)));
  }
}

}  // namespace manako
