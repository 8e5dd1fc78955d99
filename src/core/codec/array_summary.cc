#include "core/codec/array_summary.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace manako {

void ArraySums::Add(const BlockStatistics& block) {
  squares += block.squares;
  change_squares += block.change_squares;
  largest_bits = std::max(largest_bits, block.largest_bits);
  if (first_non_finite < 0) first_non_finite = block.first_non_finite;
}

ArrayFileSummary Summarise(uint64_t bytes, const Sha256Digest& digest,
                           const std::vector<ArraySums>& sums) {
  ArrayFileSummary summary;
  summary.bytes = bytes;
  summary.sha256 = ToHex(digest);
  for (const ArraySums& sum : sums) {
    ArrayStatistics statistics;
    statistics.l2 = std::sqrt(sum.squares);
    if (sum.has_change) statistics.change_l2 = std::sqrt(sum.change_squares);
    statistics.max_abs = std::bit_cast<float>(sum.largest_bits);
    statistics.first_non_finite = sum.first_non_finite;
    summary.sections.push_back(statistics);
  }
  return summary;
}

}  // namespace manako
