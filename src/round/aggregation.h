// Collects a round's updates and gives their mean.
#ifndef MANAKO_ROUND_AGGREGATION_H_
#define MANAKO_ROUND_AGGREGATION_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "core/learner.h"
#include "round/strategy.h"

namespace manako {

// Updates in the clear, held in memory. The mean does not depend on the order in which they arrived: it is taken in
// the order of the sites' names.
class ClearAggregation {
 public:
  ClearAggregation(std::shared_ptr<const ModelSpec> spec, const Strategy* strategy, int threads)
      : spec_(std::move(spec)), strategy_(strategy), threads_(threads) {}

  // Judges and keeps an update. FailedPrecondition: another model (names the first tensor that differs), or a site's second
  // update; InvalidArgument: a missing or misshapen extra array, NaN or infinity (names the tensor), a weight of 0.
  absl::Status Receive(const std::string& site, Update update);
  bool Has(const std::string& site) const { return updates_.contains(site); }
  int received() const { return static_cast<int>(updates_.size()); }
  // The mean of what was received; empties this for the next round. FailedPrecondition when nothing was received.
  absl::StatusOr<MeanUpdate> Finish();

 private:
  std::shared_ptr<const ModelSpec> spec_;
  const Strategy* strategy_;
  int threads_;
  std::map<std::string, Update> updates_;
};

}  // namespace manako

#endif  // MANAKO_ROUND_AGGREGATION_H_
