#include "data/phantom/media.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <opencv2/imgproc.hpp>

#include "data/phantom/canvas.h"

namespace manako::phantom {
namespace {

constexpr double kPi = std::numbers::pi;

// Lashes hang into the picture from one edge: 255 where they hide everything. CV_8U, half the size.
void PaintLashes(cv::Mat& mask, Random& random, const Frame& frame, bool lower) {
  const double unit = frame.unit / 2;
  const double edge = lower ? mask.rows : 0, inwards = lower ? -1 : 1;
  const int count = static_cast<int>(random.Below(26));
  const double lean = random.Uniform(-0.5, 0.5);
  for (int i = 0; i < count; ++i) {
    const double x = mask.cols * random.Uniform(0.02, 0.98);
    const double length = unit * random.Uniform(28, 105), side = x / mask.cols - 0.5 + lean;
    const double bow = random.Uniform(-0.25, 0.25) * length;
    const int width = 1 + static_cast<int>(unit * random.Uniform(1, 5.5));
    const cv::Scalar dark(random.Uniform(110, 235));
    cv::Point2d last(x, edge);
    for (int step = 1; step <= 6; ++step) {
      const double t = step / 6.0;
      const cv::Point2d next(x + side * length * t + bow * t * (1 - t) * 2,
                             edge + inwards * length * t);
      cv::line(mask, cv::Point(last), cv::Point(next), dark,
               std::max(1, static_cast<int>(std::lround(width * (1.1 - t)))), cv::LINE_8);
      last = next;
    }
  }
}

}  // namespace

void PaintMedia(cv::Mat& canvas, Random& random, const Frame& frame) {
  // Painted at a quarter of the size: `scale` is what is left of the light, `add` what comes on
  // top.
  const cv::Size quarter = QuarterOf(frame.size);
  cv::Mat scale(quarter, CV_32FC3, cv::Scalar(1, 1, 1));
  cv::Mat add = cv::Mat::zeros(quarter, CV_32FC3);
  const double unit = frame.unit / 4;
  const auto somewhere = [&](double from, double to) {
    return SomewhereInField(random, frame, from, to) / 4;
  };
  const int reflexes = static_cast<int>(random.Below(4));
  for (int i = 0; i < reflexes; ++i) {
    const float glow = static_cast<float>(random.Uniform(14, 62));
    const Pixel light = glow * ColourBetween(random, {0.5f, 1, 0.4f}, {1.1f, 1, 0.9f});
    const Spot spot{somewhere(0, 0.95), unit * random.Uniform(8, 75), random.Uniform(0.5, 1),
                    random.Uniform(1, 2.8), random.Uniform(0, kPi)};
    PaintSpot(add, spot, [&](Pixel& p, float amount) { p += amount * light; });
  }
  if (Chance(random, 0.35)) {  // a cloud
    const float grey = static_cast<float>(random.Uniform(25, 70));
    const float dim = static_cast<float>(random.Uniform(0.15, 0.5));
    const cv::Mat cloudy = SmoothNoise(random, quarter, random.Uniform(9, 22) * frame.unit);
    const float from = static_cast<float>(random.Uniform(-0.1, 0.35));
    for (int row = 0; row < quarter.height; ++row) {
      for (int column = 0; column < quarter.width; ++column) {
        const float amount = SmoothStep(from, from + 0.6f, cloudy.at<float>(row, column));
        scale.at<Pixel>(row, column) *= 1 - dim * amount;
        add.at<Pixel>(row, column) += grey * amount * Pixel(0.9f, 0.95f, 0.7f);
      }
    }
  }
  if (Chance(random, 0.35)) {  // floaters
    const int count = 1 + static_cast<int>(random.Below(5));
    for (int i = 0; i < count; ++i) {
      const float dim = static_cast<float>(random.Uniform(0.12, 0.4));
      const Spot spot{somewhere(0, 0.9), unit * random.Uniform(5, 22), 0.8, random.Uniform(1, 3.5),
                      random.Uniform(0, kPi)};
      PaintSpot(scale, spot, [&](Pixel& p, float amount) { p *= 1 - dim * amount; });
    }
  }
  const cv::Mat scale_full = Enlarged(scale, frame.size), add_full = Enlarged(add, frame.size);
  for (int row = 0; row < canvas.rows; ++row) {
    Pixel* out = canvas.ptr<Pixel>(row);
    const Pixel* scale_row = scale_full.ptr<Pixel>(row);
    const Pixel* add_row = add_full.ptr<Pixel>(row);
    for (int column = 0; column < canvas.cols; ++column) {
      out[column] = out[column].mul(scale_row[column]) + add_row[column];
    }
  }
}

void PaintLids(cv::Mat& canvas, Random& random, const Frame& frame) {
  const bool lower = Chance(random, 0.55), upper = Chance(random, 0.3);
  const double blur = random.Uniform(0.8, 3.2) * frame.unit;
  const bool lid = Chance(random, 0.25);
  const double lid_height = random.Uniform(6, 42) * frame.unit / 2;
  const Pixel skin = ColourBetween(random, {30, 30, 18}, {110, 90, 55});
  if (!lower && !upper) return;
  cv::Mat mask = cv::Mat::zeros(HalfOf(frame.size), CV_8U);
  if (lower) PaintLashes(mask, random, frame, true);
  if (upper) PaintLashes(mask, random, frame, false);
  cv::GaussianBlur(mask, mask, cv::Size(0, 0), blur);
  cv::Mat skin_mask = cv::Mat::zeros(mask.size(), CV_8U);
  if (lid) {
    const cv::Point2d at(mask.cols * random.Uniform(0.35, 0.65),
                         lower ? mask.rows + 0.6 * mask.rows : -0.6 * mask.rows);
    cv::ellipse(skin_mask, cv::Point(at),
                cv::Size(mask.cols, static_cast<int>(0.6 * mask.rows + lid_height)), 0, 0, 360,
                cv::Scalar(235), cv::FILLED);
    cv::GaussianBlur(skin_mask, skin_mask, cv::Size(0, 0), 2.5 * frame.unit);
  }
  const cv::Mat dark = Enlarged(mask, frame.size), skinny = Enlarged(skin_mask, frame.size);
  for (int row = 0; row < canvas.rows; ++row) {
    Pixel* out = canvas.ptr<Pixel>(row);
    const uint8_t* dark_row = dark.ptr<uint8_t>(row);
    const uint8_t* skin_row = skinny.ptr<uint8_t>(row);
    for (int column = 0; column < canvas.cols; ++column) {
      if (skin_row[column]) Mix(out[column], skin, (1.0f / 255) * skin_row[column]);
      if (dark_row[column]) out[column] *= 1 - (0.85f / 255) * dark_row[column];
    }
  }
}

}  // namespace manako::phantom
