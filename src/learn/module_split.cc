#include "learn/module_split.h"

#include <algorithm>
#include <utility>

namespace manako {
namespace {

// Whether the code of a line runs this child.
bool Runs(const std::string& line, const std::string& child) {
  return line.find(ModuleBuilder::Call(child) + "(") != std::string::npos;
}

// Whether it does nothing else, so that a cut may go before the child or through it.
bool OnlyRuns(const std::string& line, const std::string& child) {
  return line == "x = " + ModuleBuilder::Call(child) + "(x)";
}

// Whether x is all that the line leaves to those behind it.
bool LeavesOnlyX(const std::string& line) {
  return line.starts_with("x = ") || line.starts_with("x += ");
}

bool HasTensors(const ModuleDef& def) {
  return !def.tensors.empty() || std::any_of(def.children.begin(), def.children.end(),
                                             [](const auto& c) { return HasTensors(c.second); });
}

// Lines [begin, end) of a module, with the children that they run.
ModuleDef Part(const ModuleDef& def, size_t begin, size_t end) {
  ModuleDef part;
  part.type = def.type;
  part.forward.assign(def.forward.begin() + static_cast<std::ptrdiff_t>(begin),
                      def.forward.begin() + static_cast<std::ptrdiff_t>(end));
  for (const auto& [name, child] : def.children) {
    if (std::any_of(part.forward.begin(), part.forward.end(),
                    [&](const std::string& line) { return Runs(line, name); }))
      part.children.emplace_back(name, child);
  }
  return part;
}

ModuleDef& ChildOf(ModuleDef& def, const std::string& name) {
  return std::find_if(def.children.begin(), def.children.end(),
                      [&](const auto& child) { return child.first == name; })
      ->second;
}

std::optional<ModuleParts> Split(const ModuleDef& def, const std::string& layer) {
  const size_t dot = layer.find('.');
  const std::string name = layer.substr(0, dot);
  const auto child = std::find_if(def.children.begin(), def.children.end(),
                                  [&](const auto& c) { return c.first == name; });
  if (child == def.children.end()) return std::nullopt;
  size_t line = 0;
  while (line < def.forward.size() && !Runs(def.forward[line], name)) {
    if (!LeavesOnlyX(def.forward[line++])) return std::nullopt;
  }
  if (line == def.forward.size() || !OnlyRuns(def.forward[line], name)) return std::nullopt;
  if (dot == std::string::npos)
    return ModuleParts{Part(def, 0, line), Part(def, line, def.forward.size())};
  std::optional<ModuleParts> inner = Split(child->second, layer.substr(dot + 1));
  if (!inner.has_value()) return std::nullopt;
  ModuleParts parts = {Part(def, 0, line + 1), Part(def, line, def.forward.size())};
  ChildOf(parts.trunk, name) = std::move(inner->trunk);
  ChildOf(parts.head, name) = std::move(inner->head);
  return parts;
}

// `begun`: whether something with tensors ran before this module, and behind it, on the way out.
void Collect(const ModuleDef& def, const std::string& prefix, bool& begun,
             std::vector<std::string>& layers) {
  bool crossed = false;
  for (size_t line = 0; line < def.forward.size(); ++line) {
    for (const auto& [name, child] : def.children) {
      if (!Runs(def.forward[line], name)) continue;
      if (!crossed && OnlyRuns(def.forward[line], name)) {
        // The first line of a module within another is the outer one's place.
        if (begun && (line > 0 || prefix.empty())) layers.push_back(prefix + name);
        Collect(child, prefix + name + ".", begun, layers);
      }
      begun = begun || HasTensors(child);
    }
    crossed = crossed || !LeavesOnlyX(def.forward[line]);
  }
}

}  // namespace

std::vector<std::string> CutLayers(const ModuleDef& def) {
  std::vector<std::string> layers;
  bool begun = false;
  Collect(def, "", begun, layers);
  return layers;
}

std::optional<ModuleParts> SplitModule(const ModuleDef& def, const std::string& layer) {
  std::optional<ModuleParts> parts = Split(def, layer);
  if (parts.has_value() && HasTensors(parts->trunk) && HasTensors(parts->head)) return parts;
  return std::nullopt;
}

}  // namespace manako
