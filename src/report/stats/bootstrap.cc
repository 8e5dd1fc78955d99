#include "report/stats/bootstrap.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace manako::stats {
namespace {

// Linear between order statistics, as R's type 7.
double Quantile(const std::vector<double>& sorted, double p) {
  const double at = p * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

bool EnoughReplicates(const BootstrapResult& result, const BootstrapOptions& options) {
  return !result.replicates.empty() && result.replicates[0].size() >= 2 &&
         result.replicates[0].size() * 2 >= static_cast<size_t>(options.resamples);
}

}  // namespace

BootstrapResult Bootstrap(int32_t patients, const Statistic& statistic,
                          const BootstrapOptions& options) {
  BootstrapResult result;
  std::vector<uint32_t> weight(patients, 1);
  result.value = statistic(weight);
  result.replicates.resize(result.value.size());
  if (patients == 0) return result;
  for (int r = 0; r < options.resamples; ++r) {
    Random random(options.seed, "patient bootstrap", r);
    std::fill(weight.begin(), weight.end(), 0);
    for (int32_t i = 0; i < patients; ++i) ++weight[random.Below(patients)];
    const std::vector<double> values = statistic(weight);
    if (!std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); })) {
      continue;
    }
    for (size_t k = 0; k < values.size(); ++k) result.replicates[k].push_back(values[k]);
  }
  return result;
}

Estimate PercentileInterval(const BootstrapResult& result, size_t k,
                            const BootstrapOptions& options, double level) {
  Estimate estimate{.value = result.value[k], .method = "bootstrap"};
  if (std::isnan(estimate.value) || !EnoughReplicates(result, options)) return estimate;
  std::vector<double> sorted = result.replicates[k];
  std::sort(sorted.begin(), sorted.end());
  estimate.low = Quantile(sorted, (1 - level) / 2);
  estimate.high = Quantile(sorted, (1 + level) / 2);
  return estimate;
}

Joint BootstrapCovariance(const BootstrapResult& result, const BootstrapOptions& options) {
  const size_t count = result.value.size();
  Joint joint{result.value, std::vector<double>(count * count, kUndefined)};
  if (!EnoughReplicates(result, options)) return joint;
  const size_t n = result.replicates[0].size();
  std::vector<double> mean(count, 0);
  for (size_t k = 0; k < count; ++k) {
    for (const double v : result.replicates[k]) mean[k] += v;
    mean[k] /= static_cast<double>(n);
  }
  for (size_t a = 0; a < count; ++a) {
    for (size_t b = 0; b <= a; ++b) {
      double c = 0;
      for (size_t i = 0; i < n; ++i) {
        c += (result.replicates[a][i] - mean[a]) * (result.replicates[b][i] - mean[b]);
      }
      c /= static_cast<double>(n - 1);
      joint.covariance[a * count + b] = joint.covariance[b * count + a] = c;
    }
  }
  return joint;
}

}  // namespace manako::stats
