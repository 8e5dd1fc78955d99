// How often what a model calls 80 % is so.
#ifndef MANAKO_REPORT_STATS_CALIBRATION_H_
#define MANAKO_REPORT_STATS_CALIBRATION_H_

#include <span>
#include <vector>

#include "report/stats/estimate.h"

namespace manako::stats {

struct CalibrationBin {
  double predicted = 0;  // mean predicted probability
  Estimate observed;     // share that was so, with its Wilson interval over patients
  int64_t count = 0;
};

// Bins of equal count (quantiles), from low to high: networks put most of their probabilities near
// 0 and 1, where bins of equal width would hold almost everything and those between almost nothing.
// Equal probabilities are never divided between bins. At most `bins`, and no more than images / 10,
// so that a bin has ten images or more (ties apart).
std::vector<CalibrationBin> CalibrationCurve(std::span<const double> probability,
                                             std::span<const uint8_t> outcome,
                                             const Clusters& clusters, int bins = 10);

}  // namespace manako::stats

#endif  // MANAKO_REPORT_STATS_CALIBRATION_H_
