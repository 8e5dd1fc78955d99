// The engine's own loops: what oneDNN leaves to memory traffic. All take tensors in Layout;
// pointers are 32-byte aligned.
//
// Loops over planes are shared among OpenMP's threads; every sum is made by one of them in a fixed
// order, so that results do not depend on how many there are.
#ifndef MANAKO_LEARN_FUSED_KERNELS_H_
#define MANAKO_LEARN_FUSED_KERNELS_H_

#include <cstdint>
#include <span>

#include "base/random.h"
#include "learn/fused/graph.h"
#include "learn/fused/layout.h"

namespace manako::fused {

// Images [n][h][w][3] to planes [n][3][h][w].
void ToPlanes(const float* images, int64_t n, int64_t pixels, float* planes);

// Mean and biased variance of each channel over images and pixels; padded() values of both.
void Moments(const Layout& layout, const float* x, float* mean, float* variance);
// y = x * scale + shift [+ residual], then [max with 0]; a null residual is none. y may be x or the
// residual.
void ScaleShift(const Layout& layout, const float* x, const float* scale, const float* shift,
                const float* residual, bool relu, float* y);

// Backward of BatchNorm with what follows it. All per-channel arrays have padded() values.
struct NormBackward {
  const float* x;  // what was normalised
  const float *mean, *inverse, *scale,
      *shift;           // inverse = 1 / sqrt(variance + epsilon); scale and shift as in the forward
  const float* output;  // where not null: the gradient counts where this is > 0
  bool relu;            // without `output`: it counts where x * scale + shift > 0
  bool batch_statistics;  // false: mean and variance are constants
};
// sum_d and sum_dx: over images and pixels, of d and of d * (x - mean) * inverse, where d = d1 [+
// d2], masked. d is written to `out` where that is not null; it may be d1 or d2.
void NormBackwardSums(const Layout& layout, const NormBackward& norm, const float* d1,
                      const float* d2, float* out, float* sum_d, float* sum_dx);
// dx from d = d1 [+ d2] (masked again where `mask`) and the sums. dx may be d1 or d2.
void NormBackwardApply(const Layout& layout, const NormBackward& norm, const float* d1,
                       const float* d2, bool mask, const float* sum_d, const float* sum_dx,
                       float* dx);

struct Window {
  Pair kernel, stride, padding;
};
// `winner` takes for every output the position in its window (row-major) of the first maximum;
// null: not wanted.
void MaxPool(const Layout& in, const Layout& out, const Window& window, const float* x, float* y,
             uint8_t* winner);
// Where `output` is not null, only gradients of outputs > 0 count: a ReLU before the pool.
void MaxPoolBackward(const Layout& in, const Layout& out, const Window& window, const float* dy,
                     const uint8_t* winner, const float* output, float* dx);
void AveragePool(const Layout& in, const Layout& out, const Window& window, bool count_padding,
                 const float* x, float* y);
void AveragePoolBackward(const Layout& in, const Layout& out, const Window& window,
                         bool count_padding, const float* dy, float* dx);
// Output pixel i of m is the mean of input pixels floor(i n / m) to ceil((i + 1) n / m).
void AdaptiveAverage(const Layout& in, const Layout& out, const float* x, float* y);
void AdaptiveAverageBackward(const Layout& in, const Layout& out, const float* dy, float* dx);

// d = 0 where y <= 0.
void MaskByOutput(int64_t n, const float* y, float* d);
// Over images and pixels, of d where `output` > 0, or of all of d where that is null; channels
// values. `write`: masks d as well.
void ChannelSums(const Layout& layout, const float* output, bool write, float* d, float* sums);
void Add(int64_t n, const float* a, const float* b, float* out);       // out may be a or b
void Multiply(int64_t n, const float* a, const float* b, float* out);  // out may be a or b
// kRelu, kRelu6, kHardSwish, kHardSigmoid, kSigmoid; y may be x.
void Activate(OpKind kind, int64_t n, const float* x, float* y);
// d *= the activation's derivative at x (kSigmoid: given its output y in the place of x).
void ActivateBackward(OpKind kind, int64_t n, const float* x, float* d);

// y = x * factor of the image and channel; factor: [n, c, 1, 1].
void MultiplyChannels(const Layout& layout, const float* factor, const float* x, float* y);
// dx = dy * factor, d_factor = sum over pixels of dy * x. dx may be dy.
void MultiplyChannelsBackward(const Layout& layout, const float* factor, const float* x,
                              const float* dy, float* dx, float* d_factor);

// Copies `part` to (or from) the channels of `whole` from `first` on.
void CopyChannels(const Layout& part, const Layout& whole, int64_t first, bool to_whole,
                  float* part_data, float* whole_data);
// To and from [n][c][h][w].
void ToPlain(const Layout& layout, const float* x, float* plain);
void FromPlain(const Layout& layout, const float* plain, float* x);
// Sets the channels behind layout.channels to zero.
void ClearPadding(const Layout& layout, float* x);

// mask[i] = 1 / (1 - probability) or 0; y = x * mask.
void Dropout(Random random, double probability, int64_t n, const float* x, float* mask, float* y);

// Mean cross entropy of logits [n][classes], weighted by class; weights may be empty. Writes the
// gradient to d_logits.
double CrossEntropy(std::span<const int64_t> labels, int64_t classes,
                    std::span<const double> weights, const float* logits, float* d_logits);

}  // namespace manako::fused

#endif  // MANAKO_LEARN_FUSED_KERNELS_H_
