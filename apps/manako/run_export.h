// A federation's run as model.pt, to use outside: what `manako run export` writes and the central
// hospital's page sends.
#ifndef MANAKO_APPS_MANAKO_RUN_EXPORT_H_
#define MANAKO_APPS_MANAKO_RUN_EXPORT_H_

#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "dashboard/file_source.h"
#include "server/federation_store.h"

namespace manako {

// Writes a round's global model (-1: of the best round) to `path` as TorchScript that opens with
// torch.jit.load; atomic, and the same bytes each time. `folder` is the central hospital's.
// NotFound: no such run, or that round's model is not kept. FailedPrecondition: the run has no
// model yet, or its network is a file that is no longer there. InvalidArgument: that file is
// another one now.
absl::Status ExportRun(const std::string& folder, FederationStore* store, const std::string& run,
                       int round, const std::string& path);

// Makes model.pt for downloads: one at a time, because each takes the memory of some copies of the
// model. Thread-safe.
class RunExports {
 public:
  // Files are made in export/ of the central hospital's folder, which is its owner's alone: it has
  // room for models, as a system's folder for temporary files may not.
  RunExports(std::string folder, FederationStore* store);
  // ExportRun() into a file without a name, which is gone when its last reader is. Errors as
  // ExportRun()'s; Unavailable while another one is made.
  absl::StatusOr<std::unique_ptr<FileSource>> Open(const std::string& run, int round);

 private:
  const std::string folder_;
  FederationStore* const store_;
  std::mutex one_at_a_time_;
};

}  // namespace manako

#endif  // MANAKO_APPS_MANAKO_RUN_EXPORT_H_
