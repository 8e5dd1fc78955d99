// The inside of SiteAgent, for agent.cc (tasks, offers, the way to the server) and agent_rounds.cc
// (models).
#ifndef MANAKO_SITE_AGENT_IMPL_H_
#define MANAKO_SITE_AGENT_IMPL_H_

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "site/agent.h"
#include "site/answers.h"
#include "site/folder_watch.h"
#include "site/model_files.h"
#include "site/retry.h"
#include "site/status_reporter.h"

namespace manako {

// What handlers return: OK, the task is done with; Cancelled, the agent stops, or the server wants
// the work given up; what Passes(), the task is to be begun again later; anything else ends the
// agent.
class SiteAgent::Impl {
 public:
  Impl(Options options, Deps deps);
  absl::Status Run(std::stop_token stop);

 private:
  // One run's images, learner and what it knows, while it is being worked with.
  struct Session {
    std::string run;
    FederatedRunConfig config;  // as agreed
    std::unique_ptr<PreparedRun> prepared;
    std::unique_ptr<Learner> learner;
    std::string learner_of;  // what the learner was made from
    int learner_round =
        -1;  // behind which round its state and the residual stand; -1: nobody knows
    std::optional<FlatArray> residual;
  };

  // agent.cc
  absl::Status Loop();
  absl::Status Handle(const SiteTask& task);
  absl::Status HandleOffer(const OfferTask& task);
  absl::StatusOr<RunState> Judge(const OfferTask& task, const std::string& config_sha256);
  absl::Status TellStage(const std::string& run);
  void AnswerConsents();
  absl::Status SendWhatIsLeft();
  // Waits for a person; kNone where the server, or somebody here, has ended the wait.
  absl::StatusOr<Consent> AskPerson(const RunState& state, int round,
                                    std::vector<std::string> facts);
  absl::Status WaitWhilePaused();

  // Calls until it goes well or fails for good; Cancelled when stopped, or when `task_bound` and
  // the work is dropped.
  absl::Status Call(bool task_bound, std::string_view doing,
                    const std::function<absl::Status()>& call);
  // Ledger, then the channel. A server that does not want it any more (FailedPrecondition) is no
  // error.
  absl::Status Answer(const SiteAnswer& answer);
  absl::Status SubmitOutbox(RunState state);
  // A later word of the server on an update that it has given its word on.
  absl::Status TakeAmended(const std::string& run, const std::optional<Receipt>& receipt);
  // Waits; Cancelled when stopped before.
  absl::Status Sleep(double seconds);
  void Log(std::string_view line) const {
    if (deps_.log) deps_.log(line);
  }
  void Wake();
  bool Stopped() const { return stop_.stop_requested(); }

  // agent_rounds.cc
  absl::Status HandleRound(const RoundTask& task);
  bool OutboxIsWhole(const RunState& state) const;
  absl::Status TrainRound(const RoundTask& task, RunState state);
  absl::Status HandleTest(const TestTask& task);
  absl::Status HandleEnd(const EndTask& task);
  absl::Status KeepFinalModel(const EndTask& task, const RunState& state);
  // Errors of the run: the images cannot be had.
  absl::Status OpenSession(const std::string& run);
  absl::Status BringLearner(const RoundTask& task, const RunState& state);
  absl::StatusOr<GivenModel> GetModel(const std::string& run, const ArtifactId& artifact);
  void KeepModel(const RoundTask& task, bool is_best);
  std::vector<std::pair<std::filesystem::path, int>> KeptModels(const std::string& run) const;
  void RemoveOldModels(const RunState& state);
  void RemoveModels(const std::string& run);
  // The answer to a round or test that cannot be: says it here in full, and to the server what may
  // leave.
  absl::Status Fail(const std::string& run, int round, const absl::Status& why);
  absl::Status Refuse(const std::string& run, int round, const std::string& why);

  const Options options_;
  const Deps deps_;
  const Answers answers_;
  std::unique_ptr<StatusReporter> status_;
  Session session_;
  double line_bytes_per_second_ = 0;  // of the last model that was fetched; 0: none was yet
  int ended_again_ = 0;               // ends of runs that had ended, one behind the other

  std::stop_token stop_;
  std::mutex wait_mutex_;
  std::condition_variable_any wake_;
  uint64_t changes_ = 0;     // in the folder, or by the server's word
  std::mutex offers_mutex_;  // one change of a run's stage at a time
};

// Calls what others wrote; their exceptions end here.
template <typename F>
auto Guarded(F&& f) -> decltype(f()) {
  try {
    return f();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("no memory left");
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  }
}

}  // namespace manako

#endif  // MANAKO_SITE_AGENT_IMPL_H_
