#include "data/phantom/vessels.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <opencv2/imgproc.hpp>

namespace manako::phantom {
namespace {

constexpr double kPi = std::numbers::pi;
constexpr float kTaper = 0.75f;      // of the width, from a vessel's first to its last point
constexpr int kMaxDepth = 3;         // of branches upon branches
constexpr size_t kMaxVessels = 400;  // far more than grow; a bound for large pictures

class Garden {
 public:
  Garden(Random& random, const Frame& frame, double winding)
      : random_(random), frame_(frame), step_(4.5 * frame.unit), winding_(winding) {}

  // A trunk along the parabola that a temporal arcade follows: `opening` is y^2 / x, in pixels;
  // `side` is 1 for below, -1 for above the disc; `direction` is the direction of x.
  void Trunk(double direction, double side, double opening, double width, bool vein) {
    Vessel vessel{{}, static_cast<float>(width), vein};
    const double amplitude = (1.2 + 3.2 * winding_) * frame_.unit * (vein ? 1.2 : 0.9);
    const double wave = random_.Uniform(38, 75) * frame_.unit;
    const double phase = random_.Uniform(0, 2 * kPi), phase2 = random_.Uniform(0, 2 * kPi);
    double s = random_.Uniform(0.1, 0.5) * frame_.disc_radius, length = 0;
    while (true) {
      const double slope = 2 * s / opening;  // dx/dy
      const double norm = std::hypot(1.0, slope);
      const double sway = amplitude *
                          (std::sin(2 * kPi * length / wave + phase) +
                           0.6 * std::sin(2 * kPi * length / (0.43 * wave) + phase2)) *
                          std::min(1.0, length / (30 * frame_.unit));
      const cv::Point2d p = frame_.disc + cv::Point2d(direction * (s * s / opening - sway / norm),
                                                      side * (s + sway * slope / norm));
      vessel.points.emplace_back(p);
      if (frame_.Eccentricity(p) > 1.04 || vessel.points.size() > 2000) break;
      s += step_ / norm;
      length += step_;
    }
    Finish(std::move(vessel), 0);
  }

  // A vessel that leaves `at` under `heading` and wanders outwards.
  void Branch(cv::Point2d at, double heading, double width, bool vein, int depth) {
    Vessel vessel{{cv::Point2f(at)}, static_cast<float>(width), vein};
    const double reach = (30 + 70 * width / frame_.unit) * random_.Uniform(0.7, 1.3) * frame_.unit;
    const double curl = random_.Uniform(-0.035, 0.035);
    double wobble = 0;
    for (double length = 0; length < reach; length += step_) {
      const double outward = std::atan2(at.y - frame_.disc.y, at.x - frame_.disc.x);
      wobble = 0.7 * wobble + (0.06 + 0.16 * winding_) * random_.Uniform(-1, 1);
      heading += curl + wobble + 0.035 * std::sin(outward - heading);
      at += step_ * cv::Point2d(std::cos(heading), std::sin(heading));
      const cv::Point2d from_macula = at - frame_.macula;
      if (std::hypot(from_macula.x, from_macula.y) < 17 * frame_.unit) break;
      vessel.points.emplace_back(at);
      if (frame_.Eccentricity(at) > 1.04) break;
    }
    if (vessel.points.size() > 2) Finish(std::move(vessel), depth);
  }

  std::vector<Vessel> Take() { return std::move(vessels_); }

 private:
  void Finish(Vessel vessel, int depth) {
    vessels_.push_back(vessel);
    if (depth >= kMaxDepth) return;
    const size_t n = vessel.points.size();
    double side = Chance(random_, 0.5) ? 1 : -1;
    const double spacing = (depth == 0 ? 40 : 30) * frame_.unit / step_;
    for (double at = spacing * random_.Uniform(0.7, 1.4); at + 2 < static_cast<double>(n);
         at += spacing * random_.Uniform(0.5, 1.5)) {
      if (vessels_.size() >= kMaxVessels) return;
      const size_t i = static_cast<size_t>(at);
      const float width =
          vessel.width * (1 - kTaper * static_cast<float>(i) / static_cast<float>(n));
      const double branch_width = width * random_.Uniform(0.42, 0.72);
      if (branch_width < 0.4 * frame_.unit) return;
      const cv::Point2f along = vessel.points[i + 1] - vessel.points[i];
      const double heading = std::atan2(along.y, along.x) + side * random_.Uniform(0.45, 1.0);
      Branch(vessel.points[i], heading, branch_width, vessel.vein, depth + 1);
      side = -side;
    }
  }

  Random& random_;
  const Frame& frame_;
  const double step_;
  const double winding_;
  std::vector<Vessel> vessels_;
};

}  // namespace

std::vector<Vessel> GrowVessels(Random& random, const Frame& frame, double winding) {
  Garden garden(random, frame, winding);
  const double unit = frame.unit;
  for (const double side : {-1.0, 1.0}) {
    for (const bool vein : {true, false}) {
      const double width = unit * (vein ? random.Uniform(3.3, 4.2) : random.Uniform(2.4, 3.1));
      const double spread = vein ? 1.0 : random.Uniform(0.8, 1.15);
      garden.Trunk(frame.temporal, side, unit * spread * random.Uniform(62, 100), width, vein);
      garden.Trunk(-frame.temporal, side, unit * random.Uniform(140, 400), 0.75 * width, vein);
    }
  }
  // Small vessels straight to the nasal side and to the macula.
  for (int i = 0; i < 4; ++i) {
    const double towards = i < 3 ? (frame.temporal > 0 ? kPi : 0) : (frame.temporal > 0 ? 0 : kPi);
    const double heading = towards + random.Uniform(-0.45, 0.45);
    const double width = unit * random.Uniform(1.1, 1.9);
    garden.Branch(frame.disc, heading, width, Chance(random, 0.5), 1);
  }
  return garden.Take();
}

cv::Mat PaintVessels(const Frame& frame, const std::vector<Vessel>& vessels) {
  // Painted at twice the size, where widths are whole numbers, then averaged.
  cv::Mat large = cv::Mat::zeros(frame.size * 2, CV_8U);
  const auto paint = [&](const Vessel& vessel, float part, double brightness) {
    const size_t n = vessel.points.size();
    for (size_t i = 0; i + 1 < n; ++i) {
      const float width =
          vessel.width * (1 - kTaper * static_cast<float>(i) / static_cast<float>(n));
      const float painted = 2 * part * width;
      if (part < 1 && painted < 1.2f) break;
      // What is thinner than a pixel is fainter instead.
      const double faint = std::min(1.0, 0.25 + 0.55 * width / frame.unit);
      const int thickness = std::max(1, static_cast<int>(std::lround(painted)));
      cv::line(large, cv::Point(vessel.points[i] * 2), cv::Point(vessel.points[i + 1] * 2),
               cv::Scalar(brightness * faint), thickness, cv::LINE_8);
    }
  };
  // Branches first, so that they end under the wall of what they spring from; veins over arteries.
  for (const bool vein : {false, true}) {
    for (auto vessel = vessels.rbegin(); vessel != vessels.rend(); ++vessel) {
      if (vessel->vein == vein) paint(*vessel, 1, vein ? 250 : 190);
    }
    for (const Vessel& vessel : vessels) {  // the light's reflex along the middle
      if (vessel.vein == vein) paint(vessel, 0.28f, vein ? 205 : 115);
    }
  }
  cv::Mat mask;
  cv::resize(large, mask, frame.size, 0, 0, cv::INTER_AREA);
  return mask;
}

}  // namespace manako::phantom
