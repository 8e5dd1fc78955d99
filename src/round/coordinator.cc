#include "round/coordinator.h"

#include <utility>

#include "base/status_macros.h"

namespace manako {
namespace {

RoundState::Options Rules(int rounds) {
  RoundState::Options rules;
  rules.rounds = rounds;
  return rules;
}

}  // namespace

Coordinator::Coordinator(Options options, std::unique_ptr<Strategy> strategy,
                         std::shared_ptr<const ParameterSet> initial)
    : rounds_(options.rounds),
      strategy_(std::move(strategy)),
      global_(GlobalState::Begin(*strategy_, std::move(initial))),
      aggregation_(global_.model->spec, strategy_.get(), options.threads),
      state_(Rules(options.rounds)) {
  for (const std::string& site : options.sites) state_.Join(site);
  state_.TryOpen(0);
}

absl::StatusOr<Task> Coordinator::NextTask(const std::string& site) const {
  if (!state_.sites().contains(site)) return NotFound("{} is no site of this run", site);
  if (finished()) return Finished{};
  if (!state_.Wants(site)) return Wait{};
  return TrainTask{state_.round(), global_.model, global_.sent};
}

absl::Status Coordinator::Submit(const std::string& site, int round, Update update) {
  if (round != state_.round() || finished()) {
    return FailedPrecondition("{} answers round {}, but round {} is open", site, round,
                              state_.round());
  }
  MANAKO_RETURN_IF_ERROR(state_.Judge(site, round, "").status());
  const UpdateFacts facts{update.images, update.visits};
  MANAKO_RETURN_IF_ERROR(aggregation_.Receive(site, std::move(update)));
  state_.Answered(site, facts, "", 0);
  return absl::OkStatus();
}

absl::StatusOr<bool> Coordinator::Tick() {
  bool extended = false;
  if (!state_.IsOver(0, &extended)) return false;
  MANAKO_ASSIGN_OR_RETURN(global_, aggregation_.Finish(state_.round(), global_));
  state_.Close();
  state_.TryOpen(0);
  return true;
}

absl::Status Coordinator::Restore(int completed, GlobalState global) {
  MANAKO_RETURN_IF_ERROR(global_.model->spec->CheckSame(*global.model->spec));
  if (completed < 0 || completed > rounds_) {
    return InvalidArgument("a checkpoint behind round {} does not fit a run of {} rounds",
                           completed, rounds_);
  }
  global_ = std::move(global);
  state_.ContinueBehind(completed);
  state_.TryOpen(0);
  return absl::OkStatus();
}

}  // namespace manako
