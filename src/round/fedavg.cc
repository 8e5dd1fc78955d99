#include "round/fedavg.h"

#include <memory>
#include <utility>

#include "base/status_macros.h"

namespace manako {

RoundPlan FedAvg::Plan(int round, const std::vector<std::string>& ready_sites) const {
  return {ready_sites};
}

double FedAvg::Weight(const Update& update) const {
  return weighting_ == Weighting::kImages ? static_cast<double>(update.images) : 1.0;
}

absl::Status FedAvg::Apply(MeanUpdate mean, GlobalState& global) const {
  global.model = std::make_shared<const ParameterSet>(std::move(mean.model));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Strategy>> MakeStrategy(const FederationConfig& config) {
  if (config.strategy == "fedavg") {
    return std::make_unique<FedAvg>(config.weighting == "uniform" ? Weighting::kUniform : Weighting::kImages);
  }
  return InvalidArgument("federation.strategy must be fedavg, but is {}", config.strategy);
}

}  // namespace manako
