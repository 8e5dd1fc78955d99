// Resampling patients: intervals for statistics whose variance has no formula worth writing down.
#ifndef MANAKO_REPORT_STATS_BOOTSTRAP_H_
#define MANAKO_REPORT_STATS_BOOTSTRAP_H_

#include <functional>
#include <span>
#include <vector>

#include "report/stats/estimate.h"

namespace manako::stats {

struct BootstrapOptions {
  int resamples = 2000;
  uint64_t seed = 1;  // of the stream "patient bootstrap"; the same seed gives the same patients
                      // for every statistic
};

// One or several statistics of the sample in which patient c occurs weight[c] times. NaN where
// undefined.
using Statistic = std::function<std::vector<double>(std::span<const uint32_t> weight)>;

struct BootstrapResult {
  std::vector<double> value;  // of the sample itself
  std::vector<std::vector<double>>
      replicates;  // for each statistic, those in which all statistics were defined
};

// Draws patients with replacement (all images of a patient together).
BootstrapResult Bootstrap(int32_t patients, const Statistic& statistic,
                          const BootstrapOptions& options = {});

// The percentile interval of statistic k (Efron 1981). Undefined when more than half the resamples
// were undefined.
Estimate PercentileInterval(const BootstrapResult& result, size_t k,
                            const BootstrapOptions& options = {}, double level = 0.95);

// The values with the covariance of their replicates.
Joint BootstrapCovariance(const BootstrapResult& result, const BootstrapOptions& options = {});

}  // namespace manako::stats

#endif  // MANAKO_REPORT_STATS_BOOTSTRAP_H_
