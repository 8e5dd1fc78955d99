#include "data/fundus_crop.h"

#include <algorithm>
#include <array>

#include "base/status_macros.h"
#include "data/round_field.h"

namespace manako {
namespace {

// A corner brighter than this is part of the picture.
constexpr int kDarkLevel = 40;

using Histogram = std::array<int64_t, 256>;

Histogram CornerHistogram(const RgbImage& image, bool right, bool bottom) {
  const int width = std::max(1, image.width / 32), height = std::max(1, image.height / 32);
  const int x0 = right ? image.width - width : 0, y0 = bottom ? image.height - height : 0;
  Histogram histogram{};
  for (int y = y0; y < y0 + height; ++y) {
    for (int x = x0; x < x0 + width; ++x) ++histogram[Brightness(image.Row(y) + 3 * x)];
  }
  return histogram;
}

int Quantile(const Histogram& histogram, double share) {
  int64_t total = 0, below = 0;
  for (int64_t n : histogram) total += n;
  for (int level = 0; level < 256; ++level) {
    below += histogram[static_cast<size_t>(level)];
    if (static_cast<double>(below) >= share * static_cast<double>(total)) return level;
  }
  return 255;
}

struct Run {
  int first = 0, last = -1;
  int64_t weight = 0;
};

// The indices whose count reaches `least`: the heaviest run of them, if it holds nearly all of
// their weight (what stands apart is a line of text), else from the first to the last. Small gaps
// do not end a run.
Run FindRun(const std::vector<int>& counts, int least) {
  const int gap = static_cast<int>(counts.size()) / 33 + 1;
  Run run, best, all;
  for (int i = 0; i < static_cast<int>(counts.size()); ++i) {
    const int count = counts[static_cast<size_t>(i)];
    if (count < least) continue;
    if (run.weight == 0 || i - run.last > gap) run = {i, i, 0};
    if (all.weight == 0) all.first = i;
    run.last = all.last = i;
    run.weight += count;
    all.weight += count;
    if (run.weight > best.weight) best = run;
  }
  return best.weight * 20 >= all.weight * 19 ? best : all;
}

}  // namespace

absl::StatusOr<CropMode> ParseCropMode(std::string_view text) {
  if (text == "auto") return CropMode::kAuto;
  if (text == "on") return CropMode::kOn;
  if (text == "off") return CropMode::kOff;
  return InvalidArgument("data.crop must be auto, on or off, but is \"{}\"", text);
}

Box FindContent(const RgbImage& image, CropMode mode) {
  const Box whole{0, 0, image.width, image.height};
  if (mode == CropMode::kOff || image.width < 8 || image.height < 8) return whole;

  Histogram corners{};
  for (const bool right : {false, true}) {
    for (const bool bottom : {false, true}) {
      const Histogram corner = CornerHistogram(image, right, bottom);
      if (mode == CropMode::kAuto && Quantile(corner, 0.5) > kDarkLevel) return whole;
      for (size_t level = 0; level < corners.size(); ++level) corners[level] += corner[level];
    }
  }
  const int level = Quantile(corners, 0.5);
  const int noise = std::min(Quantile(corners, 0.95) - level, 15);
  const int threshold = level + std::max(8, 2 * noise);

  std::vector<int> rows(static_cast<size_t>(image.height)),
      columns(static_cast<size_t>(image.width));
  for (int y = 0; y < image.height; ++y) {
    const uint8_t* row = image.Row(y);
    int count = 0;
    for (int x = 0; x < image.width; ++x) {
      const int above = Brightness(row + 3 * x) > threshold;
      count += above;
      columns[static_cast<size_t>(x)] += above;
    }
    rows[static_cast<size_t>(y)] = count;
  }
  const Run down = FindRun(rows, std::max(2, image.width / 50));
  const Run across = FindRun(columns, std::max(2, image.height / 50));
  const Box box{across.first, down.first, across.last - across.first + 1,
                down.last - down.first + 1};
  // A box this small is a label or a reflection, not the picture.
  if (box.width < image.width / 8 || box.height < image.height / 8) return whole;
  if (box.width < 1 || box.height < 1) return whole;
  const bool meaningful = box.width <= image.width * 0.97 || box.height <= image.height * 0.97;
  if (mode == CropMode::kAuto && (!meaningful || !IsRoundField(image, threshold))) return whole;
  return box;
}

}  // namespace manako
