#include "learn/torch_learner.h"

#include <ATen/Parallel.h>
#include <malloc.h>
#include <torch/script.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "base/status_macros.h"
#include "learn/batch_loader.h"
#include "learn/engine.h"
#include "learn/optimiser.h"
#include "learn/schedule.h"

namespace manako {

void PrepareLibtorch(int threads) {
  at::set_num_threads(std::max(1, threads));
  SetComputeThreads(threads);
  // One heap for all threads: others than the main one are made of pieces of 64 MiB, into which a
  // batch's activations do not fit.
  mallopt(M_ARENA_MAX, 1);
}

std::string ResolvePrecision(const std::string& precision, const std::string& device,
                             std::string* reason) {
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
      why = fast ? "the processor multiplies bfloat16 (AVX512-BF16)"
                 : "the processor has no AVX512-BF16";
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

namespace {

// What an engine is given: the whole network and pixels, or, behind frozen layers, the head and
// features.
struct Subject {
  NetworkPool* pool = nullptr;
  std::optional<ParameterSet> head;
  std::unique_ptr<InputSource> source;
  const ParameterSet& ValuesIn(const ParameterSet& model) const { return head ? *head : model; }
};

// Of the pool's network, whole.
Subject WholeSubject(NetworkPool* pool, const ImageStore* store, const Normalisation& normalisation,
                     std::optional<AugmentConfig> augmentation) {
  return {pool, std::nullopt,
          std::make_unique<PixelSource>(store, normalisation, std::move(augmentation))};
}

absl::StatusOr<Subject> FrozenSubject(FeatureCache& cache, const ParameterSet& model,
                                      bool training) {
  MANAKO_ASSIGN_OR_RETURN(auto features, cache.Of(model));
  return Subject{cache.network().head(), cache.network().HeadOf(model),
                 std::make_unique<FeatureSource>(std::move(features), training)};
}

absl::StatusOr<Predictions> PredictSubject(const Subject& subject, const ParameterSet& model,
                                           const Examples& examples, int classes, int batch_size,
                                           const EngineOptions& engine_options) {
  Predictions out;
  out.classes = classes;
  out.images = examples.images;
  out.labels = examples.labels;
  if (examples.size() == 0) return out;
  MANAKO_ASSIGN_OR_RETURN(auto engine, subject.pool->engines()->Borrow(engine_options));
  engine->Load(subject.ValuesIn(model));
  const size_t batches =
      (examples.size() + static_cast<size_t>(batch_size) - 1) / static_cast<size_t>(batch_size);
  BatchPlan plan;
  plan.batches_per_epoch = static_cast<int>(batches);
  plan.shuffle = false;
  const auto largest = static_cast<int>((examples.size() + batches - 1) / batches);
  BatchLoader loader(examples, plan, *subject.source, 1);
  out.probabilities.reserve(examples.size() * static_cast<size_t>(classes));
  Batch batch;
  while (loader.Next(batch)) {
    const Engine::Inputs inputs = {&batch, subject.source->shape()};
    MANAKO_ASSIGN_OR_RETURN(const std::vector<float> logits, engine->Outputs(inputs, largest));
    for (size_t i = 0; i < batch.labels.size(); ++i) {
      const float* const row = logits.data() + i * static_cast<size_t>(classes);
      const float top = *std::max_element(row, row + classes);
      double sum = 0;
      for (int c = 0; c < classes; ++c) sum += std::exp(static_cast<double>(row[c] - top));
      out.loss -= static_cast<double>(row[batch.labels[i]] - top) - std::log(sum);
      for (int c = 0; c < classes; ++c) {
        out.probabilities.push_back(
            static_cast<float>(std::exp(static_cast<double>(row[c] - top)) / sum));
      }
    }
  }
  out.loss /= static_cast<double>(examples.size());
  return out;
}

}  // namespace

struct TorchLearner::Impl {
  Options options;
  int classes;
  Examples train, validation, test;
  NetworkPool* pool;
  Optimiser optimiser;
};

TorchLearner::TorchLearner(Options options, int classes, Examples train, Examples validation,
                           Examples test, NetworkPool* pool) {
  const NetworkPool* const trained =
      options.features != nullptr ? options.features->network().head() : pool;
  Optimiser optimiser(options.train, trained->spec()->parameter_extent());
  if (options.train.engine == "auto") {
    const Examples& any = train.store != nullptr ? train : test;
    std::string engine = "torch";
    if (any.store != nullptr)
      engine = ResolveEngine(pool, options.train, any.store->height(), nullptr).value_or(engine);
    options.train.engine = engine;
  }
  impl_.reset(new Impl{std::move(options), classes, std::move(train), std::move(validation),
                       std::move(test), pool, std::move(optimiser)});
}

TorchLearner::~TorchLearner() = default;

absl::StatusOr<Update> TorchLearner::Train(const TrainTask& task) {
  Impl& self = *impl_;
  const TrainConfig& config = self.options.train;
  if (self.train.size() == 0) return FailedPrecondition("there are no training images");
  if (config.local_epochs <= 0 && self.options.steps_per_round <= 0) {
    return FailedPrecondition(
        "neither train.local_epochs nor train.local_steps says how long a round is");
  }
  MANAKO_RETURN_IF_ERROR(self.pool->spec()->CheckSame(*task.model->spec));
  const bool augment = config.augment && config.augmentation.Any();
  Subject subject;
  if (self.options.features != nullptr) {
    MANAKO_ASSIGN_OR_RETURN(subject, FrozenSubject(*self.options.features, *task.model, true));
  } else {
    subject = WholeSubject(self.pool, self.train.store, self.options.normalisation,
                           augment ? std::optional(config.augmentation) : std::nullopt);
  }
  MANAKO_ASSIGN_OR_RETURN(auto engine, subject.pool->engines()->Borrow(EngineOptions::Of(config)));
  engine->Load(subject.ValuesIn(*task.model));
  if (!self.options.keep_optimiser) self.optimiser.Reset();

  BatchPlan plan;
  plan.batches_per_epoch =
      self.options.batches_per_epoch > 0
          ? self.options.batches_per_epoch
          : static_cast<int>((self.train.size() + static_cast<size_t>(config.batch) - 1) /
                             static_cast<size_t>(config.batch));
  plan.epochs = config.local_epochs;
  // Steps behind `rounds` rounds of the run.
  const auto steps_behind = [&](int rounds) {
    const double epochs = static_cast<double>(plan.batches_per_epoch) * config.local_epochs;
    const double per_round =
        self.options.steps_per_round > 0 ? self.options.steps_per_round : epochs;
    return static_cast<int64_t>(std::floor(per_round * rounds + 1e-9));
  };
  const int64_t first = steps_behind(task.round - 1), total = steps_behind(self.options.rounds);
  const auto steps = static_cast<int>(steps_behind(task.round) - first);
  plan.epochs = (steps + plan.batches_per_epoch - 1) / plan.batches_per_epoch;
  plan.limit = steps;
  plan.seed = DeriveSeed(self.options.seed, "round", static_cast<uint64_t>(task.round));

  engine->BeginTraining(plan.seed);
  BatchLoader loader(self.train, plan, *subject.source, self.options.ahead);
  const auto extent = static_cast<size_t>(subject.pool->spec()->parameter_extent());
  Update update;
  double loss_sum = 0;
  Batch batch;
  for (int64_t step = 0; loader.Next(batch); ++step) {
    const Engine::Inputs inputs = {&batch, subject.source->shape()};
    MANAKO_ASSIGN_OR_RETURN(const double loss, engine->Step(inputs, self.options.class_weights));
    if (!std::isfinite(loss)) {
      return absl::OutOfRangeError(fmt::format(
          "the loss became {} at step {} of round {}: use a smaller train.learning_rate",
          std::isnan(loss) ? "NaN" : "infinite", step + 1, task.round));
    }
    const double rate = config.learning_rate * ScheduleFactor(config, first + step, total, steps);
    self.optimiser.Step(rate, engine->values().values().subspan(0, extent),
                        engine->gradients().values());
    update.visits += static_cast<int64_t>(batch.labels.size());
    loss_sum += loss * static_cast<double>(batch.labels.size());
  }
  update.model = self.options.features != nullptr
                     ? self.options.features->network().WithHead(*task.model, engine->values())
                     : ParameterSet{self.pool->spec(), engine->TakeValues()};
  if (absl::Status finite = update.model.CheckFinite(); !finite.ok()) {
    return absl::OutOfRangeError(fmt::format("in round {} {}: use a smaller train.learning_rate",
                                             task.round, MessageOf(finite)));
  }
  update.images = static_cast<int64_t>(self.train.size());
  update.metrics["train_loss"] = loss_sum / static_cast<double>(update.visits);
  return update;
}

absl::StatusOr<Predictions> TorchLearner::Evaluate(const ParameterSet& model, ExampleSet set) {
  Impl& self = *impl_;
  const TrainConfig& config = self.options.train;
  const Examples& examples = set == ExampleSet::kTest ? self.test : self.validation;
  const EngineOptions engine = EngineOptions::Of(config);
  if (self.options.features == nullptr) {
    return Predict(self.pool, model, examples, self.classes, config.batch, engine,
                   self.options.normalisation);
  }
  MANAKO_RETURN_IF_ERROR(self.pool->spec()->CheckSame(*model.spec));
  MANAKO_ASSIGN_OR_RETURN(const Subject subject,
                          FrozenSubject(*self.options.features, model, false));
  return PredictSubject(subject, model, examples, self.classes, config.batch, engine);
}

LearnerState TorchLearner::SaveState() const { return impl_->optimiser.Save(); }
absl::Status TorchLearner::RestoreState(LearnerState state) {
  return impl_->optimiser.Restore(std::move(state));
}

absl::StatusOr<Predictions> Predict(NetworkPool* pool, const ParameterSet& model,
                                    const Examples& examples, int classes, int batch_size,
                                    const EngineOptions& engine_options,
                                    const Normalisation& normalisation) {
  MANAKO_RETURN_IF_ERROR(pool->spec()->CheckSame(*model.spec));
  return PredictSubject(WholeSubject(pool, examples.store, normalisation, std::nullopt), model,
                        examples, classes, batch_size, engine_options);
}

}  // namespace manako
