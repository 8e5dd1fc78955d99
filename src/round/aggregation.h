// A study's updates of one round, in memory.
#ifndef MANAKO_ROUND_AGGREGATION_H_
#define MANAKO_ROUND_AGGREGATION_H_

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "core/learner.h"
#include "round/reduction.h"
#include "round/strategy.h"

namespace manako {

// Judges updates, keeps them and gives the next global state, which does not depend on the order in
// which they arrived: the mean is taken in the order of the sites' names. (A server's updates are
// files: src/server/spool.h.)
class ClearAggregation {
 public:
  ClearAggregation(std::shared_ptr<const ModelSpec> spec, const Strategy* strategy, int threads)
      : spec_(std::move(spec)), strategy_(strategy), threads_(threads) {}

  // FailedPrecondition: another model (names the first tensor that differs), or a site's second
  // update; InvalidArgument: a missing or misshapen extra array, NaN or infinity (names the
  // tensor), a weight of 0.
  absl::Status Receive(const std::string& site, Update update);
  int received() const { return static_cast<int>(updates_.size()); }
  // The state behind `round`; empties this for the next. InvalidArgument when nothing was received.
  absl::StatusOr<GlobalState> Finish(int round, const GlobalState& before);

 private:
  std::shared_ptr<const ModelSpec> spec_;
  const Strategy* strategy_;
  int threads_;
  std::map<std::string, Update> updates_;
};

}  // namespace manako

#endif  // MANAKO_ROUND_AGGREGATION_H_
