#include <algorithm>

#include "learn/fused/weight_gradient.h"

#define MANAKO_LOOPS "learn/fused/loops_depthwise.inc"
#include "learn/fused/for_each_level.h"

namespace manako::fused {
namespace {

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

template <typename T>
void DepthwiseWeightGradient(const Op& op, const Layout& in, const Layout& out, const T* x,
                             const T* dy, float* gradient) {
  const int64_t field = op.kernel[0] * op.kernel[1];
  WithBlock<T>(out, [&]<int W>() {
#pragma omp parallel for
    for (int64_t block = 0; block < out.blocks(); ++block) {
      for (int64_t k = 0; k < field; ++k) {
        const int64_t down = k / op.kernel[1] - op.padding[0],
                      right = k % op.kernel[1] - op.padding[1];
        TapPlane p = {0, 0, 0, 0, op.stride[0] * in.width * W, op.stride[1] * W, out.width * W};
        Inside(out.height, op.stride[0], down, in.height, p.row_begin, p.row_end);
        Inside(out.width, op.stride[1], right, in.width, p.begin, p.end);
        Sum<W> sum;
        for (int64_t n = 0; n < in.n; ++n) {
          MANAKO_BEST(AddTap<T, W>)
          (p, x + in.Plane(n, block) + (down * in.width + right) * W, dy + out.Plane(n, block),
           &sum);
        }
        for (int64_t i = 0; i < W && block * W + i < out.channels; ++i)
          gradient[(block * W + i) * field + k] = static_cast<float>(sum.total[i]);
      }
    }
  });
}

template void DepthwiseWeightGradient(const Op&, const Layout&, const Layout&, const float*,
                                      const float*, float*);
template void DepthwiseWeightGradient(const Op&, const Layout&, const Layout&, const Bfloat16*,
                                      const Bfloat16*, float*);

}  // namespace manako::fused
