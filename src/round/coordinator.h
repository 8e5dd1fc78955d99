// A study's rounds: what every site is asked to do next, and when a round is complete. Updates are
// in memory, all sites are asked, and there is no clock; a server's counterpart with files and
// deadlines is src/server/server_run.h. Both stand on the same rules (round_state.h) and the same
// arithmetic (reduction.h).
#ifndef MANAKO_ROUND_COORDINATOR_H_
#define MANAKO_ROUND_COORDINATOR_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/learner.h"
#include "round/aggregation.h"
#include "round/round_state.h"
#include "round/strategy.h"

namespace manako {

// Not thread-safe: its caller holds a lock or is one thread.
class Coordinator {
 public:
  struct Options {
    std::vector<std::string> sites;
    int rounds = 0;
    int threads = 1;  // for averaging
  };
  Coordinator(Options options, std::unique_ptr<Strategy> strategy,
              std::shared_ptr<const ParameterSet> initial);

  // A TrainTask (the same one again, if the site lost it), Wait when the site has answered and
  // others have not, Finished behind the last round. NotFound for an unknown site.
  absl::StatusOr<Task> NextTask(const std::string& site) const;
  // A site's answer to round `round`. FailedPrecondition for another round; else as
  // ClearAggregation::Receive.
  absl::Status Submit(const std::string& site, int round, Update update);
  // Completes the round when its cohort has answered: averages, makes the next global model. True
  // when it did.
  absl::StatusOr<bool> Tick();
  // Ends the run before its last round.
  void Stop() { state_.EndRun(); }

  int round() const {
    return state_.round();
  }  // the open round, from 1; rounds + 1 behind the last
  int completed() const { return state_.round() - 1; }
  bool finished() const { return state_.finished(); }
  const GlobalState& global() const { return global_; }
  std::shared_ptr<const ParameterSet> model() const { return global_.model; }

  // Continues behind `completed` rounds with the state that was saved there.
  absl::Status Restore(int completed, GlobalState global);

 private:
  int rounds_;
  std::unique_ptr<Strategy> strategy_;
  GlobalState global_;
  ClearAggregation aggregation_;
  RoundState state_;
};

}  // namespace manako

#endif  // MANAKO_ROUND_COORDINATOR_H_
