// The study: pooled, federated and alone on one machine, from a folder of images to a run folder.
#ifndef MANAKO_STUDY_STUDY_H_
#define MANAKO_STUDY_STUDY_H_

#include <string>

#include "absl/status/status.h"
#include "core/run_config.h"
#include "study/observer.h"

namespace manako {

struct StudyOptions {
  RunConfig config;
  std::string out;      // the run folder (docs/run-folder.md)
  bool resume = false;  // go on with what is in `out`; the config is then the one that is there
  int threads = 0;      // how many sites train at once; 0: one for each core
  std::string version;
  double checkpoint_seconds = 10;
};

// Runs a study to its end, or continues one. The report is made from the folder afterwards
// (src/report). The program has called PrepareLibtorch(). Errors: those of ReadDataset and
// PlanCell; AlreadyExists: the folder holds a run and `resume` is false; FailedPrecondition:
// another process writes there, or the images changed since the run began; InvalidArgument: the
// config.
absl::Status RunStudy(const StudyOptions& options, StudyObserver* observer);

// The configuration of the run in a folder. NotFound when there is none.
absl::StatusOr<RunConfig> ReadRunConfig(const std::string& folder);
// True when the folder's run has been finished.
bool IsFinished(const std::string& folder);

}  // namespace manako

#endif  // MANAKO_STUDY_STUDY_H_
