// A configuration as TOML, both ways, from its one list of fields (VisitFields). For the .cc files
// of configurations.
#ifndef MANAKO_CORE_CONFIG_TOML_H_
#define MANAKO_CORE_CONFIG_TOML_H_

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "core/toml.h"

namespace manako::config_toml {

inline std::string Quote(const std::string& text) {
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

inline std::string Write(const std::string& value) { return Quote(value); }
inline std::string Write(bool value) { return value ? "true" : "false"; }
inline std::string Write(int value) { return std::to_string(value); }
// TOML's integers are signed: a seed above 2^63 - 1 is refused by Validate().
inline std::string Write(uint64_t value) { return std::to_string(value); }
inline std::string Write(double value) {
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
inline bool Read(const toml::node& node, std::string& field) {
  const auto value = node.value_exact<std::string>();
  if (value) field = *value;
  return value.has_value();
}
inline bool Read(const toml::node& node, bool& field) {
  const auto value = node.value_exact<bool>();
  if (value) field = *value;
  return value.has_value();
}
inline bool Read(const toml::node& node, double& field) {
  if (!node.is_number()) return false;
  field = *node.value<double>();
  return true;
}
inline bool Read(const toml::node& node, int& field) {
  const auto value = node.value_exact<int64_t>();
  if (!value || *value < INT32_MIN || *value > INT32_MAX) return false;
  field = static_cast<int>(*value);
  return true;
}
inline bool Read(const toml::node& node, uint64_t& field) {
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

template <typename Config>
std::string ToToml(const Config& config) {
  std::string text, table;
  VisitFields(config,
              [&](const char* section, const char* key, const auto& field, const char* help) {
                if (section != table) {
                  table = section;
                  text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", table);
                }
                text += fmt::format("{} = {}  # {}\n", key, Write(field), help);
              });
  return text;
}

// InvalidArgument for bad TOML, with the line.
inline absl::StatusOr<toml::table> Parse(const std::string& text, const std::string& name) {
  toml::parse_result result = toml::parse(text, name);
  if (!result) {
    return InvalidArgument("{}: line {}: {}", name, result.error().source().begin.line,
                           std::string(result.error().description()));
  }
  return std::move(result).table();
}

// InvalidArgument, with the line, for a field of another type, or one that nobody knows.
template <typename Config>
absl::StatusOr<Config> FromTable(const toml::table& root, const std::string& name) {
  Config config;
  absl::Status error;
  std::set<std::pair<std::string, std::string>> known;
  VisitFields(config, [&](const char* section, const char* key, auto& field, const char*) {
    known.insert({section, key});
    const toml::node* node = root.at_path(std::string(section) + "." + key).node();
    if (node == nullptr || Read(*node, field) || !error.ok()) return;
    error = InvalidArgument("{}: line {}: {}.{} must be {}", name, node->source().begin.line,
                            section, key, TypeName<std::decay_t<decltype(field)>>());
  });
  MANAKO_RETURN_IF_ERROR(error);
  for (const auto& [section, node] : root) {
    const toml::table* table = node.as_table();
    const std::string section_name(section.str());
    if (table == nullptr) {
      return InvalidArgument("{}: line {}: {} stands outside every table", name,
                             node.source().begin.line, section_name);
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

// Parse() and FromTable().
template <typename Config>
absl::StatusOr<Config> FromToml(const std::string& text, const std::string& name) {
  MANAKO_ASSIGN_OR_RETURN(const toml::table root, Parse(text, name));
  return FromTable<Config>(root, name);
}

}  // namespace manako::config_toml

#endif  // MANAKO_CORE_CONFIG_TOML_H_
