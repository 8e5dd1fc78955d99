#include "learn/torch_engine.h"

#include <ATen/autocast_mode.h>
#include <malloc.h>
#include <torch/script.h>

#include <cstring>
#include <mutex>
#include <utility>

#include "base/random.h"
#include "base/status_macros.h"
#include "learn/dropout_stream.h"
#include "learn/model.h"
#include "learn/script_file.h"

namespace manako {
namespace {

// bfloat16 where libtorch's autocast lists an operation as safe, for the life of this object, on
// this thread.
class Autocast {
 public:
  Autocast(const std::string& precision, const std::string& device)
      : on_(precision == "bfloat16"), cuda_(device == "cuda") {
    if (!on_) return;
    at::autocast::increment_nesting();
    if (cuda_) {
      at::autocast::set_autocast_gpu_dtype(at::kBFloat16);
      at::autocast::set_enabled(true);
    } else {
      at::autocast::set_autocast_cpu_dtype(at::kBFloat16);
      at::autocast::set_cpu_enabled(true);
    }
  }
  ~Autocast() {
    if (!on_) return;
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    if (cuda_) {
      at::autocast::set_enabled(false);
    } else {
      at::autocast::set_cpu_enabled(false);
    }
  }

 private:
  bool on_, cuda_;
};

// libtorch's exceptions end here.
template <typename Body>
auto Guarded(const char* doing, Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return ResourceExhausted("{}: out of memory: use a smaller train.batch or data.image_size",
                             doing);
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    if (text.find("allocate memory") != std::string::npos) {
      return ResourceExhausted("{}: out of memory: use a smaller train.batch or data.image_size",
                               doing);
    }
    return Internal("{}: libtorch: {}", doing, text.substr(0, text.find('\n')));
  } catch (const std::exception& error) {
    const std::string text = error.what();
    return Internal("{}: {}", doing, text.substr(0, text.find('\n')));
  }
}

// Never give memory back, never map single blocks: what a step frees, the next step takes. Fresh
// pages cost a fifth of a step.
void KeepFreedMemory() {
  static std::once_flag once;
  std::call_once(once, [] {
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, -1);
    mallopt(M_TOP_PAD, 64 << 20);
  });
}

class TorchEngine : public Engine {
 public:
  TorchEngine(const EngineOptions& options, NetworkPool::Handle network)
      : options_(options), network_(std::move(network)) {}

  void Load(const ParameterSet& model) override {
    std::memcpy(values().data(), model.values.data(),
                static_cast<size_t>(model.values.size()) * sizeof(float));
  }
  FlatArray& values() override { return network_->values(); }
  FlatArray TakeValues() override {
    return network_->values().Clone();
  }  // the module's tensors are views of it
  FlatArray& gradients() override { return network_->gradients(); }
  void BeginTraining(uint64_t seed) override {
    dropout_ = Random(seed, "dropout");
    std::memset(gradients().data(), 0, static_cast<size_t>(gradients().size()) * sizeof(float));
    network_->SetTraining(true);
  }

  absl::StatusOr<double> Step(const Inputs& inputs,
                              std::span<const double> class_weights) override {
    return Guarded("training", [&]() -> absl::StatusOr<double> {
      const DropoutStream dropout(&dropout_);
      at::Tensor loss;
      {
        const Autocast autocast(options_.precision, options_.device);
        const at::Tensor logits = network_->Forward(AsTensor(inputs, options_.channels_last));
        at::Tensor labels =
            torch::from_blob(inputs.batch->labels.data(),
                             {static_cast<int64_t>(inputs.batch->labels.size())}, at::kLong);
        c10::optional<at::Tensor> weights;
        if (!class_weights.empty())
          weights = torch::tensor(std::vector<double>(class_weights.begin(), class_weights.end()),
                                  at::kFloat);
        if (options_.device == "cuda") {
          labels = labels.to(at::kCUDA);
          if (weights.has_value()) weights = weights->to(at::kCUDA);
        }
        loss = at::cross_entropy_loss(logits.to(at::kFloat), labels, weights);
      }
      loss.backward();
      return loss.item<double>();
    });
  }

  absl::StatusOr<std::vector<float>> Outputs(const Inputs& inputs, int) override {
    return Guarded("testing", [&]() -> absl::StatusOr<std::vector<float>> {
      const torch::NoGradGuard no_gradients;
      const Autocast autocast(options_.precision, options_.device);
      network_->SetTraining(false);
      const at::Tensor outputs =
          network_->Forward(AsTensor(inputs, true)).to(at::kCPU, at::kFloat).contiguous();
      const float* const values = outputs.data_ptr<float>();
      return std::vector<float>(values, values + outputs.numel());
    });
  }

 private:
  at::Tensor AsTensor(const Inputs& inputs, bool channels_last) const {
    const auto n = static_cast<int64_t>(inputs.batch->labels.size());
    const InputShape& shape = inputs.shape;
    float* const data = inputs.batch->inputs.data();
    at::Tensor tensor;
    if (shape.features == 0) {
      tensor = torch::from_blob(data, {n, shape.height, shape.width, 3}, at::kFloat)
                   .permute({0, 3, 1, 2});
      if (!channels_last) tensor = tensor.contiguous();
    } else if (shape.height > 0) {
      tensor = torch::from_blob(data, {n, shape.features, shape.height, shape.width}, at::kFloat)
                   .contiguous(channels_last ? at::MemoryFormat::ChannelsLast
                                             : at::MemoryFormat::Contiguous);
    } else {
      tensor = torch::from_blob(data, {n, shape.features}, at::kFloat);
    }
    return options_.device == "cuda" ? tensor.to(at::kCUDA) : tensor;
  }

  EngineOptions options_;
  NetworkPool::Handle network_;
  Random dropout_{0, "dropout"};
};

}  // namespace

std::unique_ptr<Engine> MakeTorchEngine(const EngineOptions& options, NetworkPool::Handle network) {
  KeepFreedMemory();
  return std::make_unique<TorchEngine>(options, std::move(network));
}

}  // namespace manako
