#include "report/stats/calibration.h"

#include <gtest/gtest.h>

#include "report/stats/rates.h"
#include "report/stats/test_fixtures.h"

namespace manako::stats {
namespace {

TEST(Calibration, AgreesWithScikitLearn) {
  const auto probability = Fixture("sklearn.txt", "calibration.probability");
  const auto outcome = FixtureFlags("sklearn.txt", "calibration.outcome");
  const auto observed = Fixture("sklearn.txt", "calibration.observed");
  const auto predicted = Fixture("sklearn.txt", "calibration.predicted");
  const auto curve =
      CalibrationCurve(probability, outcome, Clusters::Singles(probability.size()), 8);
  ASSERT_EQ(curve.size(), observed.size());
  for (size_t i = 0; i < curve.size(); ++i) {
    EXPECT_NEAR(curve[i].observed.value, observed[i], 1e-12);
    EXPECT_NEAR(curve[i].predicted, predicted[i], 1e-12);
    EXPECT_EQ(curve[i].count, 10);
    EXPECT_EQ(curve[i].observed.low, WilsonInterval(observed[i] * 10, 10).low);
  }
}

TEST(Calibration, EqualProbabilitiesStayTogether) {
  std::vector<double> probability(100, 0.5);
  probability[0] = 0.1;
  std::vector<uint8_t> outcome(100, 1);
  const auto curve = CalibrationCurve(probability, outcome, Clusters::Singles(100));
  ASSERT_EQ(curve.size(), 1u);
  EXPECT_EQ(curve[0].count, 100);
}

TEST(Calibration, FewImagesGiveFewBins) {
  std::vector<double> probability;
  for (int i = 0; i < 25; ++i) probability.push_back(i / 25.0);
  const std::vector<uint8_t> outcome(25, 0);
  EXPECT_EQ(CalibrationCurve(probability, outcome, Clusters::Singles(25)).size(), 2u);
  EXPECT_TRUE(CalibrationCurve({}, {}, Clusters::Singles(0)).empty());
}

}  // namespace
}  // namespace manako::stats
