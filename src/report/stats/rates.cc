#include "report/stats/rates.h"

#include <algorithm>
#include <cmath>

namespace manako::stats {
namespace {

// Wilson's interval with any factor z and any number of trials.
Estimate Wilson(double p, double trials, double z) {
  Estimate estimate{.value = p, .method = "wilson"};
  const double z2n = z * z / trials;
  const double middle = (p + z2n / 2) / (1 + z2n);
  const double half = z / (1 + z2n) * std::sqrt(p * (1 - p) / trials + z2n / (4 * trials));
  // Exact at the ends, where rounding would leave 1e-17.
  estimate.low = p == 0 ? 0 : std::max(0.0, middle - half);
  estimate.high = p == 1 ? 1 : std::min(1.0, middle + half);
  return estimate;
}

}  // namespace

Estimate WilsonInterval(double hits, double trials, double level) {
  if (!(trials > 0)) return {};
  return Wilson(hits / trials, trials, TwoSidedFactor(level, kNormal));
}

Estimate WilsonFromError(const Measured& rate, double level) {
  const double p = rate.value, se = rate.standard_error;
  if (!(p >= 0 && p <= 1) || !(se > 0) || !(p * (1 - p) > 0)) return {.value = p};
  return Wilson(p, p * (1 - p) / (se * se), TwoSidedFactor(level, rate.df));
}

Estimate RateInterval(std::span<const Tally> patients, double level) {
  double hits = 0, trials = 0, with_trials = 0;
  bool clustered = false;
  for (const Tally& t : patients) {
    hits += t.hits;
    trials += t.trials;
    with_trials += t.trials > 0;
    clustered |= t.trials > 1;
  }
  if (!clustered) return WilsonInterval(hits, trials, level);
  const double p = hits / trials;
  double effective = with_trials;
  if (p > 0 && p < 1 && with_trials > 1) {
    double squares = 0;
    for (const Tally& t : patients) squares += (t.hits - p * t.trials) * (t.hits - p * t.trials);
    const double variance = with_trials / (with_trials - 1) * squares / (trials * trials);
    effective = trials / std::max(1.0, variance * trials / (p * (1 - p)));
  }
  Estimate estimate = WilsonInterval(p * effective, effective, level);
  estimate.value = p;
  estimate.method = "wilson_clustered";
  return estimate;
}

Joint RateCovariance(std::span<const std::vector<Tally>> repeats) {
  const size_t count = repeats.size();
  Joint joint;
  joint.value.assign(count, kUndefined);
  joint.covariance.assign(count * count, kUndefined);
  std::vector<std::vector<double>> influence(count);
  double patients = 0;
  for (size_t k = 0; k < count; ++k) {
    double hits = 0, trials = 0, with_trials = 0;
    for (const Tally& t : repeats[k]) {
      hits += t.hits;
      trials += t.trials;
      with_trials += t.trials > 0;
    }
    if (trials > 0) joint.value[k] = hits / trials;
    patients = std::max(patients, with_trials);
    influence[k].reserve(repeats[k].size());
    for (const Tally& t : repeats[k]) {
      influence[k].push_back((t.hits - joint.value[k] * t.trials) / trials);
    }
  }
  if (patients < 2) return joint;
  for (size_t r = 0; r < count; ++r) {
    for (size_t s = 0; s <= r; ++s) {
      double c = 0;
      for (size_t i = 0; i < influence[r].size(); ++i) c += influence[r][i] * influence[s][i];
      c *= patients / (patients - 1);
      joint.covariance[r * count + s] = joint.covariance[s * count + r] = c;
    }
  }
  return joint;
}

Estimate MeanOfRates(std::span<const Estimate> parts) {
  if (parts.empty()) return {};
  double value = 0, below = 0, above = 0;
  for (const Estimate& part : parts) {
    value += part.value;
    below += (part.value - part.low) * (part.value - part.low);
    above += (part.high - part.value) * (part.high - part.value);
  }
  const double count = static_cast<double>(parts.size());
  value /= count;
  if (std::isnan(value)) return {};
  return {value, value - std::sqrt(below) / count, value + std::sqrt(above) / count, "mover"};
}

Estimate DifferenceOfEstimates(const Estimate& a, const Estimate& b) {
  const double value = a.value - b.value;
  if (std::isnan(value)) return {};
  return {value, value - std::hypot(a.value - a.low, b.high - b.value),
          value + std::hypot(a.high - a.value, b.value - b.low), "mover"};
}

double QuadraticKappa(const std::vector<std::vector<double>>& counts) {
  const size_t classes = counts.size();
  std::vector<double> truth(classes, 0), predicted(classes, 0);
  double total = 0;
  for (size_t i = 0; i < classes; ++i) {
    for (size_t j = 0; j < classes; ++j) {
      truth[i] += counts[i][j];
      predicted[j] += counts[i][j];
      total += counts[i][j];
    }
  }
  double observed = 0, expected = 0;
  for (size_t i = 0; i < classes; ++i) {
    for (size_t j = 0; j < classes; ++j) {
      const double apart = static_cast<double>(i) - static_cast<double>(j);
      observed += apart * apart * counts[i][j];
      expected += apart * apart * truth[i] * predicted[j] / total;
    }
  }
  if (!(total > 0) || !(expected > 0)) return kUndefined;
  return 1 - observed / expected;
}

}  // namespace manako::stats
