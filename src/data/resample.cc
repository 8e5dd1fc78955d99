#include "data/resample.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace manako {
namespace {

// The weights with which `from` samples make `to`: output i is the sum over k of weights[i * taps +
// k] * in[first[i] + k].
struct Filter {
  int taps = 0;
  std::vector<int> first;
  std::vector<float> weights;
};

Filter MakeFilter(int from, int to) {
  const double scale = static_cast<double>(from) / to;
  const double support = std::max(1.0, scale);
  Filter filter;
  filter.taps = std::min(from, static_cast<int>(std::ceil(support)) * 2 + 1);
  filter.first.resize(static_cast<size_t>(to));
  filter.weights.resize(static_cast<size_t>(to) * filter.taps);
  for (int i = 0; i < to; ++i) {
    const double centre = (i + 0.5) * scale;
    const int wanted = static_cast<int>(std::floor(centre - support));
    const int first = std::clamp(wanted, 0, from - filter.taps);
    filter.first[static_cast<size_t>(i)] = first;
    float* weights = &filter.weights[static_cast<size_t>(i) * filter.taps];
    double sum = 0;
    for (int k = 0; k < filter.taps; ++k) {
      const double distance = std::abs(first + k + 0.5 - centre) / support;
      weights[k] = static_cast<float>(std::max(0.0, 1 - distance));
      sum += weights[k];
    }
    for (int k = 0; k < filter.taps; ++k) weights[k] = static_cast<float>(weights[k] / sum);
  }
  return filter;
}

void ResampleRow(const uint8_t* row, const Filter& filter, int width, float* out) {
  for (int x = 0; x < width; ++x) {
    const float* weights = &filter.weights[static_cast<size_t>(x) * filter.taps];
    const uint8_t* in = row + 3 * static_cast<size_t>(filter.first[static_cast<size_t>(x)]);
    float r = 0, g = 0, b = 0;
    for (int k = 0; k < filter.taps; ++k, in += 3) {
      r += weights[k] * in[0];
      g += weights[k] * in[1];
      b += weights[k] * in[2];
    }
    out[3 * x] = r;
    out[3 * x + 1] = g;
    out[3 * x + 2] = b;
  }
}

}  // namespace

void Resample(const RgbImage& image, const Box& box, const Target& target) {
  if (box.width == target.width && box.height == target.height) {
    for (int y = 0; y < box.height; ++y) {
      std::memcpy(target.to + static_cast<size_t>(y) * target.stride,
                  image.Row(box.y + y) + 3 * static_cast<size_t>(box.x),
                  3 * static_cast<size_t>(box.width));
    }
    return;
  }
  const Filter across = MakeFilter(box.width, target.width);
  const Filter down = MakeFilter(box.height, target.height);
  const size_t length = 3 * static_cast<size_t>(target.width);
  // A ring of the rows that one output row needs.
  std::vector<float> ring(length * static_cast<size_t>(down.taps));
  std::vector<float> sum(length);
  int done = 0;  // input rows before this one have been through the ring
  for (int y = 0; y < target.height; ++y) {
    const int first = down.first[static_cast<size_t>(y)];
    for (done = std::max(done, first); done < first + down.taps; ++done) {
      ResampleRow(image.Row(box.y + done) + 3 * static_cast<size_t>(box.x), across, target.width,
                  &ring[length * static_cast<size_t>(done % down.taps)]);
    }
    std::fill(sum.begin(), sum.end(), 0.5f);
    for (int k = 0; k < down.taps; ++k) {
      const float weight = down.weights[static_cast<size_t>(y) * down.taps + k];
      const float* row = &ring[length * static_cast<size_t>((first + k) % down.taps)];
      for (size_t i = 0; i < length; ++i) sum[i] += weight * row[i];
    }
    uint8_t* out = target.to + static_cast<size_t>(y) * target.stride;
    for (size_t i = 0; i < length; ++i) {
      out[i] = static_cast<uint8_t>(std::clamp(sum[i], 0.0f, 255.0f));
    }
  }
}

}  // namespace manako
