#include "report/stats/calibration.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "report/stats/rates.h"

namespace manako::stats {

std::vector<CalibrationBin> CalibrationCurve(std::span<const double> probability,
                                             std::span<const uint8_t> outcome,
                                             const Clusters& clusters, int bins) {
  const size_t images = probability.size();
  std::vector<size_t> order(images);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return probability[a] < probability[b]; });
  const size_t wanted = std::clamp<size_t>(images / 10, 1, static_cast<size_t>(std::max(1, bins)));
  std::vector<CalibrationBin> curve;
  size_t begin = 0;
  for (size_t k = 1; k <= wanted && begin < images; ++k) {
    size_t end = std::max(begin + 1, images * k / wanted);
    while (end < images && probability[order[end]] == probability[order[end - 1]]) ++end;
    CalibrationBin bin;
    std::map<int32_t, Tally> tallies;
    for (size_t i = begin; i < end; ++i) {
      bin.predicted += probability[order[i]];
      Tally& tally = tallies[clusters.of[order[i]]];
      tally.hits += outcome[order[i]] != 0;
      tally.trials += 1;
    }
    bin.count = static_cast<int64_t>(end - begin);
    bin.predicted /= static_cast<double>(bin.count);
    std::vector<Tally> patients;
    for (const auto& [patient, tally] : tallies) patients.push_back(tally);
    bin.observed = RateInterval(patients);
    curve.push_back(std::move(bin));
    begin = end;
  }
  return curve;
}

}  // namespace manako::stats
