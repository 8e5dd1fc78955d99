#include "core/run_config.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <type_traits>

#include "base/status_macros.h"
#include "core/toml.h"

namespace manako {
namespace {

std::string Quote(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string Write(const std::string& value) { return Quote(value); }
std::string Write(bool value) { return value ? "true" : "false"; }
std::string Write(int value) { return std::to_string(value); }
// TOML's integers are signed: a seed above 2^63 - 1 is refused by Validate().
std::string Write(uint64_t value) { return std::to_string(value); }
std::string Write(double value) {
  // The shortest text that reads back as the same double; TOML wants a point or an exponent in it.
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}
template <typename T>
std::string Write(const std::vector<T>& values) {
  std::vector<std::string> parts;
  for (const T& value : values) parts.push_back(Write(value));
  return fmt::format("[{}]", fmt::join(parts, ", "));
}

// Reads a node into a field of the field's own type; an integer may stand where a float is wanted.
bool Read(const toml::node& node, std::string& field) {
  const auto value = node.value_exact<std::string>();
  if (value) field = *value;
  return value.has_value();
}
bool Read(const toml::node& node, bool& field) {
  const auto value = node.value_exact<bool>();
  if (value) field = *value;
  return value.has_value();
}
bool Read(const toml::node& node, double& field) {
  if (!node.is_number()) return false;
  field = *node.value<double>();
  return true;
}
bool Read(const toml::node& node, int& field) {
  const auto value = node.value_exact<int64_t>();
  if (!value || *value < INT32_MIN || *value > INT32_MAX) return false;
  field = static_cast<int>(*value);
  return true;
}
bool Read(const toml::node& node, uint64_t& field) {
  const auto value = node.value_exact<int64_t>();
  if (!value || *value < 0) return false;
  field = static_cast<uint64_t>(*value);
  return true;
}
template <typename T>
bool Read(const toml::node& node, std::vector<T>& field) {
  const toml::array* array = node.as_array();
  if (array == nullptr) return false;
  std::vector<T> values;
  for (const toml::node& element : *array) {
    T value{};
    if (!Read(element, value)) return false;
    values.push_back(std::move(value));
  }
  field = std::move(values);
  return true;
}

template <typename T>
constexpr std::string_view TypeName() {
  if constexpr (std::is_same_v<T, std::string>) return "a text in quotes";
  if constexpr (std::is_same_v<T, bool>) return "true or false";
  if constexpr (std::is_same_v<T, double>) return "a number";
  if constexpr (std::is_same_v<T, int>) return "a whole number";
  if constexpr (std::is_same_v<T, uint64_t>) return "a whole number >= 0";
  if constexpr (std::is_same_v<T, std::vector<double>>) return "a list of numbers";
  return "a list of texts in quotes";
}

// One rule of Validate(): the first that fails is the error.
class Rules {
 public:
  void Range(const char* field, double value, double low, double high) {
    if (!(value >= low && value <= high)) {
      Fail(InvalidArgument("{} must be from {} to {}, but is {}", field, low, high, value));
    }
  }
  void AtLeast(const char* field, double value, double low) {
    if (!(value >= low) || !std::isfinite(value)) {
      Fail(InvalidArgument("{} must be at least {}, but is {}", field, low, value));
    }
  }
  void OneOf(const char* field, const std::string& value, const std::vector<std::string>& choices) {
    if (std::find(choices.begin(), choices.end(), value) == choices.end()) {
      Fail(InvalidArgument("{} must be one of {}, but is {}", field, fmt::join(choices, ", "),
                           value.empty() ? "empty" : value));
    }
  }
  void That(bool good, absl::Status error) {
    if (!good) Fail(std::move(error));
  }
  absl::Status status() const { return status_; }

 private:
  void Fail(absl::Status error) {
    if (status_.ok()) status_ = std::move(error);
  }
  absl::Status status_;
};

}  // namespace

absl::Status RunConfig::Validate() const {
  Rules rules;
  rules.OneOf("data.crop", data.crop, {"auto", "on", "off"});
  rules.That(data.image_size == 0 || (data.image_size >= 16 && data.image_size <= 4096),
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
    rules.That(partition.proportions.size() == static_cast<size_t>(partition.sites),
               InvalidArgument("partition.proportions has {} numbers, but partition.sites is {}: give one for each",
                               partition.proportions.size(), partition.sites));
    for (const double share : partition.proportions) {
      rules.That(share > 0 && std::isfinite(share),
                 InvalidArgument("partition.proportions must be > 0, but one is {}", share));
    }
  }
  rules.That(partition.scheme != "column" || !data.site_column.empty(),
             InvalidArgument("partition.scheme is column, but data.site_column is empty: name the column"));
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
             InvalidArgument("train.local_steps needs federation.site_batch = share, but it is {}: the arms would not see as many "
                             "images", federation.site_batch));
  rules.OneOf("train.schedule", train.schedule, {"cosine", "step", "constant"});
  rules.Range("train.warmup_share", train.warmup_share, 0, 1);
  rules.AtLeast("train.step_rounds", train.step_rounds, 1);
  rules.Range("train.step_factor", train.step_factor, 0, 1);
  rules.OneOf("train.precision", train.precision, {"auto", "float32", "bfloat16"});
  rules.OneOf("train.device", train.device, {"cpu", "cuda"});
  rules.Range("train.rotate_degrees", train.augmentation.rotate_degrees, 0, 180);
  rules.Range("train.scale", train.augmentation.scale, 0, 0.9);
  rules.Range("train.brightness", train.augmentation.brightness, 0, 1);
  rules.Range("train.contrast", train.augmentation.contrast, 0, 1);
  rules.Range("federation.rounds", federation.rounds, 0, 100000);
  rules.OneOf("federation.strategy", federation.strategy, {"fedavg"});
  rules.OneOf("federation.weighting", federation.weighting, {"images", "uniform"});
  rules.OneOf("federation.site_batch", federation.site_batch, {"share", "full"});
  rules.OneOf("federation.select", federation.select, {"best", "last"});
  rules.AtLeast("federation.patience", federation.patience, 0);
  rules.That(split.validation_share > 0 || (federation.select == "last" && federation.patience == 0),
             InvalidArgument("split.validation_share is 0, but federation.select = best and federation.patience need "
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
  rules.That(study.folds == 0 || (data.test.empty() && split.test_per_class == 0),
             InvalidArgument("study.folds makes its own test sets: leave out data.test and split.test_per_class"));
  rules.That(study.margin > 0 && study.margin < 0.5,
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
    const bool often = rounds == 0 && epoch_steps > kUsualLocalSteps && config.federation.site_batch == "share";
    (often ? train.local_steps : train.local_epochs) = often ? kUsualLocalSteps : 1;
  }
  if (rounds > 0) return;
  const int64_t per_round = train.local_steps > 0 ? train.local_steps : epoch_steps * train.local_epochs;
  rounds = static_cast<int>(std::max<int64_t>(1, (epoch_steps * train.epochs + per_round - 1) / per_round));
}

double UsualLearningRate(const TrainConfig& train, const ModelConfig& model) {
  const double scratch = train.optimiser == "sgd" ? 0.01 : 0.001;
  return model.init.empty() ? scratch : scratch / 5;
}

std::string RunConfig::ToToml() const {
  std::string text, table;
  VisitFields(*this, [&](const char* section, const char* key, const auto& field, const char* help) {
    if (section != table) {
      table = section;
      text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", table);
    }
    text += fmt::format("{} = {}  # {}\n", key, Write(field), help);
  });
  return text;
}

absl::StatusOr<RunConfig> RunConfig::FromToml(const std::string& text, const std::string& name) {
  toml::parse_result result = toml::parse(text, name);
  if (!result) {
    return InvalidArgument("{}: line {}: {}", name, result.error().source().begin.line,
                           std::string(result.error().description()));
  }
  const toml::table root = std::move(result).table();
  RunConfig config;
  absl::Status error;
  std::set<std::pair<std::string, std::string>> known;
  VisitFields(config, [&](const char* section, const char* key, auto& field, const char*) {
    known.insert({section, key});
    const toml::node* node = root.at_path(std::string(section) + "." + key).node();
    if (node == nullptr || Read(*node, field) || !error.ok()) return;
    error = InvalidArgument("{}: line {}: {}.{} must be {}", name, node->source().begin.line, section, key,
                            TypeName<std::decay_t<decltype(field)>>());
  });
  MANAKO_RETURN_IF_ERROR(error);
  for (const auto& [section, node] : root) {
    const toml::table* table = node.as_table();
    const std::string section_name(section.str());
    if (table == nullptr) {
      return InvalidArgument("{}: line {}: {} stands outside every table", name, node.source().begin.line, section_name);
    }
    for (const auto& [key, value] : *table) {
      if (!known.contains({section_name, std::string(key.str())})) {
        return InvalidArgument("{}: line {}: {}.{} is no setting that this version knows", name,
                               value.source().begin.line, section_name, std::string(key.str()));
      }
    }
  }
  return config;
}

}  // namespace manako
