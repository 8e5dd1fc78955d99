#include "report/stats/multiclass.h"

#include <algorithm>
#include <numeric>

namespace manako::stats {

WeightedAuc::WeightedAuc(std::span<const double> scores, std::span<const uint8_t> positive,
                         const Clusters& clusters) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] < scores[b]; });
  images_.reserve(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    const bool new_score = i == 0 || scores[order[i]] != scores[order[i - 1]];
    images_.push_back({clusters.of[order[i]], positive[order[i]] != 0, new_score});
  }
}

double WeightedAuc::operator()(std::span<const uint32_t> weight) const {
  // In integers (twice the Mann-Whitney count), so the order within a tie cannot matter.
  uint64_t twice = 0, positives = 0, negatives = 0, tied_positives = 0, tied_negatives = 0;
  const auto close_tie = [&] {
    twice += tied_positives * (2 * negatives + tied_negatives);
    positives += tied_positives;
    negatives += tied_negatives;
    tied_positives = tied_negatives = 0;
  };
  for (const Image& image : images_) {
    if (image.new_score) close_tie();
    (image.positive ? tied_positives : tied_negatives) += weight[image.patient];
  }
  close_tie();
  if (positives == 0 || negatives == 0) return kUndefined;
  return static_cast<double>(twice) /
         (2 * static_cast<double>(positives) * static_cast<double>(negatives));
}

WeightedMacroAuc::WeightedMacroAuc(std::span<const float> probability,
                                   std::span<const int32_t> label, int classes,
                                   const Clusters& clusters) {
  std::vector<double> scores(label.size());
  std::vector<uint8_t> positive(label.size());
  for (int c = 0; c < classes; ++c) {
    for (size_t i = 0; i < label.size(); ++i) {
      scores[i] = probability[i * classes + c];
      positive[i] = label[i] == c;
    }
    by_class_.emplace_back(scores, positive, clusters);
  }
}

double WeightedMacroAuc::operator()(std::span<const uint32_t> weight) const {
  double sum = 0;
  for (const WeightedAuc& auc : by_class_) sum += auc(weight);
  return sum / static_cast<double>(by_class_.size());
}

}  // namespace manako::stats
