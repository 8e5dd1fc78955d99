// Proportions: sensitivity, specificity, accuracy, predictive values, recall, with intervals that
// know that several images of one patient are not several patients.
#ifndef MANAKO_REPORT_STATS_RATES_H_
#define MANAKO_REPORT_STATS_RATES_H_

#include <span>
#include <vector>

#include "report/stats/estimate.h"

namespace manako::stats {

// Wilson's score interval (JASA 22 (1927) 209-212) for `hits` of `trials`; trials may be an
// effective number.
Estimate WilsonInterval(double hits, double trials, double level = 0.95);
// The same around a rate p whose standard error is known: Wilson's interval at the number of trials
// that would have that standard error, with Student's t for its factor.
Estimate WilsonFromError(const Measured& rate, double level);

// What one patient adds to a rate: of `trials` images (over models and repeats), `hits` were so.
struct Tally {
  double hits = 0;
  double trials = 0;
};

// The rate over all patients and its Wilson interval. When each patient has at most one trial:
// "wilson". Otherwise "wilson_clustered": the trials are divided by the design effect, i.e. the
// variance of the ratio sum(hits) / sum(trials) over patients, against the binomial one (Rao and
// Scott, Biometrics 48 (1992) 577-585; never taken below 1). A rate of 0 or 1 has no variance to
// learn from: each patient then counts once.
Estimate RateInterval(std::span<const Tally> patients, double level = 0.95);

// The same rate in several repeats over the same patients (one list of tallies for each repeat,
// patients in the same order): the rate in each and their covariance by linearised ratios over
// patients.
Joint RateCovariance(std::span<const std::vector<Tally>> repeats);

// The mean of independent rates and its interval from theirs (MOVER: Zou and Donner, Statistics in
// Medicine 27 (2008) 1693-1702). Balanced accuracy is the mean of the classes' recalls. Undefined
// if a part is.
Estimate MeanOfRates(std::span<const Estimate> parts);

// The difference a - b of independent estimates, likewise.
Estimate DifferenceOfEstimates(const Estimate& a, const Estimate& b);

// Cohen's kappa with quadratic weights for counts [true][predicted] over ordered classes. 1 when
// all lie on the diagonal; NaN when there are no counts, or truth and prediction both have one and
// the same class only.
double QuadraticKappa(const std::vector<std::vector<double>>& counts);

}  // namespace manako::stats

#endif  // MANAKO_REPORT_STATS_RATES_H_
