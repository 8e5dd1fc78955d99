// What a site does with a model: train it on its own images, and test it on them.
#ifndef MANAKO_CORE_LEARNER_H_
#define MANAKO_CORE_LEARNER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "core/parameter_set.h"

namespace manako {

// Named numbers that a site reports beside its update, such as "train_loss".
using Metrics = std::map<std::string, double>;

// "Train this model for one round." Shared, never copied: every site of a round reads the same
// arrays.
struct TrainTask {
  int round = 0;  // from 1
  std::shared_ptr<const ParameterSet> model;
  std::shared_ptr<const std::vector<NamedArray>>
      extra;  // what the strategy sends along; may be null
};

// Nothing to do at the moment: the round waits for others.
struct Wait {};
// The run is over.
struct Finished {};

using Task = std::variant<TrainTask, Wait, Finished>;

// What a site sends. The weight is what the site's model counts for in the average.
struct Update {
  ParameterSet model;             // the trained parameters and float buffers
  std::vector<NamedArray> extra;  // further arrays that the strategy asks for, by name
  int64_t images = 0;             // distinct training images at the site
  int64_t visits = 0;             // image visits in this round
  Metrics metrics;
};

// What a learner keeps from round to round and never sends: momentum, the step count.
struct LearnerState {
  int64_t steps = 0;
  std::vector<NamedArray> arrays;
};

enum class ExampleSet { kValidation, kTest };

struct Predictions {
  int classes = 0;
  std::vector<int> images;           // indices into the image store
  std::vector<int> labels;           // parallel to images
  std::vector<float> probabilities;  // [images][classes]
  double loss = 0;                   // mean cross entropy, unweighted
};

class Learner {
 public:
  virtual ~Learner() = default;
  // Trains from task.model. The same task in the same state gives the same bits. ResourceExhausted:
  // no memory; OutOfRange: the loss became NaN or infinite (says at which step).
  virtual absl::StatusOr<Update> Train(const TrainTask& task) = 0;
  virtual absl::StatusOr<Predictions> Evaluate(const ParameterSet& model, ExampleSet set) = 0;
  // The state behind the last Train(), and going back to one: what a checkpoint holds of a site.
  virtual LearnerState SaveState() const = 0;
  virtual absl::Status RestoreState(LearnerState state) = 0;
};

}  // namespace manako

#endif  // MANAKO_CORE_LEARNER_H_
