#include "data/round_field.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <vector>

namespace manako {
namespace {

struct Point {
  double x, y;  // from the picture's middle, in halves of its longer side
};

// ((x - x0) / a)^2 + ((y - y0) / b)^2 = 1.
struct Ellipse {
  double x0, y0, a, b;
  // 1 on the edge, less inside.
  double Radius(Point p) const { return std::hypot((p.x - x0) / a, (p.y - y0) / b); }
};

// Widest and narrowest fields: a circle of 45 degrees, an ultra-widefield photograph (5:4), pixels
// that are not square.
constexpr double kMaxAspect = 1.6;
// A field smaller than this share of the picture is a lamp or a label.
constexpr double kMinAxis = 0.12;

// The number of lines that are looked at in each direction.
constexpr int kLines = 160;

class Outline {
 public:
  Outline(const RgbImage& image, int threshold) : image_(image), threshold_(threshold) {}

  bool Bright(int x, int y) const { return Brightness(image_.Row(y) + 3 * x) > threshold_; }
  Point At(double x, double y) const {
    const double half = std::max(image_.width, image_.height) / 2.0;
    return {(x - (image_.width - 1) / 2.0) / half, (y - (image_.height - 1) / 2.0) / half};
  }

  // Where rows and columns become bright, seen from each side. Those that are so from the edge on
  // say nothing about the shape.
  std::vector<Point> Points() const {
    std::vector<Point> points;
    for (int i = 0; i < kLines; ++i) {
      const int y = Line(i, image_.height), x = Line(i, image_.width);
      for (const bool back : {false, true}) {
        if (const auto at = First(image_.width, back, [&](int k) { return Bright(k, y); })) {
          points.push_back(At(*at, y));
        }
        if (const auto at = First(image_.height, back, [&](int k) { return Bright(x, k); })) {
          points.push_back(At(x, *at));
        }
      }
    }
    return points;
  }

 private:
  static int Line(int i, int size) { return std::min(size - 1, (2 * i + 1) * size / (2 * kLines)); }

  // The first position from the near end (from the far one, if `back`) behind which most is bright.
  template <typename Test>
  static std::optional<int> First(int size, bool back, const Test& bright) {
    const int window = size / 40 + 2, edge = 1 + size / 200;
    const auto at = [&](int k) { return back ? size - 1 - k : k; };
    for (int k = 0; k + window <= size; ++k) {
      if (!bright(at(k))) continue;
      int count = 0;
      for (int j = 0; j < window; ++j) count += bright(at(k + j));
      if (4 * count < 3 * window) continue;
      if (k <= edge) return std::nullopt;
      return at(k);
    }
    return std::nullopt;
  }

  const RgbImage& image_;
  int threshold_;
};

// Solves the 4x4 system by elimination with pivots; nothing when it is singular.
std::optional<std::array<double, 4>> Solve(std::array<std::array<double, 5>, 4> m) {
  for (size_t i = 0; i < 4; ++i) {
    size_t pivot = i;
    for (size_t r = i + 1; r < 4; ++r) {
      if (std::abs(m[r][i]) > std::abs(m[pivot][i])) pivot = r;
    }
    if (std::abs(m[pivot][i]) < 1e-9) return std::nullopt;
    std::swap(m[i], m[pivot]);
    for (size_t r = 0; r < 4; ++r) {
      if (r == i) continue;
      const double factor = m[r][i] / m[i][i];
      for (size_t c = i; c < 5; ++c) m[r][c] -= factor * m[i][c];
    }
  }
  std::array<double, 4> x;
  for (size_t i = 0; i < 4; ++i) x[i] = m[i][4] / m[i][i];
  return x;
}

// Least squares for A x^2 + B y^2 + C x + D y = 1.
std::optional<Ellipse> Fit(const std::vector<Point>& points) {
  std::array<std::array<double, 5>, 4> normal{};
  for (const Point& p : points) {
    const std::array<double, 5> row = {p.x * p.x, p.y * p.y, p.x, p.y, 1};
    for (size_t r = 0; r < 4; ++r) {
      for (size_t c = 0; c < 5; ++c) normal[r][c] += row[r] * row[c];
    }
  }
  const auto solved = Solve(normal);
  if (!solved) return std::nullopt;
  const auto [a, b, c, d] = *solved;
  if (!(a > 0 && b > 0)) return std::nullopt;
  const double one = 1 + c * c / (4 * a) + d * d / (4 * b);
  return Ellipse{-c / (2 * a), -d / (2 * b), std::sqrt(one / a), std::sqrt(one / b)};
}

std::vector<Point> Near(const std::vector<Point>& points, const Ellipse& ellipse, double within) {
  std::vector<Point> near;
  for (const Point& p : points) {
    if (std::abs(ellipse.Radius(p) - 1) <= within) near.push_back(p);
  }
  return near;
}

}  // namespace

uint8_t Brightness(const uint8_t* pixel) { return std::max({pixel[0], pixel[1], pixel[2]}); }

bool IsRoundField(const RgbImage& image, int threshold) {
  const Outline outline(image, threshold);
  const std::vector<Point> points = outline.Points();
  if (points.size() < kLines / 4) return false;

  // Fit, drop what does not agree, fit again: shadows and notches lie inside of the edge.
  std::optional<Ellipse> ellipse = Fit(points);
  std::vector<Point> agreeing;
  for (const double within : {0.2, 0.12, 0.08, 0.05, 0.04, 0.03}) {
    if (!ellipse) return false;
    agreeing = Near(points, *ellipse, within);
    if (agreeing.size() < kLines / 4) return false;
    ellipse = Fit(agreeing);
  }
  if (!ellipse) return false;
  const auto [x0, y0, a, b] = *ellipse;
  if (a > kMaxAspect * b || b > kMaxAspect * a || std::min(a, b) < kMinAxis) return false;
  if (std::abs(x0) > 0.5 || std::abs(y0) > 0.5) return false;
  agreeing = Near(points, *ellipse, 0.03);
  if (2 * agreeing.size() < points.size()) return false;
  std::array<size_t, 4> quarters{};
  for (const Point& p : agreeing) ++quarters[(p.x > x0 ? 1u : 0u) + (p.y > y0 ? 2u : 0u)];
  if (20 * *std::min_element(quarters.begin(), quarters.end()) < agreeing.size()) return false;

  int64_t inside = 0, bright_inside = 0, outside = 0, bright_outside = 0;
  for (int i = 0; i < kLines; ++i) {
    for (int j = 0; j < kLines; ++j) {
      const int x = (2 * j + 1) * image.width / (2 * kLines);
      const int y = (2 * i + 1) * image.height / (2 * kLines);
      const double radius = ellipse->Radius(outline.At(x, y));
      const bool bright = outline.Bright(x, y);
      if (radius < 0.95) ++inside, bright_inside += bright;
      if (radius > 1.05) ++outside, bright_outside += bright;
    }
  }
  return 2 * bright_inside > inside && outside > 0 && 20 * bright_outside <= outside;
}

}  // namespace manako
