// All that a site tells a server is made here and nowhere else, so that what the policy forbids
// cannot get into an answer.
#ifndef MANAKO_SITE_ANSWERS_H_
#define MANAKO_SITE_ANSWERS_H_

#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "core/federated_run_config.h"
#include "core/federation.h"
#include "site/site_config.h"

namespace manako {

// Of one site's policy. Thread-safe: nothing changes.
class Answers {
 public:
  explicit Answers(SitePolicy policy) : policy_(std::move(policy)) {}

  OfferAnswer Ready(const std::string& run, const SiteCounts& counts) const;
  OfferAnswer Waits(const std::string& run) const;
  // `why` in any words; what leaves are WordsThatMayLeave().
  OfferAnswer Refused(const std::string& run, std::string_view why) const;

  // Either set may be null: it is not told of. A class with 1 to min_count - 1 images in a set
  // leaves only metrics of that set. Scores are sorted by class and probability, an order that says
  // nothing of the images. InvalidArgument: a loss or a probability that is no number.
  absl::StatusOr<Evaluation> Tested(const FederatedRunConfig& config, const std::string& run,
                                    int round, const std::string& trained_by,
                                    const Predictions* validation, const Predictions* test) const;

  Failure Failed(const std::string& run, int round, std::string_view why) const;
  Failure RefusedRound(const std::string& run, int round, std::string_view why) const;

  // Of an update only what a Submission has: of its metrics train_loss.
  Submission Trained(const RoundTask& task, const Update& update, const ArtifactId& artifact,
                     double l2) const;

 private:
  EvaluationResult Report(const FederatedRunConfig& config, const Predictions& predictions) const;

  SitePolicy policy_;
};

// The chance that an image of the positive class gets a higher score than another, ties counting
// one half (Mann-Whitney). NaN without positives or without others.
double Auc(std::span<const double> scores, std::span<const uint8_t> positive);

// An answer as JSON with sorted keys: what the ledger counts and hashes.
std::string AnswerAsText(const SiteAnswer& answer);
// In a few words what it tells: "counts", "metrics, histogram".
std::string ContentsOf(const SiteAnswer& answer);

}  // namespace manako

#endif  // MANAKO_SITE_ANSWERS_H_
