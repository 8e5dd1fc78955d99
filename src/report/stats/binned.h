// Statistics of a binary classifier from histograms of its scores: counts of images by class and by
// bin of the positive class's probability. Sites that do not give single scores away may still give
// these.
//
// Within a bin nothing is known of the order, so two images of one bin count as a tie: everything
// here is exactly what it would be of scores that are rounded to their bin. Each image counts on
// its own, since a histogram knows no patients.
//
// Equal bins from 0 to 1: bin b of n holds the scores from b/n up to (b+1)/n, the last one 1 too.
#ifndef MANAKO_REPORT_STATS_BINNED_H_
#define MANAKO_REPORT_STATS_BINNED_H_

#include <cstdint>
#include <vector>

#include "report/stats/calibration.h"
#include "report/stats/estimate.h"
#include "report/stats/roc.h"

namespace manako::stats {

// Both have the same length; counts are >= 0.
struct BinnedScores {
  std::vector<int64_t> negative, positive;
  size_t bins() const { return positive.size(); }
  int64_t negatives() const;
  int64_t positives() const;
  // Sums of counts. Both have the same bins, or one of them none.
  void Add(const BinnedScores& other);
};

// The AUC, ties counting one half, and DeLong's standard error (auc.h): NaN without positives or
// negatives, the error with less than two of either.
Measured BinnedAuc(const BinnedScores& scores);

// AucInterval() of it, with the method "delong_binned" (or "newcombe").
Estimate BinnedAucInterval(const BinnedScores& scores, double level = 0.95);

// As RocCurve(): from (0, 0) to (1, 1), a point for each bin that holds an image.
RocPoints BinnedRoc(const BinnedScores& scores);

// The first bin that counts as positive, chosen as YoudenThreshold() chooses: half way between two
// bins that hold images. -1 where it cannot tell.
int BinnedYouden(const BinnedScores& scores);

struct Decisions {
  int64_t true_positive = 0, false_negative = 0, true_negative = 0, false_positive = 0;
};
// With the bins from `first_positive` on called positive.
Decisions Decide(const BinnedScores& scores, int first_positive);

// As CalibrationCurve(), with the middle of each bin for its images' probability.
std::vector<CalibrationBin> BinnedCalibration(const BinnedScores& scores, int groups = 10);

}  // namespace manako::stats

#endif  // MANAKO_REPORT_STATS_BINNED_H_
