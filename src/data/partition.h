// Which hospital gets which groups. Behind split.h.
#ifndef MANAKO_DATA_PARTITION_H_
#define MANAKO_DATA_PARTITION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/groups.h"

namespace manako {

struct Partition {
  std::vector<std::string> sites;
  std::vector<int>
      site_of;  // parallel to the list that was dealt; -1 only by column: the image names no site
};

// Deals the groups `train` over sites by config.scheme, by streams of `seed`:
//   iid          every site alike: each class's images in equal parts, and as many images in all
//   proportions  as iid, in parts of config.proportions
//   dirichlet    for each class the parts are drawn from Dirichlet(alpha) (Hsu, Qi, Brown 2019,
//   "Measuring the effects of
//                non-identical data distribution"), again (up to 1000 times) until every site has
//                at least one group
//   column       Image::site; duplicates that stand at two sites go where most of them are
// InvalidArgument: see PlanCell().
absl::StatusOr<Partition> PartitionGroups(const Dataset& dataset, const std::vector<Group>& groups,
                                          const GroupList& train, const PartitionConfig& config,
                                          uint64_t seed);

// The sites of other groups (test, validation) of the same cell: by column where that is the
// scheme, else evenly. Groups without a site are dealt evenly.
std::vector<int> DealOthers(const Dataset& dataset, const std::vector<Group>& groups,
                            const GroupList& others, const Partition& partition, bool by_column,
                            Random random);

}  // namespace manako

#endif  // MANAKO_DATA_PARTITION_H_
