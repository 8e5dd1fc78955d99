#include "report/stats/auc.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>

namespace manako::stats {
namespace {

// Ranks from 1; equal values share the mean of their ranks.
std::vector<double> Midranks(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t begin = 0, end; begin < order.size(); begin = end) {
    end = begin + 1;
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    const double rank = 0.5 * static_cast<double>(begin + 1 + end);
    for (size_t i = begin; i < end; ++i) ranks[order[i]] = rank;
  }
  return ranks;
}

// Sum over each patient's images of (component - auc), for one class of images.
std::vector<double> SumByPatient(const std::vector<double>& components, double auc,
                                 const std::vector<int32_t>& patient, int32_t patients) {
  std::vector<double> sums(patients, 0.0);
  for (size_t i = 0; i < components.size(); ++i) sums[patient[i]] += components[i] - auc;
  return sums;
}

double Dot(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

// I / (I - 1): NaN for a single patient, from whom no variance can be learnt.
double SmallSampleFactor(int64_t patients) {
  if (patients < 2) return kUndefined;
  return static_cast<double>(patients) / static_cast<double>(patients - 1);
}

}  // namespace

Clusters Clusters::Singles(size_t images) {
  Clusters clusters;
  clusters.of.resize(images);
  std::iota(clusters.of.begin(), clusters.of.end(), 0);
  clusters.count = static_cast<int32_t>(images);
  return clusters;
}

Clusters Clusters::From(std::span<const int64_t> ids) {
  Clusters clusters;
  std::unordered_map<int64_t, int32_t> dense;
  clusters.of.reserve(ids.size());
  for (const int64_t id : ids) {
    clusters.of.push_back(dense.emplace(id, static_cast<int32_t>(dense.size())).first->second);
  }
  clusters.count = static_cast<int32_t>(dense.size());
  return clusters;
}

AucComponents ComputeAuc(std::span<const double> scores, std::span<const uint8_t> positive) {
  std::vector<double> of_positives, of_negatives;
  for (size_t i = 0; i < scores.size(); ++i) {
    (positive[i] ? of_positives : of_negatives).push_back(scores[i]);
  }
  AucComponents result;
  const double m = static_cast<double>(of_positives.size());
  const double n = static_cast<double>(of_negatives.size());
  if (m == 0 || n == 0) return result;

  const std::vector<double> all_ranks = Midranks(scores);
  const std::vector<double> positive_ranks = Midranks(of_positives);
  const std::vector<double> negative_ranks = Midranks(of_negatives);
  result.positive.reserve(of_positives.size());
  result.negative.reserve(of_negatives.size());
  for (size_t i = 0, x = 0, y = 0; i < scores.size(); ++i) {
    // Rank among all less rank among one's own class: how many of the other class lie below.
    if (positive[i]) {
      result.positive.push_back((all_ranks[i] - positive_ranks[x++]) / n);
    } else {
      result.negative.push_back(1 - (all_ranks[i] - negative_ranks[y++]) / m);
    }
  }
  // Through exact sums of half integers, so that a perfect model has exactly 1.
  double beaten = 0;
  for (size_t i = 0, x = 0; i < scores.size(); ++i) {
    if (positive[i]) beaten += all_ranks[i] - positive_ranks[x++];
  }
  result.auc = beaten / (m * n);
  return result;
}

AucComponents MeanOf(std::span<const AucComponents> models) {
  AucComponents mean = models[0];
  for (size_t k = 1; k < models.size(); ++k) {
    mean.auc += models[k].auc;
    for (size_t i = 0; i < mean.positive.size(); ++i) mean.positive[i] += models[k].positive[i];
    for (size_t i = 0; i < mean.negative.size(); ++i) mean.negative[i] += models[k].negative[i];
  }
  const double count = static_cast<double>(models.size());
  mean.auc /= count;
  for (double& v : mean.positive) v /= count;
  for (double& v : mean.negative) v /= count;
  return mean;
}

PatientCounts CountPatients(std::span<const uint8_t> positive, const Clusters& clusters) {
  std::vector<uint8_t> seen(clusters.count, 0);
  for (size_t i = 0; i < positive.size(); ++i) seen[clusters.of[i]] |= positive[i] ? 1 : 2;
  PatientCounts counts;
  for (const uint8_t s : seen) {
    counts.positive += (s & 1) != 0;
    counts.negative += (s & 2) != 0;
  }
  return counts;
}

Joint AucCovariance(std::span<const AucComponents> models, std::span<const uint8_t> positive,
                    const Clusters& clusters) {
  std::vector<int32_t> patient_of_positive, patient_of_negative;
  for (size_t i = 0; i < positive.size(); ++i) {
    (positive[i] ? patient_of_positive : patient_of_negative).push_back(clusters.of[i]);
  }
  const PatientCounts patients = CountPatients(positive, clusters);
  const double m = static_cast<double>(patient_of_positive.size());
  const double n = static_cast<double>(patient_of_negative.size());
  const double factor10 = SmallSampleFactor(patients.positive);
  const double factor01 = SmallSampleFactor(patients.negative);
  const double factor11 = SmallSampleFactor(clusters.count);

  const size_t count = models.size();
  Joint joint;
  joint.value.resize(count);
  joint.covariance.assign(count * count, kUndefined);
  std::vector<std::vector<double>> x(count), y(count);
  for (size_t k = 0; k < count; ++k) {
    joint.value[k] = models[k].auc;
    x[k] = SumByPatient(models[k].positive, models[k].auc, patient_of_positive, clusters.count);
    y[k] = SumByPatient(models[k].negative, models[k].auc, patient_of_negative, clusters.count);
  }
  for (size_t r = 0; r < count; ++r) {
    for (size_t s = 0; s <= r; ++s) {
      const double c = factor10 * Dot(x[r], x[s]) / (m * m) + factor01 * Dot(y[r], y[s]) / (n * n) +
                       factor11 * (Dot(x[r], y[s]) + Dot(y[r], x[s])) / (m * n);
      joint.covariance[r * count + s] = joint.covariance[s * count + r] = c;
    }
  }
  return joint;
}

Estimate LogitInterval(const Measured& measured, double level) {
  Estimate estimate{.value = measured.value, .method = "logit"};
  const double p = measured.value;
  if (!(p > 0 && p < 1)) return estimate;
  const double half = TwoSidedFactor(level, measured.df) * measured.standard_error / (p * (1 - p));
  const double logit = std::log(p / (1 - p));
  estimate.low = 1 / (1 + std::exp(-(logit - half)));
  estimate.high = 1 / (1 + std::exp(-(logit + half)));
  return estimate;
}

Estimate NewcombeInterval(double auc, const PatientCounts& patients, double level) {
  Estimate estimate{.value = auc, .method = "newcombe"};
  const double m = static_cast<double>(patients.positive);
  const double n = static_cast<double>(patients.negative);
  if (std::isnan(auc) || m == 0 || n == 0) return estimate;
  const double z = TwoSidedFactor(level, kNormal);
  const double spare = (m + n) / 2 - 1;
  const auto standard_error = [&](double t) {
    return std::sqrt(t * (1 - t) * (1 + spare * (1 - t) / (2 - t) + spare * t / (1 + t)) / (m * n));
  };
  // Each bound is where |auc - t| = z * se(t): outside it the left side is the larger one.
  const auto bound = [&](double outside, double inside) {
    for (int step = 0; step < 100; ++step) {
      const double t = (outside + inside) / 2;
      (std::abs(auc - t) > z * standard_error(t) ? outside : inside) = t;
    }
    return (outside + inside) / 2;
  };
  estimate.low = auc == 0 ? 0 : bound(0, auc);
  estimate.high = auc == 1 ? 1 : bound(1, auc);
  return estimate;
}

Estimate AucInterval(const Measured& measured, const PatientCounts& patients,
                     const std::string& method, double level) {
  const double p = measured.value;
  if (std::isnan(p)) return Estimate{};
  if (std::isnan(measured.standard_error) || p <= 0 || p >= 1) {
    return NewcombeInterval(std::clamp(p, 0.0, 1.0), patients, level);
  }
  Estimate estimate = LogitInterval(measured, level);
  estimate.method = method;
  return estimate;
}

}  // namespace manako::stats
