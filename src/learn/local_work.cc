#include "learn/local_work.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/random.h"
#include "base/status_macros.h"
#include "core/local_share.h"
#include "data/dataset.h"
#include "data/split.h"
#include "learn/engine.h"
#include "learn/feature_cache.h"
#include "learn/frozen_network.h"
#include "learn/networks.h"
#include "learn/torch_learner.h"

namespace manako {
namespace {

// Some images of another store.
class Subset : public ImageStore {
 public:
  Subset(std::shared_ptr<const ImageStore> all, std::vector<size_t> images)
      : all_(std::move(all)), images_(std::move(images)) {}
  int height() const override { return all_->height(); }
  int width() const override { return all_->width(); }
  size_t size() const override { return images_.size(); }
  const uint8_t* Pixels(size_t image) const override { return all_->Pixels(images_[image]); }

 private:
  std::shared_ptr<const ImageStore> all_;
  std::vector<size_t> images_;
};

// The images that count in the run, with the run's classes: those of other hospitals and of labels
// that are left out are gone.
absl::StatusOr<Dataset> ForRun(Dataset dataset, const LocalWorkOptions& options,
                               const std::vector<std::string>& classes) {
  std::vector<SiteLabel> labels;
  for (const std::string& name : dataset.classes) labels.push_back({name, 0});
  const auto is_own = [&](const Image& image) {
    return options.data.site_column.empty() || image.site == options.site_value;
  };
  for (const Image& image : dataset.images) {
    if (is_own(image)) ++labels[static_cast<size_t>(image.label)].images;
  }
  MANAKO_ASSIGN_OR_RETURN(const std::vector<int> mapped,
                          MapLabels(options.labels, classes, labels));
  std::vector<size_t> kept;
  std::vector<Image> images;
  for (size_t i = 0; i < dataset.images.size(); ++i) {
    Image image = dataset.images[i];
    const int label = mapped[static_cast<size_t>(image.label)];
    if (!is_own(image) || label < 0) continue;
    image.label = label;
    image.site.clear();
    images.push_back(std::move(image));
    kept.push_back(i);
  }
  if (images.empty() && !options.data.site_column.empty()) {
    return InvalidArgument(
        "no image in {} has {} in the column {}: set data.site_value in site.toml",
        options.data.path, options.site_value, options.data.site_column);
  }
  dataset.store = std::make_shared<Subset>(dataset.store, std::move(kept));
  dataset.images = std::move(images);
  dataset.classes = classes;
  return dataset;
}

class LocalRun : public PreparedRun {
 public:
  static absl::StatusOr<std::unique_ptr<PreparedRun>> Make(
      const LocalWorkOptions& options, const FederatedRunConfig& config,
      const std::function<void(int64_t, int64_t)>& progress) {
    auto run = std::make_unique<LocalRun>();
    run->config_ = config;
    const RunConfig& training = config.training;
    DatasetOptions reading;
    reading.config = options.data;
    reading.config.image_size = training.data.image_size > 0
                                    ? training.data.image_size
                                    : UsualImageSize(training.model.architecture);
    reading.config.crop = training.data.crop;
    reading.cache_folder = options.data.cache;
    reading.threads = options.threads;
    if (progress) {
      reading.progress = [&progress](size_t done, size_t total) {
        progress(static_cast<int64_t>(done), static_cast<int64_t>(total));
      };
    }
    MANAKO_ASSIGN_OR_RETURN(Dataset all, ReadDataset(reading));
    MANAKO_ASSIGN_OR_RETURN(run->dataset_, ForRun(std::move(all), options, config.run.classes));
    CellOptions cell;
    cell.split.test_share =
        options.test_share >= 0 ? options.test_share : training.split.test_share;
    cell.split.validation_share =
        options.validation_share >= 0 ? options.validation_share : training.split.validation_share;
    cell.partition.sites = 1;
    cell.seed = DeriveSeed(config.run.seed, "split");
    MANAKO_ASSIGN_OR_RETURN(run->plan_, PlanCell(run->dataset_, cell));
    run->train_ = Select(run->dataset_, run->plan_, Split::kTrain);
    run->validation_ = Select(run->dataset_, run->plan_, Split::kValidation);
    run->test_ = Select(run->dataset_, run->plan_, Split::kTest);
    run->counts_ = {run->Count(run->train_), run->Count(run->validation_), run->Count(run->test_)};
    const NetworkOptions network{training.model.architecture,
                                 static_cast<int>(config.run.classes.size()),
                                 training.model.dropout, reading.config.image_size};
    MANAKO_ASSIGN_OR_RETURN(run->pool_, NetworkPool::Create(network));
    if (const std::string layer = FrozenUntil(training.train); !layer.empty()) {
      MANAKO_ASSIGN_OR_RETURN(run->frozen_, FrozenNetwork::Create(network, layer));
    }
    run->cache_folder_ = options.data.cache;
    run->image_size_ = reading.config.image_size;
    return run;
  }

  const SiteCounts& counts() const override { return counts_; }
  std::shared_ptr<const ModelSpec> spec() const override { return pool_->spec(); }

  absl::StatusOr<std::unique_ptr<Learner>> MakeLearner(const FederatedRunConfig& config,
                                                       const RunBasis& basis,
                                                       int site_index) override {
    const RunConfig& training = config.training;
    MANAKO_RETURN_IF_ERROR(CheckDevice(training.train.device));
    const LocalShare share = ShareOf(training, basis, static_cast<int64_t>(train_.size()));
    TorchLearner::Options options;
    options.train = training.train;
    options.train.precision =
        ResolvePrecision(training.train.precision, training.train.device, nullptr);
    options.train.learning_rate = share.learning_rate;
    options.rounds = training.federation.rounds;
    options.keep_optimiser = training.federation.keep_optimiser;
    options.batches_per_epoch = share.batches_per_epoch;
    options.steps_per_round = share.steps_per_round;
    options.class_weights = share.class_weights;
    options.seed =
        DeriveSeed(TrainingSeed(config.run.seed), "site", static_cast<uint64_t>(site_index));
    if (frozen_ != nullptr) {
      MANAKO_ASSIGN_OR_RETURN(options.train.engine,
                              ResolveEngine(frozen_->uses(), options.train, nullptr));
      if (features_ == nullptr) features_ = MakeFeatures(options);
      options.features = features_;
    }
    return std::make_unique<TorchLearner>(options, static_cast<int>(config.run.classes.size()),
                                          train_, validation_, test_, pool_.get());
  }

  absl::Status Export(const ParameterSet& model, const std::string& path,
                      const std::string& origin) override {
    ExportOptions options;
    options.path = path;
    options.classes = config_.run.classes;
    options.image_size = image_size_;
    options.crop = config_.training.data.crop;
    options.origin = origin;
    return ExportModel(pool_.get(), model, options);
  }

 private:
  // For all learners of the run: what a task changes in them has no part in the features. One
  // engine uses all of the site's threads.
  std::shared_ptr<FeatureCache> MakeFeatures(const TorchLearner::Options& learner) const {
    FeatureCache::Options options;
    options.train = learner.train;
    options.normalisation = learner.normalisation;
    options.folder = cache_folder_;
    options.seed = config_.run.seed;
    std::vector<int> tested = validation_.images;
    tested.insert(tested.end(), test_.images.begin(), test_.images.end());
    return std::make_shared<FeatureCache>(options, frozen_, dataset_.store.get(), train_.images,
                                          tested);
  }

  std::vector<int64_t> Count(const Examples& examples) const {
    std::vector<int64_t> counts(config_.run.classes.size(), 0);
    for (const int label : examples.labels) ++counts[static_cast<size_t>(label)];
    return counts;
  }

  FederatedRunConfig config_;
  Dataset dataset_;
  CellPlan plan_;
  Examples train_, validation_, test_;
  SiteCounts counts_;
  std::shared_ptr<NetworkPool> pool_;
  std::shared_ptr<FrozenNetwork> frozen_;  // null: no layer is
  std::shared_ptr<FeatureCache> features_;
  std::string cache_folder_;
  int image_size_ = 0;
};

class LocalWork : public SiteWork {
 public:
  explicit LocalWork(LocalWorkOptions options) : options_(std::move(options)) {}
  absl::StatusOr<std::unique_ptr<PreparedRun>> Prepare(
      const FederatedRunConfig& config,
      const std::function<void(int64_t, int64_t)>& progress) override {
    return LocalRun::Make(options_, config, progress);
  }

 private:
  LocalWorkOptions options_;
};

}  // namespace

std::unique_ptr<SiteWork> MakeLocalWork(LocalWorkOptions options) {
  return std::make_unique<LocalWork>(std::move(options));
}

}  // namespace manako
