// The arithmetic of averaging, apart from where the arrays come from.
#ifndef MANAKO_ROUND_WEIGHTED_MEAN_H_
#define MANAKO_ROUND_WEIGHTED_MEAN_H_

#include <span>

namespace manako {

// out[i] = sum over k of weights[k] * inputs[k][i] / sum of weights, in float64, added in the order given, rounded once.
// The bits depend on that order and on nothing else: not on threads, not on how the arrays are cut into chunks. The mean of
// one array is that array, to the bit, for whole-number weights below 2^29 (the product is exact in float64).
// Every input has out.size() elements; weights are > 0.
void WeightedMean(std::span<const std::span<const float>> inputs, std::span<const double> weights,
                  std::span<float> out, int threads = 1);

}  // namespace manako

#endif  // MANAKO_ROUND_WEIGHTED_MEAN_H_
