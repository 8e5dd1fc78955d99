#include "server/server_run.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/files.h"
#include "base/status_macros.h"
#include "core/classes.h"
#include "report/pooled/pooled_metrics.h"

namespace manako {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

RoundState::Options Rules(const FederatedRunConfig& config, int rounds) {
  const auto ms = [](double minutes) {
    return static_cast<int64_t>(std::llround(minutes * 60000));
  };
  RoundState::Options rules;
  rules.rounds = rounds;
  rules.quorum = config.run.quorum;
  rules.cohort_share = config.run.cohort_share;
  rules.deadline_ms = ms(config.run.deadline_minutes);
  rules.extension_ms = ms(config.run.extension_minutes);
  rules.count_late = config.run.late == "next";
  rules.max_norm_ratio = config.run.max_norm_ratio;
  rules.seed = config.run.seed;
  return rules;
}

json ArtifactsToJson(const std::map<int, ArtifactId>& artifacts) {
  json value = json::object();
  for (const auto& [round, id] : artifacts) value[std::to_string(round)] = {id.sha256, id.bytes};
  return value;
}

std::map<int, ArtifactId> ArtifactsFromJson(const json& value) {
  std::map<int, ArtifactId> artifacts;
  for (const auto& [round, id] : value.items())
    artifacts[std::stoi(round)] = {id.at(0).get<std::string>(), id.at(1).get<int64_t>()};
  return artifacts;
}

std::string TestKey(int round, const std::string& trained_by, const std::string& site) {
  return fmt::format("{}/{}/{}", round, trained_by, site);
}

int64_t Sum(const std::vector<int64_t>& counts) {
  int64_t sum = 0;
  for (const int64_t count : counts) sum += count;
  return sum;
}

void RemoveFile(const std::string& path) {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

}  // namespace

ServerRun::ServerRun(RunRecord record, FederatedRunConfig config, RunFolder folder, Deps deps)
    : record_(std::move(record)),
      config_(std::move(config)),
      folder_(std::move(folder)),
      deps_(deps),
      rounds_(Rules(config_, record_.rounds)) {}

absl::StatusOr<std::unique_ptr<ServerRun>> ServerRun::Load(const RunRecord& record,
                                                           const std::string& folder, Deps deps) {
  MANAKO_ASSIGN_OR_RETURN(
      FederatedRunConfig config,
      FederatedRunConfig::FromToml(record.config, "the configuration of run " + record.id));
  auto run =
      std::unique_ptr<ServerRun>(new ServerRun(record, std::move(config), RunFolder(folder), deps));
  MANAKO_ASSIGN_OR_RETURN(run->strategy_, MakeStrategy(run->config_.training.federation));
  MANAKO_ASSIGN_OR_RETURN(run->encoding_, ParseArrayEncoding(run->config_.run.encoding));
  MANAKO_ASSIGN_OR_RETURN(const auto sites, deps.store->RunSites(record.id));
  for (const RunSiteRecord& site : sites) run->sites_[site.site] = site;
  MANAKO_ASSIGN_OR_RETURN(const auto evaluations, deps.store->Evaluations(record.id));
  for (const auto& evaluation : evaluations)
    run->tested_.insert(TestKey(evaluation.round, evaluation.trained_by, evaluation.site));
  MANAKO_ASSIGN_OR_RETURN(const auto asks, deps.store->Asks(record.id));
  for (const auto& ask : asks) run->settled_asks_[{ask.round, ask.site}] = ask.ask;
  MANAKO_ASSIGN_OR_RETURN(const auto rounds, deps.store->Rounds(record.id));
  for (const auto& round : rounds) {
    const json metrics = json::parse(round.metrics, nullptr, false);
    if (!metrics.is_object()) continue;
    const auto number = [&](const char* key) {
      return metrics.contains(key) && metrics[key].is_number() ? metrics[key].get<double>()
                                                               : std::nan("");
    };
    run->validation_auc_[round.round] = number("validation_auc");
    run->validation_loss_[round.round] = number("validation_loss");
  }
  if (!record.basis.empty()) {
    run->basis_ = BasisFromJson(json::parse(record.basis, nullptr, false));
    run->has_basis_ = true;
    ResolveRounds(run->config_.training, run->basis_.images);
  }
  try {
    if (!record.rounds_state.empty()) {
      const json state = json::parse(record.rounds_state);
      MANAKO_RETURN_IF_ERROR(run->rounds_.FromJson(state.at("rounds")));
      run->models_ = ArtifactsFromJson(state.at("models"));
      run->wires_ = ArtifactsFromJson(state.at("wires"));
      for (const auto& [site, id] : state.at("own").items()) {
        run->own_models_[site] = {id.at(0).get<std::string>(), id.at(1).get<int64_t>()};
      }
      run->test_deadline_ms_ = state.at("test_deadline_ms").get<int64_t>();
    }
  } catch (const json::exception& error) {
    return DataLoss("the state of run {} cannot be read: {}: restore the folder from a backup",
                    record.id, error.what());
  }
  if (!run->over()) MANAKO_RETURN_IF_ERROR(run->LoadFiles());
  return run;
}

// The model that the next round starts from must be whole. What else lies there is left over from a
// crash.
absl::Status ServerRun::LoadFiles() {
  MANAKO_ASSIGN_OR_RETURN(spec_, folder_.Spec());
  const auto check = [&](const std::string& path,
                         const ArtifactId& known) -> absl::StatusOr<ArtifactId> {
    auto id = IdentifyArtifact(path, deps_.threads);
    if (id.ok() && !known.sha256.empty() && id->sha256 != known.sha256) {
      id = DataLoss("it is whole, but another one than run {} made", record_.id);
    }
    if (id.ok()) return id;
    return DataLoss("{}: {}: restore it from a backup, or cancel the run", path,
                    MessageOf(id.status()));
  };
  MANAKO_ASSIGN_OR_RETURN(models_[record_.round],
                          check(folder_.ModelPath(record_.round), models_[record_.round]));
  wires_[record_.round] = models_[record_.round];
  if (IsLossy(encoding_)) {
    MANAKO_ASSIGN_OR_RETURN(wires_[record_.round], check(folder_.WirePath(record_.round), {}));
  }
  for (const char* part : {"/models", "/incoming", "/spool"})
    MANAKO_RETURN_IF_ERROR(MakeFolders(folder_.path() + part));
  RemoveUnfinishedFiles(folder_.path() + "/models");
  // An answer counts only while its file is there and whole.
  if (rounds_.open()) {
    for (const std::string& site : rounds_.Answers()) {
      const Ask& ask = rounds_.asks().at(site);
      const std::string path = folder_.SpoolPath(rounds_.round(), site, ask.sha256);
      const auto id = IdentifyArtifact(
          path, deps_.threads,
          folder_.ModelPath(ask.trained_in > 0 ? ask.trained_in - 1 : record_.round));
      if (id.ok() && id->sha256 == rounds_.asks().at(site).sha256) continue;
      problems_.push_back(fmt::format(
          "{}: the update of {} for round {} is {}: it is asked for again", path, site,
          rounds_.round(), id.status().code() == absl::StatusCode::kNotFound ? "gone" : "damaged"));
      RemoveFile(path);
      rounds_.AskAgain(site);
    }
  }
  return absl::OkStatus();
}

json ServerRun::StateJson(const RoundState& rounds) const {
  json own = json::object();
  for (const auto& [site, id] : own_models_) own[site] = {id.sha256, id.bytes};
  return {{"rounds", rounds.ToJson()},
          {"models", ArtifactsToJson(models_)},
          {"wires", ArtifactsToJson(wires_)},
          {"own", own},
          {"test_deadline_ms", test_deadline_ms_}};
}

template <typename Change>
absl::Status ServerRun::Commit(Change change) {
  FederationStore::Batch batch = deps_.store->Begin();
  change(batch);
  record_.rounds_state = StateJson(rounds_).dump();
  batch.SaveRun(record_);
  return batch.Commit();
}

bool ServerRun::settled() const {
  return over() && std::none_of(sites_.begin(), sites_.end(), [](const auto& site) {
           return site.second.state == "ready" || site.second.state == "waiting";
         });
}

absl::Status ServerRun::Want(const std::string& wanted, const std::vector<std::string>& enrolled,
                             int64_t now_ms) {
  record_.wanted = wanted;
  if (over()) return absl::OkStatus();
  if (wanted == "cancelled") return End("cancelled", "cancelled by a person", now_ms);
  if (wanted != "running" || record_.state != "created") return absl::OkStatus();
  std::vector<std::string> asked = config_.run.sites.empty() ? enrolled : config_.run.sites;
  for (const std::string& site : asked) {
    if (std::find(enrolled.begin(), enrolled.end(), site) == enrolled.end()) {
      record_.why = fmt::format(
          "{} (run.sites) is not enrolled: invite it, or create the run without it", site);
      return End("failed", record_.why, now_ms);
    }
  }
  if (asked.empty() || static_cast<int>(asked.size()) < config_.run.quorum) {
    return End("failed",
               fmt::format("{} sites are enrolled, but the run needs {}", asked.size(),
                           std::max(1, config_.run.quorum)),
               now_ms);
  }
  record_.state = "gathering";
  record_.started_ms = now_ms;
  return Commit([&](FederationStore::Batch& batch) {
    for (const std::string& site : asked) {
      sites_[site] = {site, "asked", -1, {}, ""};
      batch.SaveSite(id(), sites_[site]);
    }
    batch.AddEvent(id(), "", "run_started", {{"sites", asked}}, now_ms);
  });
}

absl::Status ServerRun::SiteGone(const std::string& site, const std::string& why, int64_t now_ms) {
  const auto found = sites_.find(site);
  if (found == sites_.end() || found->second.state == "left" || found->second.state == "ended")
    return absl::OkStatus();
  found->second.state = "left";
  found->second.why = why;
  rounds_.Leave(site, why);
  return Commit([&](FederationStore::Batch& batch) {
    batch.SaveSite(id(), found->second);
    if (const auto ask = rounds_.asks().find(site); ask != rounds_.asks().end())
      batch.SaveAsk(id(), rounds_.round(), site, ask->second, now_ms);
    batch.AddEvent(id(), site, "site_left", {{"why", why}}, now_ms);
  });
}

absl::Status ServerRun::SiteBack(const std::string& site, int64_t now_ms) {
  const auto ask = rounds_.asks().find(site);
  if (!running() || ask == rounds_.asks().end() || ask->second.state != AskState::kFailed)
    return absl::OkStatus();
  const auto found = sites_.find(site);
  if (found == sites_.end() || found->second.state != "ready") return absl::OkStatus();
  rounds_.Join(site);
  return Commit([&](FederationStore::Batch& batch) {
    batch.SaveAsk(id(), rounds_.round(), site, rounds_.asks().at(site), now_ms);
  });
}

std::vector<std::string> ServerRun::ReadySites() const {
  std::vector<std::string> ready;
  for (const auto& [name, site] : sites_) {
    if (site.state == "ready") ready.push_back(name);
  }
  return ready;
}

bool ServerRun::Tested(int round, const std::string& trained_by, const std::string& site) const {
  return tested_.contains(TestKey(round, trained_by, site));
}

std::vector<std::pair<std::string, int>> ServerRun::MissingTests(const std::string& site) const {
  std::vector<std::pair<std::string, int>> missing;
  if (!Tested(record_.round, "", site)) missing.emplace_back("", record_.round);
  for (const auto& [other, artifact] : own_models_) {
    if (!Tested(record_.round, other, site)) missing.emplace_back(other, record_.round);
  }
  return missing;
}

ArtifactId ServerRun::FinalArtifact() const {
  if (record_.best_round < 0) return {};
  const auto found = wires_.find(record_.best_round);
  return found == wires_.end() ? ArtifactId{} : found->second;
}

std::optional<Receipt> ServerRun::Amended(const std::string& site, int round) const {
  // Refused with a hash: it had been kept. One that was refused at once has its receipt and is not
  // kept by its hash.
  const auto found = settled_asks_.find({round, site});
  if (found == settled_asks_.end() || found->second.state != AskState::kRefused ||
      found->second.sha256.empty())
    return std::nullopt;
  Receipt receipt;
  receipt.state = Receipt::State::kRefused;
  receipt.why = found->second.why;
  receipt.run = id();
  receipt.round = round;
  receipt.sha256 = found->second.sha256;
  // The receipt that it amends was for the round in which it was trained.
  const auto before = settled_asks_.find({round - 1, site});
  if (before != settled_asks_.end() && before->second.state == AskState::kLate &&
      before->second.sha256 == receipt.sha256)
    receipt.round = round - 1;
  return receipt;
}

std::optional<SiteTask> ServerRun::TaskFor(const std::string& site) const {
  const auto found = sites_.find(site);
  if (found == sites_.end()) return std::nullopt;
  const RunSiteRecord& own = found->second;
  if (over()) {
    if (own.state != "ready" && own.state != "waiting") return std::nullopt;
    return EndTask{id(), record_.state, record_.why, std::max(0, record_.best_round),
                   FinalArtifact()};
  }
  if (!running()) return std::nullopt;
  if (own.state == "asked") return OfferTask{id(), record_.config};
  if (own.state != "ready") return std::nullopt;
  if (record_.state == "training" && rounds_.Wants(site) && !closing_) {
    RoundTask task;
    task.run = id();
    task.round = rounds_.round();
    task.rounds = record_.rounds;
    task.basis = basis_;
    task.site_index = own.index;
    task.model = wires_.at(task.round - 1);
    task.evaluate =
        IsTested(config_, task.round - 1, basis_.images) && !Tested(task.round - 1, "", site);
    task.deadline_ms = rounds_.deadline_ms();
    task.amended = Amended(site, task.round - 1);
    return task;
  }
  if (record_.state == "testing") {
    const auto missing = MissingTests(site);
    if (missing.empty()) return std::nullopt;
    const auto& [trained_by, round] = missing.front();
    return TestTask{id(), round, trained_by,
                    trained_by.empty() ? wires_.at(round) : own_models_.at(trained_by),
                    Amended(site, record_.round)};
  }
  return std::nullopt;
}

absl::Status ServerRun::Take(const std::string& site, const OfferAnswer& answer, int64_t now_ms) {
  const auto found = sites_.find(site);
  if (found == sites_.end() || over())
    return FailedPrecondition("run {} does not ask {} any more", id(), site);
  RunSiteRecord& own = found->second;
  if (own.state == "ready" && answer.state == OfferAnswer::State::kReady)
    return absl::OkStatus();  // again
  if (own.state != "asked" && own.state != "waiting")
    return FailedPrecondition("{} has already answered run {}: {}", site, id(), own.state);
  const size_t classes = config_.run.classes.size();
  if (answer.state == OfferAnswer::State::kReady) {
    for (const auto* counts :
         {&answer.counts.train, &answer.counts.validation, &answer.counts.test}) {
      if (counts->size() != classes)
        return InvalidArgument("{} counts images of {} classes, but run {} has {}", site,
                               counts->size(), id(), classes);
      for (const int64_t count : *counts) {
        if (count < 0 || count > int64_t{1} << 40)
          return InvalidArgument("{} counts {} images", site, count);
      }
    }
    if (Sum(answer.counts.train) == 0) return InvalidArgument("{} has no training images", site);
  }
  own.state = answer.state == OfferAnswer::State::kReady     ? "ready"
              : answer.state == OfferAnswer::State::kRefused ? "refused"
                                                             : "waiting";
  own.counts = answer.counts;
  own.why = answer.why;
  if (own.state == "ready" && has_basis_) {
    // Behind the others: the indices that name their random streams stay.
    int last = -1;
    for (const auto& [name, other] : sites_) last = std::max(last, other.index);
    if (own.index < 0) own.index = last + 1;
    rounds_.Join(site);
  }
  return Commit([&](FederationStore::Batch& batch) {
    batch.SaveSite(id(), own);
    batch.AddEvent(id(), site, "site_" + own.state,
                   {{"why", own.why}, {"counts", CountsToJson(own.counts)}}, now_ms);
  });
}

absl::Status ServerRun::Take(const std::string& site, const Evaluation& evaluation,
                             int64_t now_ms) {
  const bool own_model = !evaluation.trained_by.empty();
  if (!sites_.contains(site) || evaluation.round < 0 || evaluation.round > record_.round ||
      (own_model && !own_models_.contains(evaluation.trained_by))) {
    return FailedPrecondition("{} reports a test of round {} of run {}, which nobody asked for",
                              site, evaluation.round, id());
  }
  for (const EvaluationResult* result : {&evaluation.validation, &evaluation.test}) {
    const size_t classes = config_.run.classes.size();
    const bool counts =
        result->images >= 0 && result->images < int64_t{1} << 40 && result->bins >= 0 &&
        result->bins <= 10000 &&
        result->histogram.size() ==
            static_cast<size_t>(result->bins) * (result->bins > 0 ? classes : 0) &&
        std::all_of(result->histogram.begin(), result->histogram.end(),
                    [](int64_t count) { return count >= 0 && count < int64_t{1} << 40; }) &&
        (result->bins == 0 || Sum(result->histogram) == result->images) &&
        result->probabilities.size() == result->labels.size() * classes;
    if (!counts)
      return InvalidArgument("{} reports a test of round {} that does not fit together", site,
                             evaluation.round);
    for (const int label : result->labels) {
      if (label < 0 || label >= static_cast<int>(classes))
        return InvalidArgument("{} reports a test with class {}", site, label);
    }
  }
  tested_.insert(TestKey(evaluation.round, evaluation.trained_by, site));
  const json result = {{"validation", ResultToJson(evaluation.validation)},
                       {"test", ResultToJson(evaluation.test)}};
  MANAKO_RETURN_IF_ERROR(Commit([&](FederationStore::Batch& batch) {
    batch.AddEvaluation(id(),
                        {evaluation.round, evaluation.trained_by, site,
                         result.dump(-1, ' ', false, json::error_handler_t::replace)},
                        now_ms);
    batch.AddEvent(id(), site, "tested",
                   {{"round", evaluation.round}, {"trained_by", evaluation.trained_by}}, now_ms);
  }));
  return own_model ? absl::OkStatus() : JudgeRound(evaluation.round, /*anyhow=*/false, now_ms);
}

absl::Status ServerRun::Take(const std::string& site, const Failure& failure, int64_t now_ms) {
  if (!sites_.contains(site)) return FailedPrecondition("{} takes no part in run {}", site, id());
  if (failure.round != rounds_.round() || !rounds_.open())
    return absl::OkStatus();  // of a round that went on without it
  rounds_.Gave(site, failure.refused ? AskState::kRefused : AskState::kFailed, failure.why);
  const auto ask = rounds_.asks().find(site);
  if (ask == rounds_.asks().end()) return absl::OkStatus();
  return Commit([&](FederationStore::Batch& batch) {
    batch.SaveAsk(id(), rounds_.round(), site, ask->second, now_ms);
    batch.AddEvent(id(), site, failure.refused ? "update_refused_by_site" : "site_failed",
                   {{"round", failure.round}, {"why", failure.why}}, now_ms);
  });
}

absl::Status ServerRun::Take(const std::string& site, const EndAnswer& answer, int64_t now_ms) {
  const auto found = sites_.find(site);
  if (found == sites_.end() || !over() || found->second.state == "ended") return absl::OkStatus();
  found->second.state = "ended";
  return Commit([&](FederationStore::Batch& batch) {
    batch.SaveSite(id(), found->second);
    batch.AddEvent(id(), site, "site_ended", {{"model_sha256", answer.model_sha256}}, now_ms);
  });
}

absl::StatusOr<std::string> ServerRun::ArtifactPath(const std::string& site,
                                                    const ArtifactId& artifact) const {
  const auto found = sites_.find(site);
  const bool may =
      found != sites_.end() && (found->second.state == "ready" || found->second.state == "waiting");
  for (const auto& [round, id] : wires_) {
    if (may && id.sha256 == artifact.sha256)
      return IsLossy(encoding_) ? folder_.WirePath(round) : folder_.ModelPath(round);
  }
  for (const auto& [owner, id] : own_models_) {
    if (may && id.sha256 == artifact.sha256) return folder_.OwnModelPath(owner);
  }
  return NotFound("run {} has no such file for {} (any more)", id(), site);
}

absl::Status ServerRun::CheckUpload(const std::string& site, const Submission& submission) const {
  const auto found = sites_.find(site);
  if (found == sites_.end() || found->second.state != "ready")
    return FailedPrecondition("{} takes no part in run {}", site, id());
  if (over()) return FailedPrecondition("run {} is {}", id(), record_.state);
  const auto elements = static_cast<uint64_t>(spec_->size());
  const uint64_t most =
      EncodedSize(encoding_, elements) + (elements / kArrayBlock + 1) * 64 + (1 << 16);
  if (submission.artifact.bytes <= 0 || static_cast<uint64_t>(submission.artifact.bytes) > most) {
    return InvalidArgument("{} would send {} bytes, but an update of run {} has {} at most", site,
                           submission.artifact.bytes, id(), most);
  }
  const bool hex =
      submission.artifact.sha256.size() == 64 &&
      submission.artifact.sha256.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!hex) return InvalidArgument("{} names its update by something that is no SHA-256", site);
  const int64_t images = Sum(found->second.counts.train);
  if (submission.images <= 0 || submission.images > images) {
    return InvalidArgument("{} counts {} training images, but took part in run {} with {}", site,
                           submission.images, id(), images);
  }
  if (submission.visits < 0)
    return InvalidArgument("{} counts {} image visits", site, submission.visits);
  return absl::OkStatus();
}

std::string ServerRun::BaseModelPath(int round) const {
  const bool late = config_.run.late == "next" && round == rounds_.round() - 1;
  return folder_.ModelPath(late && models_.contains(round - 1) ? round - 1 : record_.round);
}

bool ServerRun::CountsLate(const std::string& site, int round) const {
  if (config_.run.late != "next" || round != rounds_.round() - 1 || !rounds_.open() ||
      !models_.contains(round - 1))
    return false;
  const auto then = settled_asks_.find({round, site});
  return then != settled_asks_.end() && then->second.state != AskState::kAnswered &&
         then->second.state != AskState::kRefused && rounds_.Wants(site);
}

absl::StatusOr<ArrayFileExpectation> ServerRun::Expect(const Submission& submission) const {
  // It is read against the open round's model: trained from another one, its numbers would be
  // nonsense.
  if (submission.round == rounds_.round() && rounds_.open() &&
      submission.model_sha256 != wires_.at(submission.round - 1).sha256) {
    return InvalidArgument(
        "the update for round {} was trained from another model than the round's",
        submission.round);
  }
  if (config_.run.late == "next" && submission.round == rounds_.round() - 1 &&
      wires_.contains(submission.round - 1) &&
      submission.model_sha256 != wires_.at(submission.round - 1).sha256) {
    return InvalidArgument(
        "the late update for round {} was trained from another model than its "
        "round's",
        submission.round);
  }
  ArrayFileExpectation expected;
  expected.spec_hash = spec_->hash();
  expected.base_digest = submission.model_sha256;
  expected.arrays = {{"model", static_cast<uint64_t>(spec_->size())}};
  return expected;
}

std::optional<Receipt> ServerRun::KeptBefore(const std::string& site,
                                             const Submission& submission) const {
  Receipt receipt;
  receipt.run = id();
  receipt.round = submission.round;
  receipt.sha256 = submission.artifact.sha256;
  const auto settled = settled_asks_.find({submission.round, site});
  if (submission.round < rounds_.round() && settled != settled_asks_.end() &&
      settled->second.sha256 == submission.artifact.sha256) {
    AskState state = settled->second.state;
    receipt.why = settled->second.why;
    // A late one that the next round took is what it became there.
    const Ask* next = nullptr;
    if (const auto open = rounds_.asks().find(site);
        open != rounds_.asks().end() && submission.round == rounds_.round() - 1) {
      next = &open->second;
    } else if (const auto closed = settled_asks_.find({submission.round + 1, site});
               closed != settled_asks_.end()) {
      next = &closed->second;
    }
    if (state == AskState::kLate && next != nullptr && next->sha256 == settled->second.sha256) {
      state = next->state;
      if (state == AskState::kRefused) receipt.why = next->why;
    }
    receipt.state = state == AskState::kAnswered ? Receipt::State::kKept
                    : state == AskState::kLate   ? Receipt::State::kLate
                                                 : Receipt::State::kRefused;
    return receipt;
  }
  const auto verdict = rounds_.Judge(site, submission.round, submission.artifact.sha256);
  if (!verdict.ok() || *verdict != RoundState::Verdict::kDuplicate) return std::nullopt;
  return receipt;
}

absl::StatusOr<Receipt> ServerRun::Keep(const std::string& site, const Submission& submission,
                                        const ArrayFileSummary& summary, const std::string& path,
                                        int64_t now_ms) {
  Receipt receipt;
  receipt.run = id();
  receipt.round = submission.round;
  receipt.sha256 = submission.artifact.sha256;
  receipt.time_ms = now_ms;
  const auto refuse = [&](const std::string& why) -> absl::StatusOr<Receipt> {
    RemoveFile(path);
    receipt.state = Receipt::State::kRefused;
    receipt.why = why;
    if (rounds_.open() && submission.round == rounds_.round())
      rounds_.Gave(site, AskState::kRefused, why);
    MANAKO_RETURN_IF_ERROR(Commit([&](FederationStore::Batch& batch) {
      Ask ask{AskState::kRefused,
              {submission.images, submission.visits},
              submission.artifact.sha256,
              0,
              why};
      if (submission.round < rounds_.round()) settled_asks_[{submission.round, site}] = ask;
      batch.SaveAsk(id(), submission.round, site, ask, now_ms);
      batch.AddEvent(id(), site, "update_refused", {{"round", submission.round}, {"why", why}},
                     now_ms);
    }));
    return receipt;
  };
  MANAKO_RETURN_IF_ERROR(CheckUpload(site, submission));
  if (submission.round < rounds_.round()) {
    // What a closed round's books say stays, whatever its site sends afterwards.
    const auto then = settled_asks_.find({submission.round, site});
    if (then == settled_asks_.end())
      return FailedPrecondition("{} was not asked in round {}", site, submission.round);
    if (then->second.state != AskState::kWaiting && then->second.state != AskState::kFailed)
      return FailedPrecondition("{} has already answered in round {}", site, submission.round);
  }
  if (summary.sha256 != submission.artifact.sha256)
    return refuse("its bytes are not those whose SHA-256 it was announced with");
  const ArrayStatistics& model = summary.sections.at(0);
  if (model.first_non_finite >= 0) {
    const auto& tensors = spec_->tensors();
    auto tensor = std::find_if(tensors.rbegin(), tensors.rend(), [&](const TensorSpec& t) {
      return t.offset <= model.first_non_finite;
    });
    return refuse(fmt::format("it holds a number that is NaN or infinite (tensor {})",
                              tensor == tensors.rend() ? "?" : tensor->name));
  }
  // A late one has to know whether there is another round for it, too.
  const bool may_count_late =
      config_.run.late == "next" && submission.round == rounds_.round() - 1 && !over();
  const bool between = may_count_late && !rounds_.open() && !rounds_.finished();
  if ((closing_ && (submission.round == rounds_.round() || may_count_late)) || between) {
    return absl::UnavailableError(fmt::format("round {} of run {} is being {}: ask again",
                                              rounds_.round(), id(),
                                              between ? "opened" : "closed"));
  }
  MANAKO_ASSIGN_OR_RETURN(RoundState::Verdict verdict,
                          rounds_.Judge(site, submission.round, submission.artifact.sha256));
  const bool late = submission.round < rounds_.round();
  if (late && !CountsLate(site, submission.round)) verdict = RoundState::Verdict::kLate;
  if (verdict == RoundState::Verdict::kLate) {
    RemoveFile(path);
    receipt.state = Receipt::State::kLate;
    receipt.why = fmt::format("round {} was closed without it; round {} is next", submission.round,
                              rounds_.round());
    MANAKO_RETURN_IF_ERROR(Commit([&](FederationStore::Batch& batch) {
      const Ask ask{AskState::kLate,
                    {submission.images, submission.visits},
                    submission.artifact.sha256,
                    model.change_l2,
                    receipt.why};
      settled_asks_[{submission.round, site}] = ask;
      batch.SaveAsk(id(), submission.round, site, ask, now_ms);
      batch.AddEvent(id(), site, "update_late", {{"round", submission.round}}, now_ms);
    }));
    return receipt;
  }
  const double l2 = std::isfinite(model.change_l2) ? model.change_l2 : model.l2;
  const UpdateFacts facts{submission.images, submission.visits};
  if (!(strategy_->Weight(facts) > 0)) return refuse("its weight is not above 0");
  // On the disk under its name before anything says so.
  if (const std::string place = SpoolPath(site, submission); place != path) {
    MANAKO_RETURN_IF_ERROR(MakeFolders(folder_.SpoolFolder(rounds_.round())));
    MANAKO_RETURN_IF_ERROR(MoveFileDurably(path, place));
  }
  rounds_.Answered(site, facts, submission.artifact.sha256, l2, late ? submission.round : 0);
  if (late) {
    receipt.why = fmt::format("round {} was closed without it: it counts in round {}",
                              submission.round, rounds_.round());
    settled_asks_[{submission.round, site}] = {AskState::kLate, facts, submission.artifact.sha256,
                                               l2, receipt.why};
  }
  MANAKO_RETURN_IF_ERROR(Commit([&](FederationStore::Batch& batch) {
    // Late in its own round's books, answered in this one's.
    if (late) {
      batch.SaveAsk(id(), submission.round, site, settled_asks_.at({submission.round, site}),
                    now_ms);
      batch.AddEvent(id(), site, "update_late",
                     {{"round", submission.round}, {"counts_in", rounds_.round()}}, now_ms);
    }
    batch.SaveAsk(id(), rounds_.round(), site, rounds_.asks().at(site), now_ms);
    json fields = {{"round", rounds_.round()},
                   {"bytes", submission.artifact.bytes},
                   {"sha256", submission.artifact.sha256},
                   {"l2", l2},
                   {"images", submission.images},
                   {"metrics", submission.metrics}};
    if (submission.round != rounds_.round()) fields["trained_in"] = submission.round;
    batch.AddEvent(id(), site, "update_kept", fields, now_ms);
  }));
  return receipt;
}

absl::StatusOr<bool> ServerRun::Advance(int64_t now_ms) {
  if (!running() || closing_) return false;
  if (record_.state == "gathering") {
    const auto undecided = std::count_if(sites_.begin(), sites_.end(), [](const auto& site) {
      return site.second.state == "asked" || site.second.state == "waiting";
    });
    const auto ready = static_cast<int>(ReadySites().size());
    const int64_t patience = static_cast<int64_t>(config_.run.deadline_minutes * 60000);
    const bool due =
        config_.run.quorum > 0 && patience > 0 && now_ms >= record_.started_ms + patience;
    if ((undecided == 0 || due) && ready >= std::max(1, config_.run.quorum))
      MANAKO_RETURN_IF_ERROR(BeginTraining(now_ms));
    if (record_.state == "gathering" && undecided == 0 && ready < std::max(1, config_.run.quorum)) {
      MANAKO_RETURN_IF_ERROR(End("failed",
                                 fmt::format("{} sites take part, but the run needs {}", ready,
                                             std::max(1, config_.run.quorum)),
                                 now_ms));
    }
  }
  if (record_.state == "training") {
    if (rounds_.finished()) {
      record_.state = "testing";
      test_deadline_ms_ = config_.run.deadline_minutes > 0
                              ? now_ms + static_cast<int64_t>(config_.run.deadline_minutes * 60000)
                              : 0;
      MANAKO_RETURN_IF_ERROR(Commit([&](FederationStore::Batch& batch) {
        batch.AddEvent(id(), "", "testing_began", {{"round", record_.round}}, now_ms);
      }));
    } else if (!rounds_.open()) {
      MANAKO_RETURN_IF_ERROR(OpenRound(now_ms));
    }
    if (rounds_.open()) {
      bool extended = false;
      const bool is_over = rounds_.IsOver(now_ms, &extended);
      if (extended) {
        MANAKO_RETURN_IF_ERROR(Commit([&](FederationStore::Batch& batch) {
          batch.AddEvent(id(), "", "round_extended",
                         {{"round", rounds_.round()}, {"waits_for", rounds_.WaitingFor()}}, now_ms);
        }));
      }
      if (is_over) return true;
    }
  }
  if (record_.state == "testing") {
    bool all = true;
    for (const std::string& site : ReadySites()) all &= MissingTests(site).empty();
    if (all || (test_deadline_ms_ > 0 && now_ms >= test_deadline_ms_))
      MANAKO_RETURN_IF_ERROR(EndTesting(now_ms));
  }
  return false;
}

int64_t ServerRun::NextDeadline() const {
  if (!running() || closing_) return 0;
  if (record_.state == "gathering" && config_.run.quorum > 0)
    return record_.started_ms + static_cast<int64_t>(config_.run.deadline_minutes * 60000);
  if (record_.state == "testing") return test_deadline_ms_;
  return rounds_.NextDeadline();
}

absl::Status ServerRun::BeginTraining(int64_t now_ms) {
  basis_ = {};
  basis_.per_class.assign(config_.run.classes.size(), 0);
  int index = 0;
  for (auto& [name, site] : sites_) {
    if (site.state != "ready") continue;
    site.index = index++;
    for (size_t c = 0; c < basis_.per_class.size(); ++c)
      basis_.per_class[c] += site.counts.train[c];
  }
  basis_.sites = index;
  basis_.images = Sum(basis_.per_class);
  has_basis_ = true;
  ResolveRounds(config_.training, basis_.images);
  record_.rounds = config_.training.federation.rounds;
  record_.basis = BasisToJson(basis_).dump();
  rounds_ = RoundState(Rules(config_, record_.rounds));
  for (const std::string& site : ReadySites()) rounds_.Join(site);
  record_.state = "training";
  return Commit([&](FederationStore::Batch& batch) {
    for (const auto& [name, site] : sites_) batch.SaveSite(id(), site);
    batch.OpenRound(id(), 0, now_ms);
    batch.CloseRound(id(), 0, models_.at(0).sha256, now_ms);
    batch.AddEvent(id(), "", "training_began",
                   {{"rounds", record_.rounds}, {"basis", BasisToJson(basis_)}}, now_ms);
  });
}

absl::Status ServerRun::OpenRound(int64_t now_ms) {
  if (!rounds_.TryOpen(now_ms)) return absl::OkStatus();
  return Commit([&](FederationStore::Batch& batch) { SaveOpened(batch, now_ms); });
}

void ServerRun::SaveOpened(FederationStore::Batch& batch, int64_t now_ms) const {
  batch.OpenRound(id(), rounds_.round(), now_ms);
  json cohort = json::array();
  for (const auto& [site, ask] : rounds_.asks()) {
    batch.SaveAsk(id(), rounds_.round(), site, ask, now_ms);
    cohort.push_back(site);
  }
  batch.AddEvent(
      id(), "", "round_opened",
      {{"round", rounds_.round()}, {"cohort", cohort}, {"deadline_ms", rounds_.deadline_ms()}},
      now_ms);
}

absl::StatusOr<std::optional<ServerRun::Closing>> ServerRun::BeginClosing(int64_t now_ms) {
  if (const std::vector<std::string> refused = rounds_.RefuseOutliers(); !refused.empty()) {
    MANAKO_RETURN_IF_ERROR(Commit([&](FederationStore::Batch& batch) {
      for (const std::string& site : refused) {
        const Ask& ask = rounds_.asks().at(site);
        batch.SaveAsk(id(), rounds_.round(), site, ask, now_ms);
        batch.AddEvent(id(), site, "update_refused", {{"round", rounds_.round()}, {"why", ask.why}},
                       now_ms);
      }
    }));
    bool extended = false;
    if (!rounds_.IsOver(now_ms, &extended))
      return std::nullopt;  // too few are left: it waits for others
  }
  Closing closing;
  closing.folder = folder_;
  closing.spec = spec_;
  closing.strategy = strategy_.get();
  closing.encoding = encoding_;
  closing.round = rounds_.round();
  closing.threads = deps_.threads;
  closing.keep_own = config_.run.cross_site && closing.round == record_.rounds;
  for (const std::string& site : rounds_.Answers()) {
    const Ask& ask = rounds_.asks().at(site);
    closing.updates.push_back({site, strategy_->Weight(ask.facts),
                               folder_.SpoolPath(closing.round, site, ask.sha256), ask.trained_in});
  }
  closing_ = true;
  return std::optional(std::move(closing));
}

void ServerRun::Closing::Work() {
  files = ReduceRoundFiles(folder, *spec, *strategy, round, updates, encoding, threads);
  if (!files.ok() && files.status().code() == absl::StatusCode::kDataLoss) {
    for (const SpooledUpdate& update : updates) {
      const int base = (update.trained_in > 0 ? update.trained_in : round) - 1;
      if (!IdentifyArtifact(update.path, threads, folder.ModelPath(base)).ok())
        damaged.push_back(update.site);
    }
  }
  if (!files.ok() || !keep_own) return;
  // Each site's own model alone is the reduction of that one update.
  for (const SpooledUpdate& update : updates) {
    auto own_model = WriteOwnModel(folder, *spec, round, update, threads);
    if (!own_model.ok()) {
      files = own_model.status();
      return;
    }
    own[update.site] = *own_model;
  }
}

absl::Status ServerRun::EndClosing(const Closing& closing, int64_t now_ms) {
  closing_ = false;
  if (!closing.files.ok()) {
    if (closing.damaged.empty()) return closing.files.status();
    return Commit([&](FederationStore::Batch& batch) {
      for (const std::string& site : closing.damaged) {
        RemoveFile(folder_.SpoolPath(closing.round, site, rounds_.asks().at(site).sha256));
        rounds_.AskAgain(site);
        batch.SaveAsk(id(), closing.round, site, rounds_.asks().at(site), now_ms);
        batch.AddEvent(id(), site, "spool_damaged", {{"round", closing.round}}, now_ms);
      }
    });
  }
  const std::map<std::string, Ask> asks = rounds_.asks();
  for (const auto& [site, ask] : asks) settled_asks_[{closing.round, site}] = ask;
  rounds_.Close();
  record_.round = closing.round;
  record_.why.clear();
  models_[closing.round] = closing.files->model;
  wires_[closing.round] = closing.files->wire;
  own_models_ = closing.own;
  json books = {{"asked", asks.size()}};
  double norms = 0;
  for (const auto& [site, ask] : asks) {
    const std::string name(NameOf(ask.state));
    books[name] = books.value(name, 0) + 1;
    norms = std::max(norms, ask.l2);
  }
  // In the same transaction: the sites wait for the next round, and for one sync instead of two.
  const bool opened = running() && !rounds_.finished() && rounds_.TryOpen(now_ms);
  MANAKO_RETURN_IF_ERROR(Commit([&](FederationStore::Batch& batch) {
    for (const auto& [site, ask] : asks) batch.SaveAsk(id(), closing.round, site, ask, now_ms);
    batch.CloseRound(id(), closing.round, closing.files->model.sha256, now_ms);
    batch.AddEvent(
        id(), "", "round_closed",
        {{"round", closing.round}, {"books", books}, {"model_sha256", closing.files->model.sha256}},
        now_ms);
    if (opened) SaveOpened(batch, now_ms);
  }));
  RemoveFile(folder_.SpoolFolder(closing.round));
  RemoveOldFiles();
  return absl::OkStatus();
}

// Models that nobody can ask for any more: all but the newest, the best, and those that are still
// being tested.
void ServerRun::RemoveOldFiles() {
  for (auto model = models_.begin(); model != models_.end();) {
    const int round = model->first;
    const bool untested = round > 0 && IsTested(config_, round, basis_.images) &&
                          !validation_auc_.contains(round) && round >= record_.round - 2;
    // What a late update was trained from.
    const bool late = config_.run.late == "next" && round == record_.round - 1;
    if (round == record_.round || round == record_.best_round || untested || late) {
      ++model;
      continue;
    }
    RemoveFile(folder_.ModelPath(round));
    RemoveFile(folder_.WirePath(round));
    wires_.erase(round);
    model = models_.erase(model);
  }
}

// By the sites' validation images, as the study chooses it. A round whose model is gone was passed
// over before.
RoundChoice ServerRun::ChooseRound(bool has_validation) {
  std::vector<int64_t> images;
  for (const auto& [name, site] : sites_) {
    if (!has_validation || site.state == "refused") continue;
    const auto& counts = site.counts.validation;
    if (images.size() < counts.size()) images.resize(counts.size());
    for (size_t c = 0; c < counts.size(); ++c) images[c] += counts[c];
  }
  const RoundChooser chooser(config_.training.federation.select, std::move(images));
  RoundChoice choice;
  for (const auto& [round, auc] : validation_auc_) {
    if (round == 0) continue;
    if (chooser.Add(choice, round, auc, validation_loss_[round]) && models_.contains(round))
      record_.best_round = round;
  }
  return choice;
}

absl::Status ServerRun::JudgeRound(int round, bool anyhow, int64_t now_ms) {
  if (validation_auc_.contains(round)) return absl::OkStatus();
  MANAKO_ASSIGN_OR_RETURN(const auto evaluations, deps_.store->Evaluations(id(), round));
  std::vector<EvaluationResult> validation, test;
  for (const auto& evaluation : evaluations) {
    const json result = json::parse(evaluation.json, nullptr, false);
    if (result.is_discarded() || !evaluation.trained_by.empty()) continue;
    validation.push_back(ResultFromJson(result.at("validation")));
    test.push_back(ResultFromJson(result.at("test")));
  }
  if (validation.empty() || (validation.size() < ReadySites().size() && !anyhow))
    return absl::OkStatus();
  const int classes = static_cast<int>(config_.run.classes.size()),
            positive = PositiveClass(config_.run.classes, config_.run.positive);
  const PooledMetrics pooled = PoolResults(validation, classes, positive, config_.run.bins),
                      tested = PoolResults(test, classes, positive, config_.run.bins);
  const auto number = [](double value) {
    return std::isfinite(value) ? json(value) : json(nullptr);
  };
  const json metrics = {{"validation_auc", number(pooled.auc)},
                        {"validation_loss", number(pooled.loss)},
                        {"validation_images", pooled.images},
                        {"test_auc", number(tested.auc)},
                        {"test_loss", number(tested.loss)},
                        {"test_images", tested.images},
                        {"method", tested.method},
                        {"sites", validation.size()}};
  validation_auc_[round] = pooled.auc;
  validation_loss_[round] = pooled.loss;
  const RoundChoice choice = ChooseRound(pooled.images > 0);
  const int patience = config_.training.federation.patience;
  const bool stop = patience > 0 && record_.state == "training" && choice.since_best >= patience &&
                    !rounds_.finished() && !closing_;
  if (stop) {
    for (const auto& [site, ask] : rounds_.asks()) settled_asks_[{rounds_.round(), site}] = ask;
    rounds_.EndRun();
  }
  return Commit([&](FederationStore::Batch& batch) {
    batch.SetMetrics(id(), round, metrics.dump());
    batch.AddEvent(id(), "", "round_tested",
                   {{"round", round}, {"metrics", metrics}, {"best_round", record_.best_round}},
                   now_ms);
    if (stop)
      batch.AddEvent(id(), "", "stopped_early",
                     {{"round", record_.round}, {"best_round", record_.best_round}}, now_ms);
  });
}

absl::Status ServerRun::EndTesting(int64_t now_ms) {
  MANAKO_RETURN_IF_ERROR(JudgeRound(record_.round, /*anyhow=*/true, now_ms));
  if (record_.best_round < 0 || config_.training.federation.select == "last")
    record_.best_round = record_.round;
  return End("finished", "", now_ms);
}

absl::Status ServerRun::End(const std::string& state, const std::string& why, int64_t now_ms) {
  record_.state = state;
  record_.why = why;
  record_.finished_ms = now_ms;
  if (record_.best_round < 0 && record_.round > 0) record_.best_round = record_.round;
  const std::string spool = folder_.path() + "/spool";
  return Commit([&](FederationStore::Batch& batch) {
    batch.AddEvent(id(), "", "run_" + state,
                   {{"why", why}, {"round", record_.round}, {"best_round", record_.best_round}},
                   now_ms);
  });
}

}  // namespace manako
