#include "study/model_run.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <utility>

#include "base/random.h"
#include "base/status_macros.h"
#include "core/local_share.h"
#include "study/round_metrics.h"

namespace manako {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

StopReason NoNumbers(int round) {
  return {fmt::format(
              "the model of round {} gives no numbers any more: use a smaller train.learning_rate",
              round),
          fmt::format("ラウンド{}のモデルの出力が数値でなくなった（NaNまたは無限大）。train."
                      "learning_rateを小さくされたい。",
                      round)};
}

// `message` is the learner's own.
StopReason TrainingFailed(const std::string& site, int round, std::string_view message) {
  return {
      fmt::format("{}: {}", site, message),
      fmt::format(
          "{}：ラウンド{}の訓練で損失またはパラメータが数値でなくなった（NaNまたは無限大）。train."
          "learning_rateを小さくされたい。",
          site, round)};
}

json NumberOrNull(double value) { return std::isfinite(value) ? json(value) : json(nullptr); }
double NumberOrNan(const json& value) { return value.is_number() ? value.get<double>() : NAN; }

}  // namespace

ModelRun::ModelRun(Options options, Deps deps) : options_(std::move(options)), deps_(deps) {}

ModelRun::~ModelRun() = default;

void ModelRun::MakeLearners() {
  TorchLearner::Options common;
  common.train = options_.config.train;
  common.rounds = options_.config.federation.rounds;
  common.keep_optimiser = options_.config.federation.keep_optimiser;
  common.features = options_.features;
  RunBasis basis;
  basis.sites = static_cast<int>(options_.sites.size());
  basis.images = static_cast<int64_t>(options_.cell_images);
  basis.per_class.assign(static_cast<size_t>(options_.classes), 0);
  for (const Participant& site : options_.sites) {
    for (const int label : site.train.labels) ++basis.per_class[static_cast<size_t>(label)];
  }
  for (size_t i = 0; i < options_.sites.size(); ++i) {
    const Participant& site = options_.sites[i];
    const LocalShare share =
        ShareOf(options_.config, basis, static_cast<int64_t>(site.train.size()));
    TorchLearner::Options own = common;
    own.batches_per_epoch = share.batches_per_epoch;
    own.train.learning_rate = share.learning_rate;
    own.steps_per_round = share.steps_per_round;
    own.class_weights = share.class_weights;
    own.seed = DeriveSeed(options_.seed, "site", i);
    learners_.push_back(std::make_unique<TorchLearner>(
        own, options_.classes, site.train, i == 0 ? options_.validation : Examples{},
        i == 0 ? options_.test : Examples{}, deps_.pool));
  }
}

void ModelRun::Start() {
  Guard([this] { Begin(); });
}

void ModelRun::Begin() {
  if (finished()) return;  // before an interruption
  auto strategy = MakeStrategy(options_.config.federation);
  if (!strategy.ok()) return Fail(strategy.status());
  Coordinator::Options options;
  for (const Participant& site : options_.sites) options.sites.push_back(site.name);
  options.rounds = options_.config.federation.rounds;
  auto initial =
      deps_.pool->InitialParameters(options_.initial_seed, options_.config.model.init, nullptr);
  if (!initial.ok()) return Fail(initial.status());
  coordinator_ = std::make_unique<Coordinator>(options, *std::move(strategy), *std::move(initial));
  MakeLearners();
  last_save_ = Clock::now();
  auto saved = LoadCheckpoint(options_.state_path);
  if (saved.ok()) {
    if (absl::Status status = Restore(*saved); !status.ok()) return Fail(status);
  } else {
    if (saved.status().code() == absl::StatusCode::kDataLoss) {
      deps_.journal->Write(
          {{"event", "warning"},
           {"en", fmt::format("A checkpoint was damaged; {} was trained again from its start.",
                              options_.key.arm)},
           {"ja", fmt::format("チェックポイントが破損していたため、{}を最初から訓練し直した。",
                              options_.key.arm)}});
    }
    RoundRecord record;
    record.key = options_.key;
    record.rounds = options.rounds;
    round_began_ = Clock::now();
    if (absl::Status status = JudgeRound(record); !status.ok()) return Fail(status);
  }
  BeginStretch();
  OpenRound();
}

absl::Status ModelRun::Restore(const Checkpoint& checkpoint) {
  try {
    return RestoreState(checkpoint);
  } catch (const json::exception&) {
    return DataLoss("{} is no checkpoint of this version", options_.state_path);
  }
}

absl::Status ModelRun::RestoreState(const Checkpoint& checkpoint) {
  const json& values = checkpoint.values;
  const auto take = [&](const std::string& name,
                        std::shared_ptr<const ParameterSet>* out) -> absl::Status {
    const FlatArray* array = FindArray(checkpoint.arrays, name);
    if (array == nullptr) return DataLoss("{} lacks {}", options_.state_path, name);
    *out = std::make_shared<const ParameterSet>(ParameterSet{deps_.pool->spec(), array->Clone()});
    return absl::OkStatus();
  };
  GlobalState global;
  MANAKO_RETURN_IF_ERROR(take("model", &global.model));
  MANAKO_RETURN_IF_ERROR(take("chosen", &chosen_));
  const auto named = [&](const std::string& prefix) {
    std::vector<NamedArray> arrays;
    for (const NamedArray& array : checkpoint.arrays) {
      if (array.name.starts_with(prefix))
        arrays.push_back({array.name.substr(prefix.size()), array.values.Clone()});
    }
    return arrays;
  };
  global.kept = named("kept/");
  if (auto sent = named("sent/"); !sent.empty()) {
    global.sent = std::make_shared<const std::vector<NamedArray>>(std::move(sent));
  }
  for (size_t i = 0; i < learners_.size(); ++i) {
    LearnerState state;
    state.steps = values.at("steps").at(i).get<int64_t>();
    state.arrays = named(fmt::format("site{}/", i));
    MANAKO_RETURN_IF_ERROR(learners_[i]->RestoreState(std::move(state)));
  }
  choice_ = {values.at("chosen_round").get<int>(), NumberOrNan(values.at("best_auc")),
             NumberOrNan(values.at("best_loss")), values.at("since_best").get<int>()};
  seconds_ = values.at("seconds").get<double>();
  return coordinator_->Restore(values.at("completed").get<int>(), std::move(global));
}

absl::Status ModelRun::SaveState() {
  Checkpoint checkpoint;
  checkpoint.values = {{"completed", coordinator_->completed()},
                       {"chosen_round", choice_.round},
                       {"best_auc", NumberOrNull(choice_.best_auc)},
                       {"best_loss", NumberOrNull(choice_.best_loss)},
                       {"since_best", choice_.since_best},
                       {"seconds", seconds_},
                       {"steps", json::array()}};
  const GlobalState& global = coordinator_->global();
  checkpoint.arrays.push_back({"model", global.model->values.Clone()});
  checkpoint.arrays.push_back({"chosen", chosen_->values.Clone()});
  for (const NamedArray& array : global.kept)
    checkpoint.arrays.push_back({"kept/" + array.name, array.values.Clone()});
  if (global.sent != nullptr) {
    for (const NamedArray& array : *global.sent)
      checkpoint.arrays.push_back({"sent/" + array.name, array.values.Clone()});
  }
  for (size_t i = 0; i < learners_.size(); ++i) {
    LearnerState state = learners_[i]->SaveState();
    checkpoint.values["steps"].push_back(state.steps);
    for (NamedArray& array : state.arrays) {
      checkpoint.arrays.push_back(
          {fmt::format("site{}/{}", i, array.name), std::move(array.values)});
    }
  }
  last_save_ = Clock::now();
  return SaveCheckpoint(checkpoint, options_.state_path);
}

void ModelRun::OpenRound() {
  if (coordinator_->finished()) return Finish("");
  answered_ = 0;
  for (size_t i = 0; i < options_.sites.size(); ++i) {
    deps_.scheduler->AddJob(chain_, [this, i] { Guard([this, i] { TrainSite(i); }); });
  }
}

void ModelRun::TrainSite(size_t site) {
  const std::string& name = options_.sites[site].name;
  absl::StatusOr<Task> task = absl::UnknownError("");
  {
    std::lock_guard lock(mutex_);
    task = coordinator_->NextTask(name);
  }
  bool last = false;
  const TrainTask* train = task.ok() ? std::get_if<TrainTask>(&*task) : nullptr;
  absl::StatusOr<Update> update =
      train != nullptr ? learners_[site]->Train(*train) : absl::StatusOr<Update>(Update{});
  {
    std::lock_guard lock(mutex_);
    absl::Status status = task.ok() ? update.status() : task.status();
    if (train != nullptr && status.ok()) {
      loss_sum_ += update->metrics["train_loss"] * static_cast<double>(update->visits);
      visits_ += update->visits;
      status = coordinator_->Submit(name, train->round, *std::move(update));
    }
    if (!status.ok()) {
      if (status.code() != absl::StatusCode::kOutOfRange && status_.ok())
        status_ = Annotate(status, name);
      if (!training_error_ || site < failed_site_) {
        failed_site_ = site;
        training_error_ = TrainingFailed(name, coordinator_->round(), MessageOf(status));
      }
    }
    last = ++answered_ == options_.sites.size();
  }
  if (last) CloseRound();
}

void ModelRun::CloseRound() {
  const int round = coordinator_->round();
  if (!status_.ok()) return Fail(status_);
  if (training_error_) return StopTraining(round, *training_error_);
  if (auto done = coordinator_->Tick(); !done.ok()) return Fail(done.status());
  RoundRecord record;
  record.key = options_.key;
  record.round = round;
  record.rounds = options_.config.federation.rounds;
  if (!Judged(round)) return OpenRound();
  record.train_loss = loss_sum_ / static_cast<double>(std::max<int64_t>(1, visits_));
  record.visits = visits_;
  if (absl::Status status = JudgeRound(record); status.code() == absl::StatusCode::kOutOfRange) {
    return StopTraining(round, NoNumbers(round));
  } else if (!status.ok()) {
    return Fail(status);
  }
  seconds_ += SecondsSince(round_began_);
  if (options_.config.federation.patience > 0 &&
      choice_.since_best >= options_.config.federation.patience)
    coordinator_->Stop();
  if (!coordinator_->finished() && SecondsSince(last_save_) >= options_.checkpoint_seconds) {
    if (absl::Status status = SaveState(); !status.ok()) return Fail(status);
  }
  BeginStretch();
  OpenRound();
}

void ModelRun::BeginStretch() {
  loss_sum_ = 0;
  visits_ = 0;
  round_began_ = Clock::now();
}

bool ModelRun::Judged(int round) const {
  return round >= options_.config.federation.rounds ||
         EndsEpoch(options_.config.train, round, static_cast<int64_t>(options_.cell_images));
}

absl::Status ModelRun::JudgeRound(RoundRecord record) {
  const ParameterSet& model = *coordinator_->model();
  MANAKO_ASSIGN_OR_RETURN(Predictions validation,
                          learners_[0]->Evaluate(model, ExampleSet::kValidation));
  MANAKO_ASSIGN_OR_RETURN(Predictions test, learners_[0]->Evaluate(model, ExampleSet::kTest));
  if (!std::isfinite(validation.loss) || !std::isfinite(test.loss)) {
    // Nothing to fall back on: the same initial model would stop every arm.
    if (record.round == 0)
      return InvalidArgument(
          "the initial model gives no numbers (NaN or infinite): give other parameters "
          "(model.init)");
    return absl::OutOfRangeError(NoNumbers(record.round).en);
  }
  const double auc = RoundAuc(validation, options_.positive);
  if (!validation.images.empty()) {
    record.validation_auc = auc;
    record.validation_loss = validation.loss;
  }
  record.test_auc = RoundAuc(test, options_.positive);
  record.seconds = SecondsSince(round_began_);
  deps_.journal->WriteRound(record);
  MANAKO_RETURN_IF_ERROR(deps_.journal->status());

  // The test set has no say in this.
  std::vector<int64_t> images(
      static_cast<size_t>(validation.images.empty() ? 0 : validation.classes));
  for (const int label : validation.labels) ++images[static_cast<size_t>(label)];
  const RoundChooser chooser(options_.config.federation.select, std::move(images));
  if (chooser.Add(choice_, record.round, auc, validation.loss)) {
    chosen_ = coordinator_->model();
    chosen_predictions_.clear();
    chosen_predictions_.push_back(std::move(validation));
    chosen_predictions_.push_back(std::move(test));
  }
  return absl::OkStatus();
}

void ModelRun::StopTraining(int round, const StopReason& why) {
  deps_.journal->Write({{"event", "model_stopped"},
                        {"repeat", options_.key.repeat},
                        {"fold", options_.key.fold},
                        {"arm", options_.key.arm},
                        {"site", options_.key.site},
                        {"round", round},
                        {"en", why.en},
                        {"ja", why.ja}});
  Finish(why.en);
}

void ModelRun::Finish(const std::string& stopped) {
  ModelResult result;
  result.best_round = choice_.round;
  result.stopped = stopped;
  // Where the chosen round was before an interruption, its predictions are made again, to the same
  // bits.
  if (chosen_predictions_.empty()) {
    for (const ExampleSet set : {ExampleSet::kValidation, ExampleSet::kTest}) {
      auto predictions = learners_[0]->Evaluate(*chosen_, set);
      if (!predictions.ok()) return Fail(predictions.status());
      chosen_predictions_.push_back(*std::move(predictions));
    }
  }
  result.validation = std::move(chosen_predictions_[0]);
  result.test = std::move(chosen_predictions_[1]);
  result.model = std::move(chosen_);
  deps_.journal->Write({{"event", "model_finished"},
                        {"repeat", options_.key.repeat},
                        {"fold", options_.key.fold},
                        {"arm", options_.key.arm},
                        {"site", options_.key.site},
                        {"best_round", choice_.round},
                        {"seconds", seconds_}});
  if (absl::Status status = SaveCheckpoint(ResultCheckpoint(result), options_.state_path + ".done");
      !status.ok()) {
    return Fail(status);
  }
  std::error_code ignored;
  std::filesystem::remove(options_.state_path, ignored);
  learners_.clear();
  coordinator_.reset();
}

absl::StatusOr<ModelResult> ModelRun::Result() const {
  MANAKO_ASSIGN_OR_RETURN(const Checkpoint done, LoadCheckpoint(options_.state_path + ".done"));
  ModelResult result;
  MANAKO_RETURN_IF_ERROR(RestoreResult(done, options_, deps_.pool->spec(), &result));
  return result;
}

void ModelRun::Fail(const absl::Status& status) {
  if (status_.ok()) status_ = status;
  // A full disk would stop the others too, after hours perhaps; what is saved is kept for --resume.
  deps_.scheduler->Stop();
}

void ModelRun::Guard(const std::function<void()>& job) {
  try {
    job();
  } catch (const std::bad_alloc&) {
    std::lock_guard lock(mutex_);
    Fail(ResourceExhausted(
        "{}: out of memory: use a smaller train.batch or data.image_size, or fewer --threads",
        options_.key.arm));
  }
}

}  // namespace manako
