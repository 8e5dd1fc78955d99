// What the tests of several sites say together. The server's books of each round and the run's
// report take it from here, so that they cannot differ.
#ifndef MANAKO_REPORT_POOLED_POOLED_METRICS_H_
#define MANAKO_REPORT_POOLED_POOLED_METRICS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "core/federation.h"
#include "report/stats/binned.h"

namespace manako {

// What a site gave of a set of images, in the order of how much it tells.
enum class Given : uint8_t { kMetrics, kHistograms, kScores };
const char* NameOf(Given given);  // metrics, histograms, scores

// The most of a result that can be used: what does not fit together (negative counts, counts that
// are not as many as the images, probabilities outside of 0 to 1) counts as not given. `bins` is
// the run's; histograms are for two classes.
Given GivenOf(const EvaluationResult& result, int classes, int bins);

// A result's histogram, made of its scores where it has them. All bins are 0 where it has neither.
stats::BinnedScores BinnedOf(const EvaluationResult& result, int bins, int positive);

// A site's own AUC as it told it; NaN where it did not, or where it is none.
double ToldAuc(const EvaluationResult& result);

struct PooledMetrics {
  int64_t images = 0;
  double loss = 0;  // mean over images
  double auc = 0;   // NaN when it cannot be had
  // How the AUC was had: scores (exact), histograms (ties within a bin count one half; scores are
  // put into the same bins), metrics (the image-weighted mean of the sites' own AUCs, which is
  // another number than the AUC of all images together).
  std::string method;
};

// Of the sites' results, the least that all of them give decides the method. `classes` >= 2; with
// more than two, macro one-vs-rest AUC from scores. `positive`: the class whose probability counts,
// for two classes.
PooledMetrics PoolResults(const std::vector<EvaluationResult>& results, int classes, int positive,
                          int bins);

}  // namespace manako

#endif  // MANAKO_REPORT_POOLED_POOLED_METRICS_H_
