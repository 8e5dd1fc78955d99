#include "round/coordinator.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"

namespace manako {

Coordinator::Coordinator(Options options, std::unique_ptr<Strategy> strategy, ParameterSet initial)
    : options_(std::move(options)),
      strategy_(std::move(strategy)),
      global_{std::make_shared<const ParameterSet>(std::move(initial)), nullptr, {}},
      aggregation_(global_.model->spec, strategy_.get(), options_.threads) {
  strategy_->Begin(global_);
  OpenRound();
}

void Coordinator::OpenRound() {
  const RoundPlan plan = strategy_->Plan(round_, options_.sites);
  cohort_ = {plan.cohort.begin(), plan.cohort.end()};
}

absl::StatusOr<Task> Coordinator::NextTask(const std::string& site) {
  if (std::find(options_.sites.begin(), options_.sites.end(), site) == options_.sites.end()) {
    return NotFound("{} is no site of this run", site);
  }
  if (finished()) return Finished{};
  if (!cohort_.contains(site) || aggregation_.Has(site)) return Wait{};
  return TrainTask{round_, global_.model, global_.sent};
}

absl::Status Coordinator::Submit(const std::string& site, int round, Update update) {
  if (round != round_ || finished()) {
    return FailedPrecondition("{} answers round {}, but round {} is open", site, round, round_);
  }
  if (!cohort_.contains(site)) return FailedPrecondition("{} was not asked in round {}", site, round);
  return aggregation_.Receive(site, std::move(update));
}

absl::StatusOr<bool> Coordinator::Tick() {
  if (finished() || aggregation_.received() < static_cast<int>(cohort_.size())) return false;
  MANAKO_ASSIGN_OR_RETURN(MeanUpdate mean, aggregation_.Finish());
  MANAKO_RETURN_IF_ERROR(strategy_->Apply(std::move(mean), global_));
  ++round_;
  OpenRound();
  return true;
}

absl::Status Coordinator::Restore(int completed, GlobalState global) {
  MANAKO_RETURN_IF_ERROR(global_.model->spec->CheckSame(*global.model->spec));
  if (completed < 0 || completed > options_.rounds) {
    return InvalidArgument("a checkpoint behind round {} does not fit a run of {} rounds", completed, options_.rounds);
  }
  global_ = std::move(global);
  round_ = completed + 1;
  OpenRound();
  return absl::OkStatus();
}

}  // namespace manako
