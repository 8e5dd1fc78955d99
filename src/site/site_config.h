// site.toml: what a branch hospital decides for itself. Read once, when its agent starts.
#ifndef MANAKO_SITE_SITE_CONFIG_H_
#define MANAKO_SITE_SITE_CONFIG_H_

#include <string>

#include "absl/status/statusor.h"
#include "core/label_map.h"

namespace manako {

struct SiteServer {
  std::string address;     // host:port
  std::string federation;  // its name, for people
  std::string site;        // this site's name there, as in its certificate
  std::string proxy;  // http://host:port; empty: https_proxy of the environment; none: never one
};

struct SiteData {
  std::string path;  // folder of class folders, folder with train/ and test/, CSV manifest, or .npz
  std::string test;  // a test set given apart, in any of these forms
  std::string file_column = "file";  // of a manifest
  std::string label_column = "label";
  std::string group_column;      // patient; empty: every image is its own
  std::string split_column;      // train, validation or test
  std::string site_column;       // hospital, of a manifest of several:
  std::string site_value;        // only these rows are this site's; empty: server.site
  double max_bad = 0.05;         // share of unreadable images above which a run is refused
  double test_share = -1;        // of the images; < 0: as the run says
  double validation_share = -1;  // of the training images; < 0: as the run says
};

struct SitePolicy {
  int min_images_per_class =
      20;  // training images of each class without which the site takes part in no run
  std::string reports =
      "histograms";              // the most that may leave of a test: metrics, histograms, scores
  int max_rounds_per_day = 0;    // in any 24 hours, all runs together; 0: no limit
  std::string approval = "run";  // what a person is asked for: none, run, first_round, each_round
  int min_count = 5;             // counts of a class from 1 to min_count - 1 leave as min_count
  bool cross_site =
      false;  // runs that test this site's own last model at other sites, and theirs here
  bool torchscript =
      false;  // runs with an architecture that is not built in: a program from elsewhere
  std::string keep_models =
      "last";  // of a run, beside its final model: none, last, best (by own validation images), all
};

struct SiteCompute {
  int threads = 0;    // 0: all processors
  std::string cache;  // decoded images; empty: cache/ in the site's folder
};

struct SiteConfig {
  SiteServer server;
  SiteData data;
  LabelMap labels;  // [labels]: "name here" = "class", or a list of classes, or [] to leave out
  SitePolicy policy;
  SiteCompute compute;

  // InvalidArgument that names the field (as in the TOML), its value, and what it may be.
  absl::Status Validate() const;
  // TOML with every field; FromToml(ToToml(c)) is c.
  std::string ToToml() const;
  // The same with a comment above each field that says what it decides: what `manako site join`
  // writes, for a person to edit.
  std::string ToCommentedToml() const;
  // InvalidArgument for bad TOML (with line), a field of another type, or one that nobody knows.
  // Not validated.
  static absl::StatusOr<SiteConfig> FromToml(const std::string& text, const std::string& name);
  // Reads and validates. NotFound: no such file.
  static absl::StatusOr<SiteConfig> Load(const std::string& path);
};

// All but [labels], whose keys are the site's own.
template <typename Config, typename Visit>
requires requires(Config& c) { c.policy.min_count; }
void VisitFields(Config& c, Visit&& visit) {
  visit("server", "address", c.server.address, "The server: host:port");
  visit("server", "federation", c.server.federation, "The federation's name");
  visit("server", "site", c.server.site, "This site's name in it");
  visit("server", "proxy", c.server.proxy,
        "HTTPS proxy: http://host:port; empty: as https_proxy says; none: no proxy");
  visit("data", "path", c.data.path, "Images: folder, CSV manifest or .npz");
  visit("data", "test", c.data.test, "Test images given apart");
  visit("data", "file_column", c.data.file_column, "Manifest column with the image file");
  visit("data", "label_column", c.data.label_column, "Manifest column with the class");
  visit("data", "group_column", c.data.group_column,
        "Manifest column with the patient (never divided)");
  visit("data", "split_column", c.data.split_column,
        "Manifest column with train, validation or test");
  visit("data", "site_column", c.data.site_column, "Manifest column with the hospital");
  visit("data", "site_value", c.data.site_value,
        "This site's rows in that column (empty: its name)");
  visit("data", "max_bad", c.data.max_bad, "Largest share of unreadable images");
  visit("data", "test_share", c.data.test_share,
        "Share of the images for testing (-1: as the run says)");
  visit("data", "validation_share", c.data.validation_share,
        "Share of the training images for validation (-1: as the run says)");
  visit("policy", "min_images_per_class", c.policy.min_images_per_class,
        "Training images of each class without which this site takes part in no run");
  visit("policy", "reports", c.policy.reports,
        "The most that may leave of a test: metrics, histograms, scores");
  visit("policy", "max_rounds_per_day", c.policy.max_rounds_per_day,
        "Rounds in any 24 hours (0: no limit)");
  visit("policy", "approval", c.policy.approval,
        "What a person is asked for: none, run, first_round, each_round");
  visit("policy", "min_count", c.policy.min_count,
        "Smaller counts of a class leave as this number");
  visit("policy", "cross_site", c.policy.cross_site,
        "Runs that test this site's own model at other sites");
  visit("policy", "torchscript", c.policy.torchscript, "Runs whose network is not built in");
  visit("policy", "keep_models", c.policy.keep_models,
        "Rounds' models kept beside the final one: none, last, best, all");
  visit("compute", "threads", c.compute.threads, "Threads (0: all processors)");
  visit("compute", "cache", c.compute.cache,
        "Folder for decoded images (empty: cache/ in the site's folder)");
}

}  // namespace manako

#endif  // MANAKO_SITE_SITE_CONFIG_H_
