// The ROC curve as points, and the choice of an operating threshold.
#ifndef MANAKO_REPORT_STATS_ROC_H_
#define MANAKO_REPORT_STATS_ROC_H_

#include <span>
#include <vector>

#include "report/stats/estimate.h"

namespace manako::stats {

struct RocPoints {
  std::vector<double> fpr;
  std::vector<double> tpr;
};

// From (0, 0) to (1, 1), one point for each distinct score; points that lie on the line between
// their neighbours are left out, which changes neither the curve nor its area. Empty without
// positives or without negatives.
RocPoints RocCurve(std::span<const double> scores, std::span<const uint8_t> positive);

// The threshold t (score >= t means diseased) with the largest sensitivity + specificity - 1
// (Youden, Cancer 3 (1950) 32-35). It lies half way between two neighbouring scores, so that a new
// image near either falls on its side. Where several cuts are equally good, the one with the
// highest sensitivity: a missed patient costs more than a second look. Compared in integers, so
// that ties are exact. Cuts that call every image the same are not considered. NaN without
// positives, without negatives, or when all scores are equal.
double YoudenThreshold(std::span<const double> scores, std::span<const uint8_t> positive);

}  // namespace manako::stats

#endif  // MANAKO_REPORT_STATS_ROC_H_
