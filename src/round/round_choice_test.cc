#include "round/round_choice.h"

#include <gtest/gtest.h>

#include <cmath>

namespace manako {
namespace {

struct Tested {
  double auc, loss;
};

RoundChoice Choose(const std::string& select, const std::vector<Tested>& rounds,
                   std::vector<int64_t> images = {30, 12}) {
  const RoundChooser chooser(select, std::move(images));
  RoundChoice choice;
  int round = 0;
  for (const Tested& tested : rounds) chooser.Add(choice, round++, tested.auc, tested.loss);
  return choice;
}

// Hanley and McNeil 1982, table II: AUC 0.893 with 58 normal and 51 abnormal images has the
// standard error 0.032.
TEST(RoundChoiceTest, StandardErrorIsThePublishedOne) {
  EXPECT_NEAR(AucStandardError(0.893, {58, 51}), 0.032, 0.0005);
  EXPECT_NEAR(AucStandardError(0.5, {10, 10}), std::sqrt((0.25 + 18 * (1.0 / 3 - 0.25)) / 100),
              1e-12);
  EXPECT_GT(AucStandardError(1, {10, 10}), 0.02);
  EXPECT_TRUE(std::isnan(AucStandardError(0.9, {10, 0})));
}

TEST(RoundChoiceTest, NearBestIsTheLastThatIsNotClearlyWorse) {
  // A lucky first round (0.86; standard error 0.073), then a steady course, then a fall.
  const std::vector<Tested> course = {{0.95, 0.5}, {0.86, 0.6}, {0.70, 0.5},
                                      {0.80, 0.4}, {0.81, 0.3}, {0.60, 0.9}};
  EXPECT_EQ(Choose("near_best", course).round, 4);
  EXPECT_EQ(Choose("best", course).round, 1);
  EXPECT_EQ(Choose("last", course).round, 5);
  EXPECT_EQ(Choose("near_best", course).since_best, 4);
  EXPECT_EQ(Choose("near_best", course).best_auc, 0.86);
  // Luck of more than one standard error (0.042) in an early round of which the loss says that
  // nothing is learnt yet.
  EXPECT_EQ(
      Choose("near_best", {{0.61, 0.74}, {0.942, 0.68}, {0.83, 0.39}, {0.875, 0.32}, {0.84, 0.4}},
             {30, 12})
          .round,
      3);
  // With many images the error is small, and only the best will do.
  EXPECT_EQ(Choose("near_best", course, {30000, 12000}).round, 1);
}

TEST(RoundChoiceTest, TheUntrainedModelStandsUntilTheFirstTrainedOne) {
  EXPECT_EQ(Choose("best", {{0.9, 0.1}}).round, 0);
  EXPECT_EQ(Choose("best", {{0.9, 0.1}, {0.3, 0.9}}).round, 1);
}

TEST(RoundChoiceTest, OfEqualAucsTheLossDecides) {
  EXPECT_EQ(Choose("best", {{0.5, 1}, {0.9, 0.7}, {0.9, 0.1}}).round, 2);
  EXPECT_EQ(Choose("best", {{0.5, 1}, {0.9, 0.1}, {0.9, 0.7}}).round, 1);
}

// A small site's validation images may be of one class.
TEST(RoundChoiceTest, WithoutAnAucTheLossDecides) {
  const std::vector<Tested> course = {{NAN, 0.9}, {NAN, 0.7}, {NAN, 0.1}, {NAN, 0.4}};
  EXPECT_EQ(Choose("near_best", course, {10, 0}).round, 2);
  EXPECT_EQ(Choose("best", course, {10, 0}).round, 2);
}

TEST(RoundChoiceTest, WithoutValidationImagesItIsTheLast) {
  EXPECT_EQ(Choose("best", {{NAN, NAN}, {NAN, NAN}, {NAN, NAN}}, {}).round, 2);
  EXPECT_EQ(Choose("best", {{NAN, NAN}, {NAN, NAN}, {NAN, NAN}}, {}).since_best, 0);
}

}  // namespace
}  // namespace manako
