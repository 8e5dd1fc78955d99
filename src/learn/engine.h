// What computes a network's steps: libtorch, or the fused engine.
#ifndef MANAKO_LEARN_ENGINE_H_
#define MANAKO_LEARN_ENGINE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/parameter_set.h"
#include "core/run_config.h"
#include "learn/batch_loader.h"

namespace manako {

class NetworkPool;

struct EngineOptions {
  std::string engine = "torch";  // torch, fused; TrainConfig::engine resolved by ResolveEngine()
  std::string precision = "float32";  // float32, bfloat16
  std::string device = "cpu";         // cpu, cuda
  bool channels_last = true;          // libtorch's layout in training
  static EngineOptions Of(const TrainConfig& train) {
    return {train.engine, train.precision, train.device, train.channels_last};
  }
};

// One network's computations, for one thread's use. What follows from them (batches, schedule,
// optimiser, metrics) is the learner's. Errors: ResourceExhausted where memory runs out, else
// Internal.
class Engine {
 public:
  virtual ~Engine() = default;

  // Copies the model in. Its spec must be the engine's.
  virtual void Load(const ParameterSet& model) = 0;
  // The flat array that steps compute with: an optimiser changes it.
  virtual FlatArray& values() = 0;
  // That array, for good: a Load() must come before the next step.
  virtual FlatArray TakeValues() = 0;
  // Of the trained prefix. They must be zero before a step.
  virtual FlatArray& gradients() = 0;

  // The random streams of the steps that follow (dropout) depend on this seed and on nothing else.
  virtual void BeginTraining(uint64_t seed) = 0;
  // Forward and backward in training mode: the mean cross entropy, weighted by class (no weights:
  // all 1). Leaves the gradients in gradients() and moves the running statistics in values().
  struct Inputs {
    Batch* batch;
    InputShape shape;  // of each
  };
  virtual absl::StatusOr<double> Step(const Inputs& inputs,
                                      std::span<const double> class_weights) = 0;

  // Logits [n][classes] in inference mode, or a trunk's features [n][c][h][w]. `largest` is the
  // number of inputs in the largest batch to come.
  virtual absl::StatusOr<std::vector<float>> Outputs(const Inputs& inputs, int largest) = 0;
};

// Engines over the networks of one pool, that trainings borrow for a round: as many are made as run
// at once. Thread-safe.
class EnginePool {
 public:
  explicit EnginePool(NetworkPool* networks);
  ~EnginePool();

  class Handle {
   public:
    Handle(EnginePool* pool, std::unique_ptr<Engine> engine, EngineOptions options);
    ~Handle();
    Handle(Handle&&) noexcept;
    Engine* operator->() { return engine_.get(); }

   private:
    EnginePool* pool_;
    std::unique_ptr<Engine> engine_;
    EngineOptions options_;
  };
  absl::StatusOr<Handle> Borrow(const EngineOptions& options);
  // Gives the memory of those back that nobody has borrowed.
  void FreeIdle();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// What an engine is to compute.
struct EngineUse {
  NetworkPool* networks;
  InputShape shape;
  bool training;
};
// torch or fused: resolves "auto" to the fused engine where it knows the networks and the precision
// for all uses, and tells why not, or what it runs on, in `reason` (if not null). InvalidArgument
// where "fused" is asked for and cannot be.
absl::StatusOr<std::string> ResolveEngine(const std::vector<EngineUse>& uses,
                                          const TrainConfig& train, std::string* reason);
// For training and testing a whole network on images of this size.
absl::StatusOr<std::string> ResolveEngine(NetworkPool* networks, const TrainConfig& train,
                                          int image_size, std::string* reason);

// What one training or evaluation uses, in threads; set by PrepareLibtorch().
int ComputeThreads();
void SetComputeThreads(int threads);

}  // namespace manako

#endif  // MANAKO_LEARN_ENGINE_H_
