#include <algorithm>
#include <iostream>
#include <mutex>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <streambuf>

#include "base/status_macros.h"
#include "data/formats.h"

namespace manako {
namespace {

// OpenCV's decoders report every damaged file on the terminal, past its own log level; the status
// says it already. While one of these lives, what is written to std::cerr goes nowhere (the
// program itself prints by stdio).
class QuietCerr {
 public:
  QuietCerr() {
    std::lock_guard lock(Mutex());
    if (Count()++ == 0) Before() = std::cerr.rdbuf(&Nowhere());
  }
  ~QuietCerr() {
    std::lock_guard lock(Mutex());
    if (--Count() == 0) std::cerr.rdbuf(Before());
  }
  QuietCerr(const QuietCerr&) = delete;
  QuietCerr& operator=(const QuietCerr&) = delete;

 private:
  // Without state, so that any number of threads may write at once.
  class Sink : public std::streambuf {
    int_type overflow(int_type c) override { return traits_type::not_eof(c); }
    std::streamsize xsputn(const char*, std::streamsize size) override { return size; }
  };
  static Sink& Nowhere() {
    static Sink sink;
    return sink;
  }
  static std::mutex& Mutex() {
    static std::mutex mutex;
    return mutex;
  }
  static int& Count() {
    static int count = 0;
    return count;
  }
  static std::streambuf*& Before() {
    static std::streambuf* before = nullptr;
    return before;
  }
};

template <typename Sample>
void ToRgb(const cv::Mat& bgr, uint32_t full, RgbImage* image) {
  uint8_t* to = image->pixels.data();
  for (int y = 0; y < bgr.rows; ++y) {
    const Sample* row = bgr.ptr<Sample>(y);
    for (int x = 0; x < bgr.cols; ++x, row += 3) {
      for (int c = 2; c >= 0; --c) *to++ = static_cast<uint8_t>((row[c] * 255u + full / 2) / full);
    }
  }
}

}  // namespace

absl::StatusOr<Decoded> DecodeWithOpenCv(std::string_view bytes, std::string_view format) {
  const Extent extent = format == "TIFF"  ? TiffExtent(bytes)
                        : format == "BMP" ? BmpExtent(bytes)
                                          : WebpExtent(bytes);
  if (extent.width == 0 || extent.height == 0) return DataLoss("truncated or damaged {}", format);
  // OpenCV keeps its own copy beside ours; TIFF may have 16 bits.
  const uint64_t bytes_per_pixel = format == "TIFF" ? 9 : 6;
  MANAKO_RETURN_IF_ERROR(CheckDecodedSize(extent.width, extent.height, bytes_per_pixel));
  static const auto kQuiet = cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  (void)kQuiet;
  cv::Mat bgr;
  const QuietCerr quiet;
  try {
    const cv::Mat in(1, static_cast<int>(bytes.size()), CV_8U, const_cast<char*>(bytes.data()));
    bgr = cv::imdecode(in, cv::IMREAD_COLOR | cv::IMREAD_ANYDEPTH | cv::IMREAD_IGNORE_ORIENTATION);
  } catch (const std::exception& e) {
    std::string_view what = e.what();
    return DataLoss("damaged {} ({})", format, what.substr(0, what.find('\n')));
  }
  if (bgr.empty()) return DataLoss("truncated or damaged {}", format);
  if (bgr.channels() != 3) return Internal("{} with {} channels", format, bgr.channels());
  Decoded decoded;
  decoded.image.width = bgr.cols;
  decoded.image.height = bgr.rows;
  decoded.image.pixels.resize(bgr.total() * 3);
  if (bgr.depth() == CV_8U) {
    ToRgb<uint8_t>(bgr, 255, &decoded.image);
  } else if (bgr.depth() == CV_16U) {
    uint16_t brightest = 0;
    for (int y = 0; y < bgr.rows; ++y) {
      const auto* row = bgr.ptr<uint16_t>(y);
      brightest = std::max(brightest, *std::max_element(row, row + 3 * bgr.cols));
    }
    ToRgb<uint16_t>(bgr, (1u << UsedBits(brightest)) - 1, &decoded.image);
  } else {
    return InvalidArgument(
        "{} with signed or floating-point pixels is not read: save it with 8 or 16 bits", format);
  }
  return decoded;
}

}  // namespace manako
