#include "report/stats/distributions.h"

#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <boost/math/policies/policy.hpp>
#include <cmath>
#include <limits>

namespace manako::stats {
namespace {

namespace policies = boost::math::policies;
// An argument outside the domain gives NaN or infinity, never an exception.
using Quiet = policies::policy<policies::domain_error<policies::ignore_error>,
                               policies::pole_error<policies::ignore_error>,
                               policies::overflow_error<policies::ignore_error>,
                               policies::evaluation_error<policies::ignore_error>>;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
// Above this Student's t and the normal agree to more digits than a double has use for.
constexpr double kManyDegrees = 1e8;

}  // namespace

double StudentTCdf(double t, double df) {
  if (std::isnan(t) || !(df > 0)) return kNaN;
  if (std::isinf(t)) return t > 0 ? 1 : 0;
  if (df > kManyDegrees)
    return boost::math::cdf(boost::math::normal_distribution<double, Quiet>(), t);
  return boost::math::cdf(boost::math::students_t_distribution<double, Quiet>(df), t);
}

double StudentTQuantile(double p, double df) {
  if (!(p > 0 && p < 1) || !(df > 0)) return kNaN;
  if (df > kManyDegrees) {
    return boost::math::quantile(boost::math::normal_distribution<double, Quiet>(), p);
  }
  return boost::math::quantile(boost::math::students_t_distribution<double, Quiet>(df), p);
}

double TwoSidedFactor(double level, double df) { return StudentTQuantile(0.5 + level / 2, df); }

}  // namespace manako::stats
