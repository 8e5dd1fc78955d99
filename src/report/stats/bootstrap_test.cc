#include "report/stats/bootstrap.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace manako::stats {
namespace {

// The weighted mean of one number for each patient, and its double.
Statistic MeanAndDouble(const std::vector<double>& numbers) {
  return [numbers](std::span<const uint32_t> weight) {
    double sum = 0, total = 0;
    for (size_t i = 0; i < numbers.size(); ++i) {
      sum += weight[i] * numbers[i];
      total += weight[i];
    }
    return std::vector<double>{sum / total, 2 * sum / total};
  };
}

TEST(Bootstrap, TheMeansVarianceIsKnown) {
  Random random(5, "test");
  std::vector<double> numbers;
  for (int i = 0; i < 200; ++i) numbers.push_back(random.Normal());
  double mean = 0, square = 0;
  for (const double v : numbers) mean += v / 200;
  for (const double v : numbers) square += (v - mean) * (v - mean) / 200;
  const BootstrapResult result = Bootstrap(200, MeanAndDouble(numbers), {.resamples = 4000});
  const Joint joint = BootstrapCovariance(result, {.resamples = 4000});
  EXPECT_NEAR(joint.value[0], mean, 1e-12);
  const double expected = square / 200;  // exact for a bootstrap of infinitely many resamples
  EXPECT_NEAR(joint.cov(0, 0) / expected, 1, 0.08);
  EXPECT_NEAR(joint.cov(0, 1), 2 * joint.cov(0, 0), 1e-12);
  const Estimate e = PercentileInterval(result, 0, {.resamples = 4000});
  EXPECT_NEAR(e.low, mean - 1.96 * std::sqrt(expected), 0.015);
  EXPECT_NEAR(e.high, mean + 1.96 * std::sqrt(expected), 0.015);
}

TEST(Bootstrap, SameSeedSameNumbers) {
  const Statistic statistic = MeanAndDouble({1, 2, 3, 10});
  const BootstrapOptions options{.resamples = 50};
  EXPECT_EQ(Bootstrap(4, statistic, options).replicates,
            Bootstrap(4, statistic, options).replicates);
  EXPECT_NE(Bootstrap(4, statistic, options).replicates,
            Bootstrap(4, statistic, {.resamples = 50, .seed = 2}).replicates);
}

TEST(Bootstrap, MostlyUndefinedHasNoInterval) {
  const Statistic statistic = [](std::span<const uint32_t> weight) {
    return std::vector<double>{weight[0] == 1 ? 1.0 * weight[1] : std::nan("")};
  };
  const BootstrapResult result = Bootstrap(30, statistic);  // weight 1: in 38 % of resamples
  const Estimate e = PercentileInterval(result, 0);
  EXPECT_EQ(e.value, 1);
  EXPECT_TRUE(std::isnan(e.low));
  EXPECT_TRUE(std::isnan(BootstrapCovariance(result).cov(0, 0)));
}

TEST(Bootstrap, NoPatients) {
  const BootstrapResult result =
      Bootstrap(0, [](std::span<const uint32_t>) { return std::vector<double>{kUndefined}; });
  EXPECT_TRUE(std::isnan(PercentileInterval(result, 0).low));
}

}  // namespace
}  // namespace manako::stats
