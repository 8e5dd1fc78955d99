// One model's training from its first round to its predictions: a federation of one site (pooled,
// alone) or of several.
#ifndef MANAKO_STUDY_MODEL_RUN_H_
#define MANAKO_STUDY_MODEL_RUN_H_

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/checkpoint.h"
#include "core/run_config.h"
#include "learn/torch_learner.h"
#include "round/coordinator.h"
#include "round/round_choice.h"
#include "study/journal.h"
#include "study/model_key.h"
#include "study/scheduler.h"

namespace manako {

// A participant and the images that it trains on.
struct Participant {
  std::string name;
  Examples train;
};

// Why a training was stopped, for readers of either language.
struct StopReason {
  std::string en, ja;
};

// What a study keeps of a finished model.
struct ModelResult {
  int best_round = 0;
  std::string stopped;  // why training ended early; empty when it did not
  Predictions validation, test;
  std::shared_ptr<const ParameterSet> model;  // of the chosen round
};

// The same coordinator and the same learners as in a federation over a network; the sites take
// turns on the threads of a Scheduler. Deterministic: the result depends on the options alone, not
// on threads or on interruptions.
class ModelRun {
 public:
  struct Options {
    ModelKey key;
    RunConfig config;  // precision resolved
    int classes = 2, positive = -1;
    std::vector<Participant> sites;
    size_t cell_images = 0;  // training images of all sites of the cell
    Examples validation, test;
    std::shared_ptr<FeatureCache> features;  // of frozen layers; null: none is
    uint64_t seed = 0;                       // of this model's training
    uint64_t initial_seed = 0;       // of the initial parameters: the same for all models of a cell
    std::string state_path;          // its checkpoint; ".done" is added for the finished model
    double checkpoint_seconds = 10;  // at most so often
  };
  struct Deps {
    NetworkPool* pool;
    Journal* journal;
    Scheduler* scheduler;
  };
  ModelRun(Options options, Deps deps);
  ~ModelRun();

  // The first job of the run's chain: continues behind a checkpoint where there is one.
  void Start();
  void set_chain(int chain) { chain_ = chain; }

  const ModelKey& key() const { return options_.key; }
  // Whether it was finished before this process began, or since.
  bool finished() const { return Result().ok(); }
  // After the scheduler's Run(): the first error that was not training's own (a full disk).
  const absl::Status& status() const { return status_; }
  // What was trained, read back from its file: a study of many models keeps none of them in memory.
  absl::StatusOr<ModelResult> Result() const;

 private:
  void Begin();
  // Runs a part of the training; memory that runs out ends this training, not the process.
  void Guard(const std::function<void()>& job);
  void MakeLearners();
  absl::Status Restore(const Checkpoint& checkpoint);
  absl::Status RestoreState(const Checkpoint& checkpoint);
  void BeginStretch();
  void OpenRound();
  void TrainSite(size_t site);
  void CloseRound();
  // Whether the model of this round is tested: all are, but for rounds of few steps, where it is
  // those that end an epoch.
  bool Judged(int round) const;
  // Tests the global model, writes the round's line, and keeps it if it is the one to end with so
  // far.
  absl::Status JudgeRound(RoundRecord record);
  absl::Status SaveState();
  // Ends a training that fell apart in `round`; what is kept is the round chosen before.
  void StopTraining(int round, const StopReason& why);
  void Finish(const std::string& stopped);
  void Fail(const absl::Status& status);

  Options options_;
  Deps deps_;
  int chain_ = -1;
  std::unique_ptr<Coordinator> coordinator_;
  std::vector<std::unique_ptr<TorchLearner>> learners_;

  std::mutex mutex_;  // guards what the sites of a round write
  size_t answered_ = 0;
  // Of the first site, by order, whose training failed in this round.
  size_t failed_site_ = 0;
  std::optional<StopReason> training_error_;
  double loss_sum_ = 0;  // since the last tested round, like visits_ and round_began_
  int64_t visits_ = 0;
  std::chrono::steady_clock::time_point round_began_, last_save_;
  RoundChoice choice_;
  std::shared_ptr<const ParameterSet> chosen_;
  std::vector<Predictions>
      chosen_predictions_;  // on validation and test; empty after a checkpoint was read
  double seconds_ = 0;
  absl::Status status_;
};

}  // namespace manako

#endif  // MANAKO_STUDY_MODEL_RUN_H_
