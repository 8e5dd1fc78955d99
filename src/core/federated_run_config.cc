#include "core/federated_run_config.h"

#include <algorithm>
#include <set>

#include "base/random.h"
#include "base/status_macros.h"
#include "core/config_toml.h"

namespace manako {

absl::Status FederatedRunConfig::Validate() const {
  config_toml::Rules rules;
  rules.That(run.name.size() <= 200,
             InvalidArgument("run.name has {} bytes: 200 at most", run.name.size()));
  rules.That(
      run.classes.size() >= 2 && run.classes.size() <= 1000,
      InvalidArgument("run.classes must name 2 to 1000 classes, but names {}", run.classes.size()));
  std::set<std::string> names;
  for (const std::string& name : run.classes) {
    rules.That(!name.empty() && name.size() <= 200,
               InvalidArgument("run.classes holds an empty or too long name"));
    rules.That(names.insert(name).second, InvalidArgument("run.classes names {} twice", name));
  }
  rules.That(run.positive.empty() || names.contains(run.positive),
             InvalidArgument("run.positive is {}, which run.classes does not name", run.positive));
  names.clear();
  for (const std::string& site : run.sites) {
    rules.That(names.insert(site).second, InvalidArgument("run.sites names {} twice", site));
  }
  rules.Range("run.quorum", run.quorum, 0, 10000);
  rules.That(
      run.sites.empty() || run.quorum <= static_cast<int>(run.sites.size()),
      InvalidArgument("run.quorum is {}, but run.sites names only {}: no round would ever end",
                      run.quorum, run.sites.size()));
  rules.That(run.cohort_share > 0 && run.cohort_share <= 1,
             InvalidArgument("run.cohort_share must be above 0 and at most 1, but is {}",
                             run.cohort_share));
  rules.Range("run.deadline_minutes", run.deadline_minutes, 0, 100000);
  rules.Range("run.extension_minutes", run.extension_minutes, 0, 100000);
  rules.That(run.quorum == 0 || run.deadline_minutes > 0,
             InvalidArgument("run.quorum is {}, but run.deadline_minutes is 0: a round without a "
                             "deadline waits for all, so give a deadline",
                             run.quorum));
  rules.OneOf("run.late", run.late, {"drop", "next"});
  rules.OneOf("run.encoding", run.encoding, {"float32", "bfloat16", "float16", "int8"});
  rules.That(
      run.max_norm_ratio == 0 || (run.max_norm_ratio >= 1 && std::isfinite(run.max_norm_ratio)),
      InvalidArgument("run.max_norm_ratio must be 0 or at least 1, but is {}", run.max_norm_ratio));
  rules.That(training.train.freeze.empty() || run.encoding != "int8",
             InvalidArgument("run.encoding int8 would not leave frozen layers as they are "
                             "(train.freeze): use float32, bfloat16 or float16"));
  rules.OneOf("run.report", run.report, {"metrics", "histograms", "scores"});
  rules.That(run.report != "histograms" || run.classes.size() == 2,
             InvalidArgument("run.report is histograms, which are for two classes, but run.classes "
                             "names {}: use metrics or scores",
                             run.classes.size()));
  rules.Range("run.bins", run.bins, 2, 10000);
  rules.Range("run.test_every", run.test_every, 0, 100000);
  rules.Range("run.min_images_per_class", run.min_images_per_class, 0, 1000000);
  rules.That(run.seed <= static_cast<uint64_t>(INT64_MAX),
             InvalidArgument("run.seed must be below 2^63, but is {}", run.seed));
  MANAKO_RETURN_IF_ERROR(rules.status());
  return training.Validate();
}

std::string FederatedRunConfig::ToToml() const { return config_toml::ToToml(*this); }

absl::StatusOr<FederatedRunConfig> FederatedRunConfig::FromToml(const std::string& text,
                                                                const std::string& name) {
  return config_toml::FromToml<FederatedRunConfig>(text, name);
}

void ResolveRun(FederatedRunConfig& config, int usual_image_size, int64_t train_images) {
  RunConfig& training = config.training;
  if (training.data.image_size == 0) training.data.image_size = usual_image_size;
  if (training.train.learning_rate == 0)
    training.train.learning_rate = UsualLearningRate(training.train, training.model);
  ResolveRounds(training, train_images);
}

namespace {

uint64_t CellSeed(uint64_t run_seed) {
  return DeriveSeed(DeriveSeed(run_seed, "repeat", 1), "fold", 1);
}

}  // namespace

uint64_t TrainingSeed(uint64_t run_seed) { return DeriveSeed(CellSeed(run_seed), "federated"); }
uint64_t InitialSeed(uint64_t run_seed) { return DeriveSeed(CellSeed(run_seed), "initial"); }

bool IsTested(const FederatedRunConfig& config, int round, int64_t train_images) {
  const TrainConfig& train = config.training.train;
  if (round == 0 || round >= config.training.federation.rounds) return true;
  if (config.run.test_every > 0) return round % config.run.test_every == 0;
  return EndsEpoch(train, round, train_images);
}

}  // namespace manako
