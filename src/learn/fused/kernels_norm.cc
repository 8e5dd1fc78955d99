// BatchNorm's kernels, and other sums of channels.
#define MANAKO_LOOPS "learn/fused/loops_norm.inc"
#include "learn/fused/for_each_level.h"

namespace manako::fused {
namespace {

template <typename T>
NormPlane<T> PlaneOf(const Layout& layout, const NormBackward<T>& norm, int64_t n, int64_t b,
                     const T* d1, const T* d2, T* out) {
  const int64_t at = layout.Plane(n, b), c = b * layout.block;
  return {layout.pixels(),
          norm.x + at,
          d1 + at,
          d2 != nullptr ? d2 + at : nullptr,
          norm.output != nullptr ? norm.output + at : nullptr,
          norm.mean + c,
          norm.inverse + c,
          norm.scale + c,
          norm.shift + c,
          out != nullptr ? out + at : nullptr};
}

// Calls body.template operator()<mask>().
template <typename Body>
void WithMask(Mask mask, Body body) {
  if (mask == Mask::kNone) return body.template operator()<Mask::kNone>();
  if (mask == Mask::kOutput) return body.template operator()<Mask::kOutput>();
  return body.template operator()<Mask::kRecomputed>();
}

template <typename T>
Mask MaskOf(const NormBackward<T>& norm) {
  if (norm.output != nullptr) return Mask::kOutput;
  return norm.relu ? Mask::kRecomputed : Mask::kNone;
}

}  // namespace

template <typename T>
void Moments(const Layout& layout, const T* x, float* mean, float* variance) {
  WithBlock<T>(layout, [&]<int W>() {
    const auto moments = MANAKO_BEST(PlaneMoments<T, W>);
#pragma omp parallel for
    for (int64_t b = 0; b < layout.blocks(); ++b) {
      const auto pixels = static_cast<double>(layout.pixels()),
                 count = pixels * static_cast<double>(layout.n);
      // Values are counted from the first image's mean, so that no large squares are subtracted.
      alignas(64) float origin[W] = {};
      Sum<W> first, ignored;
      moments(x + layout.Plane(0, b), layout.pixels(), origin, &first, &ignored);
      for (int64_t i = 0; i < W; ++i) origin[i] = static_cast<float>(first.total[i] / pixels);
      Sum<W> sum, squares;
      for (int64_t n = 0; n < layout.n; ++n)
        moments(x + layout.Plane(n, b), layout.pixels(), origin, &sum, &squares);
      for (int64_t i = 0; i < W; ++i) {
        const double from_origin = sum.total[i] / count;
        mean[b * W + i] = static_cast<float>(static_cast<double>(origin[i]) + from_origin);
        variance[b * W + i] =
            static_cast<float>(std::max(0.0, squares.total[i] / count - from_origin * from_origin));
      }
    }
  });
}

template <typename T>
void ScaleShift(const Layout& layout, const T* x, const float* scale, const float* shift,
                const T* residual, bool relu, T* y) {
  WithBlock<T>(layout, [&]<int W>() {
    const auto plane = residual == nullptr
                           ? (relu ? MANAKO_BEST(PlaneScaleShift<T, W, false, true>)
                                   : MANAKO_BEST(PlaneScaleShift<T, W, false, false>))
                           : (relu ? MANAKO_BEST(PlaneScaleShift<T, W, true, true>)
                                   : MANAKO_BEST(PlaneScaleShift<T, W, true, false>));
    ForPlanes(layout, [&](int64_t, int64_t b, int64_t at) {
      plane(x + at, layout.pixels(), scale + b * W, shift + b * W,
            residual != nullptr ? residual + at : nullptr, y + at);
    });
  });
}

template <typename T>
void NormBackwardSums(const Layout& layout, const NormBackward<T>& norm, const T* d1, const T* d2,
                      T* out, float* sum_d, float* sum_dx) {
  WithBlock<T>(layout, [&]<int W>() {
    WithMask(MaskOf(norm), [&]<Mask kMask>() {
      const auto add = out == nullptr ? MANAKO_BEST(SumPlane<T, W, kMask, false>)
                                      : MANAKO_BEST(SumPlane<T, W, kMask, true>);
#pragma omp parallel for
      for (int64_t b = 0; b < layout.blocks(); ++b) {
        Sum<W> d, dx;
        for (int64_t n = 0; n < layout.n; ++n)
          add(PlaneOf(layout, norm, n, b, d1, d2, out), &d, &dx);
        for (int64_t i = 0; i < W; ++i) {
          sum_d[b * W + i] = static_cast<float>(d.total[i]);
          sum_dx[b * W + i] = static_cast<float>(dx.total[i]);
        }
      }
    });
  });
}

template <typename T>
void NormBackwardApply(const Layout& layout, const NormBackward<T>& norm, const T* d1, const T* d2,
                       bool mask, const float* sum_d, const float* sum_dx, T* dx) {
  WithBlock<T>(layout, [&]<int W>() {
    WithMask(mask ? MaskOf(norm) : Mask::kNone, [&]<Mask kMask>() {
      const auto apply = MANAKO_BEST(ApplyPlane<T, W, kMask>);
      const float count = static_cast<float>(layout.n * layout.pixels());
#pragma omp parallel for
      for (int64_t b = 0; b < layout.blocks(); ++b) {
        alignas(64) float mean_d[W] = {}, factor[W] = {};
        for (int64_t i = 0; i < W && norm.batch_statistics; ++i) {
          const int64_t c = b * W + i;
          mean_d[i] = sum_d[c] / count;
          factor[i] = sum_dx[c] / count * norm.inverse[c];
        }
        for (int64_t n = 0; n < layout.n; ++n)
          apply(PlaneOf(layout, norm, n, b, d1, d2, dx), mean_d, factor);
      }
    });
  });
}

template <typename T>
void ChannelSums(const Layout& layout, const T* output, bool write, T* d, float* sums) {
  WithBlock<T>(layout, [&]<int W>() {
    const auto add = output == nullptr ? MANAKO_BEST(SumChannels<T, W, false, false>)
                     : write           ? MANAKO_BEST(SumChannels<T, W, true, true>)
                                       : MANAKO_BEST(SumChannels<T, W, true, false>);
#pragma omp parallel for
    for (int64_t b = 0; b < layout.blocks(); ++b) {
      Sum<W> sum;
      for (int64_t n = 0; n < layout.n; ++n) {
        const int64_t at = layout.Plane(n, b);
        add(layout.pixels(), output != nullptr ? output + at : nullptr, d + at, &sum);
      }
      for (int64_t i = 0; i < W && b * W + i < layout.channels; ++i)
        sums[b * W + i] = static_cast<float>(sum.total[i]);
    }
  });
}

#define MANAKO_FOR(T)                                                                              \
  template void Moments(const Layout&, const T*, float*, float*);                                  \
  template void ScaleShift(const Layout&, const T*, const float*, const float*, const T*, bool,    \
                           T*);                                                                    \
  template void NormBackwardSums(const Layout&, const NormBackward<T>&, const T*, const T*, T*,    \
                                 float*, float*);                                                  \
  template void NormBackwardApply(const Layout&, const NormBackward<T>&, const T*, const T*, bool, \
                                  const float*, const float*, T*);                                 \
  template void ChannelSums(const Layout&, const T*, bool, T*, float*);
MANAKO_FOR(float)
MANAKO_FOR(Bfloat16)
#undef MANAKO_FOR

}  // namespace manako::fused
