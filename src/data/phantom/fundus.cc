#include "data/phantom/fundus.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "data/phantom/canvas.h"

namespace manako::phantom {
namespace {

constexpr double kPi = std::numbers::pi;

// Everything that is smooth. A quarter of the picture's size is enough for it.
cv::Mat PaintGround(Random& random, const Frame& frame, const Traits& traits) {
  const cv::Size quarter = QuarterOf(frame.size);
  const cv::Mat pigment = SmoothNoise(random, quarter, 18 * frame.unit);
  const cv::Mat pigment_fine = SmoothNoise(random, quarter, 5 * frame.unit);
  const float mottling = static_cast<float>(random.Uniform(0.03, 0.13));
  const float fall_off = static_cast<float>(random.Uniform(0.10, 0.5));
  const float tilt_x = static_cast<float>(random.Uniform(-0.16, 0.16));
  const float tilt_y = static_cast<float>(random.Uniform(-0.16, 0.16));
  const float green_rim = static_cast<float>(random.Uniform(0, 0.42));
  const float macula_dark = static_cast<float>(random.Uniform(0.14, 0.36));
  const double macula_radius = random.Uniform(19, 31) * frame.unit;
  const Pixel base(static_cast<float>(172 - 40 * traits.pigment),
                   static_cast<float>(112 - 34 * traits.pigment - 22 * traits.red),
                   static_cast<float>(44 - 14 * traits.pigment));
  cv::Mat fundus(quarter, CV_32FC3);
  for (int row = 0; row < quarter.height; ++row) {
    const float* pigment_row = pigment.ptr<float>(row);
    const float* fine_row = pigment_fine.ptr<float>(row);
    Pixel* out = fundus.ptr<Pixel>(row);
    for (int column = 0; column < quarter.width; ++column) {
      const cv::Point2d p(4 * column + 2, 4 * row + 2);
      const float u = static_cast<float>((p.x - frame.centre.x) / frame.semi_x);
      const float v = static_cast<float>((p.y - frame.centre.y) / frame.semi_y);
      const float e2 = u * u + v * v;
      const float mottled = 1 + mottling * (pigment_row[column] + 0.6f * fine_row[column]);
      const float lamp =
          (1 - fall_off * e2 * std::sqrt(e2)) * (1 + tilt_x * u + tilt_y * v) * mottled;
      const cv::Point2d m = p - frame.macula;
      const float macula =
          macula_dark *
          static_cast<float>(std::exp(-m.dot(m) / (2 * macula_radius * macula_radius)));
      out[column] = Pixel(base[0] * lamp * (1 - green_rim * 0.5f * e2) * (1 - 0.8f * macula),
                          base[1] * lamp * (1 + green_rim * e2) * (1 - 1.2f * macula),
                          base[2] * lamp * (1 + green_rim * e2) * (1 - macula));
    }
  }
  return Enlarged(fundus, frame.size);
}

// The choroid's vessels, brighter stripes between darker pigment: the crests of smooth noise. About
// -1 to 1.
cv::Mat PaintChoroid(Random& random, const Frame& frame) {
  const cv::Size half = HalfOf(frame.size);
  // Drawn on a narrower map and stretched: the choroid's vessels run more across than up and down.
  const cv::Size narrow_size(std::max(4, static_cast<int>(half.width / random.Uniform(1.4, 2.2))),
                             half.height);
  const cv::Mat broad =
      Enlarged(SmoothNoise(random, narrow_size, random.Uniform(9, 14) * frame.unit), half);
  const cv::Mat narrow =
      Enlarged(SmoothNoise(random, narrow_size, random.Uniform(4, 6) * frame.unit), half);
  cv::Mat stripes(half, CV_32F);
  for (int row = 0; row < half.height; ++row) {
    const float* a = broad.ptr<float>(row);
    const float* b = narrow.ptr<float>(row);
    float* out = stripes.ptr<float>(row);
    for (int column = 0; column < half.width; ++column) {
      const float off = a[column] + 0.35f * b[column];
      out[column] = 1.5f / (1 + 14 * off * off) - 0.7f + 0.4f * b[column];
    }
  }
  return Enlarged(stripes, frame.size);
}

}  // namespace

cv::Mat PaintFundus(Random& random, const Frame& frame, const Traits& traits,
                    const cv::Mat& cover) {
  cv::Mat canvas = PaintGround(random, frame, traits);
  const cv::Mat choroid = PaintChoroid(random, frame);
  const float strength =
      static_cast<float>(0.03 + 0.17 * traits.tessellation * random.Uniform(0.6, 1));
  for (int row = 0; row < canvas.rows; ++row) {
    Pixel* out = canvas.ptr<Pixel>(row);
    const float* choroid_row = choroid.ptr<float>(row);
    const float* cover_row = cover.empty() ? nullptr : cover.ptr<float>(row);
    for (int column = 0; column < canvas.cols; ++column) {
      const float shown = cover_row ? 1 - 0.85f * cover_row[column] : 1;
      const float stripe = strength * shown * choroid_row[column];
      out[column] = out[column].mul(Pixel(1 + stripe, 1 + 1.15f * stripe, 1 + 0.8f * stripe));
    }
  }
  return canvas;
}

void PaintDisc(cv::Mat& canvas, Random& random, const Frame& frame) {
  const Pixel rim = ColourBetween(random, {205, 140, 70}, {240, 185, 110});
  const Pixel cup(rim[0] + 12, rim[1] + 32, rim[2] + 45);
  const double tall = random.Uniform(0.95, 1.2);
  Spot disc{frame.disc, frame.disc_radius, 0.28, tall, kPi / 2 + random.Uniform(-0.2, 0.2)};
  PaintSpot(canvas, disc, [&](Pixel& p, float amount) { Mix(p, rim, 0.85f * amount); });
  if (Chance(random, 0.3)) {  // a crescent of bare sclera on the temporal side
    Spot crescent = disc;
    crescent.radius *= 1.25;
    crescent.at.x += frame.temporal * 0.3 * frame.disc_radius;
    PaintSpot(canvas, crescent, [&](Pixel& p, float amount) { Mix(p, cup, 0.3f * amount); });
  }
  disc.radius *= random.Uniform(0.3, 0.6);
  disc.border = 0.6;
  PaintSpot(canvas, disc, [&](Pixel& p, float amount) { Mix(p, cup, 0.8f * amount); });
}

void PaintLookalikeSpots(cv::Mat& canvas, Random& random, const Frame& frame,
                         const Traits& traits) {
  const auto brighten = [](Pixel& p, float amount) {
    p += amount * Pixel(0.30f * p[0], 0.48f * p[1], 0.5f * p[2]);
  };
  const auto darken = [](Pixel& p, float amount) { p *= 1 - 0.6f * amount; };
  const auto redden = [](Pixel& p, float amount) {
    p -= amount * Pixel(0.25f * p[0], 0.62f * p[1], 0.5f * p[2]);
  };
  if (traits.drusen > 0.6) {
    const int count = 6 + static_cast<int>(random.Below(50));
    for (int i = 0; i < count; ++i) {
      const cv::Point2d at =
          frame.macula + frame.unit * 30 * cv::Point2d{random.Normal(), random.Normal()};
      PaintSpot(canvas, {at, frame.unit * random.Uniform(1.2, 3.4), 0.8}, brighten);
    }
  }
  if (Chance(random, 0.3)) {
    const int count = 1 + static_cast<int>(random.Below(3));
    for (int i = 0; i < count; ++i) {
      const Spot spot{SomewhereInField(random, frame, 0.3, 0.9), frame.unit * random.Uniform(3, 11),
                      0.35, random.Uniform(1, 1.5), random.Uniform(0, kPi)};
      PaintSpot(canvas, spot, darken);
    }
  }
  if (Chance(random, 0.25)) {  // a row of scars in the periphery
    const double angle = random.Uniform(0, 2 * kPi);
    const int count = 4 + static_cast<int>(random.Below(12));
    for (int i = 0; i < count; ++i) {
      const double a = angle + 0.07 * i, out = random.Uniform(0.72, 0.86);
      const cv::Point2d at = frame.centre + cv::Point2d(out * frame.semi_x * std::cos(a),
                                                        out * frame.semi_y * std::sin(a));
      const double radius = frame.unit * random.Uniform(2.5, 5);
      PaintSpot(canvas, {at, radius, 0.5}, brighten);
      if (Chance(random, 0.6)) PaintSpot(canvas, {at, 0.5 * radius, 0.6}, darken);
    }
  }
  if (Chance(random, 0.25)) {
    const int count = 1 + static_cast<int>(random.Below(6));
    for (int i = 0; i < count; ++i) {
      const Spot spot{SomewhereInField(random, frame, 0.15, 0.9), frame.unit * random.Uniform(2, 8),
                      0.5, random.Uniform(1, 2), random.Uniform(0, kPi)};
      PaintSpot(canvas, spot, redden);
    }
  }
}

}  // namespace manako::phantom
