// Pooling.
#define MANAKO_LOOPS "learn/fused/loops_pool.inc"
#include "learn/fused/for_each_level.h"

namespace manako::fused {
namespace {

bool IsTwoByTwo(const Pooled& p) {
  const Window& w = p.window;
  return w.kernel == Pair{2, 2} && w.stride == Pair{2, 2} && w.padding == Pair{0, 0} &&
         p.height == 2 * p.out_height && p.width == 2 * p.out_width;
}

Pooled PooledOf(const Layout& in, const Layout& out, const Window& window) {
  return {in.height, in.width, out.height, out.width, window};
}

// Calls body.template operator()<W>(first element of the input's plane, of the output's) for all
// planes.
template <typename T, typename Body>
void ForPooled(const Layout& in, const Layout& out, Body body) {
  WithBlock<T>(in, [&]<int W>() {
    ForPlanes(in, [&](int64_t n, int64_t b, int64_t at) {
      body.template operator()<W>(at, out.Plane(n, b));
    });
  });
}

}  // namespace

template <typename T>
void MaxPool(const Layout& in, const Layout& out, const Window& window, const T* x, T* y,
             uint8_t* winner) {
  const Pooled p = PooledOf(in, out, window);
  const bool two_by_two = IsTwoByTwo(p);
  ForPooled<T>(in, out, [&]<int W>(int64_t i, int64_t o) {
    (two_by_two ? MANAKO_BEST(MaxTwoByTwo<T, W>) : MANAKO_BEST(MaxPlane<T, W>))(
        p, x + i, y + o, winner != nullptr ? winner + o : nullptr);
  });
}

template <typename T>
void MaxPoolBackward(const Layout& in, const Layout& out, const Window& window, const T* dy,
                     const uint8_t* winner, const T* output, T* dx) {
  const Pooled p = PooledOf(in, out, window);
  const bool two_by_two = IsTwoByTwo(p);
  // Windows that neither overlap nor leave anything out write every pixel once.
  bool tiles = true;
  const int64_t extent[2] = {in.height, in.width}, outs[2] = {out.height, out.width};
  for (size_t d = 0; d < 2; ++d) {
    tiles = tiles && window.kernel[d] == window.stride[d] && window.padding[d] == 0 &&
            outs[d] * window.stride[d] >= extent[d];
  }
  ForPooled<T>(in, out, [&]<int W>(int64_t i, int64_t o) {
    const T* const masking = output != nullptr ? output + o : nullptr;
    if (two_by_two) {
      MANAKO_BEST(MaxTwoByTwoBackward<T, W>)(p, dy + o, winner + o, masking, dx + i);
    } else {
      MANAKO_BEST(MaxPlaneBackward<T, W>)(p, tiles, dy + o, winner + o, masking, dx + i);
    }
  });
}

template <typename T>
void AveragePool(const Layout& in, const Layout& out, const Window& window, bool count_padding,
                 const T* x, T* y) {
  const Pooled p = PooledOf(in, out, window);
  ForPooled<T>(in, out, [&]<int W>(int64_t i, int64_t o) {
    MANAKO_BEST(AveragePlane<T, W>)(p, count_padding, x + i, y + o);
  });
}

template <typename T>
void AveragePoolBackward(const Layout& in, const Layout& out, const Window& window,
                         bool count_padding, const T* dy, T* dx) {
  const Pooled p = PooledOf(in, out, window);
  ForPooled<T>(in, out, [&]<int W>(int64_t i, int64_t o) {
    MANAKO_BEST(AveragePlaneBackward<T, W>)(p, count_padding, dy + o, dx + i);
  });
}

template <typename T>
void AdaptiveAverage(const Layout& in, const Layout& out, const T* x, T* y) {
  const Pooled p = PooledOf(in, out, {});
  ForPooled<T>(in, out, [&]<int W>(int64_t i, int64_t o) {
    MANAKO_BEST(AdaptivePlane<T, W>)(p, x + i, y + o);
  });
}

template <typename T>
void AdaptiveAverageBackward(const Layout& in, const Layout& out, const T* dy, T* dx) {
  const Pooled p = PooledOf(in, out, {});
  ForPooled<T>(in, out, [&]<int W>(int64_t i, int64_t o) {
    MANAKO_BEST(AdaptivePlaneBackward<T, W>)(p, dy + o, dx + i);
  });
}

#define MANAKO_FOR(T)                                                                            \
  template void MaxPool(const Layout&, const Layout&, const Window&, const T*, T*, uint8_t*);    \
  template void MaxPoolBackward(const Layout&, const Layout&, const Window&, const T*,           \
                                const uint8_t*, const T*, T*);                                   \
  template void AveragePool(const Layout&, const Layout&, const Window&, bool, const T*, T*);    \
  template void AveragePoolBackward(const Layout&, const Layout&, const Window&, bool, const T*, \
                                    T*);                                                         \
  template void AdaptiveAverage(const Layout&, const Layout&, const T*, T*);                     \
  template void AdaptiveAverageBackward(const Layout&, const Layout&, const T*, T*);
MANAKO_FOR(float)
MANAKO_FOR(Bfloat16)
#undef MANAKO_FOR

}  // namespace manako::fused
