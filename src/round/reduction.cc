#include "round/reduction.h"

#include <algorithm>
#include <array>
#include <memory>
#include <mutex>
#include <utility>

#include "base/simd.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"

namespace manako {
namespace {

MANAKO_SIMD void AddOne(double weight, const float* __restrict values, size_t n,
                        double* __restrict sum) {
  for (size_t i = 0; i < n; ++i) sum[i] += weight * static_cast<double>(values[i]);
}

// One after the other, to the same bits.
MANAKO_SIMD void AddFour(const std::array<double, 4>& weights, const float* __restrict a,
                         const float* __restrict b, const float* __restrict c,
                         const float* __restrict d, size_t n, double* __restrict sum) {
  const double wa = weights[0], wb = weights[1], wc = weights[2], wd = weights[3];
  for (size_t i = 0; i < n; ++i) {
    double s = sum[i];
    s += wa * static_cast<double>(a[i]);
    s += wb * static_cast<double>(b[i]);
    s += wc * static_cast<double>(c[i]);
    s += wd * static_cast<double>(d[i]);
    sum[i] = s;
  }
}

MANAKO_SIMD void Divide(const double* __restrict sum, double total, size_t n,
                        float* __restrict mean) {
  for (size_t i = 0; i < n; ++i) mean[i] = static_cast<float>(sum[i] / total);
}

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
  for (std::vector<float>& values : values_) values.resize(n);
  for (size_t array = 0; array < means_.size(); ++array) {
    sum_.assign(n, -0.0);  // to which every number is added as it is, -0 too
    for (size_t done = 0; done < updates_->size();) {
      const size_t together = std::min(kTogether, updates_->size() - done);
      for (size_t k = 0; k < together; ++k) {
        const WeightedUpdate& update = (*updates_)[done + k];
        MANAKO_RETURN_IF_ERROR(Annotate(update.read(array, first, stretch.model, values_[k]),
                                        "update of " + update.site));
      }
      const auto weight = [&](size_t k) { return (*updates_)[done + k].weight; };
      if (together == kTogether) {
        static_assert(kTogether == 4);
        AddFour({weight(0), weight(1), weight(2), weight(3)}, values_[0].data(), values_[1].data(),
                values_[2].data(), values_[3].data(), n, sum_.data());
      } else {
        for (size_t k = 0; k < together; ++k) AddOne(weight(k), values_[k].data(), n, sum_.data());
      }
      done += together;
    }
    means_[array].resize(n);
    Divide(sum_.data(), total_, n, means_[array].data());
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
