#include "data/phantom/detachment.h"

#include <cmath>
#include <numbers>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "data/phantom/canvas.h"

namespace manako::phantom {
namespace {

constexpr double kPi = std::numbers::pi;

// A bulla: a disc in coordinates where the field of view is the unit circle. Bent by noise when it
// is measured.
struct Lobe {
  float x, y, radius;
};

// A bulla in the periphery at `angle`. The wider ones are centred further in, so that their border
// stays convex.
Lobe LobeAt(Random& random, double angle, double radius) {
  const double distance = 1.12 - 0.22 * radius + random.Uniform(-0.06, 0.06);
  return {static_cast<float>(distance * std::cos(angle)),
          static_cast<float>(distance * std::sin(angle)), static_cast<float>(radius)};
}

std::vector<Lobe> Lobes(Random& random) {
  std::vector<Lobe> lobes;
  double angle = random.Uniform(0, 2 * kPi);
  const double kind = random.Uniform();
  int count = 1;
  double gap = 0, least = 0.38, most = 0.95;
  if (kind < 0.10) {  // total: bullae from all sides that leave little but the disc
    count = 4 + static_cast<int>(random.Below(3));
    gap = 2 * kPi / count;
    least = 0.7;
  } else if (kind < 0.5) {  // two or three side by side
    count = 2 + static_cast<int>(random.Below(2));
    gap = random.Uniform(0.55, 0.85);
    least = 0.4;
    most = 0.8;
  }
  for (int i = 0; i < count; ++i) {
    const double radius = random.Uniform(least, most);
    lobes.push_back(LobeAt(random, angle, radius));
    angle += gap * random.Uniform(0.85, 1.15);
  }
  return lobes;
}

// Where the bullae are, on a map of half the picture's size.
struct Outline {
  std::vector<Lobe> lobes;
  cv::Mat depth;    // CV_32F: how deep a pixel lies inside the union of the lobes, in units of the
                    // field's radius
  cv::Mat lobe_of;  // CV_8U: in which of them
};

Outline DrawOutline(Random& random, const Frame& frame) {
  const cv::Size half = HalfOf(frame.size);
  Outline outline{Lobes(random), cv::Mat(half, CV_32F), cv::Mat(half, CV_8U)};
  const double coarse = random.Uniform(0.05, 0.11), fine = random.Uniform(0.01, 0.03);
  cv::Mat bend = coarse * SmoothNoise(random, half, 42 * frame.unit);
  bend += fine * SmoothNoise(random, half, 13 * frame.unit);
  for (int row = 0; row < half.height; ++row) {
    const float v = static_cast<float>((2 * row + 1 - frame.centre.y) / frame.semi_y);
    const float* bend_row = bend.ptr<float>(row);
    float* depth_row = outline.depth.ptr<float>(row);
    uint8_t* lobe_row = outline.lobe_of.ptr<uint8_t>(row);
    for (int column = 0; column < half.width; ++column) {
      const float u = static_cast<float>((2 * column + 1 - frame.centre.x) / frame.semi_x);
      // Where two lobes meet, the maximum leaves the crease that neighbouring bullae have.
      float best = -10;
      for (size_t i = 0; i < outline.lobes.size(); ++i) {
        const Lobe& lobe = outline.lobes[i];
        const float du = u - lobe.x, dv = v - lobe.y;
        const float inside = lobe.radius - std::sqrt(du * du + dv * dv);
        if (inside > best) {
          best = inside;
          lobe_row[column] = static_cast<uint8_t>(i);
        }
      }
      depth_row[column] = best + bend_row[column];
    }
  }
  return outline;
}

double ShareOf(const Frame& frame, const cv::Mat& depth) {
  int64_t inside = 0, detached = 0;
  for (int row = 0; row < depth.rows; ++row) {
    const float* depth_row = depth.ptr<float>(row);
    for (int column = 0; column < depth.cols; ++column) {
      if (frame.Eccentricity(cv::Point2d(2 * column + 1, 2 * row + 1)) > 1) continue;
      ++inside;
      if (depth_row[column] > 0) ++detached;
    }
  }
  return inside > 0 ? static_cast<double>(detached) / static_cast<double>(inside) : 0;
}

}  // namespace

double DetachedShare(const PhantomEye& eye, const Frame& frame) {
  if (!eye.detachment) return 0;
  Random random = StreamOf(eye, Layer::kDetachment);
  return ShareOf(frame, DrawOutline(random, frame).depth);
}

Detachment DetachmentOf(const PhantomEye& eye, const Frame& frame) {
  Detachment result;
  if (!eye.detachment) return result;
  Random random = StreamOf(eye, Layer::kDetachment);
  const cv::Size half = HalfOf(frame.size);
  const auto [lobes, depth, lobe_of] = DrawOutline(random, frame);

  const double subtle = Chance(random, 0.12) ? 0.6 : 1.0;
  result.opacity = subtle * random.Uniform(0.42, 0.85);
  const float slope = static_cast<float>(random.Uniform(0.14, 0.34));  // width of the rising border
  const float dome =
      static_cast<float>(subtle * random.Uniform(8, 13) * frame.unit);  // height, pixels
  const float fold = static_cast<float>(subtle * random.Uniform(1.2, 2.1) * frame.unit);
  const float border = static_cast<float>(random.Uniform(0.03, 0.11));
  const double wave = random.Uniform(12, 20) * frame.unit;  // of the folds, half-size pixels
  const double light = random.Uniform(0, 2 * kPi);
  const bool demarcated = Chance(random, 0.35);

  // Folds run across a direction of each lobe's own and are bent by noise.
  std::vector<cv::Point2f> across;
  for (const Lobe& lobe : lobes) {
    const double angle = std::atan2(lobe.y, lobe.x) + kPi / 2 + random.Uniform(-0.9, 0.9);
    across.emplace_back(static_cast<float>(std::cos(angle) * 2 * kPi / wave),
                        static_cast<float>(std::sin(angle) * 2 * kPi / wave));
  }
  const cv::Mat warp = SmoothNoise(random, half, 26 * frame.unit);
  const cv::Mat strength = SmoothNoise(random, half, 34 * frame.unit);

  cv::Mat height(half, CV_32F);
  result.cover.create(half, CV_32F);
  result.line.create(half, CV_32F);
  for (int row = 0; row < half.height; ++row) {
    const float* depth_row = depth.ptr<float>(row);
    const float* warp_row = warp.ptr<float>(row);
    const float* strength_row = strength.ptr<float>(row);
    const uint8_t* lobe_row = lobe_of.ptr<uint8_t>(row);
    float* height_row = height.ptr<float>(row);
    float* cover_row = result.cover.ptr<float>(row);
    float* line_row = result.line.ptr<float>(row);
    for (int column = 0; column < half.width; ++column) {
      const float d = depth_row[column];
      cover_row[column] = SmoothStep(-0.3f * border, 0.7f * border, d);
      const float off = (d + 0.012f) / 0.016f;
      line_row[column] = demarcated && off > -3 && off < 3 ? std::exp(-off * off) : 0;
      if (d <= 0) {
        height_row[column] = 0;
        continue;
      }
      const float t = std::min(1.0f, d / slope);
      const cv::Point2f& direction = across[lobe_row[column]];
      const float phase = direction.x * static_cast<float>(column) +
                          direction.y * static_cast<float>(row) + 4.2f * warp_row[column];
      const float second = 0.55f * phase - 7.0f * strength_row[column];
      const float folds = (0.7f * std::sin(phase) + 0.4f * std::sin(second)) *
                          std::max(0.3f, 0.8f + 0.8f * strength_row[column]);
      height_row[column] = dome * std::sqrt(t * (2 - t)) + fold * t * folds;
    }
  }
  cv::GaussianBlur(height, height, cv::Size(0, 0), 0.9 * frame.unit + 0.1);

  // Height is in pixels of the picture, the maps in half of them: a central difference over two map
  // pixels spans four.
  cv::Mat gradient_x, gradient_y;
  cv::Sobel(height, gradient_x, CV_32F, 1, 0, 3, 1.0 / 16);
  cv::Sobel(height, gradient_y, CV_32F, 0, 1, 3, 1.0 / 16);
  const float light_x = static_cast<float>(std::cos(light)),
              light_y = static_cast<float>(std::sin(light));
  const cv::Mat drift = SmoothNoise(random, half, 20 * frame.unit);
  result.shade.create(half, CV_32F);
  result.shift_x.create(half, CV_32F);
  result.shift_y.create(half, CV_32F);
  const float sway = static_cast<float>(5.5 * frame.unit),
              parallax = static_cast<float>(9 * frame.unit);
  for (int row = 0; row < half.height; ++row) {
    const float* gx = gradient_x.ptr<float>(row);
    const float* gy = gradient_y.ptr<float>(row);
    const float* cover_row = result.cover.ptr<float>(row);
    const float* drift_row = drift.ptr<float>(row);
    float* shade_row = result.shade.ptr<float>(row);
    float* shift_x_row = result.shift_x.ptr<float>(row);
    float* shift_y_row = result.shift_y.ptr<float>(row);
    for (int column = 0; column < half.width; ++column) {
      const float x = gx[column], y = gy[column];
      // Slopes towards the light are brighter; every slope sends some light past the lens.
      const float lit = 1.25f * (x * light_x + y * light_y) - 0.5f * (x * x + y * y);
      shade_row[column] = lit > 0 ? 0.6f * lit / (0.6f + lit) : 0.5f * lit / (0.5f - lit);
      const float d = cover_row[column] * drift_row[column] * sway;
      shift_x_row[column] = parallax * x + d;
      shift_y_row[column] = parallax * y - d;
    }
  }

  if (Chance(random, 0.45)) {
    const Lobe& lobe = lobes[random.Below(lobes.size())];
    const double angle = std::atan2(lobe.y, lobe.x) + random.Uniform(-0.2, 0.2);
    const double out = random.Uniform(0.68, 0.84);
    result.has_break = true;
    result.break_at = frame.centre + cv::Point2d(out * std::cos(angle) * frame.semi_x,
                                                 out * std::sin(angle) * frame.semi_y);
    result.break_radius = random.Uniform(6, 13) * frame.unit;
    result.break_angle = angle + kPi + random.Uniform(-0.4, 0.4);
  }
  return result;
}

cv::Mat FlatPatch(Random& random, const Frame& frame, double softness) {
  cv::Mat patch = DrawOutline(random, frame).depth;
  const float soft = static_cast<float>(softness);
  for (int row = 0; row < patch.rows; ++row) {
    float* patch_row = patch.ptr<float>(row);
    for (int column = 0; column < patch.cols; ++column) {
      patch_row[column] = SmoothStep(-0.35f * soft, 0.65f * soft, patch_row[column]);
    }
  }
  return patch;
}

}  // namespace manako::phantom
