// What kernels and their loops share: planes of tensors, and sums over them.
#ifndef MANAKO_LEARN_FUSED_PLANES_H_
#define MANAKO_LEARN_FUSED_PLANES_H_

#include <cstdint>

#include "learn/fused/kernels.h"
#include "learn/fused/layout.h"

namespace manako::fused {

// Sums of W channels, made in double beyond a few hundred terms.
template <int W>
struct Sum {
  double total[W] = {};
};

// What leaves out a gradient: nothing, an output that is not > 0, or one that x * scale + shift
// makes again.
enum class Mask { kNone, kOutput, kRecomputed };

template <typename T>
struct NormPlane {
  int64_t pixels;
  const T *x, *d1, *d2, *output;
  const float *mean, *inverse, *scale, *shift;  // of the block
  T* out;
};

// One plane of a pooled tensor.
struct Pooled {
  int64_t height, width, out_height, out_width;
  Window window;
};

// One tap of one plane of a depthwise convolution: the output pixels [row_begin, row_end) x [begin,
// end), whose input pixels are inside the image.
struct TapPlane {
  int64_t row_begin, row_end, begin, end;
  int64_t in_row, in_step, out_row;  // in elements, from output row to row and pixel to pixel
};

// Calls body(n, block, first element of the plane) for all planes, shared among threads.
template <typename Body>
void ForPlanes(const Layout& layout, Body body) {
  const int64_t blocks = layout.blocks();
#pragma omp parallel for
  for (int64_t i = 0; i < layout.n * blocks; ++i)
    body(i / blocks, i % blocks, layout.Plane(i / blocks, i % blocks));
}

// Calls body.template operator()<W>() for the layout's block.
template <typename T, typename Body>
auto WithBlock(const Layout& layout, Body body) {
  if constexpr (sizeof(T) == sizeof(float)) {
    if (layout.block == 8) return body.template operator()<8>();
  }
  return body.template operator()<16>();
}

}  // namespace manako::fused

#endif  // MANAKO_LEARN_FUSED_PLANES_H_
