// What the sites' results of one model's test say together.
#ifndef MANAKO_SERVER_POOLED_METRICS_H_
#define MANAKO_SERVER_POOLED_METRICS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "core/federation.h"

namespace manako {

struct PooledMetrics {
  int64_t images = 0;
  double loss = 0;  // mean over images
  double auc = 0;   // NaN when it cannot be had
  // How the AUC was had: scores (exact), histograms (ties within a bin count one half), metrics
  // (the image-weighted mean of the sites' own AUCs, which is another number than the AUC of all
  // images together).
  std::string method;
};

// Of the sites' results, the least that all of them give decides the method. `classes` >= 2; with
// more than two, macro one-vs-rest AUC from scores. `positive`: the class whose probability counts,
// for two classes.
PooledMetrics PoolResults(const std::vector<EvaluationResult>& results, int classes, int positive);

// AUC of two histograms of scores over the same bins: the chance that a positive's bin is higher,
// ties one half. NaN when one of them is empty.
double HistogramAuc(const std::vector<int64_t>& negative, const std::vector<int64_t>& positive);

}  // namespace manako

#endif  // MANAKO_SERVER_POOLED_METRICS_H_
