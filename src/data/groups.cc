#include "data/groups.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

namespace manako {
namespace {

int Rank(Split split) {
  switch (split) {
    case Split::kTest:
      return 3;
    case Split::kValidation:
      return 2;
    case Split::kTrain:
      return 1;
    case Split::kUnset:
      return 0;
  }
  return 0;
}

// Moves the smallest group of class `label` (the first in `from`) from one list to the other.
void MoveSmallest(const std::vector<Group>& groups, int label, GroupList* from, GroupList* to) {
  auto best = from->end();
  for (auto at = from->begin(); at != from->end(); ++at) {
    const Group& group = groups[static_cast<size_t>(*at)];
    if (group.label != label) continue;
    if (best == from->end() || group.size() < groups[static_cast<size_t>(*best)].size()) best = at;
  }
  if (best == from->end()) return;
  to->push_back(*best);
  from->erase(best);
}

}  // namespace

std::vector<Group> CollectGroups(const Dataset& dataset) {
  std::vector<Group> groups;
  for (size_t i = 0; i < dataset.images.size(); ++i) {
    const Image& image = dataset.images[i];
    const auto g = static_cast<size_t>(image.group);
    if (g >= groups.size()) groups.resize(g + 1);
    groups[g].counts.resize(dataset.classes.size());
    groups[g].images.push_back(static_cast<int>(i));
    ++groups[g].counts[static_cast<size_t>(image.label)];
    if (Rank(image.given) > Rank(groups[g].given)) groups[g].given = image.given;
  }
  for (Group& group : groups) {
    group.counts.resize(dataset.classes.size());
    group.label = static_cast<int>(std::max_element(group.counts.begin(), group.counts.end()) -
                                   group.counts.begin());
  }
  return groups;
}

std::vector<int> CountImages(const std::vector<Group>& groups, const GroupList& list,
                             size_t classes) {
  std::vector<int> counts(classes);
  for (int g : list) {
    for (size_t c = 0; c < classes; ++c) counts[c] += groups[static_cast<size_t>(g)].counts[c];
  }
  return counts;
}

std::vector<int> CountGroups(const std::vector<Group>& groups, const GroupList& list,
                             size_t classes) {
  std::vector<int> counts(classes);
  for (int g : list) ++counts[static_cast<size_t>(groups[static_cast<size_t>(g)].label)];
  return counts;
}

Choice TakeImages(const std::vector<Group>& groups, const GroupList& from,
                  const std::vector<int>& targets, Random random) {
  GroupList order = from;
  std::sort(order.begin(), order.end());
  random.Shuffle(order);
  std::vector<int> have(targets.size());
  Choice choice;
  for (int g : order) {
    const std::vector<int>& counts = groups[static_cast<size_t>(g)].counts;
    bool fits = true;
    for (size_t c = 0; c < targets.size(); ++c)
      fits = fits && (counts[c] == 0 || have[c] + counts[c] <= targets[c]);
    if (fits) {
      for (size_t c = 0; c < targets.size(); ++c) have[c] += counts[c];
    }
    (fits ? choice.taken : choice.rest).push_back(g);
  }
  std::sort(choice.taken.begin(), choice.taken.end());
  std::sort(choice.rest.begin(), choice.rest.end());
  return choice;
}

Choice TakeShare(const std::vector<Group>& groups, const GroupList& from,
                 const ShareOptions& options, size_t classes, Random random) {
  std::vector<int> targets = CountImages(groups, from, classes);
  for (int& target : targets) target = static_cast<int>(std::lround(target * options.share));
  Choice choice = TakeImages(groups, from, targets, random);
  const std::vector<int> all = CountGroups(groups, from, classes);
  for (size_t c = 0; c < classes; ++c) {
    const int label = static_cast<int>(c);
    const bool enough = all[c] >= std::max(2, options.least_groups);
    const int taken = CountGroups(groups, choice.taken, classes)[c];
    if (enough && taken == 0) MoveSmallest(groups, label, &choice.rest, &choice.taken);
    if (taken == all[c]) {
      while (all[c] > 0 && CountGroups(groups, choice.rest, classes)[c] == 0) {
        MoveSmallest(groups, label, &choice.taken, &choice.rest);
      }
    }
  }
  std::sort(choice.taken.begin(), choice.taken.end());
  std::sort(choice.rest.begin(), choice.rest.end());
  return choice;
}

std::vector<int> Deal(const std::vector<Group>& groups, const GroupList& list,
                      const std::vector<std::vector<double>>& shares, Random random) {
  const size_t classes = shares.size(), hands = classes == 0 ? 0 : shares[0].size();
  const std::vector<int> totals = CountImages(groups, list, classes);
  // What each hand lacks of each class, and in all.
  std::vector<std::vector<double>> lacks(classes, std::vector<double>(hands));
  std::vector<double> lacks_all(hands);
  for (size_t c = 0; c < classes; ++c) {
    for (size_t h = 0; h < hands; ++h) {
      lacks[c][h] = totals[c] * shares[c][h];
      lacks_all[h] += lacks[c][h];
    }
  }
  std::vector<size_t> order(list.size());
  std::iota(order.begin(), order.end(), size_t{0});
  random.Shuffle(order);
  const auto group_at = [&](size_t i) -> const Group& {
    return groups[static_cast<size_t>(list[i])];
  };
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::make_tuple(group_at(a).label, -group_at(a).size()) <
           std::make_tuple(group_at(b).label, -group_at(b).size());
  });
  std::vector<int> rank(hands);
  std::iota(rank.begin(), rank.end(), 0);
  random.Shuffle(rank);
  // Sums of thirds and the like differ in their last bits: what is nearly equal counts as equal.
  const auto rounded = [](double value) { return std::llround(value * 1e6); };
  std::vector<int> hand_of(list.size());
  for (size_t i : order) {
    const Group& group = group_at(i);
    const auto label = static_cast<size_t>(group.label);
    size_t best = 0;
    for (size_t h = 1; h < hands; ++h) {
      if (std::make_tuple(rounded(lacks[label][h]), rounded(lacks_all[h]), rank[h]) >
          std::make_tuple(rounded(lacks[label][best]), rounded(lacks_all[best]), rank[best])) {
        best = h;
      }
    }
    for (size_t c = 0; c < classes; ++c) lacks[c][best] -= group.counts[c];
    lacks_all[best] -= group.size();
    hand_of[i] = static_cast<int>(best);
  }
  return hand_of;
}

}  // namespace manako
