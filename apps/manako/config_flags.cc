#include "apps/manako/config_flags.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <string>
#include <type_traits>

#include "apps/manako/help_format.h"

namespace manako {
namespace {

// Where the flag isn't the key with dashes.
const std::map<std::string, std::string>& Renamed() {
  static const std::map<std::string, std::string> names = {
      {"data.path", "images"},
      {"model.architecture", "--model"},
      {"partition.scheme", "--partition"},
      {"partition.proportions", "--proportions"},
      {"split.fixed", "--fixed-split"}};
  return names;
}

std::string FlagOf(const char* table, const char* key) {
  if (const auto found = Renamed().find(std::string(table) + "." + key); found != Renamed().end())
    return found->second;
  std::string flag = std::string("--") + key;
  std::replace(flag.begin(), flag.end(), '_', '-');
  return flag;
}

const std::set<std::string>& Usual() {
  static const std::set<std::string> keys = {
      "data.path",           "data.test",           "data.group_column", "data.site_column",
      "data.image_size",     "partition.sites",     "partition.scheme",  "model.architecture",
      "model.init",          "train.learning_rate", "train.batch",       "train.precision",
      "train.augment",       "train.epochs",        "federation.rounds", "study.repeats",
      "study.folds",         "study.margin",        "study.seed",        "study.thumbnails",
      "study.arms",          "train.optimiser",     "split.test_share",  "split.train_per_class",
      "split.test_per_class"};
  return keys;
}

// What --help-all prints: every flag with its place in the TOML file, its default and its meaning.
std::string AllSettings() {
  RunConfig defaults;
  std::string text, last;
  VisitFields(defaults,
              [&](const char* table, const char* key, const auto& field, const char* help) {
                if (last != table) text += fmt::format("\n[{}]\n", last = table);
                std::string value;
                if constexpr (fmt::is_formattable<std::decay_t<decltype(field)>>::value)
                  value = fmt::format("{}", field);
                text += fmt::format("  {:<26} {:<10} {}\n", FlagOf(table, key), value, help);
              });
  return text;
}

}  // namespace

void AddConfigFlags(CLI::App& command, RunConfig& config) {
  command.add_flag_callback(
      "--help-all",
      [] {
        fmt::print(
            "Every setting: its flag (switches: also --no-...), its default, its meaning. In a "
            "TOML file for --config the\n"
            "key is the flag with underscores, in the table given here; config.toml of any run is "
            "an example.\n{}",
            AllSettings());
        throw CLI::Success();
      },
      "Every setting");
  VisitFields(config, [&](const char* table, const char* key, auto& field, const char* help) {
    using Field = std::decay_t<decltype(field)>;
    const std::string name = std::string(table) + "." + key;
    const std::string flag = FlagOf(table, key);
    CLI::Option* option;
    if constexpr (std::is_same_v<Field, bool>) {
      option = command.add_flag(flag + ",!--no-" + flag.substr(2), field, help);
    } else {
      option = command.add_option(flag, field, help);
      if constexpr (std::is_same_v<Field, std::vector<double>> ||
                    std::is_same_v<Field, std::vector<std::string>>) {
        option->delimiter(',');
      }
      if (flag.starts_with("--")) option->capture_default_str();
    }
    if (!Usual().contains(name)) option->group(kNotInHelp);
    // A share, which people write both ways: 0.05 and 5%.
    if (name == "data.max_bad") {
      option->transform([](const std::string& text) {
        double percent = 0;
        const char* end = text.data() + text.size();
        const auto [at, error] = std::from_chars(text.data(), end, percent);
        return error == std::errc() && at + 1 == end && *at == '%'
                   ? fmt::format("{}", percent / 100)
                   : text;
      });
    }
  });
}

}  // namespace manako
