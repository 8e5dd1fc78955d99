#include "data/thumbnail.h"

#include <algorithm>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "base/status_macros.h"

namespace manako {

absl::StatusOr<std::string> ThumbnailJpeg(const ImageStore& store, size_t image, int side) {
  if (image >= store.size())
    return InvalidArgument("image {} of a store of {}", image, store.size());
  try {
    const cv::Mat rgb(store.height(), store.width(), CV_8UC3,
                      const_cast<uint8_t*>(store.Pixels(image)));
    cv::Mat picture;
    cv::cvtColor(rgb, picture, cv::COLOR_RGB2BGR);
    if (const int larger = std::max(store.height(), store.width()); larger > side) {
      const double scale = static_cast<double>(side) / larger;
      cv::resize(picture, picture, {}, scale, scale, cv::INTER_AREA);
    }
    std::vector<uint8_t> bytes;
    cv::imencode(".jpg", picture, bytes, {cv::IMWRITE_JPEG_QUALITY, 80});
    return std::string(bytes.begin(), bytes.end());
  } catch (const cv::Exception& error) {
    return Internal("a thumbnail cannot be made: {}", error.what());
  }
}

}  // namespace manako
