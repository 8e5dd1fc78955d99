// How a federation goes from one global model to the next.
#ifndef MANAKO_ROUND_STRATEGY_H_
#define MANAKO_ROUND_STRATEGY_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/learner.h"
#include "core/run_config.h"

namespace manako {

// What the server holds between rounds; all of it goes into a checkpoint.
struct GlobalState {
  std::shared_ptr<const ParameterSet> model;            // never changed: a new round has a new one
  std::shared_ptr<const std::vector<NamedArray>> sent;  // goes to the sites with the model (SCAFFOLD's control); may be null
  std::vector<NamedArray> kept;                         // stays at the server (FedAdam's moments)
};

// The weighted mean of a round's updates.
struct MeanUpdate {
  ParameterSet model;
  std::vector<NamedArray> extra;  // by name, as Strategy::UpdateArrays() asked
  double weight = 0;              // sum of the weights
  int sites = 0;
};

struct RoundPlan {
  std::vector<std::string> cohort;  // the sites that are asked
};

// Stateless: what lasts is in GlobalState. State at the sites is the learner's, and comes and goes in named arrays.
class Strategy {
 public:
  virtual ~Strategy() = default;
  // Names of the arrays, besides the model, that every update must carry.
  virtual std::vector<std::string> UpdateArrays() const { return {}; }
  // Puts the strategy's own arrays into the state before the first round.
  virtual void Begin(GlobalState& global) const {}
  virtual RoundPlan Plan(int round, const std::vector<std::string>& ready_sites) const = 0;
  // What an update counts for in the mean; > 0.
  virtual double Weight(const Update& update) const = 0;
  virtual absl::Status Apply(MeanUpdate mean, GlobalState& global) const = 0;
};

// The strategy that the configuration names. InvalidArgument for an unknown one.
absl::StatusOr<std::unique_ptr<Strategy>> MakeStrategy(const FederationConfig& config);

}  // namespace manako

#endif  // MANAKO_ROUND_STRATEGY_H_
