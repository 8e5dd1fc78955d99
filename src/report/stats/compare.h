// Two arms of a study: how far apart, how surely, and whether near enough to be called equivalent.
//
// Which method when (the report picks by what the cells of the study share):
//
//   one cell: the covariance of both on the same patients ("delong_paired", clustered or not).
//
//   several on the same test images: Obuchowski and Rockette (1995) with seeds as random readers
//   and the degrees of freedom of Hillis, Statistics in Medicine 26 (2007) 596-619. Counts both
//   that another test sample and that another training would have given other numbers.
//
//   several on other test images: Nadeau and Bengio, Machine Learning 52 (2003) 239-281: Student's
//   t with the variance raised for training sets that overlap (also for repeated cross-validation:
//   Bouckaert and Frank 2004).
#ifndef MANAKO_REPORT_STATS_COMPARE_H_
#define MANAKO_REPORT_STATS_COMPARE_H_

#include <span>
#include <string>
#include <vector>

#include "report/stats/estimate.h"

namespace manako::stats {

// sum_i weight[i] value[i]. A variance below zero (rounding, Obuchowski's factors) counts as zero.
Measured Combine(const Joint& joint, std::span<const double> weights);

// Value 0 less value 1 of a joint estimate of two.
Measured PairedDifference(const Joint& joint);

// The mean over repeats of one arm; joint.value[r] is repeat r. With one repeat: its own standard
// error.
Measured ObuchowskiRocketteMean(const Joint& joint);

// The mean over r repeats of arm a less arm b: joint holds a's r values, then b's. With one repeat:
// PairedDifference. Cov2 (same arm, other repeats) and Cov3 (other arm, other repeats) are
// averages; a negative Cov2 - Cov3 counts as 0.
Measured ObuchowskiRocketteDifference(const Joint& joint);

// The mean of `values` (one for each split) with the corrected variance (1 / J + n_test / n_train)
// * s^2, df = J - 1. Undefined for fewer than two.
Measured CorrectedResampledT(std::span<const double> values, double test_over_train);

// value +- t * standard error, cut to [least, most].
Estimate PlainInterval(const Measured& measured, double level, double least, double most);

// Two-sided p-value of "the value is 0". A standard error of 0 with a value of 0 gives 1.
double PValue(const Measured& measured);

enum class Verdict { kEquivalent, kNotInferior, kInferior, kInconclusive };
const char* VerdictName(
    Verdict verdict);  // "equivalent", "not_inferior", "inferior", "inconclusive"

// The difference of two arms against a margin > 0 by its 90% interval, which is two one-sided tests
// at 5% (Schuirmann, J. Pharmacokinetics and Biopharmaceutics 15 (1987) 657-680). Equivalent: it
// lies wholly inside (-margin, margin). Not inferior: above -margin, but not wholly below +margin.
// Inferior: wholly below -margin. Inconclusive: otherwise, or without an interval.
Verdict JudgeInterval(double low90, double high90, double margin);

// The larger p-value of the two one-sided tests; NaN without a standard error.
double TostPValue(const Measured& difference, double margin);

}  // namespace manako::stats

#endif  // MANAKO_REPORT_STATS_COMPARE_H_
