// Work that may be done in any order, with results that must be taken in order: blocks are encoded
// on several threads, but hashed and written one after the other.
#ifndef MANAKO_CORE_CODEC_ORDERED_PIPELINE_H_
#define MANAKO_CORE_CODEC_ORDERED_PIPELINE_H_

#include <cstddef>
#include <functional>

#include "absl/status/status.h"

namespace manako {

// How many slots OrderedPipeline() works in: the caller has a buffer for each.
size_t PipelineSlots(int threads);

// Calls work(slot, k) once for each k of 0 ... n - 1, on up to `threads` threads at once, and
// take(slot, k) behind it on the caller's thread in the order of k. A slot belongs to its k from
// the begin of its work to the end of its take. With one thread everything happens on the caller's,
// in order, in slot 0. The first error in the order of k ends it and is returned; work for later k
// may have been done by then.
absl::Status OrderedPipeline(int threads, size_t n,
                             const std::function<absl::Status(size_t slot, size_t k)>& work,
                             const std::function<absl::Status(size_t slot, size_t k)>& take);

}  // namespace manako

#endif  // MANAKO_CORE_CODEC_ORDERED_PIPELINE_H_
