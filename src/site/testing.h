// For the tests of this folder: a federation of one site whose server is a folder of files (so that
// it outlives the processes that die at crash points), and a learner of 20 numbers.
#ifndef MANAKO_SITE_TESTING_H_
#define MANAKO_SITE_TESTING_H_

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <sstream>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/hash.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "base/temporary_folder.h"
#include "core/codec/array_file_reader.h"
#include "core/codec/array_file_writer.h"
#include "core/server_channel.h"
#include "core/site_work.h"
#include "site/agent.h"
#include "site/answers.h"

namespace manako {

inline std::string Slurp(const std::string& path) { return ReadFile(path).value_or(""); }
inline void AppendLine(const std::string& path, const std::string& line) {
  std::ofstream(path, std::ios::app) << line << "\n";
}
inline std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

inline std::shared_ptr<const ModelSpec> LinearSpec() {
  static const auto spec = std::make_shared<const ModelSpec>(
      *ModelSpec::Create({{"w", {3}, TensorKind::kParameter}, {"b", {1}, TensorKind::kParameter}}));
  return spec;
}

// Logistic regression on 40 images of 3 numbers, trained by gradient descent with momentum and a
// step that shrinks with the number of steps: what it gives depends on all that a learner keeps.
class LinearLearner : public Learner {
 public:
  std::function<absl::Status(const TrainTask&)> before_training, after_training;

  explicit LinearLearner(int site_index) {
    Random random(7, "testing.images", static_cast<uint64_t>(site_index));
    for (int i = 0; i < 40; ++i) {
      labels_.push_back(i % 2);
      for (int k = 0; k < 3; ++k)
        images_.push_back(static_cast<float>(random.Normal() + (i % 2) * 0.8));
    }
    momentum_ = FlatArray(LinearSpec()->size());
  }

  absl::StatusOr<Update> Train(const TrainTask& task) override {
    if (before_training) MANAKO_RETURN_IF_ERROR(before_training(task));
    Update update;
    update.model = task.model->Clone();
    for (int step = 0; step < 3; ++step) {
      ++steps_;
      FlatArray gradient(LinearSpec()->size());
      for (size_t i = 0; i < labels_.size(); ++i) {
        const float error = Probability(update.model, i) - static_cast<float>(labels_[i]);
        for (size_t k = 0; k < 3; ++k) gradient.data()[k] += error * images_[i * 3 + k];
        gradient.data()[Bias()] += error;
      }
      const float rate = 0.02f / std::sqrt(static_cast<float>(steps_));
      for (int64_t j = 0; j < gradient.size(); ++j) {
        momentum_.data()[j] = 0.9f * momentum_.data()[j] + gradient.data()[j];
        update.model.values.data()[j] -= rate * momentum_.data()[j];
      }
    }
    if (after_training) MANAKO_RETURN_IF_ERROR(after_training(task));
    update.images = static_cast<int64_t>(labels_.size());
    update.visits = 3 * update.images;
    update.metrics = {{"train_loss", 0.5 / static_cast<double>(steps_)}, {"secret", 42}};
    return update;
  }

  absl::StatusOr<Predictions> Evaluate(const ParameterSet& model, ExampleSet set) override {
    Predictions predictions;
    predictions.classes = 2;
    for (size_t i = set == ExampleSet::kTest ? 0 : 1; i < labels_.size();
         i += 2 + (set == ExampleSet::kTest)) {
      const float p = Probability(model, i);
      predictions.images.push_back(static_cast<int>(i));
      predictions.labels.push_back(static_cast<int>((i / 2) % 2));
      predictions.probabilities.insert(predictions.probabilities.end(), {1 - p, p});
    }
    predictions.loss = std::abs(static_cast<double>(model.values.data()[0]) - 0.3);
    return predictions;
  }

  LearnerState SaveState() const override {
    LearnerState state;
    state.steps = steps_;
    state.arrays.push_back({"momentum", momentum_.Clone()});
    return state;
  }
  absl::Status RestoreState(LearnerState state) override {
    steps_ = state.steps;
    momentum_ = std::move(state.arrays.at(0).values);
    return absl::OkStatus();
  }

 private:
  static size_t Bias() { return static_cast<size_t>(LinearSpec()->Find("b")->offset); }
  float Probability(const ParameterSet& model, size_t image) const {
    float z = model.values.data()[Bias()];
    for (size_t k = 0; k < 3; ++k) z += model.values.data()[k] * images_[image * 3 + k];
    return 1 / (1 + std::exp(-z));
  }

  std::vector<float> images_;
  std::vector<int> labels_;
  int64_t steps_ = 0;
  FlatArray momentum_;
};

class LinearWork : public SiteWork {
 public:
  absl::Status prepare_error;
  SiteCounts counts = {{30, 24}, {6, 5}, {10, 3}};
  std::atomic<int> prepared = 0;
  std::function<absl::Status(const TrainTask&)> before_training, after_training;

  absl::StatusOr<std::unique_ptr<PreparedRun>> Prepare(
      const FederatedRunConfig&, const std::function<void(int64_t, int64_t)>& progress) override {
    ++prepared;
    progress(1, 1);
    MANAKO_RETURN_IF_ERROR(prepare_error);
    return std::make_unique<Prepared>(this);
  }

 private:
  class Prepared : public PreparedRun {
   public:
    explicit Prepared(LinearWork* work) : work_(work) {}
    const SiteCounts& counts() const override { return work_->counts; }
    std::shared_ptr<const ModelSpec> spec() const override { return LinearSpec(); }
    absl::StatusOr<std::unique_ptr<Learner>> MakeLearner(const FederatedRunConfig& config,
                                                         const RunBasis&, int site_index) override {
      EXPECT_GT(config.training.federation.rounds, 0);
      EXPECT_GT(config.training.train.learning_rate, 0);
      auto learner = std::make_unique<LinearLearner>(site_index);
      learner->before_training = work_->before_training;
      learner->after_training = work_->after_training;
      return learner;
    }
    absl::Status Export(const ParameterSet& model, const std::string& path,
                        const std::string& origin) override {
      return WriteFileAtomically(path, origin + " " + model.Digest());
    }

   private:
    LinearWork* work_;
  };
};

// A server whose whole state is a folder. It gives each run of `script` in turn: offer, rounds
// (each from what the last one's update made of the model), a test, a cross-site test, the end;
// then it stops the agent. `log` in the folder has what was received, each thing once.
class FolderServer : public ServerChannel {
 public:
  struct Run {
    std::string run;
    FederatedRunConfig config;
    int rounds = 3;
    bool cross_site = false;
  };
  std::vector<Run> script;
  // Called before each call with its name; an error is returned instead of what the call does.
  std::function<absl::Status(const std::string& call)> before;
  std::function<StatusReply(const SiteStatus&)> on_status;
  std::function<void(const SiteStatus&)> see_status;
  std::function<void(RoundTask&)> change_round;  // before it is given
  std::stop_source stop;
  std::atomic<int> heartbeats = 0;

  explicit FolderServer(std::string folder) : folder_(std::move(folder)) {
    EXPECT_TRUE(MakeFolders(folder_).ok());
  }
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  std::string Log() const { return Slurp(Path("log")); }

  absl::StatusOr<SiteTask> NextTask() override {
    MANAKO_RETURN_IF_ERROR(Before("NextTask"));
    for (const Run& run : script) {
      if (Has(run.run + ".over")) continue;
      if (Has(run.run + ".refused") || ending_ == run.run) {
        Mark(run.run + ".over");
        continue;
      }
      if (Has(run.run + ".waits") && !Has(run.run + ".ready")) return WaitForAnswer(run);
      if (!Has(run.run + ".ready")) return OfferTask{run.run, run.config.ToToml()};
      for (int round = 1; round <= run.rounds; ++round) {
        if (Has(UpdateName(run.run, round)) || Has(fmt::format("{}.failed.{}", run.run, round)))
          continue;
        return RoundOf(run, round);
      }
      const ArtifactId last = Model(run, run.rounds);
      if (!Has(run.run + ".tested")) return TestTask{run.run, run.rounds, "", last, std::nullopt};
      if (run.cross_site && !Has(run.run + ".crossed"))
        return TestTask{run.run, run.rounds, "other", Model(run, 0), std::nullopt};
      ending_ = run.run;
      return EndTask{run.run, "finished", "", run.rounds, last};
    }
    stop.request_stop();
    return Wait{};
  }

  absl::Status Answer(const SiteAnswer& answer) override {
    MANAKO_RETURN_IF_ERROR(Before("Answer"));
    std::lock_guard lock(mutex_);
    const std::string text = "answer " + AnswerAsText(answer);
    bool known = false;
    for (const std::string& line : Lines(Log())) known |= line == text;
    if (!known) AppendLine(Path("log"), text);
    if (const auto* offer = std::get_if<OfferAnswer>(&answer)) {
      Mark(offer->run + (offer->state == OfferAnswer::State::kReady     ? ".ready"
                         : offer->state == OfferAnswer::State::kRefused ? ".refused"
                                                                        : ".waits"));
    } else if (const auto* evaluation = std::get_if<Evaluation>(&answer)) {
      const Run* run = Find(evaluation->run);
      if (!evaluation->trained_by.empty())
        Mark(evaluation->run + ".crossed");
      else if (evaluation->round == run->rounds)
        Mark(evaluation->run + ".tested");
    } else if (const auto* end = std::get_if<EndAnswer>(&answer)) {
      Mark(end->run + ".ended");
    } else {
      const auto& failure = std::get<Failure>(answer);
      const Run* run = Find(failure.run);
      const bool tested =
          run != nullptr && Has(fmt::format("{}.failed.{}", failure.run, failure.round));
      if (tested || (run != nullptr && Has(UpdateName(failure.run, run->rounds))))
        Mark(failure.run + ".tested");
      Mark(fmt::format("{}.failed.{}", failure.run, failure.round));
    }
    answered_.notify_all();
    return absl::OkStatus();
  }

  absl::StatusOr<StatusReply> ReportStatus(const SiteStatus& status) override {
    ++heartbeats;
    if (see_status) see_status(status);
    return on_status ? on_status(status) : StatusReply{};
  }

  absl::Status Download(const std::string&, const ArtifactId& artifact, const std::string& path,
                        const std::function<void(int64_t)>& progress) override {
    MANAKO_RETURN_IF_ERROR(Before("Download"));
    MANAKO_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(Path("blob-" + artifact.sha256)));
    progress(artifact.bytes);
    return WriteFileAtomically(path, bytes);
  }

  absl::StatusOr<Receipt> Submit(const Submission& s, const std::string& path,
                                 const std::function<void(int64_t)>& progress) override {
    MANAKO_RETURN_IF_ERROR(Before("Submit"));
    std::lock_guard lock(mutex_);
    const std::string bytes = Slurp(path);
    EXPECT_EQ(Sha256Hex(bytes), s.artifact.sha256);
    EXPECT_EQ(static_cast<int64_t>(bytes.size()), s.artifact.bytes);
    const std::string line =
        fmt::format("submit {} {} {} {} {} {} {:.17g} {}", s.run, s.round, s.model_sha256,
                    s.artifact.sha256, s.images, s.visits, s.l2, s.metrics.size());
    const std::string name = UpdateName(s.run, s.round);
    progress(s.artifact.bytes);
    if (!Has(name)) {
      EXPECT_TRUE(WriteFileAtomically(Path(name), bytes).ok());
      AppendLine(Path("log"), line);
    } else if (Log().find(line + "\n") == std::string::npos) {
      AppendLine(Path("log"), "ANOTHER " + line);
    }
    Receipt receipt;
    receipt.run = s.run;
    receipt.round = s.round;
    receipt.sha256 = s.artifact.sha256;
    receipt.log_seq = s.round;
    receipt.log_hash = Sha256Hex(line);
    return receipt;
  }

  // The model behind a round, made into a file of the server when it is not there yet.
  ParameterSet ModelBehind(const Run& run, int round) {
    ParameterSet model = ParameterSet::Zero(LinearSpec());
    model.values.data()[0] = 0.1f;
    if (round == 0) return model;
    model = ModelBehind(run, round - 1);
    if (!Has(UpdateName(run.run, round))) return model;
    const auto reader = ArrayFileReader::Open(Path(UpdateName(run.run, round)));
    EXPECT_TRUE(reader.ok()) << reader.status();
    EXPECT_TRUE((*reader)->header().base_digest.empty() ||
                (*reader)->header().base_digest == Model(run, round - 1).sha256);
    FlatArray values(model.values.size());
    EXPECT_TRUE((*reader)->ReadValues(0, 0, values.values(), model.values.values()).ok());
    return {LinearSpec(), std::move(values)};
  }
  ArtifactId Model(const Run& run, int round) {
    const ParameterSet model = ModelBehind(run, round);
    ArrayFileHeader header;
    header.spec_hash = model.spec->hash();
    header.sections.push_back(
        {"model", static_cast<uint64_t>(model.values.size()), ArrayEncoding::kFloat32, false});
    std::string bytes;
    ArrayPiece piece;
    piece.values = model.values.values();
    EXPECT_TRUE(WriteArrayBytes(header, std::vector<ArrayPiece>{piece}, {}, bytes).ok());
    const ArtifactId artifact{Sha256Hex(bytes), static_cast<int64_t>(bytes.size())};
    if (!Has("blob-" + artifact.sha256)) {
      EXPECT_TRUE(WriteFileAtomically(Path("blob-" + artifact.sha256), bytes).ok());
    }
    return artifact;
  }

 private:
  bool Has(const std::string& name) const { return std::filesystem::exists(Path(name)); }
  void Mark(const std::string& name) const {
    EXPECT_TRUE(WriteFileAtomically(Path(name), "").ok());
  }
  static std::string UpdateName(const std::string& run, int round) {
    return fmt::format("{}.update.{}", run, round);
  }
  const Run* Find(const std::string& name) const {
    for (const Run& run : script) {
      if (run.run == name) return &run;
    }
    return nullptr;
  }
  absl::Status Before(const std::string& call) { return before ? before(call) : absl::OkStatus(); }
  absl::StatusOr<SiteTask> WaitForAnswer(const Run& run) {
    std::unique_lock lock(mutex_);
    answered_.wait(lock, [&] { return Has(run.run + ".ready") || Has(run.run + ".refused"); });
    return Wait{};
  }
  RoundTask RoundOf(const Run& run, int round) {
    RoundTask task;
    task.run = run.run;
    task.round = round;
    task.rounds = run.rounds;
    task.basis.images = 54;
    task.basis.per_class = {30, 24};
    task.model = Model(run, round - 1);
    task.model_digest = ModelBehind(run, round - 1).Digest();
    task.evaluate = round > 1;
    if (change_round) change_round(task);
    return task;
  }

  const std::string folder_;
  std::mutex mutex_;
  std::condition_variable answered_;
  std::string ending_;  // whose end was given; the next call is its answer
};

inline FederatedRunConfig LinearRun(const std::string& encoding = "float32") {
  FederatedRunConfig config;
  config.run.name = "glaucoma";
  config.run.classes = {"normal", "glaucoma"};
  config.run.encoding = encoding;
  config.run.bins = 4;
  return config;
}

inline SiteConfig LinearSite() {
  SiteConfig config;
  config.server.address = "fed.example.org:8443";
  config.server.site = "east-clinic";
  config.data.path = "/nowhere";
  config.policy.approval = "none";
  config.policy.keep_models = "all";
  return config;
}

// A site's folder and a server's, and an agent between them.
class AgentTest : public testing::Test {
 protected:
  AgentTest() {
    static_cast<void>(Key());  // before any child is forked
    Clear();
    config_ = LinearSite();
    script_ = {{"r1", LinearRun()}};
  }
  // As if nothing had happened.
  void Clear() {
    std::filesystem::remove_all(root_.path());
    std::filesystem::create_directories(SitePath());
  }

  std::string SitePath(const std::string& name = "") const { return root_ / "site/" + name; }
  std::string ServerPath(const std::string& name) const { return root_ / "server/" + name; }
  SiteFolder Folder() const { return {SitePath()}; }

  // One key for all tests: making one takes a while under sanitizers.
  static const PrivateKey& Key() {
    static const PrivateKey key = *PrivateKey::Generate();
    return key;
  }

  // Works until the server's script is over, or an error ends the agent. `prepare` may change the
  // server.
  absl::Status RunAgent(const std::function<void(FolderServer&)>& prepare = {}) {
    FolderServer server(root_ / "server");
    server.script = script_;
    if (prepare) prepare(server);
    auto store = SiteStore::Open(SitePath());
    MANAKO_RETURN_IF_ERROR(store.status());
    auto ledger =
        Ledger::Open(Folder().ledger(), Key(), {{"fed.example.org:8443", "abcd"}, nullptr});
    MANAKO_RETURN_IF_ERROR(ledger.status());
    SiteAgent::Options options;
    options.config = config_;
    options.networks = {"cnn3"};
    options.heartbeat_seconds = heartbeat_seconds_;
    options.first_retry_seconds = 0.001;
    options.longest_retry_seconds = 0.01;
    SiteAgent::Deps deps;
    deps.channel = &server;
    deps.work = &work_;
    deps.store = store->get();
    deps.ledger = ledger->get();
    deps.now_ms = [this] { return now_ms_.load(); };
    deps.log = [this](std::string_view line) {
      std::lock_guard lock(log_mutex_);
      log_ += std::string(line) + "\n";
    };
    SiteAgent agent(options, deps);
    return agent.Run(server.stop.get_token());
  }

  std::string ServerLog() const { return Slurp(ServerPath("log")); }
  std::string AgentLog() {
    std::lock_guard lock(log_mutex_);
    return log_;
  }
  // The ledger, found good.
  std::vector<LedgerLine> Ledgered() {
    std::vector<LedgerLine> lines;
    const absl::Status status = Ledger::Verify(Folder().ledger(), Key().public_key(), &lines);
    EXPECT_TRUE(status.ok()) << status;
    return lines;
  }

  // In memory: what survives kill -9 needs no disk, and hundreds of agents sync a lot.
  const TemporaryFolder root_ = TemporaryFolder::InMemory();
  SiteConfig config_;
  std::vector<FolderServer::Run> script_;
  LinearWork work_;
  double heartbeat_seconds_ = 0.01;
  std::atomic<int64_t> now_ms_ = 1'800'000'000'000;

 private:
  std::mutex log_mutex_;
  std::string log_;
};

}  // namespace manako

#endif  // MANAKO_SITE_TESTING_H_
