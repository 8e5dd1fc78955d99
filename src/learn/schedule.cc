#include "learn/schedule.h"

#include <algorithm>
#include <cmath>

namespace manako {

double ScheduleFactor(const TrainConfig& config, int64_t step, int64_t total_steps,
                      int64_t steps_per_round) {
  const double warmup = std::floor(config.warmup_share * static_cast<double>(total_steps));
  const auto at = static_cast<double>(step);
  if (at < warmup) return (at + 1) / (warmup + 1);
  if (config.schedule == "cosine") {
    const double rest = std::max(1.0, static_cast<double>(total_steps) - warmup);
    return 0.5 * (1 + std::cos(M_PI * std::min(1.0, (at - warmup) / rest)));
  }
  if (config.schedule == "step") {
    const int64_t round = step / std::max<int64_t>(1, steps_per_round);
    return std::pow(config.step_factor, static_cast<double>(round / config.step_rounds));
  }
  return 1;
}

}  // namespace manako
