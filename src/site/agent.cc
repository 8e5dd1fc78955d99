#include "site/agent.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <stop_token>
#include <thread>
#include <utility>

#include "base/crash_point.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "site/agent_impl.h"

namespace manako {
namespace {

constexpr int64_t kMuchSkewMs = 60 * 1000;

std::string Plural(int64_t n, std::string_view word) {
  return fmt::format("{} {}{}", n, word, n == 1 ? "" : "s");
}

// What a person is asked about.
std::vector<std::string> FactsOf(const FederatedRunConfig& config, const SiteCounts& counts) {
  const RunConfig& training = config.training;
  std::vector<std::string> facts;
  for (size_t c = 0; c < config.run.classes.size(); ++c) {
    const auto at = [&](const std::vector<int64_t>& split) {
      return c < split.size() ? split[c] : 0;
    };
    facts.push_back(fmt::format("{}: {} to train, {} to validate, {} to test",
                                config.run.classes[c], at(counts.train), at(counts.validation),
                                at(counts.test)));
  }
  facts.push_back(training.data.image_size > 0
                      ? fmt::format("network: {}, on images of {} x {} pixels",
                                    training.model.architecture, training.data.image_size,
                                    training.data.image_size)
                      : "network: " + training.model.architecture);
  facts.push_back(training.federation.rounds > 0
                      ? "rounds: " + std::to_string(training.federation.rounds)
                      : fmt::format("rounds: as many as make {} passes over all images",
                                    training.train.epochs));
  const TrainConfig& train = training.train;
  if (train.local_steps > 0) {
    facts.push_back("each round: " + Plural(train.local_steps, "step"));
  } else if (train.local_epochs > 0) {
    facts.push_back(fmt::format(
        "each round: {} over this site's images",
        train.local_epochs == 1 ? "1 pass" : fmt::format("{} passes", train.local_epochs)));
  } else {
    facts.push_back("each round: " + Plural(kUsualLocalSteps, "step"));
  }
  facts.push_back(fmt::format(
      "batch: {} images, {}", train.batch,
      training.federation.site_batch == "share" ? "divided among the sites" : "at each site"));
  facts.push_back(
      train.learning_rate > 0
          ? fmt::format("learning rate: {}, schedule {}", train.learning_rate, train.schedule)
          : fmt::format("learning rate: the usual one, schedule {}", train.schedule));
  facts.push_back(
      fmt::format("optimiser: {}, weight decay {}", train.optimiser, train.weight_decay));
  facts.push_back(fmt::format("augmentation: {}", train.augment ? "yes" : "no"));
  if (const std::string layer = FrozenUntil(train); !layer.empty())
    facts.push_back("frozen: until " + layer);
  return facts;
}

}  // namespace

SiteAgent::SiteAgent(Options options, Deps deps)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(deps))) {}
SiteAgent::~SiteAgent() = default;
absl::Status SiteAgent::Run(std::stop_token stop) { return impl_->Run(std::move(stop)); }

SiteAgent::Impl::Impl(Options options, Deps deps)
    : options_(std::move(options)), deps_(std::move(deps)), answers_(options_.config.policy) {}

absl::Status SiteAgent::Impl::Run(std::stop_token stop) {
  // Stopped from outside, by the flag, or because Run() ends: one token for all of them.
  std::stop_source source;
  stop_ = source.get_token();
  const std::stop_callback outside(stop, [&] {
    source.request_stop();
    Wake();
  });
  const std::stop_callback ending(stop_, [&] {
    if (deps_.ending) deps_.ending();
  });
  for (const std::string& problem : deps_.store->problems()) Log(problem);
  const SiteFolder& folder = deps_.store->folder();
  MANAKO_ASSIGN_OR_RETURN(
      const auto watch,
      FolderWatch::Start({folder.root, folder.approvals()}, {".answer", "pause", "stop"}, [&] {
        if (HasFlag(folder, SiteFlag::kStop)) source.request_stop();
        Wake();
      }));
  if (HasFlag(folder, SiteFlag::kStop)) return absl::OkStatus();
  StatusReporter::Options status_options;
  status_options.heartbeat_seconds = options_.heartbeat_seconds;
  status_ = std::make_unique<StatusReporter>(
      status_options,
      StatusReporter::Deps{deps_.channel, deps_.store, deps_.now_ms, [this] { Wake(); }});
  // On a thread of its own, so that a person's word reaches the server while the agent waits there
  // or trains.
  std::thread consents([this] { AnswerConsents(); });
  absl::Status status = Loop();
  source.request_stop();
  Wake();
  consents.join();
  if (!status.ok()) status_->Connection(false, MessageOf(status));
  status_.reset();
  return status;
}

absl::Status SiteAgent::Impl::Loop() {
  Backoff backoff(options_.first_retry_seconds, options_.longest_retry_seconds,
                  Random(options_.retry_seed, "site.task_retry"));
  bool sent = false;
  while (!Stopped()) {
    absl::Status status = WaitWhilePaused();
    if (status.ok() && !sent) {
      status = SendWhatIsLeft();
      sent = status.ok();
    }
    if (status.ok()) {
      SiteTask task;
      status_->Begin("idle");
      status = Call(false, "asking for work", [&] {
        auto next = deps_.channel->NextTask();
        if (next.ok()) task = *std::move(next);
        return next.status();
      });
      if (status.ok() && !std::holds_alternative<Wait>(task)) {
        status = WaitWhilePaused();
        if (status.ok()) status = Handle(task);
      }
    }
    if (status.ok()) {
      backoff.Reset();
    } else if (absl::IsCancelled(status)) {
      if (!Stopped()) Log(MessageOf(status));
    } else if (Passes(status)) {
      status_->Connection(false, MessageOf(status));
      Log(MessageOf(status));
      // Whatever the learner has in memory may be ahead of what is on the disk.
      session_.learner_round = -1;
      static_cast<void>(Sleep(backoff.NextSeconds()));
    } else {
      return status;
    }
  }
  return absl::OkStatus();
}

absl::Status SiteAgent::Impl::Handle(const SiteTask& task) {
  if (const auto* end = std::get_if<EndTask>(&task)) return HandleEnd(*end);
  ended_again_ = 0;
  if (const auto* offer = std::get_if<OfferTask>(&task)) return HandleOffer(*offer);
  if (const auto* round = std::get_if<RoundTask>(&task)) return HandleRound(*round);
  if (const auto* test = std::get_if<TestTask>(&task)) return HandleTest(*test);
  return absl::OkStatus();
}

// ---- Offers ----

absl::Status SiteAgent::Impl::HandleOffer(const OfferTask& task) {
  if (!IsRunName(task.run)) {
    return Answer(
        answers_.Refused(task.run, "the run's identifier is none that this version knows"));
  }
  const std::string config_sha256 = Sha256Hex(task.config);
  const auto known = deps_.store->Find(task.run);
  if (known && known->config_sha256 != config_sha256) {
    return Answer(
        answers_.Refused(task.run, "the run is not what was offered under this identifier before"));
  }
  // What a person has said, or is asked, stands; what policy or images said may be different today.
  const bool settled = known && (known->stage != RunStage::kRefused || known->by_person);
  if (!settled) {
    status_->Begin("preparing", task.run);
    auto judged = Judge(task, config_sha256);
    if (!judged.ok()) return judged.status();
    std::lock_guard lock(offers_mutex_);
    MANAKO_RETURN_IF_ERROR(deps_.store->Add(*judged, task.config));
    MANAKO_CRASH_POINT("site.offer_stored");
    Log(fmt::format("run {} ({}): {}{}{}", task.run, judged->name, NameOf(judged->stage),
                    judged->why.empty() ? "" : ": ", judged->why));
    if (judged->stage == RunStage::kAsked) {
      Approval question;
      question.run = task.run;
      question.name = judged->name;
      question.facts =
          FactsOf(*FederatedRunConfig::FromToml(task.config, "run.toml"), judged->counts);
      question.asked_ms = deps_.now_ms();
      MANAKO_RETURN_IF_ERROR(AskApproval(deps_.store->folder(), question));
      MANAKO_CRASH_POINT("site.approval_asked");
    }
  } else if (known->stage == RunStage::kAsked) {
    // Killed between the run's state and the question.
    const auto config = FederatedRunConfig::FromToml(task.config, "run.toml");
    if (config.ok()) {
      Approval question;
      question.run = task.run;
      question.name = known->name;
      question.facts = FactsOf(*config, known->counts);
      question.asked_ms = deps_.now_ms();
      MANAKO_RETURN_IF_ERROR(AskApproval(deps_.store->folder(), question));
    }
  }
  return TellStage(task.run);
}

// Everything that can be said of an offer without a person. Errors are those that pass.
absl::StatusOr<RunState> SiteAgent::Impl::Judge(const OfferTask& task,
                                                const std::string& config_sha256) {
  RunState state;
  state.run = task.run;
  state.config_sha256 = config_sha256;
  const auto refused = [&](std::string why) {
    state.stage = RunStage::kRefused;
    state.why = std::move(why);
    return state;
  };
  const auto config = FederatedRunConfig::FromToml(task.config, "run.toml");
  if (!config.ok()) return refused(std::string(MessageOf(config.status())));
  state.name = config->run.name;
  if (absl::Status valid = config->Validate(); !valid.ok())
    return refused(std::string(MessageOf(valid)));
  const SitePolicy& policy = options_.config.policy;
  if (auto reasons = ReasonsAgainst(policy, *config, options_.networks); !reasons.empty()) {
    return refused(fmt::format("{}", fmt::join(reasons, "; ")));
  }
  for (const RunState& other : deps_.store->Runs()) {
    if (other.by_person && other.stage == RunStage::kRefused &&
        other.config_sha256 == config_sha256) {
      state.by_person = true;
      return refused("a person at the site refused the same run before");
    }
  }
  session_ = {};
  auto prepared = Guarded([&] {
    return deps_.work->Prepare(
        *config, [&](int64_t done, int64_t total) { status_->Progress(done, total); });
  });
  if (!prepared.ok()) {
    const absl::Status& status = prepared.status();
    if (absl::IsResourceExhausted(status) || absl::IsUnavailable(status)) return status;
    return refused(std::string(MessageOf(status)));
  }
  state.counts = (*prepared)->counts();
  if (auto reasons = TooFewImages(policy, *config, state.counts); !reasons.empty()) {
    return refused(fmt::format("{}", fmt::join(reasons, "; ")));
  }
  session_.run = task.run;
  session_.config = *config;
  session_.prepared = *std::move(prepared);
  // A word that was given before the state was lost or refused for another reason still counts.
  const auto approval = GetApproval(deps_.store->folder(), task.run, 0);
  const GateDecision gate = MayJoin(policy, approval.ok() ? approval->consent : Consent::kNone);
  if (gate.gate == Gate::kClosed) {
    state.by_person = true;
    return refused(gate.why);
  }
  state.stage = gate.gate == Gate::kAsk ? RunStage::kAsked : RunStage::kJoined;
  return state;
}

absl::Status SiteAgent::Impl::TellStage(const std::string& run) {
  const auto state = deps_.store->Find(run);
  if (!state) return absl::OkStatus();
  OfferAnswer answer;
  switch (state->stage) {
    case RunStage::kAsked:
      answer = answers_.Waits(run);
      break;
    case RunStage::kJoined:
      answer = answers_.Ready(run, state->counts);
      break;
    case RunStage::kRefused:
      answer = answers_.Refused(run, state->why);
      break;
    case RunStage::kEnded:
      answer = answers_.Refused(run, "the run has ended here");
      break;
  }
  MANAKO_RETURN_IF_ERROR(Answer(answer));
  MANAKO_CRASH_POINT("site.offer_answered");
  std::lock_guard lock(offers_mutex_);
  auto now = deps_.store->Find(run);
  if (!now || now->stage != state->stage || now->told) return absl::OkStatus();
  now->told = true;
  return deps_.store->Save(*now);
}

void SiteAgent::Impl::AnswerConsents() {
  uint64_t seen = 0;
  while (!Stopped()) {
    for (const RunState& run : deps_.store->Runs()) {
      const bool open =
          run.stage == RunStage::kAsked || (run.stage == RunStage::kRefused && run.by_person);
      if (!open) continue;
      const auto approval = GetApproval(deps_.store->folder(), run.run, 0);
      if (!approval.ok() || approval->consent == Consent::kNone) continue;
      const bool granted = approval->consent == Consent::kGranted;
      if (!granted && run.stage == RunStage::kRefused) continue;
      {
        std::lock_guard lock(offers_mutex_);
        auto state = deps_.store->Find(run.run);
        if (!state || state->stage != run.stage) continue;
        state->stage = granted ? RunStage::kJoined : RunStage::kRefused;
        state->by_person = !granted;
        state->why = granted ? "" : "a person at the site refused the run";
        state->told = false;
        if (absl::Status status = deps_.store->Save(*state); !status.ok()) {
          Log(MessageOf(status));
          continue;
        }
        MANAKO_CRASH_POINT("site.consent_stored");
      }
      Log(fmt::format("run {}: {} by {}", run.run, granted ? "approved" : "refused",
                      approval->by.empty() ? "a person" : approval->by));
      if (absl::Status status = TellStage(run.run); !status.ok() && !absl::IsCancelled(status))
        Log(MessageOf(status));
    }
    std::unique_lock lock(wait_mutex_);
    wake_.wait(lock, stop_, [&] { return changes_ != seen; });
    seen = changes_;
  }
}

// What an agent that was killed may not have said.
absl::Status SiteAgent::Impl::SendWhatIsLeft() {
  for (const RunState& run : deps_.store->Runs()) {
    if (run.stage == RunStage::kEnded) continue;
    if (!run.told) MANAKO_RETURN_IF_ERROR(TellStage(run.run));
    // A damaged one is made again if the server still asks for it.
    if (run.last && !deps_.ledger->HasReceipt(*run.last) && OutboxIsWhole(run)) {
      status_->Begin("uploading", run.run, run.last->round);
      MANAKO_RETURN_IF_ERROR(SubmitOutbox(run));
    }
  }
  return absl::OkStatus();
}

// ---- Waiting ----

void SiteAgent::Impl::Wake() {
  {
    std::lock_guard lock(wait_mutex_);
    ++changes_;
  }
  wake_.notify_all();
}

absl::Status SiteAgent::Impl::Sleep(double seconds) {
  std::unique_lock lock(wait_mutex_);
  wake_.wait_for(lock, stop_, std::chrono::duration<double>(seconds), [] { return false; });
  return Stopped() ? absl::CancelledError("stopped") : absl::OkStatus();
}

absl::Status SiteAgent::Impl::WaitWhilePaused() {
  const SiteFolder& folder = deps_.store->folder();
  if (!HasFlag(folder, SiteFlag::kPause)) return absl::OkStatus();
  status_->Begin("paused");
  Log("paused");
  std::unique_lock lock(wait_mutex_);
  wake_.wait(lock, stop_, [&] { return !HasFlag(folder, SiteFlag::kPause); });
  return Stopped() ? absl::CancelledError("stopped") : absl::OkStatus();
}

absl::StatusOr<Consent> SiteAgent::Impl::AskPerson(const RunState& state, int round,
                                                   std::vector<std::string> facts) {
  const SiteFolder& folder = deps_.store->folder();
  Approval question;
  question.run = state.run;
  question.round = round;
  question.name = state.name;
  question.facts = std::move(facts);
  question.asked_ms = deps_.now_ms();
  MANAKO_RETURN_IF_ERROR(AskApproval(folder, question));
  MANAKO_CRASH_POINT("site.round_approval_asked");
  status_->Phase("waiting for approval");
  Log(fmt::format("run {} round {} waits for a person's approval", state.run, round));
  const auto consent = [&] {
    const auto approval = GetApproval(folder, state.run, round);
    return approval.ok() ? approval->consent : Consent::kNone;
  };
  std::unique_lock lock(wait_mutex_);
  wake_.wait(lock, stop_, [&] { return consent() != Consent::kNone || status_->Dropped(); });
  return consent();
}

// ---- To the server ----

absl::Status SiteAgent::Impl::Call(bool task_bound, std::string_view doing,
                                   const std::function<absl::Status()>& call) {
  Backoff backoff(
      options_.first_retry_seconds, options_.longest_retry_seconds,
      Random(options_.retry_seed, "site.call_retry", static_cast<uint64_t>(deps_.now_ms())));
  while (true) {
    if (Stopped()) return absl::CancelledError("stopped");
    if (task_bound && status_->Dropped()) {
      return absl::CancelledError(
          fmt::format("given up at the server's word: {}", status_->WhyDropped()));
    }
    const absl::Status status = call();
    if (status.ok()) {
      status_->Connection(true, "");
      return status;
    }
    if (!Passes(status)) return Annotate(status, doing);
    // A call that was broken off because the site is to end is no fault of the connection.
    if (Stopped()) return absl::CancelledError("stopped");
    const double seconds = backoff.NextSeconds();
    const std::string problem = fmt::format("{}: {}", doing, MessageOf(status));
    status_->Connection(false, problem);
    Log(fmt::format("{}; trying again in {:.1f} s", problem, seconds));
    static_cast<void>(Sleep(seconds));
  }
}

absl::Status SiteAgent::Impl::Answer(const SiteAnswer& answer) {
  MANAKO_RETURN_IF_ERROR(deps_.ledger->BeforeAnswer(answer));
  const absl::Status status =
      Call(false, "answering", [&] { return deps_.channel->Answer(answer); });
  if (absl::IsFailedPrecondition(status) || absl::IsInvalidArgument(status)) {
    Log(fmt::format("the server did not take an answer ({}): {}", ContentsOf(answer),
                    MessageOf(status)));
    return absl::OkStatus();
  }
  return status;
}

absl::Status SiteAgent::Impl::SubmitOutbox(RunState state) {
  const Submission submission = *state.last;
  const std::string path = deps_.store->Path(state.run, state.update);
  MANAKO_RETURN_IF_ERROR(deps_.ledger->BeforeSubmit(submission));
  status_->Phase("uploading");
  Receipt receipt;
  const absl::Status status = Call(false, "submitting an update", [&] {
    auto given = deps_.channel->Submit(submission, path, [&](int64_t done) {
      status_->Progress(done, submission.artifact.bytes);
    });
    if (given.ok()) receipt = *std::move(given);
    return given.status();
  });
  if (absl::IsFailedPrecondition(status)) {
    Log(fmt::format("run {} round {}: the server wants no update any more: {}", state.run,
                    submission.round, MessageOf(status)));
    return absl::OkStatus();
  }
  if (absl::IsInvalidArgument(status)) return Fail(state.run, submission.round, status);
  MANAKO_RETURN_IF_ERROR(status);
  MANAKO_CRASH_POINT("site.submitted");
  if (receipt.run != submission.run || receipt.round != submission.round ||
      receipt.sha256 != submission.artifact.sha256) {
    return Fail(state.run, submission.round,
                absl::InternalError("the server's receipt is for something else"));
  }
  if (receipt.state != Receipt::State::kKept) {
    Log(fmt::format("run {} round {}: the update is {}: {}", state.run, submission.round,
                    receipt.state == Receipt::State::kLate ? "late" : "refused", receipt.why));
  }
  if (receipt.state == Receipt::State::kKept) {
    Log(fmt::format("run {} round {}: the server has the update", state.run, submission.round));
  }
  const int64_t skew = receipt.time_ms == 0 ? 0 : std::abs(receipt.time_ms - deps_.now_ms());
  if (skew > kMuchSkewMs) {
    Log(fmt::format("the server's clock and this one differ by {}", Plural(skew / 1000, "second")));
  }
  return deps_.ledger->Add(receipt);
}

absl::Status SiteAgent::Impl::TakeAmended(const std::string& run,
                                          const std::optional<Receipt>& receipt) {
  if (!receipt || receipt->run != run) return absl::OkStatus();
  Submission submission;
  submission.run = receipt->run;
  submission.round = receipt->round;
  submission.artifact.sha256 = receipt->sha256;
  // Of nothing that this site has sent: no words for the ledger.
  if (!deps_.ledger->HasReceipt(submission)) return absl::OkStatus();
  Log(fmt::format("run {} round {}: the update did not count after all: {}", run, receipt->round,
                  receipt->why));
  return deps_.ledger->Add(*receipt);
}

}  // namespace manako
