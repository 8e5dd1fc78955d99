#include "learn/engine.h"

#include <algorithm>
#include <atomic>
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
  return fused::ReadGraph(*network, request.n, request.height, request.width, request.training);
}

}  // namespace

int ComputeThreads() { return compute_threads; }
void SetComputeThreads(int threads) { compute_threads = std::max(1, threads); }

struct EnginePool::Impl {
  NetworkPool* networks;
  std::mutex mutex;
  std::vector<std::unique_ptr<Engine>> idle;  // fused ones
  std::mutex reading;  // one at a time, so that no second network is made for it
};

EnginePool::EnginePool(NetworkPool* networks) : impl_(std::make_unique<Impl>()) {
  impl_->networks = networks;
}
EnginePool::~EnginePool() = default;

EnginePool::Handle::Handle(EnginePool* pool, std::unique_ptr<Engine> engine, bool keep)
    : pool_(pool), engine_(std::move(engine)), keep_(keep) {}
EnginePool::Handle::Handle(Handle&&) noexcept = default;
EnginePool::Handle::~Handle() {
  if (engine_ == nullptr || !keep_) return;
  std::lock_guard lock(pool_->impl_->mutex);
  pool_->impl_->idle.push_back(std::move(engine_));
}

absl::StatusOr<EnginePool::Handle> EnginePool::Borrow(const EngineOptions& options) {
  if (options.engine != "fused") {
    MANAKO_ASSIGN_OR_RETURN(NetworkPool::Handle network, impl_->networks->Borrow());
    return Handle(this, MakeTorchEngine(options, std::move(network)), false);
  }
  {
    std::lock_guard lock(impl_->mutex);
    if (!impl_->idle.empty()) {
      std::unique_ptr<Engine> engine = std::move(impl_->idle.back());
      impl_->idle.pop_back();
      return Handle(this, std::move(engine), true);
    }
  }
  const auto graphs = [impl = impl_.get()](const fused::GraphRequest& request) {
    std::lock_guard lock(impl->reading);
    return ReadGraphOf(impl->networks, request);
  };
  return Handle(this, fused::MakeFusedEngine(impl_->networks->spec(), ComputeThreads(), graphs),
                true);
}

absl::StatusOr<std::string> ResolveEngine(NetworkPool* networks, const TrainConfig& train,
                                          int image_size, std::string* reason) {
  if (train.engine == "torch") return train.engine;
  std::string why;
  if (train.device != "cpu") {
    why = "the fused engine computes on the processor alone (train.device)";
  } else if (train.precision != "float32") {
    why = "the fused engine computes in float32 alone (train.precision)";
  } else {
    for (const bool training : {true, false}) {
      auto graph = ReadGraphOf(networks, {2, image_size, image_size, training});
      absl::Status status = graph.status();
      if (graph.ok())
        status = fused::Plan::Make(*graph, networks->spec()->parameter_extent()).status();
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

}  // namespace manako
