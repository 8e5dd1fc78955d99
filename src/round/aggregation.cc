#include "round/aggregation.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/status_macros.h"

namespace manako {

absl::Status ClearAggregation::Receive(const std::string& site, Update update) {
  if (updates_.contains(site))
    return FailedPrecondition("{} has already answered in this round", site);
  MANAKO_RETURN_IF_ERROR(Annotate(spec_->CheckSame(*update.model.spec), "update of " + site));
  MANAKO_RETURN_IF_ERROR(Annotate(update.model.CheckFinite(), "update of " + site));
  for (const std::string& name : strategy_->UpdateArrays()) {
    const FlatArray* array = FindArray(update.extra, name);
    if (array == nullptr || array->size() != spec_->size()) {
      return InvalidArgument("update of {}: the array {} that the strategy needs is {}", site, name,
                             array == nullptr ? "missing" : "of another size");
    }
    for (const float value : array->values()) {
      if (!std::isfinite(value))
        return InvalidArgument("update of {}: array {} holds {}", site, name, value);
    }
  }
  const double weight = strategy_->Weight({update.images, update.visits});
  if (!(weight > 0) || !std::isfinite(weight)) {
    return InvalidArgument("update of {}: its weight must be > 0, but is {}", site, weight);
  }
  updates_.emplace(site, std::move(update));
  return absl::OkStatus();
}

absl::StatusOr<GlobalState> ClearAggregation::Finish(int round, const GlobalState& before) {
  const std::vector<std::string> further = strategy_->UpdateArrays();
  std::vector<WeightedUpdate> updates;
  for (const auto& [site, update] : updates_) {
    std::vector<std::span<const float>> arrays = {update.model.values.values()};
    for (const std::string& name : further)
      arrays.push_back(FindArray(update.extra, name)->values());
    const auto read = [arrays](size_t array, int64_t first, std::span<const float>,
                               std::span<float> out) {
      const auto part = arrays[array].subspan(static_cast<size_t>(first), out.size());
      std::copy(part.begin(), part.end(), out.begin());
      return absl::OkStatus();
    };
    updates.push_back({site, strategy_->Weight({update.images, update.visits}), read});
  }
  MANAKO_ASSIGN_OR_RETURN(GlobalState after,
                          ReduceInMemory(*strategy_, updates, round, before, threads_));
  updates_.clear();
  return after;
}

}  // namespace manako
