// All that the central hospital knows of a run, as the report wants it: what was agreed, which
// sites took part, the rounds, and what the sites sent of their tests. No image and nothing of one.
#ifndef MANAKO_REPORT_FEDERATED_RUN_H_
#define MANAKO_REPORT_FEDERATED_RUN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "core/federation.h"
#include "report/stats/estimate.h"

namespace manako {

// Times are milliseconds since 1970; 0: never. Numbers that do not exist are NaN.
struct FederatedRun {
  struct Site {
    std::string name;
    std::string state;  // asked, waiting, ready, refused, left, ended
    std::string why;    // of refused and left
    SiteCounts counts;  // as the site agreed to send them; empty: it did not
  };
  struct Round {
    int round = 0;  // round 0 is the initial model: a test and nothing else
    int64_t opened_ms = 0, closed_ms = 0;
    int asked = 0, answered = 0, refused = 0, failed = 0, late = 0;
    int64_t visits = 0;                     // of images, of the sites that answered
    double train_loss = stats::kUndefined;  // mean over the answers, by images
    double validation_auc = stats::kUndefined, test_auc = stats::kUndefined;  // of all sites
    std::string method;  // of the AUCs: scores, histograms, metrics
  };
  // One site's test of one model: the global one behind `round`, or another site's own.
  struct Test {
    int round = 0;
    std::string trained_by;  // empty: the global model
    std::string site;        // that tested it
    EvaluationResult validation, test;
  };

  std::string manako_version, federation;
  std::string id, name;
  std::string state, why;  // created, gathering, training, testing, finished, cancelled, failed
  int64_t created_ms = 0, started_ms = 0, finished_ms = 0;
  int round = 0, rounds = 0;  // completed, and in all (0: not known yet)
  int best_round = -1;        // whose model is the run's; -1: none yet
  std::vector<std::string> classes;
  int positive = -1;   // index of the positive one of two classes; -1: several classes
  bool chosen = true;  // best_round was chosen by validation images; false: it is the last
  std::string report;  // what was asked of a test: metrics, histograms, scores
  int bins = 0;        // of a histogram
  std::string config_toml;
  std::vector<Site> sites;        // by name
  std::vector<Round> all_rounds;  // in their order
  std::vector<Test> tests;
};

}  // namespace manako

#endif  // MANAKO_REPORT_FEDERATED_RUN_H_
