// Area under the ROC curve (the Mann-Whitney statistic: the chance that a diseased image gets a
// higher score than a healthy one, ties counting one half), and how well a sample of patients
// determines it.
//
// Variance, one image a patient: DeLong, DeLong, Clarke-Pearson, Biometrics 44 (1988) 837-845,
// through midranks in O(n log n): Sun and Xu, IEEE Signal Processing Letters 21 (2014) 1389-1393.
//
// Several images of one patient: Obuchowski, Biometrics 53 (1997) 567-578, which is DeLong's for
// one image each.
//
// Interval: on the logit scale (Pepe 2003, section 5.2), which stays within 0..1 and has better
// coverage than the plain one where AUCs are high (coverage_test.cc counts both).
//
// An AUC of exactly 0 or 1: Newcombe, Statistics in Medicine 25 (2006) 559-573, method 5. DeLong's
// variance is zero there, which would be an interval of no width from ten images.
#ifndef MANAKO_REPORT_STATS_AUC_H_
#define MANAKO_REPORT_STATS_AUC_H_

#include <span>
#include <vector>

#include "report/stats/estimate.h"

namespace manako::stats {

// An AUC taken apart into what each image adds (DeLong's structural components V10 and V01).
struct AucComponents {
  double auc = kUndefined;  // undefined without positives or without negatives
  std::vector<double>
      positive;  // for each positive image, in order: the share of negatives that it beats
  std::vector<double>
      negative;  // for each negative image, in order: the share of positives that beat it
};

// `positive[i]` says whether image i has the disease; scores are finite. Both have the same length.
AucComponents ComputeAuc(std::span<const double> scores, std::span<const uint8_t> positive);

// The components of the mean of several AUCs on the same images. At least one.
AucComponents MeanOf(std::span<const AucComponents> models);

// The AUCs of models on the same images, and their covariance. Entries are NaN where fewer than two
// patients have positive (or negative) images. With several images a patient the matrix is
// Obuchowski's, whose three parts have different small-sample factors, so the variance of a
// difference can come out slightly negative; it then counts as 0.
Joint AucCovariance(std::span<const AucComponents> models, std::span<const uint8_t> positive,
                    const Clusters& clusters);

// How many patients have a positive, and how many a negative image.
struct PatientCounts {
  int64_t positive = 0;
  int64_t negative = 0;
};
PatientCounts CountPatients(std::span<const uint8_t> positive, const Clusters& clusters);

// logit(value) +- t * standard error / (value (1 - value)), transformed back. NaN bounds for value
// outside (0, 1).
Estimate LogitInterval(const Measured& measured, double level);

// Newcombe's method 5: the AUCs whose Hanley-McNeil variance, with equal spreads, makes `auc`
// plausible. For clustered data the counts are those of patients, as if the images of one patient
// said the same: the cautious end.
Estimate NewcombeInterval(double auc, const PatientCounts& patients, double level);

// The interval of one AUC (or mean of AUCs) by its standard error: "delong" or whatever `method`
// says on the logit scale, "newcombe" where there is no variance to be had.
Estimate AucInterval(const Measured& measured, const PatientCounts& patients,
                     const std::string& method, double level = 0.95);

}  // namespace manako::stats

#endif  // MANAKO_REPORT_STATS_AUC_H_
