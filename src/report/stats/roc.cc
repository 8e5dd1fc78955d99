#include "report/stats/roc.h"

#include <algorithm>
#include <numeric>

namespace manako::stats {
namespace {

// How many positives and negatives have at least this score.
struct Cut {
  double score = 0;
  int64_t positives = 0;
  int64_t negatives = 0;
};

// One cut for each distinct score, from the highest down.
std::vector<Cut> Cuts(std::span<const double> scores, std::span<const uint8_t> positive) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  std::vector<Cut> cuts;
  Cut now;
  for (size_t i = 0; i < order.size(); ++i) {
    now.score = scores[order[i]];
    ++(positive[order[i]] ? now.positives : now.negatives);
    if (i + 1 == order.size() || scores[order[i + 1]] != now.score) cuts.push_back(now);
  }
  return cuts;
}

}  // namespace

RocPoints RocCurve(std::span<const double> scores, std::span<const uint8_t> positive) {
  std::vector<Cut> cuts = Cuts(scores, positive);
  if (cuts.empty() || cuts.back().positives == 0 || cuts.back().negatives == 0) return {};
  cuts.insert(cuts.begin(), Cut{});
  std::vector<Cut> kept;
  for (const Cut& cut : cuts) {
    while (kept.size() >= 2) {
      const Cut& a = kept[kept.size() - 2];
      const Cut& b = kept.back();
      const bool on_line = (b.positives - a.positives) * (cut.negatives - b.negatives) ==
                           (cut.positives - b.positives) * (b.negatives - a.negatives);
      if (!on_line) break;
      kept.pop_back();
    }
    kept.push_back(cut);
  }
  RocPoints points;
  for (const Cut& cut : kept) {
    points.fpr.push_back(static_cast<double>(cut.negatives) / cuts.back().negatives);
    points.tpr.push_back(static_cast<double>(cut.positives) / cuts.back().positives);
  }
  return points;
}

double YoudenThreshold(std::span<const double> scores, std::span<const uint8_t> positive) {
  const std::vector<Cut> cuts = Cuts(scores, positive);
  if (cuts.size() < 2 || cuts.back().positives == 0 || cuts.back().negatives == 0)
    return kUndefined;
  const int64_t positives = cuts.back().positives, negatives = cuts.back().negatives;
  size_t best = 0;
  int64_t best_index = 0;
  for (size_t k = 0; k + 1 < cuts.size(); ++k) {
    const int64_t index = cuts[k].positives * negatives - cuts[k].negatives * positives;
    if (k == 0 ||
        index >= best_index) {  // >=: of equals the later one, with the higher sensitivity
      best = k;
      best_index = index;
    }
  }
  const double middle = cuts[best].score / 2 + cuts[best + 1].score / 2;
  // Between two neighbouring doubles there is no middle.
  return middle > cuts[best + 1].score ? middle : cuts[best].score;
}

}  // namespace manako::stats
