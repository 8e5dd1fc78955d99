#include "report/stats/compare.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace manako::stats {
namespace {

// The variance of the mean over repeats and its degrees of freedom: (ms + r * cov) * scale / r.
Measured HillisMean(double mean, double mean_square, double covariance, size_t repeats,
                    double scale) {
  const double r = static_cast<double>(repeats);
  const double total = mean_square + r * covariance;
  Measured measured{.value = mean, .standard_error = std::sqrt(scale * total / r)};
  // No variance between repeats: all of it is of the test sample, which the normal describes.
  measured.df = mean_square > 0 ? total * total / (mean_square * mean_square) * (r - 1) : kNormal;
  return measured;
}

}  // namespace

Measured Combine(const Joint& joint, std::span<const double> weights) {
  double value = 0, variance = 0;
  for (size_t i = 0; i < joint.size(); ++i) {
    value += weights[i] * joint.value[i];
    for (size_t j = 0; j < joint.size(); ++j) variance += weights[i] * weights[j] * joint.cov(i, j);
  }
  // A difference of equal variances leaves rounding; it is no variance.
  double largest = 0;
  for (size_t i = 0; i < joint.size(); ++i) largest = std::max(largest, joint.cov(i, i));
  if (variance < 1e-13 * largest) variance = 0;
  return {value, std::sqrt(variance), kNormal};
}

Measured PairedDifference(const Joint& joint) {
  return Combine(joint, std::array<double, 2>{1.0, -1.0});
}

Measured ObuchowskiRocketteMean(const Joint& joint) {
  const size_t r = joint.size();
  if (r == 0) return {};
  if (r == 1) return Combine(joint, std::array<double, 1>{1.0});
  double mean = 0, square = 0, cov2 = 0;
  for (const double v : joint.value) mean += v / static_cast<double>(r);
  for (size_t i = 0; i < r; ++i) {
    square += (joint.value[i] - mean) * (joint.value[i] - mean);
    for (size_t j = 0; j < r; ++j) {
      if (i != j) cov2 += joint.cov(i, j);
    }
  }
  square /= static_cast<double>(r - 1);
  cov2 /= static_cast<double>(r * (r - 1));
  if (std::isnan(cov2)) return {.value = mean};
  return HillisMean(mean, square, std::max(0.0, cov2), r, 1);
}

Measured ObuchowskiRocketteDifference(const Joint& joint) {
  const size_t r = joint.size() / 2;
  if (r == 0) return {};
  if (r == 1) return PairedDifference(joint);
  double mean = 0, square = 0, cov2 = 0, cov3 = 0;
  for (size_t i = 0; i < r; ++i) {
    mean += (joint.value[i] - joint.value[r + i]) / static_cast<double>(r);
  }
  for (size_t i = 0; i < r; ++i) {
    const double apart = joint.value[i] - joint.value[r + i] - mean;
    square += apart * apart;
    for (size_t j = 0; j < r; ++j) {
      if (i == j) continue;
      cov2 += joint.cov(i, j) + joint.cov(r + i, r + j);
      cov3 += 2 * joint.cov(i, r + j);
    }
  }
  square /= static_cast<double>(2 * (r - 1));
  const double pairs = static_cast<double>(2 * r * (r - 1));
  const double covariance = (cov2 - cov3) / pairs;
  if (std::isnan(covariance)) return {.value = mean};
  return HillisMean(mean, square, std::max(0.0, covariance), r, 2);
}

Measured CorrectedResampledT(std::span<const double> values, double test_over_train) {
  const double count = static_cast<double>(values.size());
  Measured measured;
  if (values.empty()) return measured;
  double sum = 0, squares = 0;
  for (const double v : values) sum += v;
  measured.value = sum / count;
  if (values.size() < 2 || !(test_over_train >= 0)) return measured;
  for (const double v : values) squares += (v - measured.value) * (v - measured.value);
  measured.standard_error = std::sqrt((1 / count + test_over_train) * squares / (count - 1));
  measured.df = count - 1;
  return measured;
}

Estimate PlainInterval(const Measured& measured, double level, double least, double most) {
  Estimate estimate{.value = measured.value, .method = "t"};
  const double half = TwoSidedFactor(level, measured.df) * measured.standard_error;
  if (std::isnan(half)) return estimate;
  estimate.low = std::max(least, measured.value - half);
  estimate.high = std::min(most, measured.value + half);
  return estimate;
}

double PValue(const Measured& measured) {
  if (measured.standard_error == 0 && measured.value == 0) return 1;
  return 2 * StudentTCdf(-std::abs(measured.value) / measured.standard_error, measured.df);
}

const char* VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kEquivalent:
      return "equivalent";
    case Verdict::kNotInferior:
      return "not_inferior";
    case Verdict::kInferior:
      return "inferior";
    case Verdict::kInconclusive:
      break;
  }
  return "inconclusive";
}

Verdict JudgeInterval(double low90, double high90, double margin) {
  if (low90 > -margin && high90 < margin) return Verdict::kEquivalent;
  if (low90 > -margin) return Verdict::kNotInferior;
  if (high90 < -margin) return Verdict::kInferior;
  return Verdict::kInconclusive;
}

double TostPValue(const Measured& difference, double margin) {
  const double se = difference.standard_error;
  if (std::isnan(difference.value) || std::isnan(se)) return kUndefined;
  if (se == 0) return std::abs(difference.value) < margin ? 0 : 1;
  const double not_below = StudentTCdf(-(difference.value + margin) / se, difference.df);
  const double not_above = StudentTCdf(-(margin - difference.value) / se, difference.df);
  return std::max(not_below, not_above);
}

}  // namespace manako::stats
