#include <algorithm>

#include "base/simd.h"
#include "learn/fused/vector.h"
#include "learn/fused/weight_gradient.h"

namespace manako::fused {
namespace {

// One tap of one plane: the sum over output pixels [row_begin, row_end) x [begin, end) of dy x,
// where x is at output pixel (0, 0).
struct TapPlane {
  int64_t row_begin, row_end, begin, end;
  int64_t in_row, in_step, out_row,
      out_step;  // in floats, from output row to row and pixel to pixel
};
MANAKO_SIMD void AddTap(const TapPlane& p, const float* x, const float* dy, Sum8* sum) {
  for (int64_t row = p.row_begin; row < p.row_end; ++row) {
    const float* const in = x + row * p.in_row;
    const float* const d = dy + row * p.out_row;
    V8 a{}, b{};
    int64_t i = p.begin;
    for (; i + 2 <= p.end; i += 2) {
      a += At(in + i * p.in_step) * At(d + i * p.out_step);
      b += At(in + (i + 1) * p.in_step) * At(d + (i + 1) * p.out_step);
    }
    if (i < p.end) a += At(in + i * p.in_step) * At(d + i * p.out_step);
    a += b;
    Flush(a, *sum);
  }
}

// The output positions whose input position i * stride + offset is inside [0, extent).
void Inside(int64_t outs, int64_t stride, int64_t offset, int64_t extent, int64_t& begin,
            int64_t& end) {
  begin = 0;
  end = outs;
  while (begin < end && begin * stride + offset < 0) ++begin;
  while (end > begin && (end - 1) * stride + offset >= extent) --end;
}

}  // namespace

bool IsDepthwise(const Op& op, const Layout& in, const Layout& out) {
  return op.groups == in.channels && in.channels == out.channels && op.dilation == Pair{1, 1};
}

void DepthwiseWeightGradient(const Op& op, const Layout& in, const Layout& out, const float* x,
                             const float* dy, float* gradient) {
  const int64_t field = op.kernel[0] * op.kernel[1];
#pragma omp parallel for
  for (int64_t g = 0; g < out.groups(); ++g) {
    for (int64_t k = 0; k < field; ++k) {
      const int64_t down = k / op.kernel[1] - op.padding[0],
                    right = k % op.kernel[1] - op.padding[1];
      TapPlane p = {0,
                    0,
                    0,
                    0,
                    op.stride[0] * in.width * in.block,
                    op.stride[1] * in.block,
                    out.width * out.block,
                    out.block};
      Inside(out.height, op.stride[0], down, in.height, p.row_begin, p.row_end);
      Inside(out.width, op.stride[1], right, in.width, p.begin, p.end);
      Sum8 sum;
      for (int64_t n = 0; n < in.n; ++n) {
        AddTap(p, x + in.Plane(n, g) + (down * in.width + right) * in.block, dy + out.Plane(n, g),
               &sum);
      }
      for (int64_t i = 0; i < kLanes && g * kLanes + i < out.channels; ++i) {
        gradient[(g * kLanes + i) * field + k] = static_cast<float>(sum.total[i]);
      }
    }
  }
}

}  // namespace manako::fused
