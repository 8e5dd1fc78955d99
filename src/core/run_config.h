// Everything that a run depends on, as plain data. The TOML file, the command line's flags and the
// report's table of the protocol are all made from the one list of fields in VisitFields().
#ifndef MANAKO_CORE_RUN_CONFIG_H_
#define MANAKO_CORE_RUN_CONFIG_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace manako {

struct DataConfig {
  std::string path;  // folder of class folders, folder with train/ and test/, CSV manifest, or .npz
  std::string test;  // a test set given apart, in any of these forms
  std::string file_column = "file";  // of a manifest
  std::string label_column = "label";
  std::string group_column;  // patient; empty: every image is its own
  std::string site_column;
  std::string split_column;   // train, validation or test
  std::string positive;       // class name; empty: the one that isn't called normal, healthy, ...
  int image_size = 0;         // side in pixels; 0: what the architecture was made for
  std::string crop = "auto";  // the black border: auto, on, off
  double max_bad = 0.05;      // share of unreadable images above which the study ends
  std::string cache;          // folder of decoded images; empty: cache/ in the run folder
};

struct SplitConfig {
  int train_per_class = 0;  // 0: all that remain
  int test_per_class = 0;   // 0: by test_share
  double test_share = 0.2;
  double validation_share = 0.15;  // of each site's training images
  bool fixed = false;  // every repeat uses the first one's split (only the training's seed changes)
};

struct PartitionConfig {
  int sites = 3;
  std::string scheme = "iid";       // iid, dirichlet, proportions, column
  double alpha = 0.5;               // dirichlet
  std::vector<double> proportions;  // one for each site, in any unit
};

struct ModelConfig {
  std::string architecture = "cnn3";  // a built-in name, or the path of a TorchScript file
  std::string init;                   // file with trained parameters; empty: random
  double dropout = -1;                // < 0: the architecture's own
};

struct AugmentConfig {
  bool flip_horizontal = true;
  bool flip_vertical = false;
  double rotate_degrees = 10;  // uniform in +-
  double scale = 0.1;          // uniform in 1 +-
  double brightness = 0.1;     // added, as a share of the full range, uniform in +-
  double contrast = 0.1;       // multiplied, uniform in 1 +-
  bool Any() const {
    return flip_horizontal || flip_vertical || rotate_degrees > 0 || scale > 0 || brightness > 0 ||
           contrast > 0;
  }
};

struct TrainConfig {
  std::string optimiser = "adam";  // sgd, adam, adamw
  double learning_rate = 0;        // 0: the usual one (UsualLearningRate)
  double momentum = 0.9;           // sgd
  bool nesterov = false;
  double weight_decay = 1e-4;
  int batch = 32;
  int epochs = 20;       // passes over all images in the whole run, where federation.rounds is 0
  int local_epochs = 0;  // passes over a site's images in a round; 0: ResolveRounds
  int local_steps = 0;   // > 0: so many steps instead
  std::string schedule = "cosine";  // cosine, step, constant
  double warmup_share = 0.05;       // of all steps, linear from zero
  int step_rounds = 10;             // step: multiply by step_factor every so many rounds
  double step_factor = 0.1;
  bool class_balanced = true;      // weigh the loss by inverse class frequency
  std::string precision = "auto";  // float32, bfloat16, auto
  std::string device = "cpu";      // cpu, cuda
  std::string engine = "auto";     // torch, fused, auto: the fused one where it knows the network
  bool channels_last = true;
  bool augment = true;
  AugmentConfig augmentation;
  // until:LAYER: all layers before this one keep their values, and what they make of the images is
  // computed once; empty: every layer is trained.
  std::string freeze;
  int feature_variants = 8;  // with freeze and augment: augmented variants of a training image
};

// LAYER of train.freeze = until:LAYER; empty: nothing is frozen.
std::string FrozenUntil(const TrainConfig& train);

struct FederationConfig {
  int rounds = 0;  // 0: as many as make train.epochs
  std::string strategy = "fedavg";
  std::string weighting = "images";  // images, uniform
  std::string site_batch =
      "share";  // share: the batch is divided among the sites; full: every site uses all of it
  bool keep_optimiser =
      true;  // a site's momentum lives from round to round (it never leaves the site)
  std::string select =
      "near_best";   // near_best, best (by validation AUC), last: round/round_choice.h
  int patience = 0;  // > 0: stop after so many rounds without a better validation AUC
};

struct StudyConfig {
  std::vector<std::string> arms = {"pooled", "federated", "alone"};
  int repeats = 1;
  int folds = 0;         // 0: no cross-validation
  double margin = 0.02;  // of equivalence, in AUC
  uint64_t seed = 1;
  bool thumbnails = true;
};

struct RunConfig {
  DataConfig data;
  SplitConfig split;
  PartitionConfig partition;
  ModelConfig model;
  TrainConfig train;
  FederationConfig federation;
  StudyConfig study;

  // InvalidArgument that names the field (as in the TOML), its value, and what it may be.
  absl::Status Validate() const;
  // TOML with every field; FromToml(ToToml(c)) is c.
  std::string ToToml() const;
  // InvalidArgument for bad TOML (with line), a field of another type, or one that nobody knows.
  static absl::StatusOr<RunConfig> FromToml(const std::string& text, const std::string& name);
};

// InvalidArgument where layers are frozen that nobody has trained. For who makes the first model: a
// site of a federation is not told of model.init.
absl::Status CheckFrozenAreTrained(const RunConfig& config);

// sgd 0.01, adam and adamw 0.001; a fifth of that where training starts from trained parameters.
double UsualLearningRate(const TrainConfig& train, const ModelConfig& model);

// Fills in federation.rounds, train.local_epochs and train.local_steps where they are 0, so that
// the run makes train.epochs passes over `train_images` images. Where neither rounds nor their
// length are given, a round is kUsualLocalSteps steps or an epoch, whichever is less: models that
// are averaged less often lose (docs/study.md, docs/results.md).
void ResolveRounds(RunConfig& config, int64_t train_images);
inline constexpr int kUsualLocalSteps = 4;

// Whether a round completes a pass over all images, where it is shorter than one; rounds that are
// not always do. Only then is a model worth a test.
bool EndsEpoch(const TrainConfig& train, int round, int64_t train_images);

// Calls visit(table, key, member reference, help) for every field, in the order in which they are
// written.
template <typename Config, typename Visit>
void VisitFields(Config& c, Visit&& visit) {
  visit("data", "path", c.data.path, "Images: folder, CSV manifest or .npz");
  visit("data", "test", c.data.test, "Test images given apart");
  visit("data", "file_column", c.data.file_column, "Manifest column with the image file");
  visit("data", "label_column", c.data.label_column, "Manifest column with the class");
  visit("data", "group_column", c.data.group_column,
        "Manifest column with the patient (never divided)");
  visit("data", "site_column", c.data.site_column, "Manifest column with the hospital");
  visit("data", "split_column", c.data.split_column,
        "Manifest column with train, validation or test");
  visit("data", "positive", c.data.positive, "The class that counts as diseased");
  visit("data", "image_size", c.data.image_size, "Side in pixels (0: the model's own)");
  visit("data", "crop", c.data.crop, "Crop the black border: auto, on, off");
  visit("data", "max_bad", c.data.max_bad, "Largest share of unreadable images");
  visit("data", "cache", c.data.cache, "Folder for decoded images");
  visit("split", "train_per_class", c.split.train_per_class,
        "Training images of each class (0: all)");
  visit("split", "test_per_class", c.split.test_per_class,
        "Test images of each class (0: by share)");
  visit("split", "test_share", c.split.test_share, "Share of the images for testing");
  visit("split", "validation_share", c.split.validation_share,
        "Share of the training images for validation");
  visit("split", "fixed", c.split.fixed, "Same split in every repeat");
  visit("partition", "sites", c.partition.sites, "Number of sites");
  visit("partition", "scheme", c.partition.scheme, "iid, dirichlet, proportions, column");
  visit("partition", "alpha", c.partition.alpha, "Dirichlet concentration (small: unequal)");
  visit("partition", "proportions", c.partition.proportions, "Share of each site");
  visit(
      "model", "architecture", c.model.architecture,
      "cnn3, vgg16, resnet18, resnet50, densenet121, squeezenet1_1, mobilenet_v3_small, or a file");
  visit("model", "init", c.model.init, "File with trained parameters");
  visit("model", "dropout", c.model.dropout, "Dropout (-1: the model's own)");
  visit("train", "optimiser", c.train.optimiser, "sgd, adam, adamw");
  visit("train", "learning_rate", c.train.learning_rate, "Learning rate (0: the usual one)");
  visit("train", "momentum", c.train.momentum, "Momentum of sgd");
  visit("train", "nesterov", c.train.nesterov, "Nesterov's momentum");
  visit("train", "weight_decay", c.train.weight_decay, "Weight decay");
  visit("train", "batch", c.train.batch, "Images in a batch");
  visit("train", "epochs", c.train.epochs, "Passes over the images in the run, if --rounds is 0");
  visit("train", "local_epochs", c.train.local_epochs,
        "Epochs of a round (0: 4 steps, at most an epoch)");
  visit("train", "local_steps", c.train.local_steps, "Steps in a round instead of epochs (0: off)");
  visit("train", "schedule", c.train.schedule, "cosine, step, constant");
  visit("train", "warmup_share", c.train.warmup_share, "Share of the steps to warm up");
  visit("train", "step_rounds", c.train.step_rounds, "Step schedule: rounds between steps");
  visit("train", "step_factor", c.train.step_factor, "Step schedule: factor");
  visit("train", "class_balanced", c.train.class_balanced,
        "Weigh the loss by inverse class frequency");
  visit("train", "precision", c.train.precision, "auto, float32, bfloat16");
  visit("train", "device", c.train.device, "cpu, cuda");
  visit("train", "engine", c.train.engine, "Training engine: torch, fused, auto");
  visit("train", "channels_last", c.train.channels_last, "Memory layout of images");
  visit("train", "augment", c.train.augment, "Augment training images");
  visit("train", "flip_horizontal", c.train.augmentation.flip_horizontal, "Augmentation: mirror");
  visit("train", "flip_vertical", c.train.augmentation.flip_vertical, "Augmentation: upside down");
  visit("train", "rotate_degrees", c.train.augmentation.rotate_degrees,
        "Augmentation: rotation up to");
  visit("train", "scale", c.train.augmentation.scale, "Augmentation: scale up to 1+-");
  visit("train", "brightness", c.train.augmentation.brightness,
        "Augmentation: brightness up to +-");
  visit("train", "contrast", c.train.augmentation.contrast, "Augmentation: contrast up to 1+-");
  visit("train", "freeze", c.train.freeze, "until:LAYER: the layers before it are not trained");
  visit("train", "feature_variants", c.train.feature_variants,
        "With --freeze: augmented variants of each training image");
  visit("federation", "rounds", c.federation.rounds, "Rounds (0: as many as make the epochs)");
  visit("federation", "strategy", c.federation.strategy, "fedavg");
  visit("federation", "weighting", c.federation.weighting, "A site's weight: images, uniform");
  visit("federation", "site_batch", c.federation.site_batch,
        "share: batch divided among sites; full");
  visit("federation", "keep_optimiser", c.federation.keep_optimiser,
        "Momentum lives from round to round");
  visit("federation", "select", c.federation.select,
        "Final model, by validation: near_best, best, last");
  visit("federation", "patience", c.federation.patience,
        "Rounds without gain before stopping (0: off)");
  visit("study", "arms", c.study.arms, "Arms to compare: pooled federated alone");
  visit("study", "repeats", c.study.repeats, "Repeats with other seeds");
  visit("study", "folds", c.study.folds, "Cross-validation folds (0: off)");
  visit("study", "margin", c.study.margin, "Equivalence margin in AUC");
  visit("study", "seed", c.study.seed, "Seed of all randomness");
  visit("study", "thumbnails", c.study.thumbnails, "Thumbnails of mistakes in the report");
}

}  // namespace manako

#endif  // MANAKO_CORE_RUN_CONFIG_H_
