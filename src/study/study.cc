#include "study/study.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "data/dataset.h"
#include "data/split.h"
#include "learn/engine.h"
#include "learn/feature_cache.h"
#include "learn/frozen_network.h"
#include "learn/networks.h"
#include "learn/torch_learner.h"
#include "study/journal.h"
#include "study/model_run.h"
#include "study/scheduler.h"
#include "study/tables.h"

namespace manako {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::string MachineName() {
  std::ifstream info("/proc/cpuinfo");
  std::string model = "unknown processor";
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) {
      model = line.substr(line.find(':') + 2);
      break;
    }
  }
  return fmt::format("{}, {} cores", model, std::max(1u, std::thread::hardware_concurrency()));
}

// Whether `path` is `folder` or lies below it.
bool LiesIn(const std::string& path, const std::string& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) return false;
  const fs::path inner = fs::weakly_canonical(path, error), outer = fs::canonical(folder, error);
  if (error) return false;
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

// One repeat and fold.
struct Cell {
  int repeat, fold;
  uint64_t seed;
  CellPlan plan;
  size_t train_images;
};

class Study {
 public:
  Study(const StudyOptions& options, StudyObserver* observer)
      : options_(options), config_(options.config), observer_(observer) {}

  absl::Status Run() {
    began_ = Clock::now();
    MANAKO_RETURN_IF_ERROR(OpenFolder());
    if (finished_before_) {
      RemoveState();  // killed behind the run's last line
      return absl::OkStatus();
    }
    // Whatever can be wrong with the input is found before the folder becomes a run.
    if (absl::Status status = Prepare(); !status.ok()) {
      LeaveFolder();
      return status;
    }
    MANAKO_RETURN_IF_ERROR(Begin());
    MANAKO_RETURN_IF_ERROR(Train());
    return WriteResults();
  }

 private:
  std::string Path(const char* name) const { return options_.out + "/" + name; }

  absl::Status OpenFolder() {
    std::error_code unreadable;
    const bool exists = fs::exists(Path("journal.jsonl"), unreadable);
    made_folder_ = !fs::exists(options_.out, unreadable);
    if (options_.resume && !exists) {
      return NotFound("{} holds no run to go on with: leave out --resume to start one",
                      options_.out);
    }
    MANAKO_RETURN_IF_ERROR(MakeFolders(options_.out));
    MANAKO_ASSIGN_OR_RETURN(lock_, FolderLock::Take(options_.out));
    if (exists && !options_.resume) {
      return absl::AlreadyExistsError(
          fmt::format("{} already holds a run: go on with it by `manako study --resume {}`, or "
                      "give another --out",
                      options_.out, options_.out));
    }
    RemoveUnfinishedFiles(options_.out);
    finished_before_ = exists && IsFinished(options_.out);
    if (finished_before_) return absl::OkStatus();
    if (exists) {
      MANAKO_ASSIGN_OR_RETURN(config_, ReadRunConfig(options_.out));
    }
    return absl::OkStatus();
  }

  // Takes back what OpenFolder() made, as far as it is empty. Decoded images stay: the next try
  // needs them.
  void LeaveFolder() {
    lock_.reset();
    std::error_code ignored;
    if (fs::exists(Path("journal.jsonl"), ignored)) return;
    fs::remove(Path(".lock"), ignored);
    fs::remove(Path("cache"), ignored);
    if (made_folder_) fs::remove(options_.out, ignored);
  }

  absl::Status Prepare() {
    MANAKO_RETURN_IF_ERROR(config_.Validate());
    MANAKO_RETURN_IF_ERROR(CheckFrozenAreTrained(config_));
    for (const std::string& images : {config_.data.path, config_.data.test}) {
      // The next study would take the run's folders for classes.
      if (!options_.resume && LiesIn(options_.out, images)) {
        return InvalidArgument(
            "the run folder {} lies in the folder of the images, {}: give another --out",
            options_.out, images);
      }
    }
    MANAKO_RETURN_IF_ERROR(CheckDevice(config_.train.device));
    threads_ = options_.threads > 0
                   ? options_.threads
                   : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    if (config_.data.image_size == 0)
      config_.data.image_size = UsualImageSize(config_.model.architecture);
    if (config_.train.learning_rate == 0)
      config_.train.learning_rate = UsualLearningRate(config_.train, config_.model);
    std::string why;
    config_.train.precision = ResolvePrecision(config_.train.precision, config_.train.device, &why);
    if (!why.empty())
      notes_.push_back(fmt::format("Computing in {}: {}.", config_.train.precision, why));
    MANAKO_RETURN_IF_ERROR(LoadData());
    MANAKO_RETURN_IF_ERROR(PlanCells());
    ResolveRounds(config_, static_cast<int64_t>(cells_.front().train_images));
    const NetworkOptions network{config_.model.architecture,
                                 static_cast<int>(dataset_.classes.size()), config_.model.dropout,
                                 config_.data.image_size};
    MANAKO_ASSIGN_OR_RETURN(pool_, NetworkPool::Create(network));
    std::string note;
    if (!config_.model.init.empty()) {  // an error is said before anything trains
      MANAKO_RETURN_IF_ERROR(
          pool_->InitialParameters(config_.study.seed, config_.model.init, &note).status());
    }
    if (!note.empty()) notes_.push_back(note);
    why.clear();
    if (const std::string layer = FrozenUntil(config_.train); !layer.empty()) {
      MANAKO_ASSIGN_OR_RETURN(frozen_, FrozenNetwork::Create(network, layer));
    }
    MANAKO_ASSIGN_OR_RETURN(config_.train.engine,
                            frozen_ != nullptr ? ResolveEngine(frozen_->uses(), config_.train, &why)
                                               : ResolveEngine(pool_.get(), config_.train,
                                                               config_.data.image_size, &why));
    if (!why.empty())
      notes_.push_back(
          fmt::format("Training with {}: {}.",
                      config_.train.engine == "fused" ? "the fused engine" : "libtorch", why));
    return absl::OkStatus();
  }

  // The folder becomes a run, and says so first.
  absl::Status Begin() {
    MANAKO_RETURN_IF_ERROR(MakeFolders(Path("state")));
    RemoveUnfinishedFiles(Path("state"));
    // A resumed run on other images would be neither the old run nor a new one.
    const std::string digest = DatasetDigest(dataset_);
    if (const auto before = ReadFile(Path("state/images.sha256"));
        before.ok() && *before != digest) {
      return FailedPrecondition(
          "the images in {} have changed since this run began: put them back, or start a new run "
          "with another --out",
          config_.data.path);
    }
    MANAKO_RETURN_IF_ERROR(WriteFileAtomically(Path("state/images.sha256"), digest));
    if (!options_.resume)
      MANAKO_RETURN_IF_ERROR(WriteFileAtomically(Path("config.toml"), config_.ToToml()));
    MANAKO_ASSIGN_OR_RETURN(journal_, Journal::Open(Path("journal.jsonl"), observer_));
    for (const std::string& note : notes_) observer_->OnNote(note);
    journal_->Write({{"event", options_.resume ? "run_resumed" : "run_started"},
                     {"version", options_.version},
                     {"config", config_.ToToml()},
                     {"machine", MachineName()},
                     {"threads", threads_},
                     {"precision", config_.train.precision},
                     {"device", config_.train.device}});
    journal_->Write(DataLoadedEvent(dataset_, load_seconds_));
    for (const Cell& cell : cells_)
      journal_->Write(CellStartedEvent(dataset_, cell.plan, cell.repeat, cell.fold, cell.seed));
    return journal_->status();
  }

  std::string CacheFolder() const {
    return config_.data.cache.empty() ? Path("cache") : config_.data.cache;
  }

  absl::Status LoadData() {
    const auto began = Clock::now();
    DatasetOptions options;
    options.config = config_.data;
    options.cache_folder = CacheFolder();
    options.threads = threads_;
    options.progress = [this](size_t done, size_t total) { observer_->OnDecoding(done, total); };
    MANAKO_ASSIGN_OR_RETURN(dataset_, ReadDataset(options));
    load_seconds_ = SecondsSince(began);
    return absl::OkStatus();
  }

  absl::Status PlanCells() {
    for (int repeat = 1; repeat <= config_.study.repeats; ++repeat) {
      const uint64_t repeat_seed =
          DeriveSeed(config_.study.seed, "repeat", static_cast<uint64_t>(repeat));
      for (int fold = 1; fold <= std::max(1, config_.study.folds); ++fold) {
        CellOptions options;
        options.split = config_.split;
        options.partition = config_.partition;
        options.seed = DeriveSeed(config_.split.fixed ? config_.study.seed : repeat_seed, "split");
        options.folds = config_.study.folds;
        options.fold = fold;
        MANAKO_ASSIGN_OR_RETURN(CellPlan plan, PlanCell(dataset_, options));
        const uint64_t seed = DeriveSeed(repeat_seed, "fold", static_cast<uint64_t>(fold));
        const size_t train_images = Select(dataset_, plan, Split::kTrain).size();
        cells_.push_back({repeat, fold, seed, std::move(plan), train_images});
      }
    }
    return absl::OkStatus();
  }

  absl::Status Train() {
    MANAKO_RETURN_IF_ERROR(AddFeatures());
    for (const Cell& cell : cells_) {
      for (const std::string& arm : config_.study.arms) AddArm(cell, arm);
    }
    MANAKO_RETURN_IF_ERROR(ComputeFeatures());
    for (auto& run : runs_) run->set_chain(scheduler_.AddChain([&run] { run->Start(); }));
    scheduler_.Run(threads_);
    for (const auto& run : runs_) MANAKO_RETURN_IF_ERROR(run->status());
    return journal_->status();
  }

  // Frozen layers are model.init's in every cell, so their features are too.
  absl::Status AddFeatures() {
    if (frozen_ == nullptr) return absl::OkStatus();
    MANAKO_RETURN_IF_ERROR(MakeFolders(CacheFolder()));
    std::vector<int> trained, tested;
    for (const Cell& cell : cells_) {
      const auto add = [&](Split split, std::vector<int>& to) {
        const Examples examples = Select(dataset_, cell.plan, split);
        to.insert(to.end(), examples.images.begin(), examples.images.end());
      };
      add(Split::kTrain, trained);
      add(Split::kValidation, tested);
      add(Split::kTest, tested);
    }
    FeatureCache::Options options;
    options.train = config_.train;
    options.folder = CacheFolder();
    options.seed = config_.study.seed;
    options.workers = threads_;
    features_ =
        std::make_shared<FeatureCache>(options, frozen_, dataset_.store.get(), trained, tested);
    return absl::OkStatus();
  }

  // On all threads, before the first training would do it while others wait.
  absl::Status ComputeFeatures() {
    if (features_ == nullptr ||
        std::all_of(runs_.begin(), runs_.end(), [](const auto& run) { return run->finished(); }))
      return absl::OkStatus();
    const auto began = Clock::now();
    MANAKO_ASSIGN_OR_RETURN(
        const auto initial,
        pool_->InitialParameters(InitialSeedOf(cells_.front()), config_.model.init, nullptr));
    MANAKO_RETURN_IF_ERROR(features_->Of(*initial).status());
    const size_t varied = features_->images_with_variants(), plain = features_->images_as_is();
    observer_->OnNote(fmt::format("Features of frozen layers: {} in {:.1f} s",
                                  varied == 0
                                      ? fmt::format("{} images", plain)
                                      : fmt::format("{} images x {} variants and {} as they are",
                                                    varied, features_->variants(), plain),
                                  SecondsSince(began)));
    return absl::OkStatus();
  }

  static uint64_t InitialSeedOf(const Cell& cell) { return DeriveSeed(cell.seed, "initial"); }

  void AddArm(const Cell& cell, const std::string& arm) {
    const auto site_data = [&](size_t i) {
      return Participant{cell.plan.sites[i],
                         Select(dataset_, cell.plan, Split::kTrain, static_cast<int>(i))};
    };
    if (arm == "pooled") {
      AddRun(cell, {cell.repeat, cell.fold, arm, ""}, 0,
             {{"pooled", Select(dataset_, cell.plan, Split::kTrain)}},
             Select(dataset_, cell.plan, Split::kValidation));
      return;
    }
    std::vector<Participant> all;
    for (size_t i = 0; i < cell.plan.sites.size(); ++i) {
      all.push_back(site_data(i));
      if (arm == "alone") {
        AddRun(cell, {cell.repeat, cell.fold, arm, cell.plan.sites[i]}, static_cast<int>(i) + 1,
               {site_data(i)},
               Select(dataset_, cell.plan, Split::kValidation, static_cast<int>(i)));
      }
    }
    if (arm == "federated") {
      AddRun(cell, {cell.repeat, cell.fold, arm, ""}, 0, std::move(all),
             Select(dataset_, cell.plan, Split::kValidation));
    }
  }

  void AddRun(const Cell& cell, ModelKey key, int site_index, std::vector<Participant> sites,
              Examples validation) {
    ModelRun::Options options;
    options.state_path = Path("state/") + key.FileName(site_index);
    options.seed = DeriveSeed(cell.seed, key.arm, static_cast<uint64_t>(site_index));
    options.initial_seed = InitialSeedOf(cell);
    options.key = std::move(key);
    options.config = config_;
    options.classes = static_cast<int>(dataset_.classes.size());
    options.positive = dataset_.positive;
    options.sites = std::move(sites);
    options.cell_images = cell.train_images;
    options.validation = std::move(validation);
    options.features = features_;
    options.test = Select(dataset_, cell.plan, Split::kTest);
    options.checkpoint_seconds = options_.checkpoint_seconds;
    runs_.push_back(std::make_unique<ModelRun>(
        std::move(options), ModelRun::Deps{pool_.get(), journal_.get(), &scheduler_}));
  }

  const CellPlan& PlanOf(const ModelKey& key) const {
    return std::find_if(
               cells_.begin(), cells_.end(),
               [&](const Cell& cell) { return cell.repeat == key.repeat && cell.fold == key.fold; })
        ->plan;
  }

  absl::Status WriteResults() {
    MANAKO_ASSIGN_OR_RETURN(auto predictions,
                            PredictionsWriter::Create(Path("predictions.csv"), dataset_));
    // The model to keep: the federated arm's of the first cell, or the first there is.
    const ModelRun* chosen = runs_.front().get();
    for (const auto& run : runs_) {
      if (run->key().arm == "federated" && chosen->key().arm != "federated") chosen = run.get();
    }
    for (const auto& run : runs_) {
      MANAKO_ASSIGN_OR_RETURN(const ModelResult result, run->Result());
      const CellPlan& plan = PlanOf(run->key());
      MANAKO_RETURN_IF_ERROR(predictions->Add(run->key(), "validation", plan, result.validation));
      MANAKO_RETURN_IF_ERROR(predictions->Add(run->key(), "test", plan, result.test));
      if (run.get() == chosen) MANAKO_RETURN_IF_ERROR(WriteModel(result));
    }
    MANAKO_RETURN_IF_ERROR(predictions->Commit());
    journal_->Write({{"event", "run_finished"}, {"seconds", SecondsSince(began_)}});
    MANAKO_RETURN_IF_ERROR(journal_->status());
    RemoveState();
    return absl::OkStatus();
  }

  void RemoveState() {
    std::error_code ignored;
    fs::remove_all(Path("state"), ignored);
  }

  absl::Status WriteModel(const ModelResult& result) {
    ExportOptions options;
    options.path = Path("model.pt");
    options.classes = dataset_.classes;
    options.image_size = config_.data.image_size;
    options.crop = config_.data.crop;
    options.origin = fmt::format("manako {} study of {}", options_.version, config_.data.path);
    return ExportModel(pool_.get(), *result.model, options);
  }

  const StudyOptions& options_;
  RunConfig config_;
  StudyObserver* observer_;
  Clock::time_point began_;
  double load_seconds_ = 0;
  int threads_ = 1;
  bool finished_before_ = false, made_folder_ = false;
  std::unique_ptr<FolderLock> lock_;
  std::unique_ptr<Journal> journal_;
  Dataset dataset_;
  std::vector<Cell> cells_;
  std::vector<std::string> notes_;  // said once nothing can be refused any more
  std::shared_ptr<NetworkPool> pool_;
  std::shared_ptr<FrozenNetwork> frozen_;  // null: no layer is
  std::shared_ptr<FeatureCache> features_;
  Scheduler scheduler_;
  std::vector<std::unique_ptr<ModelRun>> runs_;
};

}  // namespace

absl::Status RunStudy(const StudyOptions& options, StudyObserver* observer) {
  return Study(options, observer).Run();
}

absl::StatusOr<RunConfig> ReadRunConfig(const std::string& folder) {
  const std::string path = folder + "/config.toml";
  MANAKO_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, 1 << 20));
  MANAKO_ASSIGN_OR_RETURN(RunConfig config, RunConfig::FromToml(text, path));
  MANAKO_RETURN_IF_ERROR(Annotate(config.Validate(), path));
  return config;
}

bool IsFinished(const std::string& folder) {
  const auto text = ReadFile(folder + "/journal.jsonl");
  return text.ok() && text->find("\"event\":\"run_finished\"") != std::string::npos;
}

}  // namespace manako
