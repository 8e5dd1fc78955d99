#include "apps/manako/config_flags.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <type_traits>

namespace manako {
namespace {

// Where the flag isn't the key with dashes.
const std::map<std::string, std::string>& Renamed() {
  static const std::map<std::string, std::string> names = {
      {"data.path", "images"}, {"model.architecture", "--model"}, {"partition.scheme", "--partition"},
      {"partition.proportions", "--proportions"}, {"split.fixed", "--fixed-split"}};
  return names;
}

const std::set<std::string>& Usual() {
  static const std::set<std::string> keys = {
      "data.path",       "data.test",        "data.group_column",  "data.site_column",      "data.image_size",
      "partition.sites", "partition.scheme", "model.architecture", "model.init",            "train.learning_rate",
      "train.batch",     "train.precision",  "train.augment",      "train.local_epochs",    "federation.rounds",
      "study.repeats",   "study.folds",      "study.margin",       "study.seed",            "study.thumbnails",
      "study.arms",      "train.optimiser",  "split.test_share",   "split.train_per_class", "split.test_per_class"};
  return keys;
}

}  // namespace

void AddConfigFlags(CLI::App& command, RunConfig& config) {
  command.set_help_all_flag("--help-all", "Every setting");
  VisitFields(config, [&](const char* table, const char* key, auto& field, const char* help) {
    using Field = std::decay_t<decltype(field)>;
    const std::string name = std::string(table) + "." + key;
    std::string flag = std::string("--") + key;
    std::replace(flag.begin(), flag.end(), '_', '-');
    if (const auto found = Renamed().find(name); found != Renamed().end()) flag = found->second;
    CLI::Option* option;
    if constexpr (std::is_same_v<Field, bool>) {
      option = command.add_flag(flag + ",!--no-" + flag.substr(2), field, help);
    } else {
      option = command.add_option(flag, field, help);
      if constexpr (std::is_same_v<Field, std::vector<double>> || std::is_same_v<Field, std::vector<std::string>>) {
        option->delimiter(',');
      }
      if (flag.starts_with("--")) option->capture_default_str();
    }
    // An empty group is hidden from --help.
    option->group(Usual().contains(name) ? "Options" : std::string("All settings of [") + table + "]");
    if (!Usual().contains(name)) option->group("");
  });
}

}  // namespace manako
