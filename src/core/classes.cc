#include "core/classes.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace manako {

bool MeansHealthy(const std::string& name) {
  static constexpr std::array<std::string_view, 12> kNames = {
      "normal", "healthy", "negative", "control", "controls", "benign",
      "no",     "none",    "absent",   "0",       "neg",      "healthy eye"};
  std::string lower = name;
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (std::find(kNames.begin(), kNames.end(), lower) != kNames.end()) return true;
  // "no_dr", "no finding", "non-glaucoma"; but not "nodule".
  for (const std::string_view prefix :
       {"no_", "no-", "no ", "non_", "non-", "non ", "not_", "not-", "not "}) {
    if (lower.starts_with(prefix)) return true;
  }
  return false;
}

int PositiveClass(const std::vector<std::string>& classes, const std::string& wanted) {
  if (classes.size() != 2) return -1;
  if (wanted.empty()) return !MeansHealthy(classes[0]) && MeansHealthy(classes[1]) ? 0 : 1;
  const auto at = std::find(classes.begin(), classes.end(), wanted);
  return at == classes.end() ? -1 : static_cast<int>(at - classes.begin());
}

}  // namespace manako
