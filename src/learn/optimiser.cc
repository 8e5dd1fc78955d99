#include "learn/optimiser.h"

#include <cmath>
#include <utility>

#include "base/simd.h"
#include "base/status_macros.h"

namespace manako {
namespace {

constexpr float kBeta1 = 0.9f, kBeta2 = 0.999f, kEpsilon = 1e-8f;

MANAKO_SIMD void SgdPlain(float rate, float decay, size_t n, float* __restrict p,
                          float* __restrict g) {
  for (size_t i = 0; i < n; ++i) {
    p[i] -= rate * (g[i] + decay * p[i]);
    g[i] = 0;
  }
}

// p -= rate * (add * d + keep * velocity): keep = 1, add = 0 is heavy-ball momentum, keep =
// momentum, add = 1 Nesterov's.
struct SgdFactors {
  float rate, decay, momentum, keep, add;
};
MANAKO_SIMD void SgdMomentum(SgdFactors f, size_t n, float* __restrict p, float* __restrict g,
                             float* __restrict m) {
  for (size_t i = 0; i < n; ++i) {
    const float d = g[i] + f.decay * p[i];
    const float velocity = f.momentum * m[i] + d;
    m[i] = velocity;
    p[i] -= f.rate * (f.add * d + f.keep * velocity);
    g[i] = 0;
  }
}

// Adam adds the decay to the gradient (l2), AdamW takes it off the parameter (shrink).
struct AdamFactors {
  float l2, shrink, step_size, root2;
};
MANAKO_SIMD void AdamStep(AdamFactors f, size_t n, float* __restrict p, float* __restrict g,
                          float* __restrict m, float* __restrict v) {
  for (size_t i = 0; i < n; ++i) {
    const float d = g[i] + f.l2 * p[i];
    m[i] = kBeta1 * m[i] + (1 - kBeta1) * d;
    v[i] = kBeta2 * v[i] + (1 - kBeta2) * d * d;
    p[i] = f.shrink * p[i] - f.step_size * m[i] / (__builtin_sqrtf(v[i]) / f.root2 + kEpsilon);
    g[i] = 0;
  }
}

}  // namespace

Optimiser::Optimiser(const TrainConfig& config, int64_t size)
    : kind_(config.optimiser == "sgd"    ? Kind::kSgd
            : config.optimiser == "adam" ? Kind::kAdam
                                         : Kind::kAdamW),
      momentum_(static_cast<float>(config.momentum)),
      weight_decay_(static_cast<float>(config.weight_decay)),
      nesterov_(config.nesterov) {
  if (kind_ != Kind::kSgd || momentum_ > 0) first_ = FlatArray(size);
  if (kind_ != Kind::kSgd) second_ = FlatArray(size);
}

void Optimiser::Step(double learning_rate, std::span<float> parameters,
                     std::span<float> gradients) {
  ++steps_;
  const size_t n = parameters.size();
  const auto rate = static_cast<float>(learning_rate);
  float* p = parameters.data();
  float* g = gradients.data();
  if (kind_ == Kind::kSgd) {
    if (momentum_ == 0) return SgdPlain(rate, weight_decay_, n, p, g);
    const SgdFactors factors{rate, weight_decay_, momentum_, nesterov_ ? momentum_ : 1.0f,
                             nesterov_ ? 1.0f : 0.0f};
    return SgdMomentum(factors, n, p, g, first_.data());
  }
  const auto t = static_cast<double>(steps_);
  const AdamFactors factors{
      kind_ == Kind::kAdam ? weight_decay_ : 0,
      kind_ == Kind::kAdamW ? 1 - rate * weight_decay_ : 1,
      static_cast<float>(learning_rate / (1 - std::pow(static_cast<double>(kBeta1), t))),
      static_cast<float>(std::sqrt(1 - std::pow(static_cast<double>(kBeta2), t)))};
  AdamStep(factors, n, p, g, first_.data(), second_.data());
}

void Optimiser::Reset() {
  steps_ = 0;
  first_ = FlatArray(first_.size());
  second_ = FlatArray(second_.size());
}

LearnerState Optimiser::Save() const {
  LearnerState state;
  state.steps = steps_;
  if (!first_.empty()) state.arrays.push_back({"moment1", first_.Clone()});
  if (!second_.empty()) state.arrays.push_back({"moment2", second_.Clone()});
  return state;
}

absl::Status Optimiser::Restore(LearnerState state) {
  const size_t wanted = (first_.empty() ? 0u : 1u) + (second_.empty() ? 0u : 1u);
  bool fits = state.arrays.size() == wanted && state.steps >= 0;
  if (fits && wanted > 0) fits = state.arrays[0].values.size() == first_.size();
  if (fits && wanted > 1) fits = state.arrays[1].values.size() == second_.size();
  if (!fits)
    return InvalidArgument("a saved optimiser state does not fit this model and optimiser");
  steps_ = state.steps;
  if (wanted > 0) first_ = std::move(state.arrays[0].values);
  if (wanted > 1) second_ = std::move(state.arrays[1].values);
  return absl::OkStatus();
}

}  // namespace manako
