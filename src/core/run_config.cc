#include "core/run_config.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>

#include "base/status_macros.h"
#include "core/config_toml.h"

namespace manako {
namespace {

constexpr std::string_view kUntil = "until:";

}  // namespace

std::string FrozenUntil(const TrainConfig& train) {
  return train.freeze.starts_with(kUntil) ? train.freeze.substr(kUntil.size()) : "";
}

absl::Status RunConfig::Validate() const {
  config_toml::Rules rules;
  rules.OneOf("data.crop", data.crop, {"auto", "on", "off"});
  rules.That(
      data.image_size == 0 || (data.image_size >= 16 && data.image_size <= 4096),
      InvalidArgument("data.image_size must be 0 or from 16 to 4096, but is {}", data.image_size));
  rules.Range("data.max_bad", data.max_bad, 0, 1);
  rules.AtLeast("split.train_per_class", split.train_per_class, 0);
  rules.AtLeast("split.test_per_class", split.test_per_class, 0);
  rules.Range("split.test_share", split.test_share, 0.01, 0.9);
  rules.Range("split.validation_share", split.validation_share, 0, 0.9);
  rules.OneOf("partition.scheme", partition.scheme, {"iid", "dirichlet", "proportions", "column"});
  rules.Range("partition.sites", partition.sites, 1, 1000);
  rules.That(partition.alpha > 0 && std::isfinite(partition.alpha),
             InvalidArgument("partition.alpha must be > 0, but is {}", partition.alpha));
  if (partition.scheme == "proportions") {
    rules.That(
        partition.proportions.size() == static_cast<size_t>(partition.sites),
        InvalidArgument(
            "partition.proportions has {} numbers, but partition.sites is {}: give one for each",
            partition.proportions.size(), partition.sites));
    for (const double share : partition.proportions) {
      rules.That(share > 0 && std::isfinite(share),
                 InvalidArgument("partition.proportions must be > 0, but one is {}", share));
    }
  }
  rules.That(partition.scheme != "column" || !data.site_column.empty(),
             InvalidArgument(
                 "partition.scheme is column, but data.site_column is empty: name the column"));
  rules.That(!model.architecture.empty(), InvalidArgument("model.architecture is empty"));
  rules.That(model.dropout < 0 || model.dropout < 1,
             InvalidArgument("model.dropout must be below 1 (or -1), but is {}", model.dropout));
  rules.OneOf("train.optimiser", train.optimiser, {"sgd", "adam", "adamw"});
  rules.That(train.learning_rate >= 0 && std::isfinite(train.learning_rate),
             InvalidArgument("train.learning_rate must be >= 0, but is {}", train.learning_rate));
  rules.Range("train.momentum", train.momentum, 0, 0.9999);
  rules.That(!train.nesterov || (train.optimiser == "sgd" && train.momentum > 0),
             InvalidArgument("train.nesterov needs train.optimiser sgd and train.momentum > 0"));
  rules.Range("train.weight_decay", train.weight_decay, 0, 10);
  rules.Range("train.batch", train.batch, 1, 65536);
  rules.Range("train.epochs", train.epochs, 1, 100000);
  rules.Range("train.local_epochs", train.local_epochs, 0, 10000);
  rules.AtLeast("train.local_steps", train.local_steps, 0);
  rules.That(train.local_steps == 0 || federation.site_batch == "share",
             InvalidArgument("train.local_steps needs federation.site_batch = share, but it is {}: "
                             "the arms would not see as many "
                             "images",
                             federation.site_batch));
  rules.OneOf("train.schedule", train.schedule, {"cosine", "step", "constant"});
  rules.Range("train.warmup_share", train.warmup_share, 0, 1);
  rules.AtLeast("train.step_rounds", train.step_rounds, 1);
  rules.Range("train.step_factor", train.step_factor, 0, 1);
  rules.OneOf("train.precision", train.precision, {"auto", "float32", "bfloat16"});
  rules.OneOf("train.device", train.device, {"cpu", "cuda"});
  rules.OneOf("train.engine", train.engine, {"torch", "fused", "auto"});
  rules.Range("train.rotate_degrees", train.augmentation.rotate_degrees, 0, 180);
  rules.Range("train.scale", train.augmentation.scale, 0, 0.9);
  rules.Range("train.brightness", train.augmentation.brightness, 0, 1);
  rules.Range("train.contrast", train.augmentation.contrast, 0, 1);
  rules.That(train.freeze.empty() || !FrozenUntil(train).empty(),
             InvalidArgument("train.freeze must be empty or until:LAYER with the first layer to "
                             "train, such as until:layer4, but is {}",
                             train.freeze));
  rules.Range("train.feature_variants", train.feature_variants, 1, 1000);
  rules.Range("federation.rounds", federation.rounds, 0, 100000);
  rules.OneOf("federation.strategy", federation.strategy, {"fedavg"});
  rules.OneOf("federation.weighting", federation.weighting, {"images", "uniform"});
  rules.OneOf("federation.site_batch", federation.site_batch, {"share", "full"});
  rules.OneOf("federation.select", federation.select, {"near_best", "best", "last"});
  rules.AtLeast("federation.patience", federation.patience, 0);
  rules.That(
      split.validation_share > 0 || (federation.select == "last" && federation.patience == 0),
      InvalidArgument(
          "split.validation_share is 0, but federation.select = near_best or best and "
          "federation.patience need "
          "validation images: give a share, or federation.select = last and patience = 0"));
  rules.That(!study.arms.empty(), InvalidArgument("study.arms is empty"));
  std::set<std::string> arms;
  for (const std::string& arm : study.arms) {
    rules.OneOf("study.arms", arm, {"pooled", "federated", "alone"});
    rules.That(arms.insert(arm).second, InvalidArgument("study.arms names {} twice", arm));
  }
  rules.Range("study.repeats", study.repeats, 1, 1000);
  rules.That(study.folds == 0 || (study.folds >= 2 && study.folds <= 100),
             InvalidArgument("study.folds must be 0 or from 2 to 100, but is {}", study.folds));
  rules.That(
      study.folds == 0 || (data.test.empty() && split.test_per_class == 0),
      InvalidArgument(
          "study.folds makes its own test sets: leave out data.test and split.test_per_class"));
  rules.That(
      study.margin > 0 && study.margin < 0.5,
      InvalidArgument("study.margin must be above 0 and below 0.5, but is {}", study.margin));
  rules.That(study.seed <= static_cast<uint64_t>(INT64_MAX),
             InvalidArgument("study.seed must be below 2^63, but is {}", study.seed));
  return rules.status();
}

void ResolveRounds(RunConfig& config, int64_t train_images) {
  TrainConfig& train = config.train;
  int& rounds = config.federation.rounds;
  const int64_t epoch_steps = std::max<int64_t>(1, (train_images + train.batch - 1) / train.batch);
  if (train.local_steps == 0 && train.local_epochs == 0) {
    const bool often =
        rounds == 0 && epoch_steps > kUsualLocalSteps && config.federation.site_batch == "share";
    (often ? train.local_steps : train.local_epochs) = often ? kUsualLocalSteps : 1;
  }
  if (rounds > 0) return;
  const int64_t per_round =
      train.local_steps > 0 ? train.local_steps : epoch_steps * train.local_epochs;
  rounds = static_cast<int>(
      std::max<int64_t>(1, (epoch_steps * train.epochs + per_round - 1) / per_round));
}

bool EndsEpoch(const TrainConfig& train, int round, int64_t train_images) {
  if (train.local_steps == 0) return true;
  const int64_t epoch_steps = std::max<int64_t>(1, (train_images + train.batch - 1) / train.batch);
  return int64_t{round} * train.local_steps / epoch_steps >
         (int64_t{round} - 1) * train.local_steps / epoch_steps;
}

absl::Status CheckFrozenAreTrained(const RunConfig& config) {
  if (config.train.freeze.empty() || !config.model.init.empty()) return absl::OkStatus();
  return InvalidArgument(
      "train.freeze is {}, but model.init is empty: frozen layers would stay random, so give "
      "trained parameters",
      config.train.freeze);
}

double UsualLearningRate(const TrainConfig& train, const ModelConfig& model) {
  const double scratch = train.optimiser == "sgd" ? 0.01 : 0.001;
  return model.init.empty() ? scratch : scratch / 5;
}

std::string RunConfig::ToToml() const { return config_toml::ToToml(*this); }

absl::StatusOr<RunConfig> RunConfig::FromToml(const std::string& text, const std::string& name) {
  return config_toml::FromToml<RunConfig>(text, name);
}

}  // namespace manako
