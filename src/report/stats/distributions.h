// The two distributions that the intervals need, without exceptions.
#ifndef MANAKO_REPORT_STATS_DISTRIBUTIONS_H_
#define MANAKO_REPORT_STATS_DISTRIBUTIONS_H_

namespace manako::stats {

// Infinitely many degrees of freedom: Student's t is then the standard normal.
inline constexpr double kNormal = 1e300;

// P(T <= t) for Student's t. NaN for a NaN t or df <= 0 (or NaN).
double StudentTCdf(double t, double df);

// The t with P(T <= t) = p, 0 < p < 1; NaN outside.
double StudentTQuantile(double p, double df);

// The factor of a two-sided interval of the given level: 1.96 for (0.95, kNormal).
double TwoSidedFactor(double level, double df);

}  // namespace manako::stats

#endif  // MANAKO_REPORT_STATS_DISTRIBUTIONS_H_
