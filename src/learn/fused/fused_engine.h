// The fused engine behind learn's Engine: plans for the batch sizes that come, in one arena.
#ifndef MANAKO_LEARN_FUSED_FUSED_ENGINE_H_
#define MANAKO_LEARN_FUSED_FUSED_ENGINE_H_

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "learn/engine.h"
#include "learn/fused/graph.h"
#include "learn/fused/plan.h"

namespace manako::fused {

// Where graphs come from: for a batch shape, for training or inference. Called on the engine's
// thread.
struct GraphRequest {
  int64_t n;
  InputShape shape;
  bool training;
};
using GraphSource = std::function<absl::StatusOr<Graph>(const GraphRequest&)>;

// Every step runs on `threads` threads. Results are the same bits for the same number of threads.
std::unique_ptr<Engine> MakeFusedEngine(std::shared_ptr<const ModelSpec> spec, Precision precision,
                                        int threads, GraphSource graphs);

}  // namespace manako::fused

#endif  // MANAKO_LEARN_FUSED_FUSED_ENGINE_H_
