// What a site's agent must not forget. Crash-only: kill -9 at any moment, and the next agent either
// trains the open round again from the same state, to the same bits, or finds the finished update
// and sends that.
//
//     runs/RUN/run.toml          the agreement, as the server sent it
//     runs/RUN/state.json        RunState; the files of rounds that it does not name do not count
//     runs/RUN/round-N-M.state   what the learner keeps behind round N, trained from model M
//     runs/RUN/round-N-M.update  the outbox: the last submission's array file
//     runs/RUN/model-M           a model that is being worked with
//     runs/RUN/models/           models to keep: round-N.model; at the end final.pt, final.json
//
// The one commit of a round is the replacing of state.json.
#ifndef MANAKO_SITE_SITE_STORE_H_
#define MANAKO_SITE_SITE_STORE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/files.h"
#include "core/federation.h"
#include "site/site_folder.h"

namespace manako {

enum class RunStage : uint8_t { kAsked, kJoined, kRefused, kEnded };
const char* NameOf(RunStage stage);

// A learner's state behind a round.
struct StateFile {
  int round = 0;
  std::string file;  // in the run's folder; empty: the state from which the run began
};

struct RunState {
  std::string run;
  std::string name;  // for people
  std::string config_sha256;
  RunStage stage = RunStage::kAsked;
  std::string why;         // of kRefused and kEnded
  bool by_person = false;  // refused by one
  bool told = false;       // the server has the answer that this stage is
  SiteCounts counts;       // exact
  int rounds = 0;          // of the run; 0: not known yet
  // The last round that was trained here: its submission, and the states behind it and behind the
  // one before.
  std::optional<Submission> last;
  StateFile state, before;
  std::string update;               // file of the submission
  int trained = 0;                  // the last round that was trained here, also of an ended run
  std::vector<int64_t> trained_ms;  // when rounds were committed in the last 24 hours
  int best_round = -1;              // tested here on the site's own validation images; -1: none
  double best_loss = 0;
};

// Of one folder, for the one process that holds its lock. Thread-safe.
class SiteStore {
 public:
  // FailedPrecondition: another agent is at work here. Runs whose state cannot be read are set
  // aside (state.json.damaged) and told in problems(); files that no state names are removed.
  static absl::StatusOr<std::unique_ptr<SiteStore>> Open(const std::string& folder);

  const SiteFolder& folder() const { return folder_; }
  const std::vector<std::string>& problems() const { return problems_; }

  std::optional<RunState> Find(const std::string& run) const;
  std::vector<RunState> Runs() const;  // by name
  // Keeps the agreement of a run that is not known yet, then its state.
  absl::Status Add(const RunState& state, const std::string& config);
  // Replaces the state, on the disk when this returns. Files that it does not name any more are
  // removed.
  absl::Status Save(const RunState& state);
  absl::StatusOr<std::string> Config(const std::string& run) const;

  // A file in the run's folder.
  std::string Path(const std::string& run, const std::string& file) const;

  struct Trained {
    Submission submission;
    LearnerState learner;
    std::optional<FlatArray> residual;  // of lossy encodings
    int64_t now_ms = 0;
  };
  // Commits a round whose update is in UpdatePath() already: when this returns, the round is
  // trained for good. `state` is what was last saved, with what else changed; it becomes what is
  // saved now. Of `trained` only the residual is there then.
  absl::Status CommitRound(RunState& state, Trained& trained);
  std::string UpdatePath(const RoundTask& task) const;

  struct Learnt {
    LearnerState learner;
    std::optional<FlatArray> residual;
  };
  // The state from which `round` is trained: the last one behind an earlier round; nothing when the
  // run begins, or when only later ones are left. DataLoss: the file is damaged or gone.
  absl::StatusOr<std::optional<Learnt>> StateBefore(const RunState& state, int round) const;
  // Which file that is; round 0: the run's beginning.
  static StateFile StateFileBefore(const RunState& state, int round);

  // Removes files of rounds and models that the run's state does not name.
  void RemoveLeftovers(const std::string& run) const;

  int RoundsInADay(int64_t now_ms) const;

 private:
  explicit SiteStore(std::string folder) : folder_{std::move(folder)} {}
  absl::Status Load();
  absl::Status SaveLocked(const RunState& state);
  void RemoveUnnamed(const RunState& state) const;

  SiteFolder folder_;
  std::unique_ptr<FolderLock> lock_;
  std::vector<std::string> problems_;
  mutable std::mutex mutex_;
  std::map<std::string, RunState> runs_;
};

}  // namespace manako

#endif  // MANAKO_SITE_SITE_STORE_H_
