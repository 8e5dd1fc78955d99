#include "report/protocol.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "core/toml.h"

namespace manako {
namespace {

struct Leaf {
  toml::source_position at;
  std::string dotted, last, value;
};

std::string ValueOf(const toml::node& node) {
  if (const auto* s = node.as_string()) return s->get();
  if (const auto* i = node.as_integer()) return fmt::format("{}", i->get());
  if (const auto* f = node.as_floating_point()) return fmt::format("{}", f->get());
  if (const auto* b = node.as_boolean()) return b->get() ? "true" : "false";
  if (const auto* array = node.as_array()) {
    std::string joined;
    for (const toml::node& element : *array) {
      if (!joined.empty()) joined += ", ";
      joined += ValueOf(element);
    }
    return joined;
  }
  std::ostringstream other;  // dates and times, tables within arrays
  node.visit([&](const auto& value) { other << value; });
  return other.str();
}

// Tables nest no deeper than the parser allows (256).
void Collect(const toml::table& table, const std::string& prefix, std::vector<Leaf>& leaves) {
  for (const auto& [key, node] : table) {
    const std::string last(key.str());
    const std::string dotted = prefix.empty() ? last : prefix + "." + last;
    if (const toml::table* inner = node.as_table()) {
      Collect(*inner, dotted, leaves);
    } else {
      leaves.push_back({key.source().begin, dotted, last, ValueOf(node)});
    }
  }
}

}  // namespace

ProtocolRows ReadProtocol(const std::string& toml) {
  ProtocolRows protocol;
  const toml::parse_result parsed = toml::parse(toml);
  if (!parsed) {
    protocol.readable = false;
    return protocol;
  }
  const toml::table& table = parsed.table();
  std::vector<Leaf> leaves;
  Collect(table, "", leaves);
  std::stable_sort(leaves.begin(), leaves.end(), [](const Leaf& a, const Leaf& b) {
    return std::pair(a.at.line, a.at.column) < std::pair(b.at.line, b.at.column);
  });
  std::set<std::string> used;
  for (Leaf& leaf : leaves) {
    if (leaf.value.empty()) continue;
    const bool is_new = used.insert(leaf.last).second;
    protocol.rows.emplace_back(is_new ? leaf.last : leaf.dotted, std::move(leaf.value));
  }
  const auto margin = table["study"]["margin"].value<double>();
  if (margin && *margin > 0 && *margin < 1) protocol.margin = *margin;
  const auto repeats = table["study"]["repeats"].value<int64_t>();
  if (repeats && *repeats >= 1 && *repeats <= 1000000)
    protocol.repeats = static_cast<int>(*repeats);
  const auto folds = table["study"]["folds"].value<int64_t>();
  if (folds && *folds >= 0 && *folds <= 1000000) protocol.folds = static_cast<int>(*folds);
  return protocol;
}

}  // namespace manako
