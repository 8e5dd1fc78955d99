// One run at the server: what each site is to do next, and what its answers change. Rules are
// RoundState's, arithmetic is ReduceRoundFiles'; this puts them on files and in the database, so
// that any crash leaves the run where it was.
#ifndef MANAKO_SERVER_SERVER_RUN_H_
#define MANAKO_SERVER_SERVER_RUN_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/federated_run_config.h"
#include "core/federation.h"
#include "round/round_choice.h"
#include "round/round_state.h"
#include "round/strategy.h"
#include "server/federation_store.h"
#include "server/run_folder.h"

namespace manako {

// All members are called under the server's lock, but for Closing::Work().
class ServerRun {
 public:
  struct Deps {
    FederationStore* store = nullptr;
    int threads = 1;
  };
  // Takes up a run where the database says that it is. DataLoss: its files are damaged (says which,
  // and what to do).
  static absl::StatusOr<std::unique_ptr<ServerRun>> Load(const RunRecord& record,
                                                         const std::string& folder, Deps deps);

  const std::string& id() const { return record_.id; }
  const RunRecord& record() const { return record_; }
  const RoundState& rounds() const { return rounds_; }
  // What Load() found damaged and mended, one line each.
  const std::vector<std::string>& problems() const { return problems_; }
  bool over() const {
    return record_.state == "finished" || record_.state == "cancelled" || record_.state == "failed";
  }
  bool running() const { return record_.wanted == "running" && !over(); }
  // Whether there is nothing left to say to any site.
  bool settled() const;

  // What a person wants now; `enrolled` are the federation's sites.
  absl::Status Want(const std::string& wanted, const std::vector<std::string>& enrolled,
                    int64_t now_ms);
  // A site is gone for good.
  absl::Status SiteGone(const std::string& site, const std::string& why, int64_t now_ms);
  // A site has come back (a new process or connection): what it had failed at, it may try again.
  absl::Status SiteBack(const std::string& site, int64_t now_ms);

  // The task that waits for a site here; none when there is none.
  std::optional<SiteTask> TaskFor(const std::string& site) const;
  bool TakesPart(const std::string& site) const { return sites_.contains(site); }

  absl::Status Take(const std::string& site, const OfferAnswer& answer, int64_t now_ms);
  absl::Status Take(const std::string& site, const Evaluation& evaluation, int64_t now_ms);
  absl::Status Take(const std::string& site, const Failure& failure, int64_t now_ms);
  absl::Status Take(const std::string& site, const EndAnswer& answer, int64_t now_ms);

  // The file that a site may fetch. NotFound.
  absl::StatusOr<std::string> ArtifactPath(const std::string& site,
                                           const ArtifactId& artifact) const;

  // Whether an update can be taken at all, before any of its bytes are. InvalidArgument,
  // FailedPrecondition.
  absl::Status CheckUpload(const std::string& site, const Submission& submission) const;
  // What the file, read whole, must be.
  absl::StatusOr<ArrayFileExpectation> Expect(const Submission& submission) const;
  // Where an update would lie that counts in the open round.
  std::string SpoolPath(const std::string& site, const Submission& submission) const {
    return folder_.SpoolPath(rounds_.round(), site, submission.artifact.sha256);
  }
  // What becomes of it. `summary` is of the file at `path`, which is moved; or stays, where it is
  // on the disk under its SpoolPath() already.
  absl::StatusOr<Receipt> Keep(const std::string& site, const Submission& submission,
                               const ArrayFileSummary& summary, const std::string& path,
                               int64_t now_ms);
  // The receipt of what is kept already; none when it is not.
  std::optional<Receipt> KeptBefore(const std::string& site, const Submission& submission) const;
  const RunFolder& folder() const { return folder_; }
  // The model that an update for `round` was trained from, where it is to be read against one.
  std::string BaseModelPath(int round) const;

  // What time and answers have made due: opens rounds, ends phases. True when a round is to be
  // closed: then Closing does it.
  absl::StatusOr<bool> Advance(int64_t now_ms);
  // When Advance() is due again by time alone; 0: never.
  int64_t NextDeadline() const;

  // Averages a round's updates, without the lock, and then makes the result the run's model.
  struct Closing {
    RunFolder folder{""};
    std::shared_ptr<const ModelSpec> spec;
    const Strategy* strategy = nullptr;
    ArrayEncoding encoding = ArrayEncoding::kFloat32;
    int round = 0, threads = 1;
    bool keep_own = false;
    std::vector<SpooledUpdate> updates;
    absl::StatusOr<RoundFiles> files = absl::UnknownError("");
    std::map<std::string, ArtifactId> own;  // of cross-site tests
    std::vector<std::string> damaged;       // sites whose spooled update cannot be read
    void Work();
  };
  absl::StatusOr<std::optional<Closing>> BeginClosing(int64_t now_ms);
  absl::Status EndClosing(const Closing& closing, int64_t now_ms);

 private:
  ServerRun(RunRecord record, FederatedRunConfig config, RunFolder folder, Deps deps);
  absl::Status LoadFiles();
  nlohmann::json StateJson(const RoundState& rounds) const;
  // One step's changes, in one transaction: `change` fills the batch.
  template <typename Change>
  absl::Status Commit(Change change);
  absl::Status OpenRound(int64_t now_ms);
  void SaveOpened(FederationStore::Batch& batch, int64_t now_ms) const;
  absl::Status BeginTraining(int64_t now_ms);
  absl::Status EndTesting(int64_t now_ms);
  absl::Status End(const std::string& state, const std::string& why, int64_t now_ms);
  // Pools what the sites found of the model behind `round`, when all ready sites have tested it (or
  // `anyhow`), and sees whether it is the best so far.
  absl::Status JudgeRound(int round, bool anyhow, int64_t now_ms);
  RoundChoice ChooseRound(bool has_validation);
  // Whether an update for the round just closed would count in the open one (run.late): the site
  // was asked there and had not answered, and has not answered here.
  bool CountsLate(const std::string& site, int round) const;
  std::vector<std::string> ReadySites() const;
  std::vector<std::pair<std::string, int>> MissingTests(
      const std::string& site) const;  // (trained_by, round)
  bool Tested(int round, const std::string& trained_by, const std::string& site) const;
  ArtifactId FinalArtifact() const;
  // What became of a site's update for a closed round, where it is not what its receipt said.
  std::optional<Receipt> Amended(const std::string& site, int round) const;
  void RemoveOldFiles();

  RunRecord record_;
  FederatedRunConfig config_;
  RunFolder folder_;
  Deps deps_;
  std::shared_ptr<const ModelSpec> spec_;
  std::unique_ptr<Strategy> strategy_;
  ArrayEncoding encoding_ = ArrayEncoding::kFloat32;
  RoundState rounds_;
  RunBasis basis_;
  bool has_basis_ = false, closing_ = false;
  std::map<std::string, RunSiteRecord> sites_;
  std::map<int, ArtifactId> models_, wires_;      // by round, that are on the disk
  std::map<std::string, ArtifactId> own_models_;  // by site
  std::set<std::string> tested_;                  // "round/trained_by/site"
  // What became of updates of closed rounds: a site that was killed behind its receipt sends the
  // same one again.
  std::map<std::pair<int, std::string>, Ask> settled_asks_;
  std::map<int, double> validation_auc_, validation_loss_;  // of rounds that all have tested
  int64_t test_deadline_ms_ = 0;
  std::vector<std::string> problems_;
};

}  // namespace manako

#endif  // MANAKO_SERVER_SERVER_RUN_H_
