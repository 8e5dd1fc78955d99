#include "round/reduction.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>

#include "base/status_macros.h"
#include "base/thread_pool.h"

namespace manako {
namespace {

std::vector<NamedArray> ZeroArrays(const std::vector<std::string>& names, int64_t size) {
  std::vector<NamedArray> arrays;
  for (const std::string& name : names) arrays.push_back({name, FlatArray(size)});
  return arrays;
}

std::vector<NamedArray> CloneArrays(const std::vector<NamedArray>& arrays) {
  std::vector<NamedArray> clones;
  for (const NamedArray& array : arrays) clones.push_back({array.name, array.values.Clone()});
  return clones;
}

}  // namespace

StretchReducer::StretchReducer(const Strategy* strategy, const std::vector<WeightedUpdate>* updates,
                               int round)
    : strategy_(strategy),
      updates_(updates),
      round_(round),
      means_(1 + strategy->UpdateArrays().size()) {
  for (const WeightedUpdate& update : *updates) total_ += update.weight;
}

absl::Status StretchReducer::Reduce(int64_t first, Stretch& stretch) {
  const size_t n = stretch.model.size();
  values_.resize(n);
  for (size_t array = 0; array < means_.size(); ++array) {
    sum_.assign(n, 0.0);
    for (const WeightedUpdate& update : *updates_) {
      MANAKO_RETURN_IF_ERROR(
          Annotate(update.read(array, first, stretch.model, values_), "update of " + update.site));
      for (size_t i = 0; i < n; ++i) sum_[i] += update.weight * static_cast<double>(values_[i]);
    }
    means_[array].resize(n);
    for (size_t i = 0; i < n; ++i) means_[array][i] = static_cast<float>(sum_[i] / total_);
  }
  stretch.round = round_;
  stretch.mean = means_[0];
  stretch.further.assign(means_.begin() + 1, means_.end());
  strategy_->Apply(stretch);
  return absl::OkStatus();
}

GlobalState GlobalState::Begin(const Strategy& strategy,
                               std::shared_ptr<const ParameterSet> initial) {
  GlobalState state;
  const int64_t size = initial->values.size();
  state.model = std::move(initial);
  state.kept = ZeroArrays(strategy.KeptArrays(), size);
  if (auto sent = ZeroArrays(strategy.SentArrays(), size); !sent.empty()) {
    state.sent = std::make_shared<const std::vector<NamedArray>>(std::move(sent));
  }
  return state;
}

absl::StatusOr<GlobalState> ReduceInMemory(const Strategy& strategy,
                                           const std::vector<WeightedUpdate>& updates, int round,
                                           const GlobalState& before, int threads) {
  if (updates.empty()) return InvalidArgument("no site has answered: there is nothing to average");
  ParameterSet model = before.model->Clone();
  std::vector<NamedArray> sent =
      before.sent == nullptr ? std::vector<NamedArray>{} : CloneArrays(*before.sent);
  std::vector<NamedArray> kept = CloneArrays(before.kept);
  const int64_t size = model.values.size();
  const auto stretches = static_cast<size_t>((size + kReductionStretch - 1) / kReductionStretch);
  std::mutex mutex;
  absl::Status error;
  ParallelFor(threads, stretches, [&](size_t k) {
    const int64_t first = static_cast<int64_t>(k) * kReductionStretch;
    const auto n = static_cast<size_t>(std::min(kReductionStretch, size - first));
    const auto part = [&](FlatArray& array) {
      return array.values().subspan(static_cast<size_t>(first), n);
    };
    Stretch stretch;
    stretch.model = part(model.values);
    for (NamedArray& array : sent) stretch.sent.push_back(part(array.values));
    for (NamedArray& array : kept) stretch.kept.push_back(part(array.values));
    StretchReducer reducer(&strategy, &updates, round);
    if (absl::Status status = reducer.Reduce(first, stretch); !status.ok()) {
      const std::lock_guard lock(mutex);
      error = std::move(status);
    }
  });
  MANAKO_RETURN_IF_ERROR(error);
  GlobalState after;
  after.model = std::make_shared<const ParameterSet>(std::move(model));
  if (!sent.empty()) after.sent = std::make_shared<const std::vector<NamedArray>>(std::move(sent));
  after.kept = std::move(kept);
  return after;
}

}  // namespace manako
