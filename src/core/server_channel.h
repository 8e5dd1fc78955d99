// A site's only way to the server.
#ifndef MANAKO_CORE_SERVER_CHANNEL_H_
#define MANAKO_CORE_SERVER_CHANNEL_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/federation.h"

namespace manako {

// Second implementations: over gRPC (src/wire), and in one process
// (src/round/in_process_channel.h). Thread-safe.
//
// Errors that pass (Unavailable, DeadlineExceeded, Aborted, and Internal of a broken stream) are
// the caller's to try again, with what was done so far kept: transfers go on at the offset reached.
// Others are final: Unauthenticated and PermissionDenied (revoked, another federation),
// FailedPrecondition (no such run or round any more), InvalidArgument.
class ServerChannel {
 public:
  virtual ~ServerChannel() = default;
  // Waits at the server until there is something to do, or gives Wait after a while.
  virtual absl::StatusOr<SiteTask> NextTask() = 0;
  virtual absl::Status Answer(const SiteAnswer& answer) = 0;
  virtual absl::StatusOr<StatusReply> ReportStatus(const SiteStatus& status) = 0;
  // Fetches an array file to `path`, whole or not at all; bytes fetched before an interruption are
  // kept in path + ".part" and not asked for again. DataLoss: what came is not what its SHA-256
  // says (the part is thrown away).
  virtual absl::Status Download(const std::string& run, const ArtifactId& artifact,
                                const std::string& path,
                                const std::function<void(int64_t done)>& progress) = 0;
  // Sends the file `path`, which is submission.artifact, and the submission. The same submission
  // again gives the same receipt. A Receipt that isn't kKept is an answer, not an error.
  virtual absl::StatusOr<Receipt> Submit(const Submission& submission, const std::string& path,
                                         const std::function<void(int64_t done)>& progress) = 0;
};

}  // namespace manako

#endif  // MANAKO_CORE_SERVER_CHANNEL_H_
