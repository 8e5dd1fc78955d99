#include "round/aggregation.h"

#include <cmath>

#include "base/status_macros.h"
#include "round/weighted_mean.h"

namespace manako {
absl::Status ClearAggregation::Receive(const std::string& site, Update update) {
  if (Has(site)) return FailedPrecondition("{} has already answered in this round", site);
  MANAKO_RETURN_IF_ERROR(Annotate(spec_->CheckSame(*update.model.spec), "update of " + site));
  MANAKO_RETURN_IF_ERROR(Annotate(update.model.CheckFinite(), "update of " + site));
  for (const std::string& name : strategy_->UpdateArrays()) {
    const FlatArray* array = FindArray(update.extra, name);
    if (array == nullptr || array->size() != spec_->size()) {
      return InvalidArgument("update of {}: the array {} that the strategy needs is {}", site, name,
                             array == nullptr ? "missing" : "of another size");
    }
    for (const float value : array->values()) {
      if (!std::isfinite(value)) return InvalidArgument("update of {}: array {} holds {}", site, name, value);
    }
  }
  const double weight = strategy_->Weight(update);
  if (!(weight > 0) || !std::isfinite(weight)) {
    return InvalidArgument("update of {}: its weight must be > 0, but is {}", site, weight);
  }
  updates_.emplace(site, std::move(update));
  return absl::OkStatus();
}

absl::StatusOr<MeanUpdate> ClearAggregation::Finish() {
  if (updates_.empty()) return FailedPrecondition("no site has answered: there is nothing to average");
  std::vector<double> weights;
  std::vector<std::span<const float>> models;
  for (const auto& [site, update] : updates_) {
    weights.push_back(strategy_->Weight(update));
    models.push_back(update.model.values.values());
  }
  MeanUpdate mean;
  mean.sites = received();
  for (const double weight : weights) mean.weight += weight;
  mean.model = ParameterSet::Zero(spec_);
  WeightedMean(models, weights, mean.model.values.values(), threads_);
  for (const std::string& name : strategy_->UpdateArrays()) {
    std::vector<std::span<const float>> arrays;
    for (const auto& [site, update] : updates_) arrays.push_back(FindArray(update.extra, name)->values());
    FlatArray values(spec_->size());
    WeightedMean(arrays, weights, values.values(), threads_);
    mean.extra.push_back({name, std::move(values)});
  }
  updates_.clear();
  return mean;
}

}  // namespace manako
