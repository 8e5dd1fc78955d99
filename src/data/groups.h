// Whole groups of images, and the ways to choose and to deal them. Behind split.h.
#ifndef MANAKO_DATA_GROUPS_H_
#define MANAKO_DATA_GROUPS_H_

#include <string>
#include <vector>

#include "base/random.h"
#include "data/dataset.h"

namespace manako {

struct Group {
  std::vector<int> images;      // indices into Dataset::images, ascending
  std::vector<int> counts;      // images of each class
  int label = 0;                // the class of most images; of equal ones the first
  Split given = Split::kUnset;  // test before validation before training, should its images differ
  int size() const { return static_cast<int>(images.size()); }
};

// In the order of Image::group.
std::vector<Group> CollectGroups(const Dataset& dataset);

// Indices into a vector of groups.
using GroupList = std::vector<int>;

// Images of each class in these groups.
std::vector<int> CountImages(const std::vector<Group>& groups, const GroupList& list,
                             size_t classes);
// Groups whose label is each class.
std::vector<int> CountGroups(const std::vector<Group>& groups, const GroupList& list,
                             size_t classes);

struct Choice {
  GroupList taken, rest;  // ascending
};
// Takes groups in a random order until each class has as many images as targets[class], passing
// over a group that would overshoot any class: exact where every group has one image.
Choice TakeImages(const std::vector<Group>& groups, const GroupList& from,
                  const std::vector<int>& targets, Random random);

// As TakeImages() for `share` of the images of each class, rounded; then, of each class with at
// least `least_groups` groups (>= 2), at least one group (the smallest) is taken, and at least one
// is left.
struct ShareOptions {
  double share = 0;
  int least_groups = 2;
};
Choice TakeShare(const std::vector<Group>& groups, const GroupList& from,
                 const ShareOptions& options, size_t classes, Random random);

// Deals groups to shares.size() hands so that hand h gets the share shares[label][h] of each
// class's images: class by class, large groups first and equal ones in random order, each to the
// hand that lacks most of this class; of equals to the one that lacks most in all, then by an order
// drawn. Returns the hand of each group of `list`.
std::vector<int> Deal(const std::vector<Group>& groups, const GroupList& list,
                      const std::vector<std::vector<double>>& shares, Random random);

}  // namespace manako

#endif  // MANAKO_DATA_GROUPS_H_
