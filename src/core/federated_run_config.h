// All that a run of a federation depends on: what the server and every site agree upon before the
// first image is read.
#ifndef MANAKO_CORE_FEDERATED_RUN_CONFIG_H_
#define MANAKO_CORE_FEDERATED_RUN_CONFIG_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/run_config.h"

namespace manako {

struct RunSettings {
  std::string name;                  // for people
  std::vector<std::string> classes;  // in the order of the model's outputs
  std::string positive;  // class name; empty: the one that isn't called normal, healthy, ...
  std::vector<std::string>
      sites;                // that are asked; empty: all that are enrolled when the run starts
  int quorum = 0;           // answers that complete a round at its deadline; 0: all of the cohort
  double cohort_share = 1;  // of the ready sites, drawn anew for each round
  double deadline_minutes = 0;   // of a round, from its opening; 0: none, the round waits for all
  double extension_minutes = 0;  // once, when the quorum is missed at the deadline
  std::string late = "drop";     // an update behind its round's end: drop, next
  std::string encoding =
      "float32";  // of updates and models on the wire: float32, bfloat16, float16, int8
  double max_norm_ratio = 10;  // an update that changes the model more than so many times the
                               // round's median: refused; 0: off
  std::string report = "histograms";  // of each test: metrics, histograms, scores
  int bins = 200;                     // of histograms
  int test_every =
      0;  // rounds between tests at the sites; 0: once an epoch, or every round if longer
  bool cross_site =
      false;  // at the end every site's own last model on every other site's test images
  int min_images_per_class = 0;  // training images of each class that a site must have to take part
  uint64_t seed = 1;
};

struct FederatedRunConfig {
  RunSettings run;
  // Of these data.image_size, data.crop, the split's shares and the whole of model, train and
  // federation count; where a site's images are is the site's own matter.
  RunConfig training;

  // InvalidArgument that names the field (as in the TOML), its value, and what it may be; also for
  // pairs that cannot go together, with what to change.
  absl::Status Validate() const;
  // TOML with every field; FromToml(ToToml(c)) is c.
  std::string ToToml() const;
  static absl::StatusOr<FederatedRunConfig> FromToml(const std::string& text,
                                                     const std::string& name);
};

// Fills in what is left open: image size, learning rate and (with the sites' training images)
// rounds and their length.
void ResolveRun(FederatedRunConfig& config, int usual_image_size, int64_t train_images);

// The seeds of a run's training and of its first model: those of a study's first cell with the same
// seed, so that the two can be compared bit by bit.
uint64_t TrainingSeed(uint64_t run_seed);
uint64_t InitialSeed(uint64_t run_seed);

// Whether the model behind `round` is tested at the sites. The last one always is.
bool IsTested(const FederatedRunConfig& config, int round, int64_t train_images);

template <typename Config, typename Visit>
requires requires(Config& c) { c.run.classes; }
void VisitFields(Config& c, Visit&& visit) {
  visit("run", "name", c.run.name, "Name, for people");
  visit("run", "classes", c.run.classes, "Classes in the order of the model's outputs");
  visit("run", "positive", c.run.positive, "The class that counts as diseased");
  visit("run", "sites", c.run.sites, "Sites that are asked (empty: all)");
  visit("run", "quorum", c.run.quorum, "Answers that complete a round at its deadline (0: all)");
  visit("run", "cohort_share", c.run.cohort_share, "Share of the ready sites asked in a round");
  visit("run", "deadline_minutes", c.run.deadline_minutes, "Deadline of a round (0: none)");
  visit("run", "extension_minutes", c.run.extension_minutes,
        "Extension where the quorum is missed");
  visit("run", "late", c.run.late, "Late updates: drop, next (count in the round behind theirs)");
  visit("run", "encoding", c.run.encoding, "On the wire: float32, bfloat16, float16, int8");
  visit("run", "max_norm_ratio", c.run.max_norm_ratio,
        "Largest change, in medians of the round (0: off)");
  visit("run", "report", c.run.report, "What sites report of a test: metrics, histograms, scores");
  visit("run", "bins", c.run.bins, "Bins of a histogram");
  visit("run", "test_every", c.run.test_every, "Rounds between tests (0: about an epoch)");
  visit("run", "cross_site", c.run.cross_site, "Test every site's model at every other site");
  visit("run", "min_images_per_class", c.run.min_images_per_class,
        "Training images of each class that a site needs");
  visit("run", "seed", c.run.seed, "Seed of all randomness");
  VisitFields(c.training, [&](const char* table, const char* key, auto& field, const char* help) {
    const std::string_view section(table), name(key);
    const bool counts =
        section == "model" || section == "train" || section == "federation" ||
        (section == "data" && (name == "image_size" || name == "crop")) ||
        (section == "split" && (name == "test_share" || name == "validation_share"));
    if (counts) visit(table, key, field, help);
  });
}

}  // namespace manako

#endif  // MANAKO_CORE_FEDERATED_RUN_CONFIG_H_
