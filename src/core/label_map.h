// A site's names for what its images show, and the names that a run has for them.
#ifndef MANAKO_CORE_LABEL_MAP_H_
#define MANAKO_CORE_LABEL_MAP_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace manako {

// For each of the site's labels the classes that it may stand for, in the order of preference;
// none: images with this label take part in no run.
using LabelMap = std::map<std::string, std::vector<std::string>>;

struct SiteLabel {
  std::string name;
  int64_t images = 0;
};

// For each of the site's labels its class, as an index into `classes`, or -1 where its images are
// left out: the first of the mapping's classes that the run has, or else the class of the label's
// own name. FailedPrecondition for a label that neither the mapping nor the run knows: names it,
// how many images have it, and what to write into the mapping.
absl::StatusOr<std::vector<int>> MapLabels(const LabelMap& mapping,
                                           const std::vector<std::string>& classes,
                                           std::span<const SiteLabel> labels);

}  // namespace manako

#endif  // MANAKO_CORE_LABEL_MAP_H_
