// A piece of a file on the wire.
#ifndef MANAKO_WIRE_CHUNK_H_
#define MANAKO_WIRE_CHUNK_H_

#include <cstddef>

#include "absl/status/status.h"
#include "base/crc32c.h"
#include "base/status_macros.h"
#include "manako/v1/federation.pb.h"

namespace manako {

// As they are sent: a quarter of the most that is allowed. What a connection that breaks loses of a
// chunk is sent again, and over a slow line with a proxy that cuts every minute a whole chunk must
// come through in one piece.
inline constexpr size_t kChunk = 1 << 18;
// HTTP/2's frames: a chunk in one, not in sixteen.
inline constexpr int kFrame = 2 * kChunk;
// As they are taken.
inline constexpr size_t kLargestChunk = 1 << 20;

// InvalidArgument: a length that is none. Aborted: damaged on the way. Where it belongs is for the
// caller to know.
inline absl::Status CheckChunk(const v1::Chunk& chunk) {
  if (chunk.data().empty() || chunk.data().size() > kLargestChunk) {
    return InvalidArgument("a chunk of {} bytes: from 1 to {} are allowed", chunk.data().size(),
                           kLargestChunk);
  }
  if (Crc32c(chunk.data()) != chunk.crc32c())
    return absl::AbortedError("a chunk was damaged on the way: send it again");
  return absl::OkStatus();
}

}  // namespace manako

#endif  // MANAKO_WIRE_CHUNK_H_
