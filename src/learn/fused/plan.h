// A graph made into steps: oneDNN's primitives and the engine's own loops, in one arena.
//
// A plan is for one batch shape and for training (forward, loss, backward) or inference (forward).
// It is made once and run often; running allocates nothing of its own. Layouts are what oneDNN
// prefers on this processor.
#ifndef MANAKO_LEARN_FUSED_PLAN_H_
#define MANAKO_LEARN_FUSED_PLAN_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "learn/fused/graph.h"

namespace manako::fused {

struct PlanRun {
  float* arena = nullptr;                 // arena_floats() of it, 64-byte aligned
  const float* inputs = nullptr;          // images [n][h][w][3], or features: see Graph::features
  std::span<const int64_t> labels;        // n of them; training only
  std::span<const double> class_weights;  // of the loss; empty: all 1
  float* values = nullptr;  // the model's flat array; training updates the running statistics in it
  float* gradients = nullptr;  // of the trained prefix; every gradient is written, none is added to
  uint64_t dropout_seed = 0;   // of this step
  bool prepare = true;  // inference: false where the last run on this arena was this plan's with
                        // the same values
  // Results.
  double loss = 0;
  float* outputs = nullptr;  // logits [n][classes], or features [n][c][h][w]; may be null
};

// What images (activations and their gradients) are kept in, and convolutions multiply; sums are
// made in float32, and weights, vectors and gradients of weights are float32 in both.
enum class Precision { kFloat32, kBfloat16 };

class Plan {
 public:
  // Unimplemented where the graph cannot be planned (says why). `trained` is the number of the flat
  // array's first floats that are parameters. OpenMP's thread count of the calling thread is what
  // the plan will run with.
  static absl::StatusOr<std::unique_ptr<Plan>> Make(const Graph& graph, int64_t trained,
                                                    Precision precision = Precision::kFloat32);
  virtual ~Plan() = default;

  virtual int64_t arena_floats() const = 0;
  virtual int64_t batch() const = 0;
  virtual int64_t outputs() const = 0;  // numbers that each input gives
  // Throws dnnl::error where oneDNN fails, which is out of memory or our own bug.
  virtual void Run(PlanRun& run) = 0;
  // A line for each step: what, by which implementation, and the milliseconds that it took since
  // the plan was made.
  virtual std::string Profile() const = 0;
};

// Whether plans in bfloat16 can be made: with AVX-512. (Fast only with AVX512-BF16 or AMX.)
bool HasBfloat16();

// "avx2, 8 channels a block": what the plans of this process are made for.
std::string DescribeProcessor();

}  // namespace manako::fused

#endif  // MANAKO_LEARN_FUSED_PLAN_H_
