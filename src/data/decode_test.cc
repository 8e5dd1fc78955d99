#include "data/decode.h"

#include <gmock/gmock.h>
#include <jpeglib.h>
#include <png.h>

#include <opencv2/imgproc.hpp>

#include "data/exif.h"
#include "data/formats.h"
#include "data/npz_testing.h"
#include "data/resample.h"
#include "data/testing.h"

namespace manako {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Result {
  absl::Status status;
  int size;
  std::vector<uint8_t> rgb;
  std::vector<int> At(int x, int y) const {
    const uint8_t* p = &rgb[(static_cast<size_t>(y) * size + x) * 3];
    return {p[0], p[1], p[2]};
  }
};

Result Decode(std::string_view bytes, int size, CropMode crop = CropMode::kOff) {
  Result result{absl::OkStatus(), size,
                std::vector<uint8_t>(static_cast<size_t>(size) * size * 3, 77)};
  result.status = DecodeImage(bytes, {size, crop}, result.rgb.data());
  return result;
}

std::string ErrorOf(std::string_view bytes) {
  return std::string(MessageOf(Decode(bytes, 8).status));
}

double MeanDifference(const Result& a, const Result& b) {
  double sum = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) sum += std::abs(a.rgb[i] - b.rgb[i]);
  return sum / static_cast<double>(a.rgb.size());
}

// A round picture on black, a little off centre, with noise in the black.
cv::Mat Fundus(int width, int height, int radius) {
  cv::Mat picture(height, width, CV_8UC3, cv::Scalar(2, 2, 2));
  cv::randn(picture, cv::Scalar(2, 2, 2), cv::Scalar(2, 2, 2));
  cv::circle(picture, {width / 2 + 10, height / 2}, radius, cv::Scalar(30, 90, 180), cv::FILLED);
  return picture;
}

std::string CmykJpeg(bool adobe) {
  jpeg_compress_struct jpeg;
  jpeg_error_mgr errors;
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &bytes, &size);
  jpeg.image_width = jpeg.image_height = 8;
  jpeg.input_components = 4;
  jpeg.in_color_space = JCS_CMYK;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 100, TRUE);
  jpeg.write_Adobe_marker = adobe ? TRUE : FALSE;
  jpeg_start_compress(&jpeg, TRUE);
  // Pure red: no cyan, all magenta and yellow, no key; Adobe writes 255 - ink.
  std::vector<uint8_t> row;
  for (int x = 0; x < 8; ++x) {
    for (int ink : {0, 255, 255, 0}) row.push_back(static_cast<uint8_t>(adobe ? 255 - ink : ink));
  }
  for (int y = 0; y < 8; ++y) {
    JSAMPROW rows = row.data();
    jpeg_write_scanlines(&jpeg, &rows, 1);
  }
  jpeg_finish_compress(&jpeg);
  std::string out(reinterpret_cast<char*>(bytes), size);
  jpeg_destroy_compress(&jpeg);
  free(bytes);
  return out;
}

std::string WithExif(const std::string& jpeg, int orientation) {
  const std::string tiff = std::string("II*\0\10\0\0\0\1\0", 10) +
                           std::string("\x12\x01\3\0\1\0\0\0", 8) +
                           LittleEndian(static_cast<uint64_t>(orientation), 4) + LittleEndian(0, 4);
  const std::string body = std::string("Exif\0\0", 6) + tiff;
  const auto length = static_cast<char>(body.size() + 2);
  return jpeg.substr(0, 2) + "\xff\xe1" + '\0' + length + body + jpeg.substr(2);
}

TEST(DecodeTest, EveryFormatGivesTheSamePicture) {
  const cv::Mat picture = Gradient(40, 40);
  const Result expected = Decode(Encode(picture, ".png"), 40);
  ASSERT_TRUE(expected.status.ok()) << expected.status;
  // RGB, not BGR.
  EXPECT_THAT(expected.At(39, 0), ElementsAre(50, 60, 177));
  for (const std::string extension : {".jpg", ".bmp", ".tif", ".webp"}) {
    const Result result = Decode(Encode(picture, extension), 40);
    ASSERT_TRUE(result.status.ok()) << extension << result.status;
    EXPECT_LT(MeanDifference(result, expected), 2.5) << extension;
  }
}

TEST(DecodeTest, GreyAndDeepAndTransparent) {
  cv::Mat grey(10, 10, CV_8UC1, cv::Scalar(100));
  for (const std::string extension : {".jpg", ".png", ".bmp", ".tif"}) {
    const Result result = Decode(Encode(grey, extension), 10);
    ASSERT_TRUE(result.status.ok()) << extension << result.status;
    EXPECT_THAT(result.At(5, 5), ElementsAre(100, 100, 100)) << extension;
  }
  // 12 bits in 16: full scale is 4095.
  cv::Mat deep(10, 10, CV_16UC1, cv::Scalar(2048));
  deep.at<uint16_t>(0, 0) = 4000;
  for (const std::string extension : {".png", ".tif"}) {
    EXPECT_THAT(Decode(Encode(deep, extension), 10).At(5, 5), ElementsAre(128, 128, 128))
        << extension;
  }
  deep.at<uint16_t>(0, 0) = 65535;
  EXPECT_THAT(Decode(Encode(deep, ".png"), 10).At(5, 5), ElementsAre(8, 8, 8));
  cv::Mat alpha(10, 10, CV_8UC4, cv::Scalar(10, 20, 30, 128));
  EXPECT_THAT(Decode(Encode(alpha, ".png"), 10).At(5, 5), ElementsAre(30, 20, 10));
}

TEST(DecodeTest, InkJpeg) {
  for (const bool adobe : {false, true}) {
    const Result result = Decode(CmykJpeg(adobe), 8);
    ASSERT_TRUE(result.status.ok()) << result.status;
    EXPECT_GT(result.At(4, 4)[0], 250);
    EXPECT_LT(result.At(4, 4)[1], 5);
    EXPECT_LT(result.At(4, 4)[2], 5);
  }
}

TEST(DecodeTest, OnePixelAndThinPictures) {
  for (const std::string extension : {".png", ".jpg", ".bmp"}) {
    const Result one = Decode(Encode(cv::Mat(1, 1, CV_8UC3, cv::Scalar(10, 20, 30)), extension), 16,
                              CropMode::kAuto);
    ASSERT_TRUE(one.status.ok()) << extension;
    EXPECT_NEAR(one.At(0, 0)[0], 30, 3) << extension;
    EXPECT_NEAR(one.At(15, 15)[2], 10, 3) << extension;
    EXPECT_TRUE(Decode(Encode(Gradient(3000, 1), extension), 16).status.ok());
  }
}

TEST(DecodeTest, LetterboxKeepsTheAspect) {
  const Result result =
      Decode(Encode(cv::Mat(100, 200, CV_8UC3, cv::Scalar(200, 200, 200)), ".png"), 64);
  EXPECT_THAT(result.At(32, 15), ElementsAre(0, 0, 0));
  EXPECT_THAT(result.At(0, 16), ElementsAre(200, 200, 200));
  EXPECT_THAT(result.At(63, 47), ElementsAre(200, 200, 200));
  EXPECT_THAT(result.At(32, 48), ElementsAre(0, 0, 0));
}

TEST(DecodeTest, JpegIsReducedAsFarAsTheSizeAllows) {
  const std::string bytes = Encode(Gradient(800, 600), ".jpg");
  for (const auto& [longer, width] :
       {std::pair{100, 100}, {101, 200}, {200, 200}, {201, 400}, {401, 800}, {900, 800}}) {
    const auto decoded = DecodeReduced(bytes, longer);
    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(decoded->image.width, width) << longer;
    EXPECT_EQ(decoded->reduced, width != 800);
  }
  // Reduced while decoding or afterwards: the same picture.
  const Result reduced = Decode(bytes, 96), whole = Decode(Encode(Gradient(800, 600), ".bmp"), 96);
  EXPECT_LT(MeanDifference(reduced, whole), 2);
}

TEST(DecodeTest, PngIsAveragedOverBlocks) {
  cv::Mat stripes(64, 70, CV_8UC3);
  for (int x = 0; x < 70; ++x)
    stripes.col(x).setTo(x % 2 ? cv::Scalar(200, 200, 200) : cv::Scalar(0, 0, 0));
  const auto decoded = DecodeReduced(Encode(stripes, ".png"), 17);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->image.width, 18);  // blocks of 4, the last of 2
  EXPECT_EQ(decoded->image.height, 16);
  for (uint8_t value : decoded->image.pixels) ASSERT_EQ(value, 100);
}

// As `write` has libpng make it, up to its end.
std::string WritePng(const std::function<void(png_structp, png_infop)>& write) {
  std::string bytes;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &bytes,
      [](png_structp p, png_bytep data, size_t size) {
        static_cast<std::string*>(png_get_io_ptr(p))->append(reinterpret_cast<char*>(data), size);
      },
      nullptr);
  write(png, info);
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

TEST(DecodeTest, InterlacedPng) {
  const cv::Mat picture = Gradient(33, 21);
  const std::string bytes = WritePng([&](png_structp png, png_infop info) {
    png_set_IHDR(png, info, 33, 21, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_ADAM7,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    png_set_bgr(png);
    std::vector<png_bytep> rows;
    for (int y = 0; y < 21; ++y) rows.push_back(const_cast<png_bytep>(picture.ptr(y)));
    png_write_image(png, rows.data());
  });
  const Result interlaced = Decode(bytes, 33), plain = Decode(Encode(picture, ".png"), 33);
  ASSERT_TRUE(interlaced.status.ok()) << interlaced.status;
  EXPECT_EQ(interlaced.rgb, plain.rgb);
}

TEST(DecodeTest, HugePicturesTakeLittleMemoryOrAreRefused) {
  // 180 MB as RGB; reading it takes one row and 64 columns of blocks.
  const std::string bytes = WritePng([](png_structp png, png_infop info) {
    png_set_compression_level(png, 1);
    png_set_IHDR(png, info, 30000, 2000, 1, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, 0, 0);
    png_write_info(png, info);
    std::vector<uint8_t> row(3750, 0xff);
    for (int y = 0; y < 2000; ++y) png_write_row(png, row.data());
  });
  const Result result = Decode(bytes, 64);
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_THAT(result.At(32, 32), ElementsAre(255, 255, 255));

  std::string bmp = Encode(Gradient(4, 4), ".bmp");
  bmp.replace(18, 8, LittleEndian(30000, 4) + LittleEndian(30000, 4));
  EXPECT_THAT(ErrorOf(bmp), HasSubstr("30000x30000 pixels take more than 400 MB"));
}

TEST(DecodeTest, ExifOrientationTurnsThePicture) {
  cv::Mat picture(64, 64, CV_8UC3, cv::Scalar(0, 0, 0));
  picture(cv::Rect(0, 0, 32, 32)).setTo(cv::Scalar(255, 255, 255));  // top left
  const std::string jpeg = Encode(picture, ".jpg");
  // EXIF 2.32: where the top left corner of the stored picture is shown.
  const std::pair<int, int> corners[] = {{16, 16}, {48, 16}, {48, 48}, {16, 48},
                                         {16, 16}, {48, 16}, {48, 48}, {16, 48}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Result result = Decode(WithExif(jpeg, orientation), 64);
    ASSERT_TRUE(result.status.ok()) << result.status;
    for (const auto& [x, y] : {std::pair{16, 16}, {48, 16}, {16, 48}, {48, 48}}) {
      const bool white = corners[orientation - 1] == std::pair{x, y};
      EXPECT_EQ(result.At(x, y)[0] > 128, white) << orientation << " " << x << "," << y;
    }
  }
  // 5 to 8 swap the axes: a wide picture becomes tall.
  const std::string wide = Encode(cv::Mat(32, 64, CV_8UC3, cv::Scalar(255, 255, 255)), ".jpg");
  EXPECT_EQ(Decode(WithExif(wide, 6), 64).At(2, 32)[0], 0);
  EXPECT_GT(Decode(WithExif(wide, 6), 64).At(32, 2)[0], 250);
}

TEST(DecodeTest, ExifQuarterTurnsGoTheRightWay) {
  // 3x3 numbered pixels; 6 is "turn 90 degrees clockwise to show", 8 the other way.
  std::vector<uint8_t> rgb(27);
  for (size_t i = 0; i < 27; ++i) rgb[i] = static_cast<uint8_t>(i / 3);
  const auto turned = [&](int orientation) {
    std::vector<uint8_t> copy = rgb;
    ApplyOrientation(orientation, 3, copy.data());
    std::vector<int> out;
    for (size_t i = 0; i < 27; i += 3) out.push_back(copy[i]);
    return out;
  };
  EXPECT_THAT(turned(6), ElementsAre(6, 3, 0, 7, 4, 1, 8, 5, 2));
  EXPECT_THAT(turned(8), ElementsAre(2, 5, 8, 1, 4, 7, 0, 3, 6));
  EXPECT_THAT(turned(5), ElementsAre(0, 3, 6, 1, 4, 7, 2, 5, 8));
  EXPECT_THAT(turned(7), ElementsAre(8, 5, 2, 7, 4, 1, 6, 3, 0));
}

TEST(DecodeTest, TruncatedFilesAreErrors) {
  const cv::Mat picture = Gradient(120, 90);
  for (const std::string extension : {".jpg", ".png", ".bmp", ".tif", ".webp"}) {
    const std::string bytes = Encode(picture, extension);
    for (const double share : {0.3, 0.6, 0.9}) {
      const std::string cut =
          bytes.substr(0, static_cast<size_t>(static_cast<double>(bytes.size()) * share));
      EXPECT_THAT(ErrorOf(cut), HasSubstr("truncated")) << extension << " " << share;
    }
  }
}

TEST(DecodeTest, WhatIsNoImageIsSaid) {
  EXPECT_EQ(ErrorOf(""), "empty file");
  EXPECT_EQ(ErrorOf("hello"), "not an image (begins with bytes 68656c6c)");
  EXPECT_THAT(ErrorOf("GIF89a"), HasSubstr("GIF is not read"));
  EXPECT_THAT(ErrorOf(std::string(128, '\0') + "DICM"), HasSubstr("DICOM is not read"));
  for (const std::string extension : {".bmp", ".tif", ".webp"}) {
    std::string both = Encode(Gradient(120, 90), extension) + std::string(132, '\0');
    both.replace(128, 4, "DICM");
    EXPECT_THAT(ErrorOf(both), HasSubstr("DICOM is not read")) << extension;
  }
}

TEST(DecodeTest, HarmlessJpegWarningsAreNoErrors) {
  const std::string jpeg = Encode(Gradient(32, 32), ".jpg");
  EXPECT_TRUE(Decode(jpeg + "some bytes behind the end", 16).status.ok());
}

TEST(DecodeTest, DamagedBytesDoNoHarm) {
  for (const std::string extension : {".jpg", ".png", ".bmp", ".tif", ".webp"}) {
    Mutate(
        WithExif(Encode(Gradient(9, 7), extension), 6), [](std::string_view b) { Decode(b, 8); },
        7);
    Mutate(
        Encode(Gradient(9, 7), extension), [](std::string_view b) { Decode(b, 8); }, 3);
  }
  const std::string exif = WithExif("\xff\xd8", 6).substr(6);
  EXPECT_EQ(ExifOrientation(exif), 6);
  Mutate(exif, [](std::string_view bytes) { ExifOrientation(bytes); });
}

// A library's own lines on the terminal would stand between ours.
TEST(DecodeTest, DamagedBytesAreQuiet) {
  cv::Mat noise(40, 50, CV_8UC3), deep(40, 50, CV_16UC3);
  cv::randu(noise, 0, 255);
  cv::randu(deep, 0, 65535);
  std::vector<std::string> files;
  for (const int compression : {1, 5, 7, 8, 32773}) {  // none, LZW, JPEG, deflate, PackBits
    files.push_back(Encode(noise, ".tif", {cv::IMWRITE_TIFF_COMPRESSION, compression}));
  }
  files.push_back(Encode(deep, ".tif", {cv::IMWRITE_TIFF_COMPRESSION, 5}));
  for (const char* extension : {".bmp", ".webp", ".jpg", ".png"}) {
    files.push_back(Encode(noise, extension));
  }
  int refused = 0;
  const auto decode = [&](std::string_view bytes) { refused += !Decode(bytes, 8).status.ok(); };
  testing::internal::CaptureStderr();
  for (const std::string& file : files) {
    for (const size_t part : {2, 3, 10}) decode(file.substr(0, file.size() - file.size() / part));
    std::string damaged = file;
    // A TIFF's directory stands at its end.
    for (const size_t at : {40, 130, 180}) damaged[damaged.size() - at] ^= '\x55';
    decode(damaged);
    for (size_t at = 10; at < 60; at += 7) damaged[at] ^= '\x55';
    decode(damaged);
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_GT(refused, 20);
}

TEST(FundusCropTest, FindsTheDisc) {
  const Result result = Decode(Encode(Fundus(900, 700, 300), ".png"), 100, CropMode::kAuto);
  // The disc fills the square: its middle row begins and ends with colour, its corners are black.
  EXPECT_GT(result.At(2, 50)[0], 100);
  EXPECT_GT(result.At(97, 50)[0], 100);
  EXPECT_GT(result.At(50, 2)[0], 100);
  EXPECT_LT(result.At(2, 2)[0], 30);
}

TEST(FundusCropTest, BoxIsWithinAPercentAndSpecksDoNotCount) {
  cv::Mat picture = Fundus(900, 700, 300);
  cv::rectangle(picture, {5, 5, 40, 8}, cv::Scalar(255, 255, 255), cv::FILLED);  // a line of text
  picture.at<cv::Vec3b>(690, 890) = {255, 255, 255};
  cv::Mat rgb;
  cv::cvtColor(picture, rgb, cv::COLOR_BGR2RGB);
  const RgbImage image{900, 700, std::vector<uint8_t>(rgb.datastart, rgb.dataend)};
  const Box box = FindContent(image, CropMode::kAuto);
  EXPECT_NEAR(box.x, 160, 6);
  EXPECT_NEAR(box.y, 50, 6);
  EXPECT_NEAR(box.width, 601, 9);
  EXPECT_NEAR(box.height, 601, 9);
  EXPECT_EQ(FindContent(image, CropMode::kOff), (Box{0, 0, 900, 700}));
}

TEST(FundusCropTest, AutoLeavesOtherPicturesAlone) {
  const auto box_of = [](const cv::Mat& picture) {
    return FindContent(
        {picture.cols, picture.rows, std::vector<uint8_t>(picture.datastart, picture.dataend)},
        CropMode::kAuto);
  };
  EXPECT_EQ(box_of(Gradient(100, 80)), (Box{0, 0, 100, 80}));
  EXPECT_EQ(box_of(cv::Mat(80, 100, CV_8UC3, cv::Scalar(0, 0, 0))), (Box{0, 0, 100, 80}));
  // One bright corner: a picture that reaches the edge.
  cv::Mat corner = Fundus(100, 80, 30);
  cv::rectangle(corner, {0, 0, 20, 20}, cv::Scalar(120, 120, 120), cv::FILLED);
  EXPECT_EQ(box_of(corner), (Box{0, 0, 100, 80}));
}

TEST(FundusCropTest, AWideBorderIsDecodedFiner) {
  // 1/8 would leave 40 pixels of content for 100 that are needed.
  const std::string bytes = Encode(Fundus(1600, 1600, 200), ".jpg", {cv::IMWRITE_JPEG_QUALITY, 98});
  const Result fine = Decode(bytes, 100, CropMode::kAuto);
  const Result exact = Decode(Encode(Fundus(1600, 1600, 200), ".png"), 100, CropMode::kAuto);
  ASSERT_TRUE(fine.status.ok());
  EXPECT_LT(MeanDifference(fine, exact), 3);
}

TEST(ResampleTest, KeepsConstantsAndTheMean) {
  for (const int from : {1, 2, 7, 100}) {
    for (const int to : {1, 3, 50, 224}) {
      const RgbImage image{from, from,
                           std::vector<uint8_t>(static_cast<size_t>(from) * from * 3, 93)};
      std::vector<uint8_t> out(static_cast<size_t>(to) * to * 3);
      Resample(image, {0, 0, from, from}, {out.data(), to, to, static_cast<size_t>(to) * 3});
      for (uint8_t value : out) ASSERT_EQ(value, 93) << from << " to " << to;
    }
  }
}

}  // namespace
}  // namespace manako
