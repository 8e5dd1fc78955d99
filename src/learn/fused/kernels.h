// The engine's own loops: what oneDNN leaves to memory traffic. All take tensors in Layout, of
// floats or Bfloat16 (T), and compute in float; pointers are 64-byte aligned.
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
template <typename T>
void ToPlanes(const float* images, int64_t n, int64_t pixels, T* planes);

// Mean and biased variance of each channel over images and pixels; padded() values of both.
template <typename T>
void Moments(const Layout& layout, const T* x, float* mean, float* variance);
// y = x * scale + shift [+ residual], then [max with 0]; a null residual is none. y may be x or the
// residual.
template <typename T>
void ScaleShift(const Layout& layout, const T* x, const float* scale, const float* shift,
                const T* residual, bool relu, T* y);

// Backward of BatchNorm with what follows it. All per-channel arrays have padded() values.
template <typename T>
struct NormBackward {
  const T* x;  // what was normalised
  const float *mean, *inverse, *scale,
      *shift;       // inverse = 1 / sqrt(variance + epsilon); scale and shift as in the forward
  const T* output;  // where not null: the gradient counts where this is > 0
  bool relu;        // without `output`: it counts where x * scale + shift > 0
  bool batch_statistics;  // false: mean and variance are constants
};
// sum_d and sum_dx: over images and pixels, of d and of d * (x - mean) * inverse, where d = d1 [+
// d2], masked. d is written to `out` where that is not null; it may be d1 or d2.
template <typename T>
void NormBackwardSums(const Layout& layout, const NormBackward<T>& norm, const T* d1, const T* d2,
                      T* out, float* sum_d, float* sum_dx);
// dx from d = d1 [+ d2] (masked again where `mask`) and the sums. dx may be d1 or d2.
template <typename T>
void NormBackwardApply(const Layout& layout, const NormBackward<T>& norm, const T* d1, const T* d2,
                       bool mask, const float* sum_d, const float* sum_dx, T* dx);

struct Window {
  Pair kernel, stride, padding;
};
// `winner` takes for every output the position in its window (row-major) of the first maximum;
// null: not wanted.
template <typename T>
void MaxPool(const Layout& in, const Layout& out, const Window& window, const T* x, T* y,
             uint8_t* winner);
// Where `output` is not null, only gradients of outputs > 0 count: a ReLU before the pool.
template <typename T>
void MaxPoolBackward(const Layout& in, const Layout& out, const Window& window, const T* dy,
                     const uint8_t* winner, const T* output, T* dx);
template <typename T>
void AveragePool(const Layout& in, const Layout& out, const Window& window, bool count_padding,
                 const T* x, T* y);
template <typename T>
void AveragePoolBackward(const Layout& in, const Layout& out, const Window& window,
                         bool count_padding, const T* dy, T* dx);
// Output pixel i of m is the mean of input pixels floor(i n / m) to ceil((i + 1) n / m).
template <typename T>
void AdaptiveAverage(const Layout& in, const Layout& out, const T* x, T* y);
template <typename T>
void AdaptiveAverageBackward(const Layout& in, const Layout& out, const T* dy, T* dx);

// d = 0 where y <= 0.
template <typename T>
void MaskByOutput(int64_t n, const T* y, T* d);
// Over images and pixels, of d where `output` > 0, or of all of d where that is null; channels
// values. `write`: masks d as well.
template <typename T>
void ChannelSums(const Layout& layout, const T* output, bool write, T* d, float* sums);
template <typename T>
void Add(int64_t n, const T* a, const T* b, T* out);  // out may be a or b
template <typename T>
void Multiply(int64_t n, const T* a, const T* b, T* out);  // out may be a or b
// kRelu, kRelu6, kHardSwish, kHardSigmoid, kSigmoid; y may be x.
template <typename T>
void Activate(OpKind kind, int64_t n, const T* x, T* y);
// d *= the activation's derivative at x (kSigmoid: given its output y in the place of x).
template <typename T>
void ActivateBackward(OpKind kind, int64_t n, const T* x, T* d);

// y = x * factor of the image and channel; factor: [n, c, 1, 1].
template <typename T>
void MultiplyChannels(const Layout& layout, const T* factor, const T* x, T* y);
// dx = dy * factor, d_factor = sum over pixels of dy * x. dx may be dy.
template <typename T>
void MultiplyChannelsBackward(const Layout& layout, const T* factor, const T* x, const T* dy, T* dx,
                              T* d_factor);

// Copies `part` to (or from) the channels of `whole` from `first` on.
template <typename T>
void CopyChannels(const Layout& part, const Layout& whole, int64_t first, bool to_whole,
                  T* part_data, T* whole_data);
// To and from [n][c][h][w].
template <typename T>
void ToPlain(const Layout& layout, const T* x, float* plain);
template <typename T>
void FromPlain(const Layout& layout, const float* plain, T* x);
// Sets the channels behind layout.channels to zero.
template <typename T>
void ClearPadding(const Layout& layout, T* x);

// kept[i] is 1 with probability 1 - p, else 0; y = x * kept / (1 - p).
template <typename T>
void Dropout(Random random, double p, int64_t n, const T* x, uint8_t* kept, T* y);
template <typename T>
void DropoutBackward(double p, int64_t n, const uint8_t* kept, T* d);

// Mean cross entropy of logits [n][classes], weighted by class; weights may be empty. Writes the
// gradient to d_logits.
double CrossEntropy(std::span<const int64_t> labels, int64_t classes,
                    std::span<const double> weights, const float* logits, float* d_logits);

}  // namespace manako::fused

#endif  // MANAKO_LEARN_FUSED_KERNELS_H_
