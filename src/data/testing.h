// Helpers of this folder's tests.
#ifndef MANAKO_DATA_TESTING_H_
#define MANAKO_DATA_TESTING_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <opencv2/imgcodecs.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/status_macros.h"
#include "base/temporary_folder.h"

namespace manako {

// A folder that lives as long as a test.
class FolderTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return folder_ / name; }
  void Write(const std::string& name, std::string_view bytes) const {
    std::filesystem::create_directories(std::filesystem::path(Path(name)).parent_path());
    std::ofstream(Path(name), std::ios::binary) << bytes;
  }
  const TemporaryFolder folder_;
};

// The picture as a file of the format that `extension` (".png") names.
inline std::string Encode(const cv::Mat& picture, const std::string& extension,
                          const std::vector<int>& options = {}) {
  std::vector<uint8_t> bytes;
  cv::imencode(extension, picture, bytes, options);
  return {bytes.begin(), bytes.end()};
}

// Colours that run smoothly over the picture, other ones for each `variant`. BGR.
inline cv::Mat Gradient(int width, int height, int variant = 0) {
  cv::Mat picture(height, width, CV_8UC3);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      picture.at<cv::Vec3b>(y, x) = {static_cast<uint8_t>(60 + 120 * x / width),
                                     static_cast<uint8_t>(60 + 120 * y / height),
                                     static_cast<uint8_t>(50 + variant * 7 % 200)};
    }
  }
  return picture;
}

// A small PNG that differs from all others with another number.
inline std::string TinyPng(int number) {
  return Encode(Gradient(12, 12, number) + cv::Scalar(number % 50, 0, number / 50), ".png");
}

// Calls `parse` with the bytes cut at every length and with bytes flipped, as a fuzzer would begin.
// The parser must return; sanitizers watch what it touches.
inline void Mutate(std::string_view bytes, const std::function<void(std::string_view)>& parse,
                   size_t step = 1) {
  for (size_t size = 0; size < bytes.size(); size += step)
    parse(std::string(bytes.substr(0, size)));
  for (size_t i = 0; i < bytes.size(); i += step) {
    for (const int mask : {0x01, 0x80, 0xff}) {
      std::string damaged(bytes);
      damaged[i] = static_cast<char>(damaged[i] ^ mask);
      parse(damaged);
    }
  }
}

}  // namespace manako

#endif  // MANAKO_DATA_TESTING_H_
