#include "learn/fused/fused_engine.h"

#include <omp.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <dnnl.hpp>
#include <map>
#include <new>
#include <tuple>
#include <utility>

#include "base/random.h"
#include "base/status_macros.h"
#include "learn/fused/plan.h"

namespace manako::fused {
namespace {

// Memory of its own, in large pages where the system gives them: a step walks through all of it.
// What is given back goes to the system.
class Arena {
 public:
  ~Arena() { Release(); }
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  float* data() const { return data_; }
  // At least so many floats; what was there is lost where it grows.
  void Grow(int64_t floats) {
    if (floats <= floats_) return;
    Release();
    void* const data =
        mmap(nullptr, Bytes(floats), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) throw std::bad_alloc();
    madvise(data, Bytes(floats), MADV_HUGEPAGE);
    data_ = static_cast<float*>(data);
    floats_ = floats;
  }

 private:
  static size_t Bytes(int64_t floats) { return static_cast<size_t>(floats) * sizeof(float); }
  void Release() {
    if (data_ != nullptr) munmap(data_, Bytes(floats_));
    data_ = nullptr;
    floats_ = 0;
  }

  float* data_ = nullptr;
  int64_t floats_ = 0;
};

template <typename Body>
auto Guarded(const char* doing, Body body) -> decltype(body()) {
  const auto out_of_memory = [&] {
    return ResourceExhausted("{}: out of memory: use a smaller train.batch or data.image_size",
                             doing);
  };
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  } catch (const dnnl::error& error) {
    if (error.status == dnnl_out_of_memory) return out_of_memory();
    return Internal("{}: oneDNN: {}", doing, error.message);
  }
}

class FusedEngine : public Engine {
 public:
  FusedEngine(std::shared_ptr<const ModelSpec> spec, Precision precision, int threads,
              GraphSource graphs)
      : spec_(std::move(spec)),
        precision_(precision),
        threads_(threads),
        graphs_(std::move(graphs)) {}

  void Load(const ParameterSet& model) override {
    if (values_.empty()) values_ = FlatArray(spec_->size());
    std::memcpy(values_.data(), model.values.data(),
                static_cast<size_t>(model.values.size()) * sizeof(float));
    prepared_ = nullptr;
  }
  FlatArray& values() override { return values_; }
  FlatArray TakeValues() override { return std::exchange(values_, FlatArray()); }
  FlatArray& gradients() override { return gradients_; }
  void BeginTraining(uint64_t seed) override {
    seed_ = seed;
    step_ = 0;
    prepared_ = nullptr;
    if (gradients_.empty()) gradients_ = FlatArray(spec_->parameter_extent());
    // What no gradient reaches stays as it is.
    std::memset(gradients_.data(), 0, static_cast<size_t>(gradients_.size()) * sizeof(float));
  }

  absl::StatusOr<double> Step(const Inputs& inputs,
                              std::span<const double> class_weights) override {
    return Guarded("training", [&]() -> absl::StatusOr<double> {
      omp_set_num_threads(threads_);  // of this thread
      const auto n = static_cast<int64_t>(inputs.batch->labels.size());
      MANAKO_ASSIGN_OR_RETURN(Plan * plan, PlanFor({n, inputs.shape, true}));
      PlanRun run;
      run.arena = arena_.data();
      run.inputs = inputs.batch->inputs.data();
      run.labels = inputs.batch->labels;
      run.class_weights = class_weights;
      run.values = values_.data();
      run.gradients = gradients_.data();
      run.dropout_seed = DeriveSeed(seed_, "step", static_cast<uint64_t>(step_++));
      plan->Run(run);
      return run.loss;
    });
  }

  absl::StatusOr<std::vector<float>> Outputs(const Inputs& inputs, int largest) override {
    return Guarded("testing", [&]() -> absl::StatusOr<std::vector<float>> {
      omp_set_num_threads(threads_);
      const auto n = static_cast<int64_t>(inputs.batch->labels.size());
      // One plan for all batches, so that folded weights are made once: the rest of a smaller batch
      // is any image.
      MANAKO_ASSIGN_OR_RETURN(Plan * plan,
                              PlanFor({std::max<int64_t>(n, largest), inputs.shape, false}));
      std::vector<float>& padded = inputs.batch->inputs;
      padded.resize(static_cast<size_t>(plan->batch() * inputs.shape.elements()));
      std::vector<float> outputs(static_cast<size_t>(plan->batch() * plan->outputs()));
      PlanRun run;
      run.arena = arena_.data();
      run.inputs = padded.data();
      run.values = values_.data();
      run.prepare = prepared_ != plan;
      run.outputs = outputs.data();
      plan->Run(run);
      prepared_ = plan;
      outputs.resize(static_cast<size_t>(n * plan->outputs()));
      return outputs;
    });
  }

 private:
  absl::StatusOr<Plan*> PlanFor(const GraphRequest& request) {
    std::unique_ptr<Plan>& plan =
        plans_[{request.n, request.shape.height, request.shape.width, request.training}];
    if (plan == nullptr) {
      MANAKO_ASSIGN_OR_RETURN(const Graph graph, graphs_(request));
      MANAKO_ASSIGN_OR_RETURN(plan, Plan::Make(graph, spec_->parameter_extent(), precision_));
      const float* const before = arena_.data();
      arena_.Grow(plan->arena_floats());
      if (arena_.data() != before) prepared_ = nullptr;
    }
    return plan.get();
  }

  std::shared_ptr<const ModelSpec> spec_;
  Precision precision_;
  int threads_;
  GraphSource graphs_;
  FlatArray values_, gradients_;  // made when they are needed
  Arena arena_;
  std::map<std::tuple<int64_t, int64_t, int64_t, bool>, std::unique_ptr<Plan>> plans_;
  const Plan* prepared_ = nullptr;  // the inference plan whose weights are in the arena
  uint64_t seed_ = 0;
  int64_t step_ = 0;
};

}  // namespace

std::unique_ptr<Engine> MakeFusedEngine(std::shared_ptr<const ModelSpec> spec, Precision precision,
                                        int threads, GraphSource graphs) {
  return std::make_unique<FusedEngine>(std::move(spec), precision, threads, std::move(graphs));
}

}  // namespace manako::fused
