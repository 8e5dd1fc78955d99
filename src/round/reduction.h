// From the updates of a round to the next global model, stretch by stretch, wherever the arrays
// are.
#ifndef MANAKO_ROUND_REDUCTION_H_
#define MANAKO_ROUND_REDUCTION_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/parameter_set.h"
#include "round/strategy.h"

namespace manako {

// One site's arrays: array 0 is the model, then Strategy::UpdateArrays(). Reads elements [first,
// first + out.size()) as values; `global` are the same elements of the global model, against which
// changes are stored. Called from several threads.
struct WeightedUpdate {
  std::string site;
  double weight = 0;  // > 0
  std::function<absl::Status(size_t array, int64_t first, std::span<const float> global,
                             std::span<float> out)>
      read;
};

// The longest stretch that is worked on at once: the length of an array file's block.
inline constexpr int64_t kReductionStretch = 65536;

// Buffers for one thread, used again for each stretch.
class StretchReducer {
 public:
  // `updates` in the order of the sites' names; it and `strategy` must outlive this.
  StretchReducer(const Strategy* strategy, const std::vector<WeightedUpdate>* updates, int round);
  // stretch.model, sent and kept hold the state before, and hold the state after. Means are taken
  // in float64, added in the order of `updates`, divided by the sum of weights and rounded once:
  // sum(w x) / sum(w). The bits depend on that order alone; where all updates have the same
  // number, so has the mean (frozen layers), for whole-number weights that sum to less than 2^29.
  // At most kReductionStretch elements.
  absl::Status Reduce(int64_t first, Stretch& stretch);

 private:
  // Updates that are added in one pass over the sums, which are more to read and write than they.
  static constexpr size_t kTogether = 4;

  const Strategy* strategy_;
  const std::vector<WeightedUpdate>* updates_;
  int round_;
  double total_ = 0;
  std::vector<double> sum_;
  std::vector<float> values_[kTogether];
  std::vector<std::vector<float>> means_;
};

// What the study holds between rounds, in memory; all of it goes into a checkpoint.
struct GlobalState {
  std::shared_ptr<const ParameterSet> model;            // never changed: a new round has a new one
  std::shared_ptr<const std::vector<NamedArray>> sent;  // of SentArrays(); null when there are none
  std::vector<NamedArray> kept;                         // of KeptArrays()

  static GlobalState Begin(const Strategy& strategy, std::shared_ptr<const ParameterSet> initial);
};

// The next state. InvalidArgument when there are no updates.
absl::StatusOr<GlobalState> ReduceInMemory(const Strategy& strategy,
                                           const std::vector<WeightedUpdate>& updates, int round,
                                           const GlobalState& before, int threads);

}  // namespace manako

#endif  // MANAKO_ROUND_REDUCTION_H_
