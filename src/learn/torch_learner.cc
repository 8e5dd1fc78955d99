#include "learn/torch_learner.h"

#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <malloc.h>
#include <torch/script.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/status_macros.h"
#include "learn/batch_loader.h"
#include "learn/dropout_stream.h"
#include "learn/model.h"
#include "learn/optimiser.h"
#include "learn/schedule.h"

namespace manako {
namespace {

// bfloat16 where libtorch's autocast lists an operation as safe, for the life of this object, on this thread.
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

at::Tensor AsImages(Batch& batch, const ImageStore& store, bool channels_last, const std::string& device) {
  const auto n = static_cast<int64_t>(batch.labels.size());
  at::Tensor images = torch::from_blob(batch.pixels.data(), {n, store.height(), store.width(), 3}, at::kFloat).permute({0, 3, 1, 2});
  if (!channels_last) images = images.contiguous();
  if (device == "cuda") images = images.to(at::kCUDA);
  return images;
}

at::Tensor AsLabels(Batch& batch, const std::string& device) {
  at::Tensor labels = torch::from_blob(batch.labels.data(), {static_cast<int64_t>(batch.labels.size())}, at::kLong);
  return device == "cuda" ? labels.to(at::kCUDA) : labels;
}

void CopyInto(const ParameterSet& model, Network& network) {
  std::memcpy(network.values().data(), model.values.data(), static_cast<size_t>(model.values.size()) * sizeof(float));
}

// libtorch's exceptions end here.
template <typename Body>
auto Guarded(const char* doing, Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return ResourceExhausted("{}: out of memory: use a smaller train.batch or data.image_size", doing);
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    if (text.find("allocate memory") != std::string::npos) {
      return ResourceExhausted("{}: out of memory: use a smaller train.batch or data.image_size", doing);
    }
    return Internal("{}: libtorch: {}", doing, text.substr(0, text.find('\n')));
  } catch (const std::exception& error) {
    const std::string text = error.what();
    return Internal("{}: {}", doing, text.substr(0, text.find('\n')));
  }
}

}  // namespace

void PrepareLibtorch(int threads) {
  at::set_num_threads(std::max(1, threads));
  // Never give memory back, never map single blocks: what a step frees, the next step takes.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, -1);
  mallopt(M_TOP_PAD, 64 << 20);
  // One heap for all threads: others than the main one are made of pieces of 64 MiB, into which a batch's activations do not fit.
  mallopt(M_ARENA_MAX, 1);
}

std::string ResolvePrecision(const std::string& precision, const std::string& device, std::string* reason) {
  std::string why;
  std::string result = precision;
  if (precision == "auto") {
    if (device == "cuda") {
      result = "float32";
      why = "cuda";
    } else {
#if defined(__x86_64__)
      const bool fast = __builtin_cpu_supports("avx512bf16") != 0;
#else
      const bool fast = false;
#endif
      result = fast ? "bfloat16" : "float32";
      why = fast ? "the processor multiplies bfloat16 (AVX512-BF16)" : "the processor has no AVX512-BF16";
    }
  }
  if (reason != nullptr) *reason = why;
  return result;
}

absl::Status CheckDevice(const std::string& device) {
  if (device == "cuda" && !torch::hasCUDA()) {
    return InvalidArgument("train.device is cuda, but this libtorch finds no CUDA device: use cpu");
  }
  return absl::OkStatus();
}

struct TorchLearner::Impl {
  Options options;
  int classes;
  Examples train, validation, test;
  NetworkPool* pool;
  Optimiser optimiser;
  at::Tensor class_weights;
};

TorchLearner::TorchLearner(Options options, int classes, Examples train, Examples validation, Examples test,
                           NetworkPool* pool) {
  Optimiser optimiser(options.train, pool->spec()->parameter_extent());
  impl_.reset(new Impl{std::move(options), classes, std::move(train), std::move(validation), std::move(test), pool,
                       std::move(optimiser), {}});
  if (!impl_->options.class_weights.empty()) {
    impl_->class_weights = torch::tensor(impl_->options.class_weights, at::kFloat);
  }
}

TorchLearner::~TorchLearner() = default;

absl::StatusOr<Update> TorchLearner::Train(const TrainTask& task) {
  Impl& self = *impl_;
  const TrainConfig& config = self.options.train;
  if (self.train.size() == 0) return FailedPrecondition("there are no training images");
  if (config.local_epochs <= 0 && self.options.steps_per_round <= 0) {
    return FailedPrecondition("neither train.local_epochs nor train.local_steps says how long a round is");
  }
  MANAKO_RETURN_IF_ERROR(self.pool->spec()->CheckSame(*task.model->spec));
  MANAKO_ASSIGN_OR_RETURN(auto network, self.pool->Borrow());
  CopyInto(*task.model, *network);
  std::fill_n(network->gradients().data(), network->gradients().size(), 0.0f);
  if (!self.options.keep_optimiser) self.optimiser.Reset();

  BatchPlan plan;
  plan.batches_per_epoch = self.options.batches_per_epoch > 0
                               ? self.options.batches_per_epoch
                               : static_cast<int>((self.train.size() + static_cast<size_t>(config.batch) - 1) /
                                                  static_cast<size_t>(config.batch));
  plan.epochs = config.local_epochs;
  // Steps behind `rounds` rounds of the run.
  const auto steps_behind = [&](int rounds) {
    const double epochs = static_cast<double>(plan.batches_per_epoch) * config.local_epochs;
    const double per_round = self.options.steps_per_round > 0 ? self.options.steps_per_round : epochs;
    return static_cast<int64_t>(std::floor(per_round * rounds + 1e-9));
  };
  const int64_t first = steps_behind(task.round - 1), total = steps_behind(self.options.rounds);
  const auto steps = static_cast<int>(steps_behind(task.round) - first);
  plan.epochs = (steps + plan.batches_per_epoch - 1) / plan.batches_per_epoch;
  plan.limit = steps;
  plan.augment = config.augment && config.augmentation.Any();
  plan.augmentation = config.augmentation;
  plan.seed = DeriveSeed(self.options.seed, "round", static_cast<uint64_t>(task.round));

  return Guarded("training", [&]() -> absl::StatusOr<Update> {
    const DropoutStream dropout(Random(plan.seed, "dropout"));
    network->SetTraining(true);
    BatchLoader loader(self.train, plan, self.options.normalisation, self.options.ahead);
    const auto extent = static_cast<size_t>(self.pool->spec()->parameter_extent());
    Update update;
    double loss_sum = 0;
    Batch batch;
    for (int64_t step = 0; loader.Next(batch); ++step) {
      double loss_value;
      {
        at::Tensor loss;
        {
          const Autocast autocast(config.precision, config.device);
          const at::Tensor logits = network->Forward(AsImages(batch, *self.train.store, config.channels_last, config.device));
          loss = at::cross_entropy_loss(logits.to(at::kFloat), AsLabels(batch, config.device),
                                        self.class_weights.defined() ? c10::optional<at::Tensor>(self.class_weights)
                                                                     : c10::nullopt);
        }
        loss.backward();
        loss_value = loss.item<double>();
      }
      if (!std::isfinite(loss_value)) {
        return absl::OutOfRangeError(fmt::format(
            "the loss became {} at step {} of round {}: use a smaller train.learning_rate", loss_value, step + 1, task.round));
      }
      const double rate = config.learning_rate * ScheduleFactor(config, first + step, total, steps);
      self.optimiser.Step(rate, network->values().values().subspan(0, extent), network->gradients().values());
      update.visits += static_cast<int64_t>(batch.labels.size());
      loss_sum += loss_value * static_cast<double>(batch.labels.size());
    }
    update.model = ParameterSet{self.pool->spec(), network->values().Clone()};
    if (absl::Status finite = update.model.CheckFinite(); !finite.ok()) {
      return absl::OutOfRangeError(fmt::format("in round {} {}: use a smaller train.learning_rate", task.round, MessageOf(finite)));
    }
    update.images = static_cast<int64_t>(self.train.size());
    update.metrics["train_loss"] = loss_sum / static_cast<double>(update.visits);
    return update;
  });
}

absl::StatusOr<Predictions> TorchLearner::Evaluate(const ParameterSet& model, ExampleSet set) {
  const TrainConfig& config = impl_->options.train;
  return Predict(impl_->pool, model, set == ExampleSet::kTest ? impl_->test : impl_->validation, impl_->classes,
                 config.batch, config.precision, config.device, impl_->options.normalisation);
}

LearnerState TorchLearner::SaveState() const { return impl_->optimiser.Save(); }
absl::Status TorchLearner::RestoreState(LearnerState state) { return impl_->optimiser.Restore(std::move(state)); }

absl::StatusOr<Predictions> Predict(NetworkPool* pool, const ParameterSet& model, const Examples& examples, int classes,
                                    int batch_size, const std::string& precision, const std::string& device,
                                    const Normalisation& normalisation) {
  MANAKO_RETURN_IF_ERROR(pool->spec()->CheckSame(*model.spec));
  Predictions out;
  out.classes = classes;
  out.images = examples.images;
  out.labels = examples.labels;
  if (examples.size() == 0) return out;
  MANAKO_ASSIGN_OR_RETURN(auto network, pool->Borrow());
  CopyInto(model, *network);
  return Guarded("testing", [&]() -> absl::StatusOr<Predictions> {
    const torch::NoGradGuard no_gradients;
    const Autocast autocast(precision, device);
    network->SetTraining(false);
    BatchPlan plan;
    plan.batches_per_epoch = static_cast<int>((examples.size() + static_cast<size_t>(batch_size) - 1) / static_cast<size_t>(batch_size));
    plan.shuffle = false;
    BatchLoader loader(examples, plan, normalisation, 1);
    out.probabilities.reserve(examples.size() * static_cast<size_t>(classes));
    Batch batch;
    while (loader.Next(batch)) {
      const at::Tensor logits = network->Forward(AsImages(batch, *examples.store, true, device));
      const at::Tensor log_p = at::log_softmax(logits.to(at::kCPU, at::kFloat), 1).contiguous();
      const float* values = log_p.data_ptr<float>();
      for (size_t i = 0; i < batch.labels.size(); ++i) {
        const float* row = values + i * static_cast<size_t>(classes);
        out.loss -= static_cast<double>(row[batch.labels[i]]);
        for (int c = 0; c < classes; ++c) out.probabilities.push_back(std::exp(row[c]));
      }
    }
    out.loss /= static_cast<double>(examples.size());
    return out;
  });
}

}  // namespace manako
