// Who is trained on, who is tested on, and at which site: by whole groups (patients), stratified by
// class.
#ifndef MANAKO_DATA_SPLIT_H_
#define MANAKO_DATA_SPLIT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/run_config.h"
#include "data/dataset.h"

namespace manako {

// The plan of one cell: for every image of the dataset its split (kUnset: not used in this cell)
// and its site.
struct CellPlan {
  std::vector<Split> split;
  std::vector<int> site;  // index into `sites`; test images too (by column, else dealt evenly)
  std::vector<std::string> sites;  // "site-1", ... or the column's values, sorted
};

struct CellOptions {
  SplitConfig split;
  PartitionConfig partition;
  uint64_t seed = 0;
  int folds =
      0;  // 0: hold out by SplitConfig; else test on fold `fold` (from 1) of `folds`, cut by `seed`
  int fold = 0;
};

// First test against training (by the given split where there is one), then training images over
// sites, then each site's own validation share. Groups are never divided between splits or between
// sites. Stratified: every split and (iid) every site has each class's share as nearly as whole
// groups allow. A group's class is that of most of its images. InvalidArgument: fewer groups of a
// class than sites or folds, train_per_class + test_per_class more than there are (says how many
// there are), a site without training images of any kind, a scheme that needs a column that is not
// there.
absl::StatusOr<CellPlan> PlanCell(const Dataset& dataset, const CellOptions& options);

// The images of one split (and, with site >= 0, of one site), in the dataset's order.
Examples Select(const Dataset& dataset, const CellPlan& plan, Split split, int site = -1);

}  // namespace manako

#endif  // MANAKO_DATA_SPLIT_H_
