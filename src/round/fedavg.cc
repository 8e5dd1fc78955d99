#include "round/fedavg.h"

#include <algorithm>
#include <memory>

#include "base/status_macros.h"

namespace manako {

double FedAvg::Weight(const UpdateFacts& facts) const {
  return weighting_ == Weighting::kImages ? static_cast<double>(facts.images) : 1.0;
}

void FedAvg::Apply(Stretch& stretch) const {
  std::copy(stretch.mean.begin(), stretch.mean.end(), stretch.model.begin());
}

absl::StatusOr<std::unique_ptr<Strategy>> MakeStrategy(const FederationConfig& config) {
  if (config.strategy == "fedavg") {
    return std::make_unique<FedAvg>(config.weighting == "uniform" ? Weighting::kUniform
                                                                  : Weighting::kImages);
  }
  return InvalidArgument("federation.strategy must be fedavg, but is {}", config.strategy);
}

}  // namespace manako
