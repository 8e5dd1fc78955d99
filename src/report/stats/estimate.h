// What every statistic here gives: a number with its uncertainty. Undefined numbers are NaN.
#ifndef MANAKO_REPORT_STATS_ESTIMATE_H_
#define MANAKO_REPORT_STATS_ESTIMATE_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "report/stats/distributions.h"

namespace manako::stats {

inline constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

// A value with an interval, and the identifier of the method that gave it ("" where nothing is
// defined).
struct Estimate {
  double value = kUndefined;
  double low = kUndefined;
  double high = kUndefined;
  std::string method{};
};

// A value with its standard error; `df` are the degrees of freedom behind the standard error.
struct Measured {
  double value = kUndefined;
  double standard_error = kUndefined;
  double df = kNormal;
};

// n values measured on the same patients, with their n x n covariance (row by row).
struct Joint {
  std::vector<double> value;
  std::vector<double> covariance;
  size_t size() const { return value.size(); }
  double cov(size_t i, size_t j) const { return covariance[i * value.size() + j]; }
};

// Which patient each image belongs to: cluster[i] in 0..count-1. Images of one patient are not
// independent.
struct Clusters {
  std::vector<int32_t> of;
  int32_t count = 0;
  // Each image its own patient.
  static Clusters Singles(size_t images);
  // Any numbers, made dense in the order of their first appearance.
  static Clusters From(std::span<const int64_t> ids);
  // Whether some patient has several images.
  bool Clustered() const { return static_cast<size_t>(count) < of.size(); }
};

}  // namespace manako::stats

#endif  // MANAKO_REPORT_STATS_ESTIMATE_H_
