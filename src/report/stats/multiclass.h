// Several classes: the mean of the classes' one-versus-rest AUCs.
#ifndef MANAKO_REPORT_STATS_MULTICLASS_H_
#define MANAKO_REPORT_STATS_MULTICLASS_H_

#include <span>
#include <vector>

#include "report/stats/estimate.h"

namespace manako::stats {

// The AUC of a model in samples of patients with repetition, without sorting again: sorted once,
// each call is one pass.
class WeightedAuc {
 public:
  WeightedAuc(std::span<const double> scores, std::span<const uint8_t> positive,
              const Clusters& clusters);
  // weight[c]: how often patient c occurs. NaN without positives or without negatives.
  double operator()(std::span<const uint32_t> weight) const;

 private:
  struct Image {
    int32_t patient;
    bool positive;
    bool new_score;  // differs from the one before
  };
  std::vector<Image> images_;  // by rising score
};

// Macro one-versus-rest AUC: the plain mean over classes (Provost and Domingos 2001 weigh by
// prevalence; the plain mean lets a rare disease count as much as a common one). Undefined if a
// class or all others have no image.
class WeightedMacroAuc {
 public:
  // probability[i * classes + c]; label[i] in 0..classes-1.
  WeightedMacroAuc(std::span<const float> probability, std::span<const int32_t> label, int classes,
                   const Clusters& clusters);
  double operator()(std::span<const uint32_t> weight) const;

 private:
  std::vector<WeightedAuc> by_class_;
};

}  // namespace manako::stats

#endif  // MANAKO_REPORT_STATS_MULTICLASS_H_
