#include "core/label_map.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/status_macros.h"

namespace manako {

absl::StatusOr<std::vector<int>> MapLabels(const LabelMap& mapping,
                                           const std::vector<std::string>& classes,
                                           std::span<const SiteLabel> labels) {
  const auto class_of = [&](const std::string& name) {
    const auto at = std::find(classes.begin(), classes.end(), name);
    return at == classes.end() ? -1 : static_cast<int>(at - classes.begin());
  };
  std::vector<int> mapped;
  for (const SiteLabel& label : labels) {
    int found = -1;
    const auto entry = mapping.find(label.name);
    if (entry != mapping.end()) {
      for (const std::string& name : entry->second) {
        if ((found = class_of(name)) >= 0) break;
      }
    }
    const bool left_out = entry != mapping.end() && entry->second.empty();
    if (found < 0 && !left_out) found = class_of(label.name);
    if (found < 0 && !left_out) {
      const std::string says =
          entry == mapping.end()
              ? "[labels] does not name it"
              : fmt::format("[labels] says {}, which is none", fmt::join(entry->second, " or "));
      return FailedPrecondition(
          "{} images are labelled {}, which is no class of the run ({}), and {}: write \"{}\" = "
          "\"CLASS\" there, or "
          "\"{}\" = [] to leave them out",
          label.images, label.name, fmt::join(classes, ", "), says, label.name, label.name);
    }
    mapped.push_back(found);
  }
  return mapped;
}

}  // namespace manako
