// Pooling.
#include <algorithm>
#include <cstring>
#include <limits>

#include "base/simd.h"
#include "learn/fused/kernels.h"
#include "learn/fused/vector.h"

namespace manako::fused {
namespace {

// One plane of a pooled tensor; `step` floats from pixel to pixel in both.
struct Pooled {
  int64_t height, width, out_height, out_width, step;
  Window window;
};

struct Range {
  int64_t begin, end;
};

// The part of output position i's window that is inside the image.
MANAKO_INLINE Range Inside(int64_t i, int64_t kernel, int64_t stride, int64_t padding,
                           int64_t extent) {
  const int64_t begin = i * stride - padding;
  return {std::max<int64_t>(0, begin), std::min(extent, begin + kernel)};
}

MANAKO_SIMD void MaxPlane(const Pooled& p, const float* x, float* y, uint8_t* winner) {
  const Window& w = p.window;
  for (int64_t oy = 0; oy < p.out_height; ++oy) {
    const Range rows = Inside(oy, w.kernel[0], w.stride[0], w.padding[0], p.height);
    for (int64_t ox = 0; ox < p.out_width; ++ox) {
      const Range columns = Inside(ox, w.kernel[1], w.stride[1], w.padding[1], p.width);
      V8 best;
      Broadcast(-std::numeric_limits<float>::infinity(), best);
      I8 index{};
      for (int64_t iy = rows.begin; iy < rows.end; ++iy) {
        const auto row =
            static_cast<int32_t>((iy - (oy * w.stride[0] - w.padding[0])) * w.kernel[1] -
                                 (ox * w.stride[1] - w.padding[1]));
        for (int64_t ix = columns.begin; ix < columns.end; ++ix) {
          const V8 value = At(x + (iy * p.width + ix) * p.step);
          const auto better = (value > best) | (value != value);  // NaN wins, as in PyTorch
          const auto at = row + static_cast<int32_t>(ix);
          best = better ? value : best;
          index = better ? I8{at, at, at, at, at, at, at, at} : index;
        }
      }
      const int64_t out = oy * p.out_width + ox;
      At(y + out * p.step) = best;
      if (winner != nullptr) {
        *reinterpret_cast<Bytes8*>(winner + out * p.step) = __builtin_convertvector(index, Bytes8);
      }
    }
  }
}

// 2x2 windows that tile the plane, the most usual.
MANAKO_INLINE void TakeLarger(const V8& value, int32_t at, V8& best, I8& index) {
  const auto better = (value > best) | (value != value);
  best = better ? value : best;
  index = better ? I8{at, at, at, at, at, at, at, at} : index;
}
MANAKO_SIMD void MaxTwoByTwo(const Pooled& p, const float* x, float* y, uint8_t* winner) {
  const int64_t step = p.step, row = p.width * step;
  for (int64_t oy = 0; oy < p.out_height; ++oy) {
    const float* in = x + 2 * oy * row;
    const int64_t out = oy * p.out_width * step;
    for (int64_t ox = 0; ox < p.out_width; ++ox, in += 2 * step) {
      V8 best = At(in);
      I8 index{};
      TakeLarger(At(in + step), 1, best, index);
      TakeLarger(At(in + row), 2, best, index);
      TakeLarger(At(in + row + step), 3, best, index);
      At(y + out + ox * step) = best;
      if (winner != nullptr)
        *reinterpret_cast<Bytes8*>(winner + out + ox * step) =
            __builtin_convertvector(index, Bytes8);
    }
  }
}
MANAKO_SIMD void MaxTwoByTwoBackward(const Pooled& p, const float* dy, const uint8_t* winner,
                                     const float* output, float* dx) {
  const int64_t step = p.step, row = p.width * step;
  const V8 zero{};
  for (int64_t oy = 0; oy < p.out_height; ++oy) {
    float* in = dx + 2 * oy * row;
    const int64_t out = oy * p.out_width * step;
    for (int64_t ox = 0; ox < p.out_width; ++ox, in += 2 * step) {
      V8 d = At(dy + out + ox * step);
      if (output != nullptr) d = At(output + out + ox * step) > zero ? d : zero;
      const I8 index =
          __builtin_convertvector(*reinterpret_cast<const Bytes8*>(winner + out + ox * step), I8);
      At(in) = index == I8{} ? d : zero;
      At(in + step) = index == I8{1, 1, 1, 1, 1, 1, 1, 1} ? d : zero;
      At(in + row) = index == I8{2, 2, 2, 2, 2, 2, 2, 2} ? d : zero;
      At(in + row + step) = index == I8{3, 3, 3, 3, 3, 3, 3, 3} ? d : zero;
    }
  }
}
bool IsTwoByTwo(const Pooled& p) {
  const Window& w = p.window;
  return w.kernel == Pair{2, 2} && w.stride == Pair{2, 2} && w.padding == Pair{0, 0} &&
         p.height == 2 * p.out_height && p.width == 2 * p.out_width;
}

MANAKO_SIMD void MaxPlaneBackward(const Pooled& p, bool tiles, const float* dy,
                                  const uint8_t* winner, const float* output, float* dx) {
  const Window& w = p.window;
  if (!tiles) {
    for (int64_t i = 0; i < p.height * p.width; ++i) At(dx + i * p.step) = V8{};
  }
  for (int64_t oy = 0; oy < p.out_height; ++oy) {
    const Range rows = Inside(oy, w.kernel[0], w.stride[0], w.padding[0], p.height);
    for (int64_t ox = 0; ox < p.out_width; ++ox) {
      const Range columns = Inside(ox, w.kernel[1], w.stride[1], w.padding[1], p.width);
      const int64_t out = (oy * p.out_width + ox) * p.step;
      V8 d = At(dy + out);
      if (output != nullptr) d = At(output + out) > V8{} ? d : V8{};
      const I8 index = __builtin_convertvector(*reinterpret_cast<const Bytes8*>(winner + out), I8);
      for (int64_t iy = rows.begin; iy < rows.end; ++iy) {
        const auto row =
            static_cast<int32_t>((iy - (oy * w.stride[0] - w.padding[0])) * w.kernel[1] -
                                 (ox * w.stride[1] - w.padding[1]));
        for (int64_t ix = columns.begin; ix < columns.end; ++ix) {
          const auto at = row + static_cast<int32_t>(ix);
          const V8 part = index == I8{at, at, at, at, at, at, at, at} ? d : V8{};
          V8& target = At(dx + (iy * p.width + ix) * p.step);
          target = tiles ? part : target + part;
        }
      }
    }
  }
}

MANAKO_SIMD void AveragePlane(const Pooled& p, bool count_padding, const float* x, float* y) {
  const Window& w = p.window;
  for (int64_t oy = 0; oy < p.out_height; ++oy) {
    const Range rows = Inside(oy, w.kernel[0], w.stride[0], w.padding[0], p.height);
    for (int64_t ox = 0; ox < p.out_width; ++ox) {
      const Range columns = Inside(ox, w.kernel[1], w.stride[1], w.padding[1], p.width);
      V8 sum{};
      for (int64_t iy = rows.begin; iy < rows.end; ++iy) {
        for (int64_t ix = columns.begin; ix < columns.end; ++ix)
          sum += At(x + (iy * p.width + ix) * p.step);
      }
      const int64_t count = count_padding ? w.kernel[0] * w.kernel[1]
                                          : (rows.end - rows.begin) * (columns.end - columns.begin);
      At(y + (oy * p.out_width + ox) * p.step) = sum / static_cast<float>(count);
    }
  }
}

MANAKO_SIMD void AveragePlaneBackward(const Pooled& p, bool count_padding, const float* dy,
                                      float* dx) {
  const Window& w = p.window;
  for (int64_t i = 0; i < p.height * p.width; ++i) At(dx + i * p.step) = V8{};
  for (int64_t oy = 0; oy < p.out_height; ++oy) {
    const Range rows = Inside(oy, w.kernel[0], w.stride[0], w.padding[0], p.height);
    for (int64_t ox = 0; ox < p.out_width; ++ox) {
      const Range columns = Inside(ox, w.kernel[1], w.stride[1], w.padding[1], p.width);
      const int64_t count = count_padding ? w.kernel[0] * w.kernel[1]
                                          : (rows.end - rows.begin) * (columns.end - columns.begin);
      const V8 d = At(dy + (oy * p.out_width + ox) * p.step) / static_cast<float>(count);
      for (int64_t iy = rows.begin; iy < rows.end; ++iy) {
        for (int64_t ix = columns.begin; ix < columns.end; ++ix)
          At(dx + (iy * p.width + ix) * p.step) += d;
      }
    }
  }
}

MANAKO_INLINE Range Share(int64_t i, int64_t parts, int64_t extent) {
  return {i * extent / parts, ((i + 1) * extent + parts - 1) / parts};
}

MANAKO_SIMD void AdaptivePlane(const Pooled& p, const float* x, float* y) {
  for (int64_t oy = 0; oy < p.out_height; ++oy) {
    const Range rows = Share(oy, p.out_height, p.height);
    for (int64_t ox = 0; ox < p.out_width; ++ox) {
      const Range columns = Share(ox, p.out_width, p.width);
      V8 sum{};
      for (int64_t iy = rows.begin; iy < rows.end; ++iy) {
        V8 row{};
        for (int64_t ix = columns.begin; ix < columns.end; ++ix)
          row += At(x + (iy * p.width + ix) * p.step);
        sum += row;
      }
      At(y + (oy * p.out_width + ox) * p.step) =
          sum / static_cast<float>((rows.end - rows.begin) * (columns.end - columns.begin));
    }
  }
}

MANAKO_SIMD void AdaptivePlaneBackward(const Pooled& p, const float* dy, float* dx) {
  for (int64_t i = 0; i < p.height * p.width; ++i) At(dx + i * p.step) = V8{};
  for (int64_t oy = 0; oy < p.out_height; ++oy) {
    const Range rows = Share(oy, p.out_height, p.height);
    for (int64_t ox = 0; ox < p.out_width; ++ox) {
      const Range columns = Share(ox, p.out_width, p.width);
      const V8 d = At(dy + (oy * p.out_width + ox) * p.step) /
                   static_cast<float>((rows.end - rows.begin) * (columns.end - columns.begin));
      for (int64_t iy = rows.begin; iy < rows.end; ++iy) {
        for (int64_t ix = columns.begin; ix < columns.end; ++ix)
          At(dx + (iy * p.width + ix) * p.step) += d;
      }
    }
  }
}

Pooled PooledOf(const Layout& in, const Layout& out, const Window& window) {
  return {in.height, in.width, out.height, out.width, in.block, window};
}

// Calls body(first float of the input's plane, first float of the output's plane) for all planes.
template <typename Body>
void ForPlanes(const Layout& in, const Layout& out, Body body) {
  const int64_t groups = in.groups();
#pragma omp parallel for
  for (int64_t i = 0; i < in.n * groups; ++i)
    body(in.Plane(i / groups, i % groups), out.Plane(i / groups, i % groups));
}

}  // namespace

void MaxPool(const Layout& in, const Layout& out, const Window& window, const float* x, float* y,
             uint8_t* winner) {
  const Pooled p = PooledOf(in, out, window);
  const auto pool = IsTwoByTwo(p) ? MaxTwoByTwo : MaxPlane;
  ForPlanes(in, out, [&](int64_t i, int64_t o) {
    pool(p, x + i, y + o, winner != nullptr ? winner + o : nullptr);
  });
}

void MaxPoolBackward(const Layout& in, const Layout& out, const Window& window, const float* dy,
                     const uint8_t* winner, const float* output, float* dx) {
  const Pooled p = PooledOf(in, out, window);
  if (IsTwoByTwo(p)) {
    ForPlanes(in, out, [&](int64_t i, int64_t o) {
      MaxTwoByTwoBackward(p, dy + o, winner + o, output != nullptr ? output + o : nullptr, dx + i);
    });
    return;
  }
  // Windows that neither overlap nor leave anything out write every pixel once.
  bool tiles = true;
  const int64_t extent[2] = {in.height, in.width}, outs[2] = {out.height, out.width};
  for (size_t d = 0; d < 2; ++d) {
    tiles = tiles && window.kernel[d] == window.stride[d] && window.padding[d] == 0 &&
            outs[d] * window.stride[d] >= extent[d];
  }
  ForPlanes(in, out, [&](int64_t i, int64_t o) {
    MaxPlaneBackward(p, tiles, dy + o, winner + o, output != nullptr ? output + o : nullptr,
                     dx + i);
  });
}

void AveragePool(const Layout& in, const Layout& out, const Window& window, bool count_padding,
                 const float* x, float* y) {
  const Pooled p = PooledOf(in, out, window);
  ForPlanes(in, out, [&](int64_t i, int64_t o) { AveragePlane(p, count_padding, x + i, y + o); });
}

void AveragePoolBackward(const Layout& in, const Layout& out, const Window& window,
                         bool count_padding, const float* dy, float* dx) {
  const Pooled p = PooledOf(in, out, window);
  ForPlanes(in, out,
            [&](int64_t i, int64_t o) { AveragePlaneBackward(p, count_padding, dy + o, dx + i); });
}

void AdaptiveAverage(const Layout& in, const Layout& out, const float* x, float* y) {
  const Pooled p = PooledOf(in, out, {});
  ForPlanes(in, out, [&](int64_t i, int64_t o) { AdaptivePlane(p, x + i, y + o); });
}

void AdaptiveAverageBackward(const Layout& in, const Layout& out, const float* dy, float* dx) {
  const Pooled p = PooledOf(in, out, {});
  ForPlanes(in, out, [&](int64_t i, int64_t o) { AdaptivePlaneBackward(p, dy + o, dx + i); });
}

}  // namespace manako::fused
