#include "report/stats/multiclass.h"

#include <gtest/gtest.h>

#include <cmath>

#include "report/stats/auc.h"
#include "report/stats/test_fixtures.h"

namespace manako::stats {
namespace {

TEST(Multiclass, MacroAucAgreesWithScikitLearn) {
  const auto labels = Fixture("sklearn.txt", "multi.label");
  const auto p = Fixture("sklearn.txt", "multi.probability");
  const std::vector<float> probability(p.begin(), p.end());
  const std::vector<int32_t> label(labels.begin(), labels.end());
  const WeightedMacroAuc macro(probability, label, 4, Clusters::Singles(label.size()));
  const std::vector<uint32_t> once(label.size(), 1);
  EXPECT_NEAR(macro(once), Fixture("sklearn.txt", "multi.macro_auc")[0], 1e-12);
}

TEST(Multiclass, WeightsAreCopies) {
  const auto positive = FixtureFlags("sklearn.txt", "binary.positive");
  const auto scores = Fixture("sklearn.txt", "binary.scores");
  std::vector<int64_t> patient;  // two images each
  for (size_t i = 0; i < scores.size(); ++i) patient.push_back(static_cast<int64_t>(i / 2));
  const Clusters clusters = Clusters::From(patient);
  std::vector<uint32_t> weight;
  for (int32_t c = 0; c < clusters.count; ++c) weight.push_back(c % 4);
  std::vector<double> copied;
  std::vector<uint8_t> copied_positive;
  for (size_t i = 0; i < scores.size(); ++i) {
    for (uint32_t k = 0; k < weight[clusters.of[i]]; ++k) {
      copied.push_back(scores[i]);
      copied_positive.push_back(positive[i]);
    }
  }
  EXPECT_NEAR(WeightedAuc(scores, positive, clusters)(weight),
              ComputeAuc(copied, copied_positive).auc, 1e-13);
}

TEST(Multiclass, AbsentClassIsUndefined) {
  const std::vector<float> probability = {0.5f, 0.3f, 0.2f, 0.1f, 0.6f, 0.3f};
  const WeightedMacroAuc macro(probability, std::vector<int32_t>{0, 1}, 3, Clusters::Singles(2));
  EXPECT_TRUE(std::isnan(macro(std::vector<uint32_t>{1, 1})));
}

}  // namespace
}  // namespace manako::stats
