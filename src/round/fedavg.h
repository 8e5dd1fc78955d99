// Federated averaging: McMahan et al., "Communication-Efficient Learning of Deep Networks from
// Decentralized Data", AISTATS 2017, Algorithm 1.
#ifndef MANAKO_ROUND_FEDAVG_H_
#define MANAKO_ROUND_FEDAVG_H_

#include "round/strategy.h"

namespace manako {

enum class Weighting { kImages, kUniform };

// The new global model is the mean of the sites' models (parameters and float buffers alike),
// weighted by their training images or all the same.
class FedAvg : public Strategy {
 public:
  explicit FedAvg(Weighting weighting) : weighting_(weighting) {}
  double Weight(const UpdateFacts& facts) const override;
  void Apply(Stretch& stretch) const override;

 private:
  Weighting weighting_;
};

}  // namespace manako

#endif  // MANAKO_ROUND_FEDAVG_H_
