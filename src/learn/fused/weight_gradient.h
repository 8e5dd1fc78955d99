// The gradient of convolutions' weights where oneDNN's own is slow.
#ifndef MANAKO_LEARN_FUSED_WEIGHT_GRADIENT_H_
#define MANAKO_LEARN_FUSED_WEIGHT_GRADIENT_H_

#include <cstdint>

#include "learn/fused/graph.h"
#include "learn/fused/layout.h"

namespace manako::fused {

// For processors with AVX2 and FMA, where oneDNN's own takes a tenth to a third longer.
// Whether WeightGradient() can be used and should be: 3x3, stride 1, padding 1, one group, whole
// blocks of 8 channels, and a processor for which oneDNN's best is AVX2.
bool HasWeightGradient(const Op& op, const Layout& in, const Layout& out);

// gradient[out][in][3][3] = sum over images and pixels of dy x. `scratch` holds as many floats as
// the gradient, 32-byte aligned.
void WeightGradient(const Layout& in, const Layout& out, const float* x, const float* dy,
                    float* scratch, float* gradient);

// Of a depthwise convolution (each channel by itself), on any processor: where oneDNN has nothing
// but its reference.
bool IsDepthwise(const Op& op, const Layout& in, const Layout& out);
// gradient[channels][kh][kw].
template <typename T>
void DepthwiseWeightGradient(const Op& op, const Layout& in, const Layout& out, const T* x,
                             const T* dy, float* gradient);

}  // namespace manako::fused

#endif  // MANAKO_LEARN_FUSED_WEIGHT_GRADIENT_H_
