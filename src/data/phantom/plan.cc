#include "data/phantom/plan.h"

#include <cmath>
#include <numeric>

#include "base/random.h"

namespace manako {
namespace {

int Part(double share, int of) { return static_cast<int>(std::floor(share * of)); }

}  // namespace

std::vector<PhantomEye> PlanPhantoms(const PhantomEye& eye, int per_class) {
  const size_t n = static_cast<size_t>(per_class);
  std::vector<PhantomEye> eyes(2 * n, eye);
  for (size_t i = 0; i < eyes.size(); ++i) {
    eyes[i].detachment = i >= n;
    eyes[i].index = static_cast<int>(i % n);
  }

  Random random(eye.seed, "phantom patients", n);
  std::vector<size_t> normal(n), detached(n);
  std::iota(normal.begin(), normal.end(), size_t{0});
  std::iota(detached.begin(), detached.end(), n);
  random.Shuffle(normal);
  random.Shuffle(detached);

  // Each entry is a patient: one or two pictures.
  std::vector<std::vector<size_t>> patients;
  const auto take = [](std::vector<size_t>& from) {
    const size_t picture = from.back();
    from.pop_back();
    return picture;
  };
  for (int i = 0; i < Part(kMixedPairs, per_class); ++i) {
    const size_t first = take(normal);
    patients.push_back({first, take(detached)});
  }
  const auto pair_within = [&](std::vector<size_t>& from, int pairs) {
    for (int i = 0; i < pairs; ++i) {
      const size_t first = take(from);
      patients.push_back({first, take(from)});
    }
    while (!from.empty()) patients.push_back({take(from)});
  };
  pair_within(normal, Part(kNormalPairs, per_class));
  pair_within(detached, Part(kDetachmentPairs, per_class));

  random.Shuffle(patients);
  for (size_t p = 0; p < patients.size(); ++p) {
    bool right = random.Below(2) == 1;
    for (const size_t picture : patients[p]) {
      eyes[picture].patient = static_cast<int>(p) + 1;
      eyes[picture].right_eye = right;
      right = !right;
    }
  }
  return eyes;
}

}  // namespace manako
