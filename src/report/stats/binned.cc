#include "report/stats/binned.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "report/stats/auc.h"
#include "report/stats/rates.h"

namespace manako::stats {
namespace {

int64_t Sum(const std::vector<int64_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), int64_t{0});
}

void AddTo(std::vector<int64_t>& sums, const std::vector<int64_t>& counts) {
  if (sums.size() < counts.size()) sums.resize(counts.size());
  for (size_t i = 0; i < counts.size(); ++i) sums[i] += counts[i];
}

}  // namespace

int64_t BinnedScores::negatives() const { return Sum(negative); }
int64_t BinnedScores::positives() const { return Sum(positive); }

void BinnedScores::Add(const BinnedScores& other) {
  AddTo(negative, other.negative);
  AddTo(positive, other.positive);
}

Measured BinnedAuc(const BinnedScores& scores) {
  const double m = static_cast<double>(scores.positives());
  const double n = static_cast<double>(scores.negatives());
  Measured measured;
  if (m == 0 || n == 0) return measured;
  // What each positive adds is the share of negatives below it, ties one half; of a bin all the
  // same. Sums of half integers are exact, so that a perfect model has exactly 1.
  double below = 0, pairs = 0;
  for (size_t b = 0; b < scores.bins(); ++b) {
    pairs += static_cast<double>(scores.positive[b]) *
             (below + 0.5 * static_cast<double>(scores.negative[b]));
    below += static_cast<double>(scores.negative[b]);
  }
  measured.value = pairs / (m * n);
  if (m < 2 || n < 2) return measured;
  double of_positives = 0, of_negatives = 0, negatives_below = 0, positives_below = 0;
  for (size_t b = 0; b < scores.bins(); ++b) {
    const double p = static_cast<double>(scores.positive[b]);
    const double q = static_cast<double>(scores.negative[b]);
    const double v10 = (negatives_below + 0.5 * q) / n;
    const double v01 = 1 - (positives_below + 0.5 * p) / m;
    of_positives += p * (v10 - measured.value) * (v10 - measured.value);
    of_negatives += q * (v01 - measured.value) * (v01 - measured.value);
    negatives_below += q;
    positives_below += p;
  }
  measured.standard_error = std::sqrt(of_positives / (m * (m - 1)) + of_negatives / (n * (n - 1)));
  return measured;
}

Estimate BinnedAucInterval(const BinnedScores& scores, double level) {
  return AucInterval(BinnedAuc(scores), {scores.positives(), scores.negatives()}, "delong_binned",
                     level);
}

RocPoints BinnedRoc(const BinnedScores& scores) {
  RocPoints points;
  const double m = static_cast<double>(scores.positives());
  const double n = static_cast<double>(scores.negatives());
  if (m == 0 || n == 0) return points;
  points.fpr.push_back(0);
  points.tpr.push_back(0);
  double fp = 0, tp = 0;
  for (size_t b = scores.bins(); b-- > 0;) {
    if (scores.positive[b] == 0 && scores.negative[b] == 0) continue;
    tp += static_cast<double>(scores.positive[b]);
    fp += static_cast<double>(scores.negative[b]);
    points.tpr.push_back(tp / m);
    points.fpr.push_back(fp / n);
  }
  return points;
}

int BinnedYouden(const BinnedScores& scores) {
  const int64_t m = scores.positives(), n = scores.negatives();
  if (m == 0 || n == 0) return -1;
  int best = -1, before = -1;
  double most = 0;
  int64_t missed = 0, spared = 0;  // positives and negatives below the cut
  for (int b = 0; b < static_cast<int>(scores.bins()); ++b) {
    if (scores.positive[b] == 0 && scores.negative[b] == 0) continue;
    if (before >= 0) {
      // (sensitivity + specificity - 1) * m * n. Of equal ones the first, which is the more
      // sensitive.
      const double gain = static_cast<double>(m - missed) * static_cast<double>(n) +
                          static_cast<double>(spared) * static_cast<double>(m);
      if (best < 0 || gain > most) {
        most = gain;
        best = (before + 1 + b + 1) / 2;
      }
    }
    missed += scores.positive[b];
    spared += scores.negative[b];
    before = b;
  }
  return best;
}

Decisions Decide(const BinnedScores& scores, int first_positive) {
  Decisions made;
  for (int b = 0; b < static_cast<int>(scores.bins()); ++b) {
    (b >= first_positive ? made.true_positive : made.false_negative) += scores.positive[b];
    (b >= first_positive ? made.false_positive : made.true_negative) += scores.negative[b];
  }
  return made;
}

std::vector<CalibrationBin> BinnedCalibration(const BinnedScores& scores, int groups) {
  std::vector<CalibrationBin> curve;
  const int64_t images = scores.positives() + scores.negatives();
  const int64_t wanted = std::clamp<int64_t>(images / 10, 1, std::max(1, groups));
  const double width = 1.0 / static_cast<double>(scores.bins());
  int64_t done = 0, count = 0, positive = 0;
  double probability = 0;
  for (size_t b = 0; b < scores.bins(); ++b) {
    const int64_t here = scores.positive[b] + scores.negative[b];
    count += here;
    positive += scores.positive[b];
    probability += static_cast<double>(here) * (static_cast<double>(b) + 0.5) * width;
    // A group is full when the images so far reach its share of all; a bin is never divided.
    const auto group = static_cast<int64_t>(curve.size()) + 1;
    if (count == 0 || done + count < images * group / wanted) continue;
    CalibrationBin bin;
    bin.predicted = probability / static_cast<double>(count);
    bin.observed = WilsonInterval(static_cast<double>(positive), static_cast<double>(count));
    bin.count = count;
    curve.push_back(bin);
    done += count;
    count = positive = 0;
    probability = 0;
  }
  return curve;
}

}  // namespace manako::stats
