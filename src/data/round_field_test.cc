#include "data/round_field.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <opencv2/imgproc.hpp>

#include "base/files.h"
#include "data/decode.h"
#include "data/npz.h"
#include "data/testing.h"

namespace manako {
namespace {

namespace fs = std::filesystem;

RgbImage ToImage(const cv::Mat& picture) {
  return {picture.cols, picture.rows, std::vector<uint8_t>(picture.datastart, picture.dataend)};
}

cv::Mat Black(int width, int height) {
  cv::Mat picture(height, width, CV_8UC3);
  cv::randn(picture, cv::Scalar(2, 2, 2), cv::Scalar(2, 2, 2));
  return picture;
}

cv::Mat Field(int width, int height, cv::Size axes) {
  cv::Mat picture = Black(width, height);
  cv::ellipse(picture, {width / 2 + 3, height / 2}, axes, 0, 0, 360, {30, 90, 180}, cv::FILLED);
  return picture;
}

bool IsRound(const cv::Mat& picture) { return IsRoundField(ToImage(picture), 12); }

TEST(RoundFieldTest, CirclesAndWideEllipses) {
  EXPECT_TRUE(IsRound(Field(400, 300, {120, 120})));
  EXPECT_TRUE(IsRound(Field(400, 300, {170, 130})));
  EXPECT_TRUE(IsRound(Field(300, 400, {130, 170})));
  EXPECT_TRUE(IsRound(Field(40, 30, {13, 13})));
}

TEST(RoundFieldTest, ACircleCutAtTopAndBottom) {
  EXPECT_TRUE(IsRound(Field(400, 300, {180, 180})));
}

TEST(RoundFieldTest, ANotchAShadowAndALabel) {
  cv::Mat picture = Field(400, 300, {130, 130});
  cv::rectangle(picture, {320, 60, 20, 20}, {30, 90, 180}, cv::FILLED);
  cv::circle(picture, {280, 240}, 60, {4, 4, 4}, cv::FILLED);
  cv::rectangle(picture, {5, 5, 40, 12}, {255, 255, 255}, cv::FILLED);
  EXPECT_TRUE(IsRound(picture));
}

TEST(RoundFieldTest, OtherShapesAreNot) {
  cv::Mat rectangle = Black(400, 300);
  cv::rectangle(rectangle, {40, 30, 300, 240}, {120, 120, 120}, cv::FILLED);
  EXPECT_FALSE(IsRound(rectangle));
  // A body: it reaches the edge below, is narrower above, and its sides are nearly straight.
  cv::Mat body = Black(300, 300);
  const std::vector<cv::Point> outline = {{110, 0},   {190, 0},  {250, 60},
                                          {270, 299}, {30, 299}, {50, 60}};
  cv::fillPoly(body, std::vector<std::vector<cv::Point>>{outline}, {120, 120, 120});
  EXPECT_FALSE(IsRound(body));
  cv::Mat diamond = Black(300, 300);
  const std::vector<cv::Point> corners = {{150, 20}, {280, 150}, {150, 280}, {20, 150}};
  cv::fillPoly(diamond, std::vector<std::vector<cv::Point>>{corners}, {120, 120, 120});
  EXPECT_FALSE(IsRound(diamond));
  EXPECT_FALSE(IsRound(Field(400, 300, {190, 60}))) << "too flat";
  EXPECT_FALSE(IsRound(Black(300, 300)));
  EXPECT_FALSE(IsRound(cv::Mat(300, 300, CV_8UC3, cv::Scalar(90, 90, 90))));
}

TEST(RoundFieldTest, TinyPictures) {
  for (const int side : {1, 2, 3, 8, 9}) {
    EXPECT_FALSE(IsRoundField(ToImage(cv::Mat(side, side, CV_8UC3, cv::Scalar(9, 9, 9))), 4));
  }
}

// How many of a folder's pictures `--crop auto` crops, as they are or changed.
struct Count {
  int cropped = 0, pictures = 0;
};
using Change = std::function<cv::Mat(const cv::Mat&)>;

void Add(const cv::Mat& picture, Count* count) {
  const Box box = FindContent(ToImage(picture), CropMode::kAuto);
  ++count->pictures;
  count->cropped += box.width != picture.cols || box.height != picture.rows;
}

Count CountCropped(const std::string& folder, const Change& change = nullptr) {
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension().string().starts_with(".jp")) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  Count count;
  for (const std::string& file : files) {
    const cv::Mat picture = cv::imread(file, cv::IMREAD_COLOR);
    Add(change ? change(picture) : picture, &count);
  }
  return count;
}

// The pictures of all arrays of an .npz.
Count CountCroppedArrays(const std::string& file) {
  Count count;
  const auto mapped = MappedFile::Open(file);
  const auto npz = NpzFile::Parse((*mapped)->bytes());
  for (const std::string& name : npz->names()) {
    if (!name.ends_with("_images")) continue;
    auto reader = *npz->Open(name);
    const std::vector<int64_t> shape = reader->header().shape;
    const auto height = static_cast<int>(shape[1]), width = static_cast<int>(shape[2]);
    for (int64_t i = 0; i < shape[0]; ++i) {
      cv::Mat picture(height, width, shape.size() == 4 ? CV_8UC3 : CV_8UC1);
      EXPECT_TRUE(reader->Read(picture.data, picture.total() * picture.elemSize()).ok());
      if (picture.channels() == 1) cv::cvtColor(picture, picture, cv::COLOR_GRAY2BGR);
      Add(picture, &count);
    }
  }
  return count;
}

// The picture on black, with margins of a quarter of its width and a twelfth of its height.
cv::Mat OnBlack(const cv::Mat& picture) {
  const int x = picture.cols / 4, y = picture.rows / 12;
  cv::Mat out;
  cv::copyMakeBorder(picture, out, y, y, x, x, cv::BORDER_CONSTANT);
  return out;
}

// A twelfth of its height cut off above and below, and black at its sides.
cv::Mat CutOff(const cv::Mat& picture) {
  const int x = picture.cols / 8, y = picture.rows / 12;
  cv::Mat out;
  cv::copyMakeBorder(picture.rowRange(y, picture.rows - y), out, 0, 0, x, x, cv::BORDER_CONSTANT);
  return out;
}

class RealPicturesTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(Folder("hygd256")) || !fs::exists(Folder("cxr224"))) {
      GTEST_SKIP() << "no real images: give MANAKO_TEST_DATA";
    }
  }
  static std::string Folder(const std::string& name) {
    return std::string(MANAKO_TEST_DATA) + "/" + name;
  }
  static Count Say(const char* what, const Count& count) {
    std::printf("%s: %d of %d cropped\n", what, count.cropped, count.pictures);
    return count;
  }
};

TEST_F(RealPicturesTest, FundusPhotographsAreCroppedToTheirField) {
  // Their field touches the picture's edges; one leaves as much as 3%.
  EXPECT_EQ(Say("hygd256", CountCropped(Folder("hygd256"))).cropped, 1);
  EXPECT_EQ(Say("hygd_disc160", CountCropped(Folder("hygd_disc160"))).cropped, 0);
  const Count framed = Say("hygd256 with a black frame", CountCropped(Folder("hygd256"), OnBlack));
  EXPECT_EQ(framed.cropped, framed.pictures);
  const Count cut = Say("hygd256 cut at top and bottom", CountCropped(Folder("hygd256"), CutOff));
  EXPECT_EQ(cut.cropped, cut.pictures);
}

TEST_F(RealPicturesTest, XRaysAreLeftAsTheyAre) {
  EXPECT_EQ(Say("cxr224", CountCropped(Folder("cxr224"))).cropped, 0);
  EXPECT_EQ(Say("cxr224 with a black frame", CountCropped(Folder("cxr224"), OnBlack)).cropped, 0);
  for (const char* file : {"medmnist_breast/breastmnist.npz",
                           "medmnist_pneumonia/pneumoniamnist_balanced_aksufatih.npz"}) {
    EXPECT_EQ(Say(file, CountCroppedArrays(Folder(file))).cropped, 0);
  }
}

}  // namespace
}  // namespace manako
