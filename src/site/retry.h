// Which errors pass, and how long to wait for that.
#ifndef MANAKO_SITE_RETRY_H_
#define MANAKO_SITE_RETRY_H_

#include <algorithm>

#include "absl/status/status.h"
#include "base/random.h"

namespace manako {

// As server_channel.h says; also a full disk, which somebody will make room on.
inline bool Passes(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kResourceExhausted:
      return true;
    default:
      return false;
  }
}

// Exponential with jitter: each wait is uniform in the upper half of a span that doubles.
class Backoff {
 public:
  Backoff(double first_seconds, double longest_seconds, Random random)
      : first_(first_seconds), longest_(longest_seconds), next_(first_seconds), random_(random) {}
  double NextSeconds() {
    const double span = next_;
    next_ = std::min(longest_, next_ * 2);
    return random_.Uniform(span / 2, span);
  }
  void Reset() { next_ = first_; }

 private:
  double first_, longest_, next_;
  Random random_;
};

}  // namespace manako

#endif  // MANAKO_SITE_RETRY_H_
