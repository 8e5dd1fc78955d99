// Adds up what was measured of a file's blocks, the same way for writer and reader.
#ifndef MANAKO_CORE_CODEC_ARRAY_SUMMARY_H_
#define MANAKO_CORE_CODEC_ARRAY_SUMMARY_H_

#include <cstdint>
#include <vector>

#include "base/hash.h"
#include "core/codec/array_block.h"
#include "core/codec/array_file.h"

namespace manako {

// Of one section. Blocks are added in their order, so that the sums are the same bits whoever adds
// them.
struct ArraySums {
  double squares = 0, change_squares = 0;
  uint32_t largest_bits = 0;
  int64_t first_non_finite = -1;
  bool has_change = true;  // a base was there for every block

  void Add(const BlockStatistics& block);
};

ArrayFileSummary Summarise(uint64_t bytes, const Sha256Digest& digest,
                           const std::vector<ArraySums>& sums);

}  // namespace manako

#endif  // MANAKO_CORE_CODEC_ARRAY_SUMMARY_H_
