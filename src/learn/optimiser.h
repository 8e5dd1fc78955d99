// SGD, Adam and AdamW over the flat parameter array, in one pass.
#ifndef MANAKO_LEARN_OPTIMISER_H_
#define MANAKO_LEARN_OPTIMISER_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/learner.h"
#include "core/run_config.h"

namespace manako {

// Follows torch.optim: SGD (momentum, Nesterov, no dampening), Adam (Kingma and Ba, ICLR 2015;
// weight decay as L2) and AdamW (Loshchilov and Hutter, ICLR 2019; decoupled decay), betas 0.9 and
// 0.999, epsilon 1e-8. Its state is the moments, one or two arrays as long as the trained prefix,
// and the number of steps taken.
class Optimiser {
 public:
  Optimiser(const TrainConfig& config, int64_t size);

  // One step: parameters and gradients have `size` elements; the gradients are set to zero in the
  // same pass.
  void Step(double learning_rate, std::span<float> parameters, std::span<float> gradients);

  // Forgets the moments.
  void Reset();
  LearnerState Save() const;
  // InvalidArgument when the arrays are not this optimiser's.
  absl::Status Restore(LearnerState state);

 private:
  enum class Kind { kSgd, kAdam, kAdamW };
  Kind kind_;
  float momentum_, weight_decay_;
  bool nesterov_;
  int64_t steps_ = 0;
  FlatArray first_, second_;
};

}  // namespace manako

#endif  // MANAKO_LEARN_OPTIMISER_H_
