#include "data/split.h"

#include <algorithm>

#include "base/status_macros.h"
#include "data/groups.h"
#include "data/partition.h"

namespace manako {
namespace {

struct Sides {
  GroupList train, validation, test;  // validation: as given by the source; else carved out later
};

absl::Status CheckOptions(const CellOptions& options) {
  const SplitConfig& split = options.split;
  if (split.train_per_class < 0 || split.test_per_class < 0) {
    return InvalidArgument(
        "split.train_per_class and split.test_per_class must be >= 0, but are {} and {}",
        split.train_per_class, split.test_per_class);
  }
  if (!(split.test_share > 0 && split.test_share < 1)) {
    return InvalidArgument("split.test_share must be between 0 and 1, but is {}", split.test_share);
  }
  if (!(split.validation_share >= 0 && split.validation_share < 1)) {
    return InvalidArgument("split.validation_share must be from 0 to below 1, but is {}",
                           split.validation_share);
  }
  if (options.folds != 0 &&
      (options.folds < 2 || options.fold < 1 || options.fold > options.folds)) {
    return InvalidArgument(
        "fold {} of {} cannot be: study.folds must be >= 2 and the fold 1 to folds", options.fold,
        options.folds);
  }
  return absl::OkStatus();
}

std::string_view Unit(const Dataset& dataset) {
  return dataset.has_patients ? "patients" : "images";
}

// `wanted` images of each class must be among `list`.
absl::Status CheckEnough(const Dataset& dataset, const std::vector<Group>& groups,
                         const GroupList& list, int wanted, std::string_view what) {
  const std::vector<int> have = CountImages(groups, list, dataset.classes.size());
  for (size_t c = 0; c < have.size(); ++c) {
    if (wanted <= have[c]) continue;
    return InvalidArgument("{} is {}, but class \"{}\" has {} images for it: lower it", what,
                           wanted, dataset.classes[c], have[c]);
  }
  return absl::OkStatus();
}

absl::Status TakeFold(const Dataset& dataset, const std::vector<Group>& groups,
                      const CellOptions& options, Sides* sides) {
  const size_t classes = dataset.classes.size();
  const std::vector<int> counts = CountGroups(groups, sides->train, classes);
  for (size_t c = 0; c < classes; ++c) {
    if (counts[c] >= options.folds) continue;
    return InvalidArgument(
        "class \"{}\" has {} {}, fewer than the {} folds: set study.folds to {} or less",
        dataset.classes[c], counts[c], Unit(dataset), options.folds, std::max(1, counts[c]));
  }
  const std::vector<std::vector<double>> shares(
      classes, std::vector<double>(static_cast<size_t>(options.folds), 1.0 / options.folds));
  const std::vector<int> fold_of =
      Deal(groups, sides->train, shares, Random(options.seed, "folds"));
  GroupList train;
  for (size_t i = 0; i < fold_of.size(); ++i) {
    (fold_of[i] + 1 == options.fold ? sides->test : train).push_back(sides->train[i]);
  }
  sides->train = std::move(train);
  return absl::OkStatus();
}

absl::Status TakeTest(const Dataset& dataset, const std::vector<Group>& groups,
                      const CellOptions& options, Sides* sides) {
  const SplitConfig& split = options.split;
  const size_t classes = dataset.classes.size();
  Choice choice;
  if (split.test_per_class > 0) {
    const std::vector<int> have = CountImages(groups, sides->train, classes);
    for (size_t c = 0; c < classes; ++c) {
      if (split.train_per_class + split.test_per_class <= have[c]) continue;
      return InvalidArgument(
          "split.train_per_class {} + split.test_per_class {} is more than the {} images of class "
          "\"{}\": lower them",
          split.train_per_class, split.test_per_class, have[c], dataset.classes[c]);
    }
    choice = TakeImages(groups, sides->train, std::vector<int>(classes, split.test_per_class),
                        Random(options.seed, "test"));
  } else {
    choice = TakeShare(groups, sides->train, {.share = split.test_share}, classes,
                       Random(options.seed, "test"));
  }
  sides->test = std::move(choice.taken);
  sides->train = std::move(choice.rest);
  return absl::OkStatus();
}

absl::StatusOr<Sides> Divide(const Dataset& dataset, const std::vector<Group>& groups,
                             const CellOptions& options) {
  const SplitConfig& split = options.split;
  const size_t classes = dataset.classes.size();
  Sides sides;
  for (size_t g = 0; g < groups.size(); ++g) {
    if (groups[g].images.empty()) continue;
    const Split given = groups[g].given;
    GroupList* side = given == Split::kTest         ? &sides.test
                      : given == Split::kValidation ? &sides.validation
                                                    : &sides.train;
    side->push_back(static_cast<int>(g));
  }
  if (options.folds > 0) {
    if (dataset.test_given) {
      return InvalidArgument(
          "study.folds is {}, but the data have a test set of their own: set study.folds to 0",
          options.folds);
    }
    MANAKO_RETURN_IF_ERROR(TakeFold(dataset, groups, options, &sides));
  } else if (!dataset.test_given) {
    MANAKO_RETURN_IF_ERROR(TakeTest(dataset, groups, options, &sides));
  } else if (split.test_per_class > 0) {
    MANAKO_RETURN_IF_ERROR(
        CheckEnough(dataset, groups, sides.test, split.test_per_class, "split.test_per_class"));
    sides.test = TakeImages(groups, sides.test, std::vector<int>(classes, split.test_per_class),
                            Random(options.seed, "test"))
                     .taken;
  }
  if (split.train_per_class > 0) {
    MANAKO_RETURN_IF_ERROR(
        CheckEnough(dataset, groups, sides.train, split.train_per_class, "split.train_per_class"));
    sides.train = TakeImages(groups, sides.train, std::vector<int>(classes, split.train_per_class),
                             Random(options.seed, "train"))
                      .taken;
  }
  const std::vector<int> train = CountImages(groups, sides.train, classes);
  const std::vector<int> test = CountImages(groups, sides.test, classes);
  for (size_t c = 0; c < classes; ++c) {
    // A given test set may lack a class; it is not ours to refuse.
    if (train[c] > 0 && (test[c] > 0 || dataset.test_given)) continue;
    if (train[c] == 0 && dataset.duplicates.moved > 0) {
      return InvalidArgument(
          "class \"{}\" is left with no image to train on: {} training images are the same as test "
          "images and were left out: give other images for one of the two",
          dataset.classes[c], dataset.duplicates.moved);
    }
    return InvalidArgument(
        "class \"{}\" is left with {} images to train on and {} to test on: each needs one, give "
        "more images of it",
        dataset.classes[c], train[c], test[c]);
  }
  return sides;
}

void Assign(const std::vector<Group>& groups, const GroupList& list,
            const std::vector<int>& site_of, Split split, CellPlan* plan) {
  for (size_t i = 0; i < list.size(); ++i) {
    for (int image : groups[static_cast<size_t>(list[i])].images) {
      plan->split[static_cast<size_t>(image)] = split;
      plan->site[static_cast<size_t>(image)] = site_of[i];
    }
  }
}

// Every site's own share of its training images, for validation.
void CarveValidation(const Dataset& dataset, const std::vector<Group>& groups,
                     const CellOptions& options, const GroupList& train,
                     const std::vector<int>& site_of, CellPlan* plan) {
  for (size_t s = 0; s < plan->sites.size(); ++s) {
    GroupList own;
    for (size_t i = 0; i < train.size(); ++i) {
      if (site_of[i] == static_cast<int>(s)) own.push_back(train[i]);
    }
    const Choice choice =
        TakeShare(groups, own, {.share = options.split.validation_share, .least_groups = 3},
                  dataset.classes.size(), Random(options.seed, "validation", s));
    Assign(groups, choice.taken, std::vector<int>(choice.taken.size(), static_cast<int>(s)),
           Split::kValidation, plan);
  }
}

}  // namespace

absl::StatusOr<CellPlan> PlanCell(const Dataset& dataset, const CellOptions& options) {
  MANAKO_RETURN_IF_ERROR(CheckOptions(options));
  const std::vector<Group> groups = CollectGroups(dataset);
  MANAKO_ASSIGN_OR_RETURN(const Sides sides, Divide(dataset, groups, options));
  MANAKO_ASSIGN_OR_RETURN(
      const Partition partition,
      PartitionGroups(dataset, groups, sides.train, options.partition, options.seed));
  CellPlan plan;
  plan.split.assign(dataset.images.size(), Split::kUnset);
  plan.site.assign(dataset.images.size(), -1);
  plan.sites = partition.sites;
  const bool by_column = options.partition.scheme == "column";
  Assign(groups, sides.train, partition.site_of, Split::kTrain, &plan);
  const auto assign_others = [&](const GroupList& list, Split split, std::string_view stream) {
    Assign(groups, list,
           DealOthers(dataset, groups, list, partition, by_column, Random(options.seed, stream)),
           split, &plan);
  };
  assign_others(sides.test, Split::kTest, "test sites");
  if (!sides.validation.empty()) {
    assign_others(sides.validation, Split::kValidation, "validation sites");
  } else if (options.split.validation_share > 0) {
    CarveValidation(dataset, groups, options, sides.train, partition.site_of, &plan);
  }
  return plan;
}

Examples Select(const Dataset& dataset, const CellPlan& plan, Split split, int site) {
  Examples examples;
  examples.store = dataset.store.get();
  for (size_t i = 0; i < plan.split.size(); ++i) {
    if (plan.split[i] != split || (site >= 0 && plan.site[i] != site)) continue;
    examples.images.push_back(static_cast<int>(i));
    examples.labels.push_back(dataset.images[i].label);
  }
  return examples;
}

}  // namespace manako
