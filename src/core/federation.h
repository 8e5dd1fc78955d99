// What passes between a site and the server, as plain structs: the tasks that a server gives, the
// answers that a site sends. Nothing else can be expressed, so nothing else can leave a site.
// src/wire carries these over a network.
#ifndef MANAKO_CORE_FEDERATION_H_
#define MANAKO_CORE_FEDERATION_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/learner.h"
#include "core/local_share.h"

namespace manako {

// An array file (docs/array-file.md), named by the SHA-256 (hex) of all its bytes.
struct ArtifactId {
  std::string sha256;
  int64_t bytes = 0;
};

// The server's word that a submission is on its disk (kept), or why it does not count.
struct Receipt {
  enum class State : uint8_t { kKept, kLate, kRefused };
  State state = State::kKept;
  std::string why;
  std::string run;
  int round = 0;
  std::string sha256;
  int64_t time_ms = 0;  // server's clock
  int64_t log_seq = 0;  // line of the server's receipt log
  std::string
      log_hash;  // SHA-256 of that line: the site keeps it, so that the server cannot take it back
};
// As ledger and receipt log have it.
constexpr const char* NameOf(Receipt::State state) {
  switch (state) {
    case Receipt::State::kKept:
      return "kept";
    case Receipt::State::kLate:
      return "late";
    case Receipt::State::kRefused:
      return "refused";
  }
  return "?";
}

// "Will you take part in this run?" Asked once for each run; `config` is the whole agreement
// (FederatedRunConfig as TOML).
struct OfferTask {
  std::string run;  // identifier, never used again
  std::string config;
};

// "Train this round's model." A site whose last submission already answers (run, round, model)
// sends that again.
struct RoundTask {
  std::string run;
  int round = 0;   // from 1
  int rounds = 0;  // of the run: what the schedule is stretched over
  RunBasis basis;
  int site_index = 0;        // of this site in this run; names its random streams
  ArtifactId model;          // the global model behind round - 1
  std::string model_digest;  // ParameterSet::Digest of the model as the server has it in float32;
                             // empty: not known
  bool evaluate = false;     // test that model first, and answer with an Evaluation of round - 1
  int64_t deadline_ms = 0;   // since 1970, by the server's clock; 0: none
  // A later word on this site's update for the round before: it was kept, and refused when its
  // round was closed.
  std::optional<Receipt> amended;
};

// "Test this model on your images": the run's last global model, or (cross-site) another site's
// own.
struct TestTask {
  std::string run;
  int round = 0;           // behind which the model stood
  std::string trained_by;  // site whose own model it is; empty: the global model
  ArtifactId model;
  std::optional<Receipt> amended;  // as a RoundTask's
};

// "The run is over." The site keeps the model, if there is one.
struct EndTask {
  std::string run;
  std::string state;  // finished, cancelled, failed
  std::string why;
  int round = 0;     // behind which the model stood
  ArtifactId model;  // empty sha256: none
};

// Nothing to do at the moment (Wait of learner.h). The variant is what NextTask gives.
using SiteTask = std::variant<Wait, OfferTask, RoundTask, TestTask, EndTask>;

// Images by class (in the run's order of classes), each split.
struct SiteCounts {
  std::vector<int64_t> train, validation, test;
};

// The answer to an OfferTask.
struct OfferAnswer {
  enum class State : uint8_t { kReady, kRefused, kWaitsForApproval };
  std::string run;
  State state = State::kReady;
  SiteCounts counts;  // of a ready site; counts from 1 to min_count - 1 are given as min_count
  std::string why;    // of a refusal, one line
};

// How a model did on one split of one site. What of it is filled in is what run and site agreed
// upon.
struct EvaluationResult {
  int64_t images = 0;
  double loss = 0;  // mean cross entropy
  Metrics metrics;  // "auc", "accuracy", ...
  // Two-class score histograms: images by class and by bin of the positive class's probability,
  // [classes][bins].
  int bins = 0;
  std::vector<int64_t> histogram;
  // Scores: each image's label and class probabilities, sorted, so that their order tells nothing.
  // Only where a site allows it.
  std::vector<int> labels;
  std::vector<float> probabilities;  // [images][classes]
};

struct Evaluation {
  std::string run;
  int round = 0;
  std::string trained_by;  // as in TestTask
  EvaluationResult validation, test;
};

// "I cannot do this": the site answers a round with nothing. The run goes on without it.
struct Failure {
  std::string run;
  int round = 0;
  std::string why;
  bool refused = false;  // by policy or by a person, and not for a fault
};

// The answer to an EndTask: the run is over here too, and the model (if there is one) is kept.
// Until it comes, the server gives the EndTask again.
struct EndAnswer {
  std::string run;
  std::string model_sha256;  // of what was kept
};

using SiteAnswer = std::variant<OfferAnswer, Evaluation, Failure, EndAnswer>;

// An update as sent: what the array file `artifact` is, and what it counts for.
struct Submission {
  std::string run;
  int round = 0;
  std::string model_sha256;  // RoundTask::model that it was trained from
  ArtifactId artifact;
  int64_t images = 0;  // distinct training images
  int64_t visits = 0;  // image visits in this round
  double l2 = 0;       // of the change
  Metrics metrics;     // train_loss
};

// What a site says while it works; sent by a thread of its own.
struct SiteStatus {
  std::string
      phase;  // idle, preparing, downloading, training, testing, uploading, waiting for approval
  std::string run;
  int round = 0;
  int64_t step = 0, steps = 0;
  double images_per_second = 0;
};
struct StatusReply {
  std::string drop_run;  // a run whose work the site should give up now; empty: none
  std::string why;
  int64_t time_ms = 0;  // server's clock
};

}  // namespace manako

#endif  // MANAKO_CORE_FEDERATION_H_
