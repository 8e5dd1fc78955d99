#include "learn/fused/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/simd.h"
#include "learn/fused/vector.h"

namespace manako::fused {
namespace {

// Long arrays are cut into pieces of this many floats, so that threads can share them.
constexpr int64_t kPiece = 16384;

template <typename Body>
void ForPieces(int64_t n, Body body) {
#pragma omp parallel for
  for (int64_t begin = 0; begin < n; begin += kPiece) body(begin, std::min(n, begin + kPiece));
}

MANAKO_SIMD void MaskPiece(int64_t n, const float* __restrict y, float* __restrict d) {
  for (int64_t i = 0; i < n; ++i) d[i] = y[i] > 0 ? d[i] : 0.0f;
}
MANAKO_SIMD void AddPiece(int64_t n, const float* a, const float* b, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = a[i] + b[i];
}
MANAKO_SIMD void MultiplyPiece(int64_t n, const float* a, const float* b, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = a[i] * b[i];
}

MANAKO_SIMD void ActivatePiece(OpKind kind, int64_t n, const float* x, float* y) {
  switch (kind) {
    case OpKind::kRelu:
      for (int64_t i = 0; i < n; ++i) y[i] = x[i] < 0 ? 0.0f : x[i];
      break;
    case OpKind::kRelu6:
      for (int64_t i = 0; i < n; ++i) {
        const float not_high = x[i] > 6 ? 6.0f : x[i];
        y[i] = x[i] < 0 ? 0.0f : not_high;
      }
      break;
    case OpKind::kHardSwish:
      for (int64_t i = 0; i < n; ++i) {
        const float t = x[i] + 3, not_high = t > 6 ? 6.0f : t;
        y[i] = x[i] * (t < 0 ? 0.0f : not_high) * (1.0f / 6);
      }
      break;
    case OpKind::kHardSigmoid:
      for (int64_t i = 0; i < n; ++i) {
        const float t = x[i] + 3, not_high = t > 6 ? 6.0f : t;
        y[i] = (t < 0 ? 0.0f : not_high) * (1.0f / 6);
      }
      break;
    default:
      break;
  }
}

MANAKO_SIMD void ActivateBackwardPiece(OpKind kind, int64_t n, const float* __restrict x,
                                       float* __restrict d) {
  switch (kind) {
    case OpKind::kRelu:
      for (int64_t i = 0; i < n; ++i) d[i] = x[i] > 0 ? d[i] : 0.0f;
      break;
    case OpKind::kRelu6:
      for (int64_t i = 0; i < n; ++i) d[i] = x[i] > 0 && x[i] < 6 ? d[i] : 0.0f;
      break;
    case OpKind::kHardSwish:
      for (int64_t i = 0; i < n; ++i) {
        const float inner = x[i] * (1.0f / 3) + 0.5f, not_low = x[i] > 3 ? 1.0f : inner;
        d[i] *= x[i] < -3 ? 0.0f : not_low;
      }
      break;
    case OpKind::kHardSigmoid:
      for (int64_t i = 0; i < n; ++i) d[i] = x[i] > -3 && x[i] < 3 ? d[i] * (1.0f / 6) : 0.0f;
      break;
    case OpKind::kSigmoid:
      for (int64_t i = 0; i < n; ++i) d[i] *= x[i] * (1 - x[i]);
      break;
    default:
      break;
  }
}

MANAKO_SIMD void ScalePlane(const float* factor, int64_t pixels, int64_t step, const float* x,
                            float* y) {
  const V8 f = At(factor);
  for (int64_t i = 0; i < pixels; ++i) At(y + i * step) = At(x + i * step) * f;
}

MANAKO_SIMD void ScalePlaneBackward(const float* factor, int64_t pixels, int64_t step,
                                    const float* x, const float* dy, float* dx, float* d_factor) {
  const V8 f = At(factor);
  V8 sum{};
  for (int64_t i = 0; i < pixels; ++i) {
    const V8 d = At(dy + i * step);
    sum += d * At(x + i * step);
    At(dx + i * step) = d * f;
  }
  At(d_factor) = sum;
}

template <typename Body>
void ForPlanes(const Layout& layout, Body body) {
  const int64_t groups = layout.groups();
#pragma omp parallel for
  for (int64_t i = 0; i < layout.n * groups; ++i) body(i / groups, i % groups);
}

// Where a channel's first pixel is.
int64_t ChannelAt(const Layout& layout, int64_t n, int64_t c) {
  return layout.Plane(n, c / kLanes) + c % kLanes;
}

}  // namespace

void ToPlanes(const float* images, int64_t n, int64_t pixels, float* planes) {
#pragma omp parallel for
  for (int64_t image = 0; image < n; ++image) {
    const float* from = images + image * pixels * 3;
    float* to = planes + image * pixels * 3;
    for (int64_t i = 0; i < pixels; ++i) {
      to[i] = from[3 * i];
      to[pixels + i] = from[3 * i + 1];
      to[2 * pixels + i] = from[3 * i + 2];
    }
  }
}

void MaskByOutput(int64_t n, const float* y, float* d) {
  ForPieces(n, [&](int64_t begin, int64_t end) { MaskPiece(end - begin, y + begin, d + begin); });
}
void Add(int64_t n, const float* a, const float* b, float* out) {
  ForPieces(n, [&](int64_t begin, int64_t end) {
    AddPiece(end - begin, a + begin, b + begin, out + begin);
  });
}
void Multiply(int64_t n, const float* a, const float* b, float* out) {
  ForPieces(n, [&](int64_t begin, int64_t end) {
    MultiplyPiece(end - begin, a + begin, b + begin, out + begin);
  });
}

void Activate(OpKind kind, int64_t n, const float* x, float* y) {
  ForPieces(n, [&](int64_t begin, int64_t end) {
    if (kind == OpKind::kSigmoid) {
      for (int64_t i = begin; i < end; ++i) y[i] = 1 / (1 + std::exp(-x[i]));
    } else {
      ActivatePiece(kind, end - begin, x + begin, y + begin);
    }
  });
}
void ActivateBackward(OpKind kind, int64_t n, const float* x, float* d) {
  ForPieces(n, [&](int64_t begin, int64_t end) {
    ActivateBackwardPiece(kind, end - begin, x + begin, d + begin);
  });
}

void MultiplyChannels(const Layout& layout, const float* factor, const float* x, float* y) {
  ForPlanes(layout, [&](int64_t n, int64_t g) {
    const int64_t at = layout.Plane(n, g);
    ScalePlane(factor + n * layout.padded() + g * kLanes, layout.pixels(), layout.block, x + at,
               y + at);
  });
}

void MultiplyChannelsBackward(const Layout& layout, const float* factor, const float* x,
                              const float* dy, float* dx, float* d_factor) {
  ForPlanes(layout, [&](int64_t n, int64_t g) {
    const int64_t at = layout.Plane(n, g), c = n * layout.padded() + g * kLanes;
    ScalePlaneBackward(factor + c, layout.pixels(), layout.block, x + at, dy + at, dx + at,
                       d_factor + c);
  });
}

void CopyChannels(const Layout& part, const Layout& whole, int64_t first, bool to_whole,
                  float* part_data, float* whole_data) {
  const bool blocks =
      first % part.block == 0 && part.channels % part.block == 0 && part.block == whole.block;
  const int64_t pixels = part.pixels();
#pragma omp parallel for
  for (int64_t n = 0; n < part.n; ++n) {
    if (blocks) {
      float* own = part_data + n * part.image();
      float* other = whole_data + n * whole.image() + first * pixels;
      std::memcpy(to_whole ? other : own, to_whole ? own : other,
                  static_cast<size_t>(part.image()) * sizeof(float));
      continue;
    }
    for (int64_t c = 0; c < part.channels; ++c) {
      float* own = part_data + ChannelAt(part, n, c);
      float* other = whole_data + ChannelAt(whole, n, first + c);
      for (int64_t i = 0; i < pixels; ++i) {
        (to_whole ? other[i * whole.block] : own[i * part.block]) =
            to_whole ? own[i * part.block] : other[i * whole.block];
      }
    }
  }
}

void ToPlain(const Layout& layout, const float* x, float* plain) {
#pragma omp parallel for
  for (int64_t n = 0; n < layout.n; ++n) {
    for (int64_t c = 0; c < layout.channels; ++c) {
      const float* from = x + ChannelAt(layout, n, c);
      float* to = plain + (n * layout.channels + c) * layout.pixels();
      for (int64_t i = 0; i < layout.pixels(); ++i) to[i] = from[i * layout.block];
    }
  }
}

void FromPlain(const Layout& layout, const float* plain, float* x) {
#pragma omp parallel for
  for (int64_t n = 0; n < layout.n; ++n) {
    for (int64_t c = 0; c < layout.padded(); ++c) {
      const float* from = plain + (n * layout.channels + c) * layout.pixels();
      float* to = x + ChannelAt(layout, n, c);
      for (int64_t i = 0; i < layout.pixels(); ++i)
        to[i * layout.block] = c < layout.channels ? from[i] : 0.0f;
    }
  }
}

void ClearPadding(const Layout& layout, float* x) {
  for (int64_t n = 0; n < layout.n; ++n) {
    for (int64_t c = layout.channels; c < layout.padded(); ++c) {
      float* to = x + ChannelAt(layout, n, c);
      for (int64_t i = 0; i < layout.pixels(); ++i) to[i * layout.block] = 0;
    }
  }
}

void Dropout(Random random, double probability, int64_t n, const float* x, float* mask, float* y) {
  const auto threshold = static_cast<uint64_t>((1 - probability) * 0x1p32);
  const auto kept = static_cast<float>(1 / (1 - probability));
  for (int64_t i = 0; i < n; ++i) {
    mask[i] = random() < threshold ? kept : 0.0f;
    y[i] = x[i] * mask[i];
  }
}

double CrossEntropy(std::span<const int64_t> labels, int64_t classes,
                    std::span<const double> weights, const float* logits, float* d_logits) {
  double total = 0, loss = 0;
  const auto weight_of = [&](int64_t label) {
    return weights.empty() ? 1.0 : weights[static_cast<size_t>(label)];
  };
  for (const int64_t label : labels) total += weight_of(label);
  for (size_t i = 0; i < labels.size(); ++i) {
    const float* row = logits + static_cast<int64_t>(i) * classes;
    float* d = d_logits + static_cast<int64_t>(i) * classes;
    const double weight = weight_of(labels[i]) / total;
    const double top = static_cast<double>(*std::max_element(row, row + classes));
    double sum = 0;
    for (int64_t c = 0; c < classes; ++c) sum += std::exp(static_cast<double>(row[c]) - top);
    for (int64_t c = 0; c < classes; ++c) {
      const double share = std::exp(static_cast<double>(row[c]) - top) / sum;
      d[c] = static_cast<float>(weight * (share - (c == labels[i] ? 1 : 0)));
    }
    loss += weight * (top + std::log(sum) - static_cast<double>(row[labels[i]]));
  }
  return loss;
}

}  // namespace manako::fused
