// What a site's policy says of a run and of a round. Pure functions: nothing here reads a file or a
// clock.
#ifndef MANAKO_SITE_POLICY_H_
#define MANAKO_SITE_POLICY_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/federated_run_config.h"
#include "core/federation.h"
#include "site/site_config.h"

namespace manako {

// Why a run is not taken, before any image is read: one line for each reason; empty: it may be.
// `networks` names the built-in architectures; any other is a TorchScript file. Without names,
// whatever is written as a file would be (with '/' or '.').
std::vector<std::string> ReasonsAgainst(const SitePolicy& policy, const FederatedRunConfig& config,
                                        const std::vector<std::string>& networks);

// The same once the images are counted: classes with fewer training images than site or run want.
// The lines say what is wanted and never how many there are, so that they may leave.
std::vector<std::string> TooFewImages(const SitePolicy& policy, const FederatedRunConfig& config,
                                      const SiteCounts& counts);

// A person's word on a question.
enum class Consent : uint8_t { kNone, kGranted, kRefused };

enum class Gate : uint8_t { kOpen, kAsk, kClosed };
struct GateDecision {
  Gate gate = Gate::kOpen;
  std::string why;  // of kClosed, one line
};

// May the site answer "ready" to the run? `run` is what a person said to it.
GateDecision MayJoin(const SitePolicy& policy, Consent run);

struct RoundCircumstances {
  int rounds_in_a_day = 0;  // that the site trained in the last 24 hours
  bool first = true;        // the site has trained no round of this run yet
  Consent consent =
      Consent::kNone;  // to this round; where approval is first_round, to the run's first
};
// May this round be trained now?
GateDecision MayTrain(const SitePolicy& policy, const RoundCircumstances& now);

// May a model be tested here? Other sites' own models only where policy and run both allow it.
GateDecision MayTest(const SitePolicy& policy, const FederatedRunConfig& config,
                     const TestTask& task);

enum class ReportLevel : uint8_t { kMetrics, kHistograms, kScores };
// The lesser of what the run asks and the policy allows; histograms are for two classes, and
// metrics stand in for them.
ReportLevel AgreedReport(const SitePolicy& policy, const RunSettings& run);

// Counts as they may leave: 1 to min_count - 1 become min_count.
int64_t RoundedCount(const SitePolicy& policy, int64_t count);
SiteCounts RoundedCounts(const SitePolicy& policy, const SiteCounts& counts);

// An error's text as it may leave: one line of at most 300 bytes, without names of files and
// folders (which often are patients), and without counts of images below min_count.
std::string WordsThatMayLeave(const SitePolicy& policy, std::string_view text);

}  // namespace manako

#endif  // MANAKO_SITE_POLICY_H_
