// The report's statistics of one arm and of two, from their models' predictions.
//
// What an interval counts depends on what the cells (repeats, folds) share; the `method` says which
// it was.
//
//   one cell: sampling of test patients. AUC: DeLong, clustered by patient where one has several
//   images. Rates: Wilson, with the design effect of patients. Macro AUC, Brier, kappa: patient
//   bootstrap.
//
//   several cells on the same images: sampling of patients and of trainings. Every number is
//   computed in each repeat, and the mean's variance is Obuchowski and Rockette's with repeats as
//   random readers ("obuchowski_rockette"). Pooling the counts would take the same images for new
//   ones.
//
//   several cells on other images: AUC: mean over cells, Nadeau and Bengio's corrected t
//   ("corrected_t"). Rates, Brier, kappa: counts pooled over cells (with folds each image counts
//   once), clustered by patient, since a patient may come again in another repeat; these count the
//   sampling of patients only.
//
// The arm "alone" has one model for each site. Its AUC in a cell is the mean of the sites' models,
// each on the whole test set; DeLong's components are linear, so the mean's variance is exact. Its
// rates, Brier and kappa pool the decisions of all sites' models (for sensitivity and the like the
// same as their mean), again clustered by patient.
#ifndef MANAKO_REPORT_ARM_STATISTICS_H_
#define MANAKO_REPORT_ARM_STATISTICS_H_

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "report/arm_data.h"
#include "report/stats/calibration.h"
#include "report/stats/compare.h"
#include "report/stats/estimate.h"

namespace manako {

// AUC (binary) or macro one-versus-rest AUC of a model on its test images; NaN where undefined.
double ModelAuc(const ClassTask& task, const ArmModel& model);

// The arm's AUC over the cells, with its interval at the given level. Cells where it is undefined
// (a site's share without positives) are left out.
stats::Estimate ArmAuc(const ClassTask& task, std::span<const ArmCell> cells, double level = 0.95);

struct ArmDifference {
  stats::Estimate estimate;  // a - b, 95% interval; its method is `test`, or "mover"
  stats::Estimate at90;      // the same with a 90% interval
  double p_value = stats::kUndefined;
  double tost_p_value = stats::kUndefined;
  std::string test;  // identifier, "" where there is no test
};

// a[i] and b[i] are the same cell, with the same test images. Where no variance can be had (both
// arms perfect, a single positive patient), the interval is put together from the arms' own
// ("mover"), as if they were independent: too wide rather than too narrow; there is no p-value
// then.
ArmDifference CompareArms(const ClassTask& task, std::span<const ArmCell> a,
                          std::span<const ArmCell> b, double margin);

// By name: binary "sensitivity", "specificity", "accuracy", "balanced_accuracy", "ppv", "npv",
// "brier"; several classes "accuracy", "balanced_accuracy", "quadratic_kappa", "brier" (summed over
// classes: 0..2), "recall:<class>".
std::vector<std::pair<std::string, stats::Estimate>> ArmMetrics(
    const ClassTask& task, std::span<const ArmCell> cells,
    std::span<const std::string> class_names);

// Share of right decisions alone (for sites).
stats::Estimate ArmAccuracy(const ClassTask& task, std::span<const ArmCell> cells);

// Over all models and cells. Binary: probability of the positive class. Several: the probability of
// the decided class, against whether it was right.
std::vector<stats::CalibrationBin> ArmCalibration(const ClassTask& task,
                                                  std::span<const ArmCell> cells);

// [true][predicted], summed over models and cells.
std::vector<std::vector<int64_t>> ArmConfusion(const ClassTask& task,
                                               std::span<const ArmCell> cells);

}  // namespace manako

#endif  // MANAKO_REPORT_ARM_STATISTICS_H_
