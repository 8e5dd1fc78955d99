#include "learn/engine.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <utility>

#include "base/status_macros.h"
#include "learn/fused/fused_engine.h"
#include "learn/fused/plan.h"
#include "learn/fused/read_graph.h"
#include "learn/networks.h"
#include "learn/torch_engine.h"

namespace manako {
namespace {

std::atomic<int> compute_threads = 1;

absl::StatusOr<fused::Graph> ReadGraphOf(NetworkPool* networks,
                                         const fused::GraphRequest& request) {
  MANAKO_ASSIGN_OR_RETURN(NetworkPool::Handle network, networks->Borrow());
  const InputShape& shape = request.shape;
  fused::Shape input = {request.n, shape.features > 0 ? shape.features : 3};
  if (shape.height > 0) input.insert(input.end(), {shape.height, shape.width});
  auto graph = fused::ReadGraph(*network, input, request.training, shape.features > 0);
  network.ForgetValues();  // what computes has its own
  return graph;
}

fused::Precision PrecisionOf(const std::string& name) {
  return name == "bfloat16" ? fused::Precision::kBfloat16 : fused::Precision::kFloat32;
}

}  // namespace

int ComputeThreads() { return compute_threads; }
void SetComputeThreads(int threads) { compute_threads = std::max(1, threads); }

struct EnginePool::Impl {
  NetworkPool* networks;
  std::mutex mutex;
  std::map<fused::Precision, std::vector<std::unique_ptr<Engine>>> idle;  // fused ones
  std::mutex reading;  // one at a time, so that no second network is made for it
};

EnginePool::EnginePool(NetworkPool* networks) : impl_(std::make_unique<Impl>()) {
  impl_->networks = networks;
}
EnginePool::~EnginePool() = default;

EnginePool::Handle::Handle(EnginePool* pool, std::unique_ptr<Engine> engine, EngineOptions options)
    : pool_(pool), engine_(std::move(engine)), options_(std::move(options)) {}
EnginePool::Handle::Handle(Handle&&) noexcept = default;
EnginePool::Handle::~Handle() {
  if (engine_ == nullptr || options_.engine != "fused") return;
  std::lock_guard lock(pool_->impl_->mutex);
  pool_->impl_->idle[PrecisionOf(options_.precision)].push_back(std::move(engine_));
}

absl::StatusOr<EnginePool::Handle> EnginePool::Borrow(const EngineOptions& options) {
  if (options.engine != "fused") {
    MANAKO_ASSIGN_OR_RETURN(NetworkPool::Handle network, impl_->networks->Borrow());
    return Handle(this, MakeTorchEngine(options, std::move(network)), options);
  }
  const fused::Precision precision = PrecisionOf(options.precision);
  {
    std::lock_guard lock(impl_->mutex);
    if (auto& idle = impl_->idle[precision]; !idle.empty()) {
      std::unique_ptr<Engine> engine = std::move(idle.back());
      idle.pop_back();
      return Handle(this, std::move(engine), options);
    }
  }
  const auto graphs = [impl = impl_.get()](const fused::GraphRequest& request) {
    std::lock_guard lock(impl->reading);
    return ReadGraphOf(impl->networks, request);
  };
  return Handle(
      this, fused::MakeFusedEngine(impl_->networks->spec(), precision, ComputeThreads(), graphs),
      options);
}

void EnginePool::FreeIdle() {
  std::lock_guard lock(impl_->mutex);
  impl_->idle.clear();
}

namespace {

// Unimplemented, with what it is, where the fused engine does not know something of the network.
absl::Status CheckFused(NetworkPool* networks, const InputShape& shape, bool training,
                        const TrainConfig& train) {
  MANAKO_ASSIGN_OR_RETURN(const fused::Graph graph, ReadGraphOf(networks, {2, shape, training}));
  return fused::Plan::Make(graph, networks->spec()->parameter_extent(),
                           PrecisionOf(train.precision))
      .status();
}

}  // namespace

absl::StatusOr<std::string> ResolveEngine(const std::vector<EngineUse>& uses,
                                          const TrainConfig& train, std::string* reason) {
  if (train.engine == "torch") return train.engine;
  std::string why;
  if (train.device != "cpu") {
    why = "the fused engine computes on the processor alone (train.device)";
  } else {
    for (const EngineUse& use : uses) {
      const absl::Status status = CheckFused(use.networks, use.shape, use.training, train);
      if (absl::IsUnimplemented(status)) {
        why = fmt::format("the fused engine does not know {}", MessageOf(status));
        break;
      }
      MANAKO_RETURN_IF_ERROR(status);
    }
  }
  if (!why.empty() && train.engine == "fused")
    return InvalidArgument("train.engine is fused, but {}: use torch or auto", why);
  if (reason != nullptr) *reason = why.empty() ? fused::DescribeProcessor() : why;
  return std::string(why.empty() ? "fused" : "torch");
}

absl::StatusOr<std::string> ResolveEngine(NetworkPool* networks, const TrainConfig& train,
                                          int image_size, std::string* reason) {
  const InputShape images = {image_size, image_size};
  return ResolveEngine({{networks, images, true}, {networks, images, false}}, train, reason);
}

}  // namespace manako
