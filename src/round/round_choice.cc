#include "round/round_choice.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace manako {
namespace {

// In standard errors. One, as usual for trees, is too little here: among dozens of rounds the
// highest AUC is lucky by more than that, and then the round that has it is kept, however early.
constexpr double kNear = 2;

double HanleyMcNeil(double auc, double positives, double negatives) {
  const double a = std::clamp(auc, 0.5, 1 - 0.5 / std::min(positives, negatives));
  const double q1 = a / (2 - a), q2 = 2 * a * a / (1 + a);
  return std::sqrt((a * (1 - a) + (positives - 1) * (q1 - a * a) + (negatives - 1) * (q2 - a * a)) /
                   (positives * negatives));
}

bool IsBetter(double auc, double loss, const RoundChoice& best) {
  if (std::isnan(auc) || std::isnan(best.best_auc) || auc == best.best_auc)
    return loss < best.best_loss;
  return auc > best.best_auc;
}

}  // namespace

double AucStandardError(double auc, const std::vector<int64_t>& images) {
  const double all = static_cast<double>(std::accumulate(images.begin(), images.end(), int64_t{0}));
  if (images.size() < 2 || std::find(images.begin(), images.end(), 0) != images.end()) return NAN;
  double sum = 0;
  for (const int64_t own : images)
    sum += HanleyMcNeil(auc, static_cast<double>(own), all - static_cast<double>(own));
  return sum / static_cast<double>(images.size());
}

bool RoundChooser::Add(RoundChoice& choice, int round, double auc, double loss) const {
  const bool by_validation =
      select_ != "last" && std::accumulate(images_.begin(), images_.end(), int64_t{0}) > 0;
  // The untrained model stands only until the first trained one.
  const bool first = choice.round <= 0;
  const bool best = first || !by_validation || IsBetter(auc, loss, choice);
  if (best) {
    choice.best_auc = auc;
    choice.best_loss = loss;
    choice.since_best = 0;
  } else {
    ++choice.since_best;
  }
  // NaN compares as false: where nothing is known of the error, only the best will do.
  const bool keep =
      best || (select_ == "near_best" &&
               auc >= choice.best_auc - kNear * AucStandardError(choice.best_auc, images_));
  if (keep) choice.round = round;
  return keep;
}

}  // namespace manako
