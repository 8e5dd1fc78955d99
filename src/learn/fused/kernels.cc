#include "learn/fused/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#define MANAKO_LOOPS "learn/fused/loops_elementwise.inc"
#include "learn/fused/for_each_level.h"

namespace manako::fused {
namespace {

using portable::Narrow;
using portable::Widen;

// Long arrays are cut into pieces of this many elements, so that threads can share them.
constexpr int64_t kPiece = 16384;

template <typename Body>
void ForPieces(int64_t n, Body body) {
#pragma omp parallel for
  for (int64_t begin = 0; begin < n; begin += kPiece) body(begin, std::min(n, begin + kPiece));
}

// Where a channel's first pixel is.
int64_t ChannelAt(const Layout& layout, int64_t n, int64_t c) {
  return layout.Plane(n, c / layout.block) + c % layout.block;
}

}  // namespace

template <typename T>
void ToPlanes(const float* images, int64_t n, int64_t pixels, T* planes) {
#pragma omp parallel for
  for (int64_t image = 0; image < n; ++image) {
    const float* from = images + image * pixels * 3;
    T* to = planes + image * pixels * 3;
    for (int64_t i = 0; i < pixels; ++i) {
      Narrow(from[3 * i], to[i]);
      Narrow(from[3 * i + 1], to[pixels + i]);
      Narrow(from[3 * i + 2], to[2 * pixels + i]);
    }
  }
}

template <typename T>
void MaskByOutput(int64_t n, const T* y, T* d) {
  ForPieces(n, [&](int64_t begin, int64_t end) {
    MANAKO_BEST(MaskPiece<T>)(end - begin, y + begin, d + begin);
  });
}
template <typename T>
void Add(int64_t n, const T* a, const T* b, T* out) {
  ForPieces(n, [&](int64_t begin, int64_t end) {
    MANAKO_BEST(AddPiece<T>)(end - begin, a + begin, b + begin, out + begin);
  });
}
template <typename T>
void Multiply(int64_t n, const T* a, const T* b, T* out) {
  ForPieces(n, [&](int64_t begin, int64_t end) {
    MANAKO_BEST(MultiplyPiece<T>)(end - begin, a + begin, b + begin, out + begin);
  });
}

template <typename T>
void Activate(OpKind kind, int64_t n, const T* x, T* y) {
  ForPieces(n, [&](int64_t begin, int64_t end) {
    if (kind == OpKind::kSigmoid) {
      for (int64_t i = begin; i < end; ++i) Narrow(1 / (1 + std::exp(-Widen(x[i]))), y[i]);
    } else {
      MANAKO_BEST(ActivatePiece<T>)(kind, end - begin, x + begin, y + begin);
    }
  });
}
template <typename T>
void ActivateBackward(OpKind kind, int64_t n, const T* x, T* d) {
  ForPieces(n, [&](int64_t begin, int64_t end) {
    MANAKO_BEST(ActivateBackwardPiece<T>)(kind, end - begin, x + begin, d + begin);
  });
}

template <typename T>
void MultiplyChannels(const Layout& layout, const T* factor, const T* x, T* y) {
  WithBlock<T>(layout, [&]<int W>() {
    ForPlanes(layout, [&](int64_t n, int64_t b, int64_t at) {
      MANAKO_BEST(ScalePlane<T, W>)
      (factor + n * layout.padded() + b * W, layout.pixels(), x + at, y + at);
    });
  });
}

template <typename T>
void MultiplyChannelsBackward(const Layout& layout, const T* factor, const T* x, const T* dy, T* dx,
                              T* d_factor) {
  WithBlock<T>(layout, [&]<int W>() {
    ForPlanes(layout, [&](int64_t n, int64_t b, int64_t at) {
      const int64_t c = n * layout.padded() + b * W;
      MANAKO_BEST(ScalePlaneBackward<T, W>)
      (factor + c, layout.pixels(), x + at, dy + at, dx + at, d_factor + c);
    });
  });
}

template <typename T>
void CopyChannels(const Layout& part, const Layout& whole, int64_t first, bool to_whole,
                  T* part_data, T* whole_data) {
  const bool blocks =
      first % part.block == 0 && part.channels % part.block == 0 && part.block == whole.block;
  const int64_t pixels = part.pixels();
#pragma omp parallel for
  for (int64_t n = 0; n < part.n; ++n) {
    if (blocks) {
      T* own = part_data + n * part.image();
      T* other = whole_data + n * whole.image() + first * pixels;
      std::memcpy(to_whole ? other : own, to_whole ? own : other,
                  static_cast<size_t>(part.image()) * sizeof(T));
      continue;
    }
    for (int64_t c = 0; c < part.channels; ++c) {
      T* own = part_data + ChannelAt(part, n, c);
      T* other = whole_data + ChannelAt(whole, n, first + c);
      for (int64_t i = 0; i < pixels; ++i) {
        (to_whole ? other[i * whole.block] : own[i * part.block]) =
            to_whole ? own[i * part.block] : other[i * whole.block];
      }
    }
  }
}

template <typename T>
void ToPlain(const Layout& layout, const T* x, float* plain) {
#pragma omp parallel for
  for (int64_t n = 0; n < layout.n; ++n) {
    for (int64_t c = 0; c < layout.channels; ++c) {
      const T* from = x + ChannelAt(layout, n, c);
      float* to = plain + (n * layout.channels + c) * layout.pixels();
      for (int64_t i = 0; i < layout.pixels(); ++i) to[i] = Widen(from[i * layout.block]);
    }
  }
}

template <typename T>
void FromPlain(const Layout& layout, const float* plain, T* x) {
#pragma omp parallel for
  for (int64_t n = 0; n < layout.n; ++n) {
    for (int64_t c = 0; c < layout.padded(); ++c) {
      const float* from = plain + (n * layout.channels + c) * layout.pixels();
      T* to = x + ChannelAt(layout, n, c);
      for (int64_t i = 0; i < layout.pixels(); ++i)
        Narrow(c < layout.channels ? from[i] : 0.0f, to[i * layout.block]);
    }
  }
}

template <typename T>
void ClearPadding(const Layout& layout, T* x) {
  for (int64_t n = 0; n < layout.n; ++n) {
    for (int64_t c = layout.channels; c < layout.padded(); ++c) {
      T* to = x + ChannelAt(layout, n, c);
      for (int64_t i = 0; i < layout.pixels(); ++i) to[i * layout.block] = T{};
    }
  }
}

template <typename T>
void Dropout(Random random, double p, int64_t n, const T* x, uint8_t* kept, T* y) {
  const auto threshold = static_cast<uint64_t>((1 - p) * 0x1p32);
  const auto scale = static_cast<float>(1 / (1 - p));
  uint32_t words[1024];
  for (int64_t begin = 0; begin < n; begin += std::ssize(words)) {
    const int64_t count = std::min<int64_t>(std::ssize(words), n - begin);
    random.Fill(std::span(words, static_cast<size_t>(count)));
    MANAKO_BEST(DropPiece<T>)(count, words, threshold, scale, x + begin, kept + begin, y + begin);
  }
}

template <typename T>
void DropoutBackward(double p, int64_t n, const uint8_t* kept, T* d) {
  const auto scale = static_cast<float>(1 / (1 - p));
  ForPieces(n, [&](int64_t begin, int64_t end) {
    MANAKO_BEST(DropBackwardPiece<T>)(end - begin, scale, kept + begin, d + begin);
  });
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

#define MANAKO_FOR(T)                                                                          \
  template void ToPlanes(const float*, int64_t, int64_t, T*);                                  \
  template void MaskByOutput(int64_t, const T*, T*);                                           \
  template void Add(int64_t, const T*, const T*, T*);                                          \
  template void Multiply(int64_t, const T*, const T*, T*);                                     \
  template void Activate(OpKind, int64_t, const T*, T*);                                       \
  template void ActivateBackward(OpKind, int64_t, const T*, T*);                               \
  template void MultiplyChannels(const Layout&, const T*, const T*, T*);                       \
  template void MultiplyChannelsBackward(const Layout&, const T*, const T*, const T*, T*, T*); \
  template void CopyChannels(const Layout&, const Layout&, int64_t, bool, T*, T*);             \
  template void ToPlain(const Layout&, const T*, float*);                                      \
  template void FromPlain(const Layout&, const float*, T*);                                    \
  template void ClearPadding(const Layout&, T*);                                               \
  template void Dropout(Random, double, int64_t, const T*, uint8_t*, T*);                      \
  template void DropoutBackward(double, int64_t, const uint8_t*, T*);
MANAKO_FOR(float)
MANAKO_FOR(Bfloat16)
#undef MANAKO_FOR

}  // namespace manako::fused
