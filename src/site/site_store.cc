#include "site/site_store.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>
#include <utility>

#include "base/crash_point.h"
#include "base/status_macros.h"
#include "core/checkpoint.h"

namespace manako {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int64_t kDayMs = 24 * 3600 * 1000;
constexpr char kResidual[] = "residual";
constexpr char kLearnerPrefix[] = "learner/";
constexpr RunStage kStages[] = {RunStage::kAsked, RunStage::kJoined, RunStage::kRefused,
                                RunStage::kEnded};

json ToJson(const Submission& s) {
  return {{"round", s.round},
          {"model_sha256", s.model_sha256},
          {"sha256", s.artifact.sha256},
          {"bytes", s.artifact.bytes},
          {"images", s.images},
          {"visits", s.visits},
          {"l2", s.l2},
          {"metrics", s.metrics}};
}

Submission SubmissionFrom(const json& value, const std::string& run) {
  Submission s;
  s.run = run;
  s.round = value.at("round").get<int>();
  s.model_sha256 = value.at("model_sha256").get<std::string>();
  s.artifact.sha256 = value.at("sha256").get<std::string>();
  s.artifact.bytes = value.at("bytes").get<int64_t>();
  s.images = value.at("images").get<int64_t>();
  s.visits = value.at("visits").get<int64_t>();
  s.l2 = value.at("l2").get<double>();
  s.metrics = value.at("metrics").get<Metrics>();
  return s;
}

json ToJson(const StateFile& file) { return {{"round", file.round}, {"file", file.file}}; }
StateFile StateFileFrom(const json& value) {
  return {value.at("round").get<int>(), value.at("file").get<std::string>()};
}

std::string ToText(const RunState& state) {
  json value = {{"version", 1},
                {"name", state.name},
                {"config_sha256", state.config_sha256},
                {"stage", NameOf(state.stage)},
                {"why", state.why},
                {"by_person", state.by_person},
                {"told", state.told},
                {"counts",
                 {{"train", state.counts.train},
                  {"validation", state.counts.validation},
                  {"test", state.counts.test}}},
                {"rounds", state.rounds},
                {"last", state.last ? ToJson(*state.last) : json(nullptr)},
                {"state", ToJson(state.state)},
                {"before", ToJson(state.before)},
                {"update", state.update},
                {"trained", state.trained},
                {"trained_ms", state.trained_ms},
                {"best_round", state.best_round},
                {"best_loss", state.best_loss}};
  return value.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

absl::StatusOr<RunState> StateFrom(const std::string& text, const std::string& run) {
  const json value = json::parse(text, nullptr, false);
  RunState state;
  try {
    state.run = run;
    state.name = value.at("name").get<std::string>();
    state.config_sha256 = value.at("config_sha256").get<std::string>();
    const std::string stage = value.at("stage").get<std::string>();
    const auto at = std::find_if(std::begin(kStages), std::end(kStages),
                                 [&](RunStage known) { return stage == NameOf(known); });
    if (at == std::end(kStages)) return DataLoss("unknown stage");
    state.stage = *at;
    state.why = value.at("why").get<std::string>();
    state.by_person = value.at("by_person").get<bool>();
    state.told = value.at("told").get<bool>();
    state.counts.train = value.at("counts").at("train").get<std::vector<int64_t>>();
    state.counts.validation = value.at("counts").at("validation").get<std::vector<int64_t>>();
    state.counts.test = value.at("counts").at("test").get<std::vector<int64_t>>();
    state.rounds = value.at("rounds").get<int>();
    if (!value.at("last").is_null()) state.last = SubmissionFrom(value.at("last"), run);
    state.state = StateFileFrom(value.at("state"));
    state.before = StateFileFrom(value.at("before"));
    state.update = value.at("update").get<std::string>();
    state.trained = value.value("trained", state.last ? state.last->round : 0);
    state.trained_ms = value.at("trained_ms").get<std::vector<int64_t>>();
    state.best_round = value.at("best_round").get<int>();
    state.best_loss = value.at("best_loss").get<double>();
  } catch (const json::exception&) {
    return DataLoss("not a state of this version");
  }
  return state;
}

// A round that is trained again from another model has other files, so that none that is named is
// ever written over.
std::string NameOfFile(int round, const std::string& model_sha256, const char* ending) {
  return fmt::format("round-{}-{}.{}", round, model_sha256.substr(0, 16), ending);
}

}  // namespace

const char* NameOf(RunStage stage) {
  switch (stage) {
    case RunStage::kAsked:
      return "asked";
    case RunStage::kJoined:
      return "joined";
    case RunStage::kRefused:
      return "refused";
    case RunStage::kEnded:
      return "ended";
  }
  return "";
}

absl::StatusOr<std::unique_ptr<SiteStore>> SiteStore::Open(const std::string& folder) {
  std::unique_ptr<SiteStore> store(new SiteStore(folder));
  MANAKO_RETURN_IF_ERROR(MakeFolders(store->folder_.runs()));
  MANAKO_RETURN_IF_ERROR(MakeFolders(store->folder_.approvals()));
  MANAKO_ASSIGN_OR_RETURN(store->lock_, FolderLock::Take(folder));
  MANAKO_RETURN_IF_ERROR(store->Load());
  return store;
}

absl::Status SiteStore::Load() {
  RemoveUnfinishedFiles(folder_.root);
  RemoveUnfinishedFiles(folder_.approvals());
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_.runs(), ignored)) {
    const std::string run = entry.path().filename().string();
    if (!entry.is_directory(ignored) || !IsRunName(run)) continue;
    const std::string path = Path(run, "state.json");
    const auto text = ReadFile(path, 1 << 26);
    // Killed before the run's first state was written: the server offers it again.
    if (absl::IsNotFound(text.status())) continue;
    absl::StatusOr<RunState> state =
        text.ok() ? StateFrom(*text, run) : absl::StatusOr<RunState>(text.status());
    if (absl::IsDataLoss(state.status())) {
      fs::rename(path, path + ".damaged", ignored);
      problems_.push_back(
          fmt::format("{} is damaged and was set aside: the run begins here as if it were new ({})",
                      path, MessageOf(state.status())));
      continue;
    }
    MANAKO_RETURN_IF_ERROR(state.status());
    RemoveUnnamed(*state);
    runs_.emplace(run, *std::move(state));
  }
  return absl::OkStatus();
}

std::optional<RunState> SiteStore::Find(const std::string& run) const {
  std::lock_guard lock(mutex_);
  const auto at = runs_.find(run);
  return at == runs_.end() ? std::nullopt : std::optional(at->second);
}

std::vector<RunState> SiteStore::Runs() const {
  std::lock_guard lock(mutex_);
  std::vector<RunState> runs;
  for (const auto& [name, state] : runs_) runs.push_back(state);
  return runs;
}

absl::Status SiteStore::Add(const RunState& state, const std::string& config) {
  if (!IsRunName(state.run)) return InvalidArgument("a run cannot be called {}", state.run);
  std::lock_guard lock(mutex_);
  MANAKO_RETURN_IF_ERROR(MakeFolders(folder_.models(state.run)));
  MANAKO_RETURN_IF_ERROR(WriteFileAtomically(Path(state.run, "run.toml"), config));
  return SaveLocked(state);
}

absl::Status SiteStore::Save(const RunState& state) {
  std::lock_guard lock(mutex_);
  return SaveLocked(state);
}

absl::Status SiteStore::SaveLocked(const RunState& state) {
  MANAKO_RETURN_IF_ERROR(WriteFileAtomically(Path(state.run, "state.json"), ToText(state)));
  runs_[state.run] = state;
  return absl::OkStatus();
}

absl::StatusOr<std::string> SiteStore::Config(const std::string& run) const {
  return ReadFile(Path(run, "run.toml"), 1 << 24);
}

std::string SiteStore::Path(const std::string& run, const std::string& file) const {
  return folder_.run(run) + "/" + file;
}

std::string SiteStore::UpdatePath(const RoundTask& task) const {
  return Path(task.run, NameOfFile(task.round, task.model.sha256, "update"));
}

StateFile SiteStore::StateFileBefore(const RunState& state, int round) {
  if (state.state.round < round) return state.state;
  return state.before.round < round ? state.before : StateFile{};
}

absl::Status SiteStore::CommitRound(RunState& state, Trained& trained) {
  const Submission& submission = trained.submission;
  Checkpoint checkpoint;
  checkpoint.values = {{"round", submission.round}, {"steps", trained.learner.steps}};
  for (NamedArray& array : trained.learner.arrays) {
    checkpoint.arrays.push_back({kLearnerPrefix + array.name, std::move(array.values)});
  }
  if (trained.residual) checkpoint.arrays.push_back({kResidual, *std::move(trained.residual)});
  const std::string file = NameOfFile(submission.round, submission.model_sha256, "state");
  const absl::Status saved = SaveCheckpoint(checkpoint, Path(state.run, file));
  if (trained.residual) trained.residual = std::move(checkpoint.arrays.back().values);
  MANAKO_RETURN_IF_ERROR(saved);
  MANAKO_CRASH_POINT("site.state_written");

  RunState next = state;
  next.before = StateFileBefore(state, submission.round);
  next.state = {submission.round, file};
  next.update = NameOfFile(submission.round, submission.model_sha256, "update");
  next.trained = submission.round;
  next.last = std::move(trained.submission);
  std::erase_if(next.trained_ms, [&](int64_t ms) { return ms <= trained.now_ms - kDayMs; });
  next.trained_ms.push_back(trained.now_ms);
  {
    std::lock_guard lock(mutex_);
    MANAKO_RETURN_IF_ERROR(SaveLocked(next));
  }
  MANAKO_CRASH_POINT("site.round_committed");
  state = std::move(next);
  RemoveUnnamed(state);
  MANAKO_CRASH_POINT("site.old_files_removed");
  return absl::OkStatus();
}

absl::StatusOr<std::optional<SiteStore::Learnt>> SiteStore::StateBefore(const RunState& state,
                                                                        int round) const {
  const std::string file = StateFileBefore(state, round).file;
  if (file.empty()) return std::nullopt;
  auto checkpoint = LoadCheckpoint(Path(state.run, file));
  if (absl::IsNotFound(checkpoint.status())) return DataLoss("{} is gone", Path(state.run, file));
  MANAKO_RETURN_IF_ERROR(checkpoint.status());
  Learnt learnt;
  const json& steps = checkpoint->values["steps"];
  if (!steps.is_number_integer())
    return DataLoss("{} has no number of steps", Path(state.run, file));
  learnt.learner.steps = steps.get<int64_t>();
  const std::string_view prefix = kLearnerPrefix;
  for (NamedArray& array : checkpoint->arrays) {
    if (array.name == kResidual) {
      learnt.residual = std::move(array.values);
    } else if (array.name.starts_with(prefix)) {
      learnt.learner.arrays.push_back({array.name.substr(prefix.size()), std::move(array.values)});
    }
  }
  return learnt;
}

void SiteStore::RemoveLeftovers(const std::string& run) const {
  if (const auto state = Find(run)) RemoveUnnamed(*state);
}

int SiteStore::RoundsInADay(int64_t now_ms) const {
  std::lock_guard lock(mutex_);
  int rounds = 0;
  for (const auto& [name, state] : runs_) {
    rounds += static_cast<int>(std::count_if(state.trained_ms.begin(), state.trained_ms.end(),
                                             [&](int64_t ms) { return ms > now_ms - kDayMs; }));
  }
  return rounds;
}

void SiteStore::RemoveUnnamed(const RunState& state) const {
  const std::set<std::string> named = {state.state.file, state.before.file, state.update};
  std::error_code ignored;
  RemoveUnfinishedFiles(folder_.run(state.run));
  RemoveUnfinishedFiles(folder_.models(state.run));
  std::vector<fs::path> unnamed;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_.run(state.run), ignored)) {
    const std::string name = entry.path().filename().string();
    const bool of_a_round = name.starts_with("round-");
    const bool of_the_past = state.stage == RunStage::kEnded && name.starts_with("model-");
    if ((of_a_round && !named.contains(name)) || of_the_past) unnamed.push_back(entry.path());
  }
  for (const fs::path& path : unnamed) fs::remove(path, ignored);
}

}  // namespace manako
