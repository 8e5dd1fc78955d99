#include "data/split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "base/random.h"
#include "base/status_macros.h"

namespace manako {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// counts[c] images of class c in groups of `group_size`.
Dataset Make(const std::vector<int>& counts, int group_size = 1) {
  Dataset dataset;
  dataset.has_patients = group_size > 1;
  int group = -1;
  for (size_t c = 0; c < counts.size(); ++c) {
    dataset.classes.push_back(fmt::format("class{}", c));
    for (int i = 0; i < counts[c]; ++i) {
      if (i % group_size == 0) ++group;
      Image image;
      image.file = fmt::format("{}/{}", c, i);
      image.label = static_cast<int>(c);
      image.group = group;
      image.patient = fmt::format("p{}", group);
      dataset.images.push_back(image);
    }
  }
  return dataset;
}

// Groups of 1 to 6 images, some with both classes, as eyes of real patients.
Dataset MakeUneven(uint64_t seed) {
  Dataset dataset;
  dataset.classes = {"ill", "normal"};
  dataset.has_patients = true;
  Random random(seed, "test");
  for (int group = 0; group < 80; ++group) {
    const int label = random.Below(3) == 0;
    const auto size = static_cast<int>(1 + random.Below(6));
    for (int i = 0; i < size; ++i) {
      Image image;
      image.label = random.Below(10) == 0 ? 1 - label : label;
      image.group = group;
      image.patient = fmt::format("p{}", group);
      dataset.images.push_back(image);
    }
  }
  return dataset;
}

CellPlan Plan(const Dataset& dataset, const CellOptions& options) {
  auto plan = PlanCell(dataset, options);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan.ok() ? *plan : CellPlan();
}

std::string ErrorOf(const Dataset& dataset, const CellOptions& options) {
  const auto plan = PlanCell(dataset, options);
  return plan.ok() ? "ok" : std::string(MessageOf(plan.status()));
}

std::vector<int> Counts(const Dataset& dataset, const CellPlan& plan, Split split, int site = -1) {
  std::vector<int> counts(dataset.classes.size());
  for (int label : Select(dataset, plan, split, site).labels) ++counts[static_cast<size_t>(label)];
  return counts;
}

void ExpectGroupsWhole(const Dataset& dataset, const CellPlan& plan) {
  std::map<int, std::pair<Split, int>> side;
  for (size_t i = 0; i < dataset.images.size(); ++i) {
    const std::pair own(plan.split[i], plan.site[i]);
    EXPECT_EQ(side.emplace(dataset.images[i].group, own).first->second, own) << i;
    EXPECT_EQ(plan.site[i] < 0, plan.split[i] == Split::kUnset);
  }
}

TEST(SplitTest, NoPatientIsEverOnTwoSides) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const Dataset dataset = MakeUneven(seed);
    for (const std::string scheme : {"iid", "dirichlet", "proportions"}) {
      CellOptions options;
      options.seed = seed;
      options.partition = {.sites = 3, .scheme = scheme, .alpha = 0.5, .proportions = {5, 3, 2}};
      options.folds = seed % 2 ? 4 : 0;
      options.fold = seed % 2 ? 2 : 0;
      const CellPlan plan = Plan(dataset, options);
      ExpectGroupsWhole(dataset, plan);
      for (int site = 0; site < 3; ++site) {
        EXPECT_GT(Select(dataset, plan, Split::kTrain, site).size(), 0u);
      }
    }
  }
}

TEST(SplitTest, SameSeedSamePlanOtherSeedOtherPlan) {
  const Dataset dataset = MakeUneven(1);
  CellOptions options;
  options.seed = 5;
  const CellPlan first = Plan(dataset, options), second = Plan(dataset, options);
  EXPECT_EQ(first.split, second.split);
  EXPECT_EQ(first.site, second.site);
  options.seed = 6;
  EXPECT_NE(Plan(dataset, options).split, first.split);
}

TEST(SplitTest, SharesAreExactWithoutGroups) {
  const Dataset dataset = Make({100, 50});
  CellOptions options;
  const CellPlan plan = Plan(dataset, options);
  EXPECT_THAT(Counts(dataset, plan, Split::kTest), ElementsAre(20, 10));
  for (int site = 0; site < 3; ++site) {
    const auto train = Counts(dataset, plan, Split::kTrain, site);
    const auto validation = Counts(dataset, plan, Split::kValidation, site);
    EXPECT_NEAR(train[0] + validation[0], 80 / 3.0, 1);
    EXPECT_NEAR(train[1] + validation[1], 40 / 3.0, 1);
    EXPECT_EQ(validation[0], std::lround(0.15 * (train[0] + validation[0])));
    EXPECT_EQ(validation[1], std::lround(0.15 * (train[1] + validation[1])));
    EXPECT_NEAR(Select(dataset, plan, Split::kTest, site).size(), 10, 1);
  }
  EXPECT_THAT(plan.sites, ElementsAre("site-1", "site-2", "site-3"));
}

TEST(SplitTest, SharesAreCloseWithGroups) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const Dataset dataset = MakeUneven(seed);
    CellOptions options;
    options.seed = seed;
    const CellPlan plan = Plan(dataset, options);
    const auto test = Counts(dataset, plan, Split::kTest);
    std::vector<int> all(2), biggest(2);
    for (const Image& image : dataset.images) ++all[static_cast<size_t>(image.label)];
    for (size_t c = 0; c < 2; ++c) EXPECT_NEAR(test[c], 0.2 * all[c], 6) << seed;
    for (size_t c = 0; c < 2; ++c) {
      std::vector<int> own;
      for (int site = 0; site < 3; ++site) {
        own.push_back(Counts(dataset, plan, Split::kTrain, site)[c] +
                      Counts(dataset, plan, Split::kValidation, site)[c]);
      }
      EXPECT_LE(
          *std::max_element(own.begin(), own.end()) - *std::min_element(own.begin(), own.end()), 8)
          << seed;
    }
  }
}

TEST(SplitTest, PerClassCountsAreExact) {
  const Dataset dataset = Make({100, 60});
  CellOptions options;
  options.split.train_per_class = 30;
  options.split.test_per_class = 20;
  options.split.validation_share = 0;
  const CellPlan plan = Plan(dataset, options);
  EXPECT_THAT(Counts(dataset, plan, Split::kTest), ElementsAre(20, 20));
  EXPECT_THAT(Counts(dataset, plan, Split::kTrain), ElementsAre(30, 30));
  for (int site = 0; site < 3; ++site)
    EXPECT_THAT(Counts(dataset, plan, Split::kTrain, site), ElementsAre(10, 10));
  EXPECT_THAT(Counts(dataset, plan, Split::kValidation), ElementsAre(0, 0));
  options.split.train_per_class = 41;
  EXPECT_EQ(ErrorOf(dataset, options),
            "split.train_per_class 41 + split.test_per_class 20 is more than the 60 images of "
            "class \"class1\": lower them");
  // A group that would overshoot is passed over.
  const Dataset pairs = Make({40, 40}, 2);
  options.split.train_per_class = 11, options.split.test_per_class = 5;
  EXPECT_THAT(Counts(pairs, Plan(pairs, options), Split::kTest), ElementsAre(4, 4));
  EXPECT_THAT(Counts(pairs, Plan(pairs, options), Split::kTrain), ElementsAre(10, 10));
}

TEST(SplitTest, FoldsTestEveryImageOnce) {
  const Dataset dataset = MakeUneven(3);
  std::vector<int> tested(dataset.images.size());
  CellOptions options;
  options.folds = 5;
  std::vector<int> sizes;
  for (options.fold = 1; options.fold <= 5; ++options.fold) {
    const CellPlan plan = Plan(dataset, options);
    const Examples test = Select(dataset, plan, Split::kTest);
    for (int i : test.images) ++tested[static_cast<size_t>(i)];
    sizes.push_back(static_cast<int>(test.size()));
    for (int n : Counts(dataset, plan, Split::kTest)) EXPECT_GT(n, 0);
  }
  EXPECT_THAT(tested, testing::Each(1));
  EXPECT_LE(
      *std::max_element(sizes.begin(), sizes.end()) - *std::min_element(sizes.begin(), sizes.end()),
      8);
  options.fold = 1, options.folds = 100;
  EXPECT_THAT(ErrorOf(dataset, options),
              HasSubstr("patients, fewer than the 100 folds: set study.folds to"));
}

TEST(SplitTest, GivenSplitsAreKept) {
  Dataset dataset = Make({30, 30});
  dataset.test_given = true;
  for (size_t i = 0; i < dataset.images.size(); ++i) {
    dataset.images[i].given = i % 3 == 0   ? Split::kTest
                              : i % 3 == 1 ? Split::kValidation
                                           : Split::kTrain;
  }
  const CellPlan plan = Plan(dataset, {});
  for (size_t i = 0; i < dataset.images.size(); ++i)
    EXPECT_EQ(plan.split[i], dataset.images[i].given);
  CellOptions options;
  options.split.test_per_class = 4;
  EXPECT_THAT(Counts(dataset, Plan(dataset, options), Split::kTest), ElementsAre(4, 4));
  options.split.test_per_class = 11;
  EXPECT_EQ(ErrorOf(dataset, options),
            "split.test_per_class is 11, but class \"class0\" has 10 images for it: lower it");
  options = {};
  options.folds = 3, options.fold = 1;
  EXPECT_THAT(ErrorOf(dataset, options),
              HasSubstr("study.folds is 3, but the data have a test set of their own"));
}

TEST(SplitTest, ProportionsAreFollowed) {
  const Dataset dataset = Make({125, 250});
  CellOptions options;
  options.split.validation_share = 0;
  options.partition = {.sites = 3, .scheme = "proportions", .alpha = 0, .proportions = {5, 3, 2}};
  const CellPlan plan = Plan(dataset, options);
  EXPECT_THAT(Counts(dataset, plan, Split::kTrain, 0), ElementsAre(50, 100));
  EXPECT_THAT(Counts(dataset, plan, Split::kTrain, 1), ElementsAre(30, 60));
  EXPECT_THAT(Counts(dataset, plan, Split::kTrain, 2), ElementsAre(20, 40));
  options.partition.proportions = {1, 2};
  EXPECT_THAT(ErrorOf(dataset, options),
              HasSubstr("partition.proportions has 2 numbers for 3 sites"));
  options.partition.proportions = {1, 2, 0};
  EXPECT_THAT(ErrorOf(dataset, options),
              HasSubstr("partition.proportions must be > 0, but one is 0"));
}

TEST(SplitTest, DirichletIsUnequalWhereAlphaIsSmall) {
  const Dataset dataset = Make({300, 300});
  const auto spread = [&](double alpha) {
    double sum = 0;
    for (uint64_t seed = 0; seed < 20; ++seed) {
      CellOptions options;
      options.seed = seed;
      options.partition = {.sites = 3, .scheme = "dirichlet", .alpha = alpha, .proportions = {}};
      const CellPlan plan = Plan(dataset, options);
      for (int site = 0; site < 3; ++site) {
        const auto counts = Counts(dataset, plan, Split::kTrain, site);
        sum += std::abs(counts[0] - counts[1]) / double(counts[0] + counts[1]);
      }
    }
    return sum / 60;
  };
  EXPECT_GT(spread(0.1), 0.5);
  EXPECT_LT(spread(100), 0.15);
  CellOptions options;
  options.partition = {.sites = 40, .scheme = "dirichlet", .alpha = 0.001, .proportions = {}};
  EXPECT_THAT(ErrorOf(dataset, options),
              HasSubstr("some of the 40 sites always stayed empty: raise partition.alpha"));
}

TEST(SplitTest, Column) {
  Dataset dataset = Make({40, 40}, 2);
  CellOptions options;
  options.partition.scheme = "column";
  EXPECT_THAT(ErrorOf(dataset, options),
              HasSubstr("the images name no site: set data.site_column"));
  for (Image& image : dataset.images) image.site = image.group % 2 ? "west" : "east";
  const CellPlan plan = Plan(dataset, options);
  EXPECT_THAT(plan.sites, ElementsAre("east", "west"));
  for (size_t i = 0; i < dataset.images.size(); ++i)
    EXPECT_EQ(plan.site[i], dataset.images[i].group % 2);
  dataset.images[0].site = "west";
  EXPECT_THAT(ErrorOf(dataset, options),
              HasSubstr("patient p0 has images at two sites, west and east"));
  dataset.images[0].site = "east";
  dataset.test_given = true;
  for (Image& image : dataset.images) image.given = image.group % 2 ? Split::kTest : Split::kTrain;
  EXPECT_THAT(ErrorOf(dataset, options), HasSubstr("site \"west\" has no training images"));
}

TEST(SplitTest, TooFewForTheSites) {
  CellOptions options;
  options.partition.sites = 10;
  EXPECT_EQ(ErrorOf(Make({50, 10}), options),
            "class \"class1\" has 8 images to train on, fewer than the 10 sites: set "
            "partition.sites to 8 or less");
  EXPECT_THAT(ErrorOf(Make({50, 1}), {}),
              HasSubstr("class \"class1\" is left with 1 images to train on and 0 to test on"));
  options.partition.sites = 0;
  EXPECT_THAT(ErrorOf(Make({50, 10}), options),
              HasSubstr("partition.sites must be 1 to 10000, but is 0"));
  options = {};
  options.split.test_share = 1.5;
  EXPECT_THAT(ErrorOf(Make({50, 10}), options),
              HasSubstr("split.test_share must be between 0 and 1, but is 1.5"));
  options = {};
  options.partition.scheme = "fair";
  EXPECT_THAT(ErrorOf(Make({50, 10}), options),
              HasSubstr("partition.scheme must be iid, dirichlet, proportions or column"));
}

TEST(SplitTest, ValidationHasEveryClassWhereASiteHasThreeGroups) {
  const Dataset dataset = Make({30, 12});
  const CellPlan plan = Plan(dataset, {});
  for (int site = 0; site < 3; ++site) {
    for (int n : Counts(dataset, plan, Split::kValidation, site)) EXPECT_GE(n, 1);
    for (int n : Counts(dataset, plan, Split::kTrain, site)) EXPECT_GE(n, 2);
  }
}

TEST(SplitTest, SelectKeepsOrder) {
  const Dataset dataset = Make({5, 5});
  const CellPlan plan = Plan(dataset, {});
  const Examples examples = Select(dataset, plan, Split::kTrain);
  EXPECT_TRUE(std::is_sorted(examples.images.begin(), examples.images.end()));
  for (size_t i = 0; i < examples.size(); ++i) {
    EXPECT_EQ(examples.labels[i], dataset.images[static_cast<size_t>(examples.images[i])].label);
  }
}

}  // namespace
}  // namespace manako
