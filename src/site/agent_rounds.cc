#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/crash_point.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "site/agent_impl.h"

namespace manako {
namespace {

namespace fs = std::filesystem;

// Hashes become names of files.
bool IsSha256(const std::string& text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

// Where zstd costs as much time as it saves on the line (bench/README.md, "Array files"): about a
// gigabit per second.
constexpr double kCompressBelowBytesPerSecond = 125e6;

std::string ModelName(const std::string& sha256) { return "model-" + sha256; }

// How fast a transfer's bytes come, from its first piece to its last.
class LineMeter {
 public:
  void Add(int64_t done) {
    last_ = done;
    now_ = Clock::now();
    if (pieces_++ > 0) return;
    first_ = last_;
    began_ = now_;
  }
  // None where too little came to tell.
  std::optional<double> BytesPerSecond() const {
    const double seconds = std::chrono::duration<double>(now_ - began_).count();
    if (last_ - first_ < (1 << 20) || seconds <= 0) return std::nullopt;
    return static_cast<double>(last_ - first_) / seconds;
  }

 private:
  using Clock = std::chrono::steady_clock;
  int64_t pieces_ = 0, first_ = 0, last_ = 0;
  Clock::time_point began_, now_;
};

// A link where the file system has them: nothing is copied, and the file stays under both names
// until one is removed.
absl::Status LinkOrCopy(const std::string& from, const std::string& to) {
  std::error_code error;
  fs::remove(to, error);
  fs::create_hard_link(from, to, error);
  if (error) fs::copy_file(from, to, fs::copy_options::overwrite_existing, error);
  if (error) return absl::UnavailableError(fmt::format("cannot keep {}: {}", to, error.message()));
  return absl::OkStatus();
}

// The agent stops, or may no longer: not only this task has failed.
bool EndsMore(const absl::Status& status) {
  return absl::IsCancelled(status) || absl::IsUnauthenticated(status) ||
         absl::IsPermissionDenied(status);
}

}  // namespace

absl::Status SiteAgent::Impl::Fail(const std::string& run, int round, const absl::Status& why) {
  Log(fmt::format("run {} round {} failed here: {}", run, round, MessageOf(why)));
  session_.learner_round = -1;
  if (IsRunName(run)) deps_.store->RemoveLeftovers(run);
  return Answer(answers_.Failed(run, round, MessageOf(why)));
}

absl::Status SiteAgent::Impl::Refuse(const std::string& run, int round, const std::string& why) {
  Log(fmt::format("run {} round {} is refused: {}", run, round, why));
  return Answer(answers_.RefusedRound(run, round, why));
}

// ---- Rounds ----

// Looked at when another agent left it; one that has just written it trusts its disk for as long.
bool SiteAgent::Impl::OutboxIsWhole(const RunState& state) const {
  const auto there = Sha256HexOfFile(deps_.store->Path(state.run, state.update));
  return there.ok() && *there == state.last->artifact.sha256;
}

absl::Status SiteAgent::Impl::HandleRound(const RoundTask& task) {
  status_->Begin("preparing", task.run, task.round);
  MANAKO_RETURN_IF_ERROR(TakeAmended(task.run, task.amended));
  auto state = deps_.store->Find(task.run);
  if (!state || state->stage != RunStage::kJoined) {
    return Refuse(task.run, task.round,
                  state && state->stage == RunStage::kEnded
                      ? "the run has ended here"
                      : "the site has not agreed to this run");
  }
  if (!IsSha256(task.model.sha256) || task.round < 1) {
    return Fail(task.run, task.round,
                absl::InvalidArgumentError("the task names no model or round"));
  }
  if (state->last && state->last->round == task.round &&
      state->last->model_sha256 == task.model.sha256) {
    if (OutboxIsWhole(*state)) return SubmitOutbox(*state);
    // A disk's fault: from the state before this round the same update is made again.
    Log(fmt::format(
        "run {} round {}: the finished update is damaged or gone, so it is trained again", task.run,
        task.round));
    session_.learner_round = -1;
  }

  const SiteFolder& folder = deps_.store->folder();
  const SitePolicy& policy = options_.config.policy;
  if (const auto approval = GetApproval(folder, task.run, 0);
      approval.ok() && approval->consent == Consent::kRefused) {
    return Refuse(task.run, task.round, "a person at the site refused the run");
  }
  RoundCircumstances now;
  now.rounds_in_a_day = deps_.store->RoundsInADay(deps_.now_ms());
  now.first = !state->last;
  int asked_round = task.round;
  if (policy.approval == "first_round" && now.first) {
    // The first that was asked about: if it came to nothing, its answer holds for the next.
    for (const Approval& approval : ListApprovals(folder)) {
      if (approval.run == task.run && approval.round > 0) asked_round = approval.round;
    }
  }
  if (const auto approval = GetApproval(folder, task.run, asked_round); approval.ok())
    now.consent = approval->consent;
  GateDecision gate = MayTrain(policy, now);
  if (gate.gate == Gate::kAsk) {
    MANAKO_ASSIGN_OR_RETURN(
        now.consent,
        AskPerson(*state, asked_round, {fmt::format("round {} of {}", task.round, task.rounds)}));
    if (now.consent == Consent::kNone) {
      return absl::CancelledError(Stopped() ? "stopped"
                                            : "the server waits for approval no longer: " +
                                                  status_->WhyDropped());
    }
    gate = MayTrain(policy, now);
  }
  if (gate.gate == Gate::kClosed) return Refuse(task.run, task.round, gate.why);
  return TrainRound(task, *std::move(state));
}

absl::Status SiteAgent::Impl::TrainRound(const RoundTask& task, RunState state) {
  status_->Phase("preparing");
  if (absl::Status status = OpenSession(task.run); !status.ok())
    return Fail(task.run, task.round, status);
  const SiteCounts& counts = session_.prepared->counts();
  if (auto reasons = TooFewImages(options_.config.policy, session_.config, counts);
      !reasons.empty()) {
    return Refuse(task.run, task.round, reasons[0]);
  }
  auto given = GetModel(task.run, task.model);
  if (!given.ok()) {
    return EndsMore(given.status()) ? given.status() : Fail(task.run, task.round, given.status());
  }
  if (given->exact && !task.model_digest.empty() && given->model->Digest() != task.model_digest) {
    return Fail(task.run, task.round,
                absl::DataLossError("the model is not the one that the task names"));
  }
  MANAKO_CRASH_POINT("site.model_read");
  // Made before the test, so that both use it; its state is brought up only for training.
  if (absl::Status status = Guarded([&] { return BringLearner(task, state); }); !status.ok()) {
    return Fail(task.run, task.round, status);
  }

  bool is_best = false;
  if (task.evaluate) {
    status_->Phase("testing");
    std::optional<Predictions> predictions[2];
    for (const ExampleSet set : {ExampleSet::kValidation, ExampleSet::kTest}) {
      auto made = Guarded([&] { return session_.learner->Evaluate(*given->model, set); });
      if (!made.ok()) return Fail(task.run, task.round, made.status());
      predictions[set == ExampleSet::kTest] = *std::move(made);
    }
    auto evaluation = answers_.Tested(session_.config, task.run, task.round - 1, "",
                                      &*predictions[0], &*predictions[1]);
    if (!evaluation.ok()) return Fail(task.run, task.round, evaluation.status());
    MANAKO_CRASH_POINT("site.model_tested");
    MANAKO_RETURN_IF_ERROR(Answer(*std::move(evaluation)));
    MANAKO_CRASH_POINT("site.evaluation_answered");
    const double loss = predictions[0]->loss;
    is_best = !predictions[0]->labels.empty() && (state.best_round < 0 || loss < state.best_loss);
    if (is_best) {
      state.best_round = task.round - 1;
      state.best_loss = loss;
    }
  }
  if (status_->Dropped())
    return absl::CancelledError("given up at the server's word: " + status_->WhyDropped());

  status_->Phase("training");
  Log(fmt::format("run {} round {} of {}: training", task.run, task.round, task.rounds));
  TrainTask train;
  train.round = task.round;
  train.model = given->model;
  train.extra = given->extra;
  // Until the round is committed nobody may train on from what is in memory.
  session_.learner_round = -1;
  auto update = Guarded([&] { return session_.learner->Train(train); });
  if (!update.ok()) return Fail(task.run, task.round, update.status());
  if (status_->Dropped())
    return absl::CancelledError("given up at the server's word: " + status_->WhyDropped());
  MANAKO_CRASH_POINT("site.trained");

  // Nobody goes on with what is in memory if the round comes to nothing: learner_round says so.
  std::optional<FlatArray> residual = std::exchange(session_.residual, std::nullopt);
  auto written = Guarded([&] {
    return WriteUpdate(*update, *given, task, session_.config.run.encoding, residual,
                       deps_.store->UpdatePath(task),
                       {.threads = options_.threads,
                        .compress = line_bytes_per_second_ < kCompressBelowBytesPerSecond});
  });
  // A full disk is no failure of the round: somebody will make room, and then it is trained again.
  const auto lost = [&](const absl::Status& why) {
    return absl::IsResourceExhausted(why) ? Annotate(why, "keeping the update")
                                          : Fail(task.run, task.round, why);
  };
  if (!written.ok()) return lost(written.status());
  MANAKO_CRASH_POINT("site.update_written");

  KeepModel(task, is_best);
  SiteStore::Trained trained;
  trained.submission = answers_.Trained(task, *update, written->artifact, written->l2);
  trained.learner = session_.learner->SaveState();
  trained.residual = std::move(residual);
  trained.now_ms = deps_.now_ms();
  state.rounds = task.rounds;
  if (absl::Status status = deps_.store->CommitRound(state, trained); !status.ok()) {
    return lost(status);
  }
  session_.residual = std::move(trained.residual);
  session_.learner_round = task.round;
  RemoveOldModels(state);
  return SubmitOutbox(std::move(state));
}

absl::Status SiteAgent::Impl::OpenSession(const std::string& run) {
  if (session_.run == run && session_.prepared != nullptr) return absl::OkStatus();
  session_ = {};
  MANAKO_ASSIGN_OR_RETURN(const std::string text, deps_.store->Config(run));
  MANAKO_ASSIGN_OR_RETURN(FederatedRunConfig config,
                          FederatedRunConfig::FromToml(text, "run.toml"));
  auto prepared = Guarded([&] {
    return deps_.work->Prepare(
        config, [&](int64_t done, int64_t total) { status_->Progress(done, total); });
  });
  MANAKO_RETURN_IF_ERROR(prepared.status());
  session_.run = run;
  session_.config = std::move(config);
  session_.prepared = *std::move(prepared);
  return absl::OkStatus();
}

// A learner whose state stands behind the last round that was committed before this one.
absl::Status SiteAgent::Impl::BringLearner(const RoundTask& task, const RunState& state) {
  std::string of =
      fmt::format("{} {} {} {}", task.rounds, task.site_index, task.basis.sites, task.basis.images);
  for (const int64_t count : task.basis.per_class) of += fmt::format(" {}", count);
  const int behind = SiteStore::StateFileBefore(state, task.round).round;
  if (session_.learner != nullptr && session_.learner_of == of &&
      session_.learner_round == behind) {
    return absl::OkStatus();
  }
  FederatedRunConfig config = session_.config;
  config.training.federation.rounds = task.rounds;
  ResolveRun(config, config.training.data.image_size, task.basis.images);
  MANAKO_ASSIGN_OR_RETURN(session_.learner,
                          session_.prepared->MakeLearner(config, task.basis, task.site_index));
  session_.learner_of = of;
  session_.residual.reset();
  auto learnt = deps_.store->StateBefore(state, task.round);
  if (absl::IsDataLoss(learnt.status())) {
    Log(fmt::format("{}: the learner begins anew", MessageOf(learnt.status())));
    learnt = std::nullopt;
  }
  MANAKO_RETURN_IF_ERROR(learnt.status());
  if (learnt->has_value()) {
    MANAKO_RETURN_IF_ERROR(session_.learner->RestoreState(std::move((*learnt)->learner)));
    session_.residual = std::move((*learnt)->residual);
  }
  session_.learner_round = behind;
  return absl::OkStatus();
}

absl::StatusOr<GivenModel> SiteAgent::Impl::GetModel(const std::string& run,
                                                     const ArtifactId& artifact) {
  const std::string path = deps_.store->Path(run, ModelName(artifact.sha256));
  // What was fetched may have been damaged since: then once more, from the server.
  for (int attempt = 0;; ++attempt) {
    if (!fs::exists(path)) {
      status_->Phase("downloading");
      LineMeter meter;
      MANAKO_RETURN_IF_ERROR(Call(true, "fetching a model", [&] {
        return deps_.channel->Download(run, artifact, path, [&](int64_t done) {
          meter.Add(done);
          status_->Progress(done, artifact.bytes);
        });
      }));
      if (const auto rate = meter.BytesPerSecond()) line_bytes_per_second_ = *rate;
      MANAKO_CRASH_POINT("site.model_downloaded");
    }
    auto given =
        Guarded([&] { return ReadModel(path, session_.prepared->spec(), options_.threads); });
    if (!absl::IsDataLoss(given.status()) || attempt == 1) return given;
    Log(fmt::format("{}: it is fetched again", MessageOf(given.status())));
    std::error_code ignored;
    fs::remove(path, ignored);
  }
}

// Before the round is committed, so that no kill comes between. What cannot be kept is no reason to
// stop.
void SiteAgent::Impl::KeepModel(const RoundTask& task, bool is_best) {
  const std::string& keep = options_.config.policy.keep_models;
  if (keep == "none" || (keep == "best" && !is_best)) return;
  const absl::Status status = LinkOrCopy(
      deps_.store->Path(task.run, ModelName(task.model.sha256)),
      fmt::format("{}/round-{}.model", deps_.store->folder().models(task.run), task.round - 1));
  if (!status.ok()) Log(MessageOf(status));
}

std::vector<std::pair<fs::path, int>> SiteAgent::Impl::KeptModels(const std::string& run) const {
  std::vector<std::pair<fs::path, int>> kept;
  std::error_code ignored;
  for (const fs::directory_entry& entry :
       fs::directory_iterator(deps_.store->folder().models(run), ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("round-") && entry.path().extension() == ".model") {
      kept.emplace_back(entry.path(), std::atoi(name.c_str() + 6));
    }
  }
  return kept;
}

void SiteAgent::Impl::RemoveOldModels(const RunState& state) {
  const std::string& keep = options_.config.policy.keep_models;
  const auto kept = KeptModels(state.run);
  int wanted = keep == "best" ? state.best_round : -1;
  for (const auto& [path, round] : kept) {
    if (keep == "last") wanted = std::max(wanted, round);
  }
  std::error_code ignored;
  for (const auto& [path, round] : kept) {
    if (keep != "all" && round != wanted) fs::remove(path, ignored);
  }
  RemoveModels(state.run);
}

void SiteAgent::Impl::RemoveModels(const std::string& run) {
  std::vector<fs::path> models;
  std::error_code ignored;
  for (const fs::directory_entry& entry :
       fs::directory_iterator(deps_.store->folder().run(run), ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("model-")) models.push_back(entry.path());
  }
  for (const fs::path& path : models) fs::remove(path, ignored);
}

// ---- Tests ----

absl::Status SiteAgent::Impl::HandleTest(const TestTask& task) {
  status_->Begin("preparing", task.run, task.round);
  MANAKO_RETURN_IF_ERROR(TakeAmended(task.run, task.amended));
  const auto state = deps_.store->Find(task.run);
  if (!state || state->stage != RunStage::kJoined) {
    return Refuse(task.run, task.round, "the site has not agreed to this run");
  }
  if (!IsSha256(task.model.sha256)) {
    return Fail(task.run, task.round, absl::InvalidArgumentError("the task names no model"));
  }
  if (absl::Status status = OpenSession(task.run); !status.ok())
    return Fail(task.run, task.round, status);
  if (const GateDecision gate = MayTest(options_.config.policy, session_.config, task);
      gate.gate != Gate::kOpen) {
    return Refuse(task.run, task.round, gate.why);
  }
  auto given = GetModel(task.run, task.model);
  if (!given.ok()) {
    return EndsMore(given.status()) ? given.status() : Fail(task.run, task.round, given.status());
  }
  status_->Phase("testing");
  if (session_.learner == nullptr) {
    RunBasis basis;
    basis.per_class = session_.prepared->counts().train;
    for (const int64_t count : basis.per_class) basis.images += count;
    FederatedRunConfig config = session_.config;
    ResolveRun(config, config.training.data.image_size, basis.images);
    auto learner = Guarded([&] { return session_.prepared->MakeLearner(config, basis, 0); });
    if (!learner.ok()) return Fail(task.run, task.round, learner.status());
    session_.learner = *std::move(learner);
    // Good enough to test with, and nothing else.
    session_.learner_of.clear();
    session_.learner_round = -1;
  }
  // Another site's own model is tested on test images alone: validation images chose among global
  // models.
  std::optional<Predictions> validation;
  if (task.trained_by.empty()) {
    auto made =
        Guarded([&] { return session_.learner->Evaluate(*given->model, ExampleSet::kValidation); });
    if (!made.ok()) return Fail(task.run, task.round, made.status());
    validation = *std::move(made);
  }
  auto test = Guarded([&] { return session_.learner->Evaluate(*given->model, ExampleSet::kTest); });
  if (!test.ok()) return Fail(task.run, task.round, test.status());
  auto evaluation = answers_.Tested(session_.config, task.run, task.round, task.trained_by,
                                    validation ? &*validation : nullptr, &*test);
  if (!evaluation.ok()) return Fail(task.run, task.round, evaluation.status());
  MANAKO_CRASH_POINT("site.test_done");
  MANAKO_RETURN_IF_ERROR(Answer(*std::move(evaluation)));
  MANAKO_CRASH_POINT("site.test_answered");
  RemoveModels(task.run);
  return absl::OkStatus();
}

// ---- The end ----

absl::Status SiteAgent::Impl::HandleEnd(const EndTask& task) {
  auto state = deps_.store->Find(task.run);
  if (!state || state->stage == RunStage::kEnded || state->stage == RunStage::kRefused) {
    // Nothing is left to do but to say so once more; a server that asks again and again shall not
    // keep two machines busy.
    MANAKO_RETURN_IF_ERROR(Answer(EndAnswer{task.run, task.model.sha256}));
    if (++ended_again_ > 1) {
      return Sleep(
          std::min(options_.longest_retry_seconds, options_.first_retry_seconds * ended_again_));
    }
    return absl::OkStatus();
  }
  ended_again_ = 0;
  status_->Begin("preparing", task.run, task.round);
  if (state->stage == RunStage::kJoined && !task.model.sha256.empty()) {
    MANAKO_RETURN_IF_ERROR(KeepFinalModel(task, *state));
  }
  {
    std::lock_guard lock(offers_mutex_);
    state = deps_.store->Find(task.run);
    state->stage = RunStage::kEnded;
    state->why = task.state + (task.why.empty() ? "" : ": " + task.why);
    state->last.reset();
    state->state = state->before = {};
    state->update.clear();
    MANAKO_RETURN_IF_ERROR(deps_.store->Save(*state));
  }
  MANAKO_CRASH_POINT("site.run_ended");
  deps_.store->RemoveLeftovers(task.run);
  Log(fmt::format("run {} has ended ({})", task.run, state->why));
  if (session_.run == task.run) session_ = {};
  return Answer(EndAnswer{task.run, task.model.sha256});
}

// models/final.model as it came, its hash beside it, and final.pt where the network can be made
// here.
absl::Status SiteAgent::Impl::KeepFinalModel(const EndTask& task, const RunState& state) {
  if (!IsSha256(task.model.sha256)) {
    Log(fmt::format("run {}: its end names a model that is none", task.run));
    return absl::OkStatus();
  }
  const std::string models = deps_.store->folder().models(task.run);
  const std::string fetched = deps_.store->Path(task.run, ModelName(task.model.sha256));
  const std::string kept = models + "/final.model";
  MANAKO_RETURN_IF_ERROR(MakeFolders(models));
  if (const auto there = Sha256HexOfFile(kept); !there.ok() || *there != task.model.sha256) {
    status_->Phase("downloading");
    const absl::Status status = Call(true, "fetching the final model", [&] {
      return deps_.channel->Download(task.run, task.model, fetched, [&](int64_t done) {
        status_->Progress(done, task.model.bytes);
      });
    });
    if (EndsMore(status)) return status;
    if (!status.ok()) {
      Log(fmt::format("run {}: its final model cannot be had: {}", task.run, MessageOf(status)));
      return absl::OkStatus();
    }
    MANAKO_RETURN_IF_ERROR(LinkOrCopy(fetched, kept));
    MANAKO_CRASH_POINT("site.final_model_kept");
  }
  nlohmann::ordered_json about = {{"run", task.run},          {"name", state.name},
                                  {"round", task.round},      {"state", task.state},
                                  {"file", "final.model"},    {"sha256", task.model.sha256},
                                  {"bytes", task.model.bytes}};
  if (absl::Status status = OpenSession(task.run); !status.ok()) {
    Log(fmt::format("run {}: final.pt cannot be made: {}", task.run, MessageOf(status)));
  } else {
    RemoveOldModels(state);
    std::vector<std::pair<fs::path, int>> all = KeptModels(task.run);
    all.emplace_back(kept, task.round);
    std::error_code ignored;
    for (const auto& [path, round] : all) {
      fs::path exported = path;
      exported.replace_extension(".pt");
      const std::string origin = fmt::format("run {}, behind round {}", task.run, round);
      const auto given = Guarded([&, &file = path] {
        return ReadModel(file, session_.prepared->spec(), options_.threads);
      });
      const absl::Status status = !given.ok() ? given.status() : Guarded([&] {
        return session_.prepared->Export(*given->model, exported, origin);
      });
      if (!status.ok()) {
        Log(fmt::format("{} cannot be made: {}", exported.string(), MessageOf(status)));
        continue;
      }
      MANAKO_CRASH_POINT("site.model_exported");
      if (path == kept) {
        about["digest"] = given->model->Digest();
        if (auto sha256 = Sha256HexOfFile(exported); sha256.ok()) about["pt_sha256"] = *sha256;
      } else {
        fs::remove(path, ignored);
      }
    }
  }
  return WriteFileAtomically(
      models + "/final.json",
      about.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

}  // namespace manako
