// How a federation goes from one global model to the next.
#ifndef MANAKO_ROUND_STRATEGY_H_
#define MANAKO_ROUND_STRATEGY_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/run_config.h"

namespace manako {

// What an update's weight may depend on.
struct UpdateFacts {
  int64_t images = 0;  // distinct training images at the site
  int64_t visits = 0;  // image visits in this round
};

// The same elements of all arrays that a strategy works on. Strategies work element by element, so
// that nobody needs a model in memory whole: a study gives stretches of arrays in memory, a server
// those of files.
struct Stretch {
  int round = 0;                                // that is closed with this
  std::span<const float> mean;                  // weighted mean of the sites' models
  std::vector<std::span<const float>> further;  // weighted means of UpdateArrays(), in their order
  std::span<float> model;                       // before: the global model; after: the next one
  std::vector<std::span<float>> sent;           // of SentArrays(): before, and after
  std::vector<std::span<float>> kept;           // of KeptArrays()
};

// Stateless: what lasts from round to round are the named arrays, each as long as the model, zero
// before the first round. State at the sites is the learner's, and comes and goes in named arrays.
class Strategy {
 public:
  virtual ~Strategy() = default;
  // Names of the arrays that every update must carry besides the model.
  virtual std::vector<std::string> UpdateArrays() const { return {}; }
  // Arrays that go to the sites with the model (SCAFFOLD's control).
  virtual std::vector<std::string> SentArrays() const { return {}; }
  // Arrays that stay at the server (FedAdam's moments).
  virtual std::vector<std::string> KeptArrays() const { return {}; }
  // What an update counts for in the mean; > 0.
  virtual double Weight(const UpdateFacts& facts) const = 0;
  // Called for every stretch once, on several threads at a time; the result may not depend on how
  // the arrays are cut.
  virtual void Apply(Stretch& stretch) const = 0;
};

// The strategy that the configuration names. InvalidArgument for an unknown one.
absl::StatusOr<std::unique_ptr<Strategy>> MakeStrategy(const FederationConfig& config);

}  // namespace manako

#endif  // MANAKO_ROUND_STRATEGY_H_
