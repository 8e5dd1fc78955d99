#include "server/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>

#include "base/status_macros.h"
#include "base/temporary_folder.h"
#include "core/codec/array_file_writer.h"

namespace manako {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

std::shared_ptr<const ModelSpec> Spec() {
  static const auto spec = std::make_shared<const ModelSpec>(*ModelSpec::Create(
      {{"w", {100, 1000}, TensorKind::kParameter}, {"mean", {3}, TensorKind::kBuffer}}));
  return spec;
}

// Each with its number.
const std::vector<std::pair<std::string, float>> kSites = {
    {"east", 1.0f}, {"north", 2.0f}, {"west", 6.0f}};

// A server with its folder, and sites that do as they are told without any learning: a site adds
// its number to every parameter.
class ServerTest : public testing::Test {
 protected:
  void SetUp() override {
    store_ = *FederationStore::Open(folder_ / "federation.db");
    for (const char* site : {"east", "north", "west"}) {
      ASSERT_TRUE(store_->AddInvitation(site, site, 0, 1'000'000'000).ok());
      SiteRecord record;
      record.name = site;
      ASSERT_TRUE(store_->Enrol(record, site, 1).ok());
    }
    config_.run.classes = {"detached", "normal"};
    config_.training.federation.rounds = 3;
    config_.training.train.local_epochs = 1;
    config_.training.train.learning_rate = 0.1;
    config_.training.data.image_size = 64;
  }

  void CreateRun(const std::string& id = "run") {
    ASSERT_TRUE(config_.Validate().ok()) << config_.Validate();
    const RunFolder run(folder_ / "runs/" + id);
    ASSERT_TRUE(
        run.Create(ParameterSet::Zero(Spec()), *ParseArrayEncoding(config_.run.encoding), 1).ok());
    RunRecord record;
    record.id = id;
    record.config = config_.ToToml();
    record.wanted = record.state = "created";
    ASSERT_TRUE(store_->AddRun(record).ok());
    ASSERT_TRUE(store_->Want(id, "running", 1).ok());
  }

  void Start() {
    Server::Deps deps;
    deps.store = store_.get();
    deps.now_ms = [this] { return now_ms_.load(); };
    deps.log = [this](std::string_view line) { log_ += std::string(line) + "\n"; };
    deps.record = [this](const std::string& site, Receipt& receipt) {
      const std::string word =
          fmt::format("{} {} {}", site, receipt.round, static_cast<int>(receipt.state));
      const std::lock_guard lock(records_mutex_);
      receipt.log_seq =
          records_.emplace(word, static_cast<int64_t>(records_.size()) + 1).first->second;
      return record_error_;
    };
    deps.on_event = [this](const EventRecord& event) {
      EXPECT_EQ(event.seq, last_event_ + 1);
      last_event_ = event.seq;
      return absl::OkStatus();
    };
    deps.events_behind = last_event_;
    auto server = Server::Open({folder_.path(), 2}, deps);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    server_->set_on_change([this] {
      changes_.fetch_add(1);
      changes_.notify_all();
    });
  }
  void Restart() {
    server_.reset();
    Start();
  }

  // A run of all sites, to its first round.
  void Begin() {
    CreateRun();
    Start();
    for (const auto& [site, add] : kSites) Ready(site);
  }
  // One whose rounds end after a minute with two of three: west's task in the first.
  std::optional<RoundTask> BeginWithQuorum() {
    config_.run.quorum = 2;
    config_.run.deadline_minutes = 1;
    Begin();
    return Next<RoundTask>("west");
  }

  // The next task of a kind; waits for the server's worker.
  template <typename T>
  std::optional<T> Next(const std::string& site) {
    for (int i = 0; i < 2000; ++i) {
      const auto task = server_->NextTask(site);
      if (task && std::holds_alternative<T>(*task)) return std::get<T>(*task);
      if (task) return std::nullopt;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return std::nullopt;
  }
  bool Idle(const std::string& site) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return !server_->NextTask(site).has_value();
  }

  void Ready(const std::string& site, int64_t images = 10) {
    const auto offer = Next<OfferTask>(site);
    ASSERT_TRUE(offer.has_value()) << site;
    OfferAnswer answer;
    answer.run = offer->run;
    answer.counts = {{images, images}, {2, 2}, {2, 2}};
    ASSERT_TRUE(server_->Answer(site, answer).ok());
  }

  EvaluationResult Result(double auc) {
    EvaluationResult result;
    result.images = 4;
    result.loss = 1 - auc;
    result.metrics["auc"] = auc;
    return result;
  }

  // Trains: the model plus `add`, as a file; and what goes with it.
  Submission Train(const RoundTask& task, const std::string& site, float add,
                   ArrayEncoding encoding = ArrayEncoding::kFloat32) {
    const auto path = server_->ArtifactPath(site, task.run, task.model);
    EXPECT_TRUE(path.ok()) << path.status();
    ParameterSet model = *ReadModelFile(*path, Spec(), 1);
    const ParameterSet base = model.Clone();
    for (const TensorSpec& tensor : Spec()->tensors()) {
      for (float& value : model.Tensor(tensor)) value += add;
    }
    ArrayFileHeader header;
    header.spec_hash = Spec()->hash();
    header.base_digest = task.model.sha256;
    header.sections = {
        {"model", static_cast<uint64_t>(Spec()->size()), encoding, IsLossy(encoding)}};
    const std::vector<ArrayPiece> pieces = {
        {.values = model.values.values(), .base = base.values.values()}};
    const auto summary = WriteArrayFile(UpdateFile(site), header, pieces);
    EXPECT_TRUE(summary.ok()) << summary.status();
    Submission submission;
    submission.run = task.run;
    submission.round = task.round;
    submission.model_sha256 = task.model.sha256;
    submission.artifact = {summary->sha256, static_cast<int64_t>(summary->bytes)};
    submission.images = 20;
    submission.visits = 20;
    return submission;
  }
  std::string UpdateFile(const std::string& site) const { return folder_ / (site + ".update"); }

  absl::StatusOr<Receipt> Send(const std::string& site, const Submission& submission) {
    MANAKO_ASSIGN_OR_RETURN(const auto state, server_->BeginUpload(site, submission));
    if (state.receipt) return *state.receipt;
    std::ifstream file(UpdateFile(site), std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), {});
    for (size_t at = static_cast<size_t>(state.offset); at < bytes.size(); at += 100'000) {
      MANAKO_RETURN_IF_ERROR(server_->AppendUpload(site, submission, static_cast<int64_t>(at),
                                                   std::string_view(bytes).substr(at, 100'000)));
    }
    for (int i = 0; i < 1000; ++i) {
      auto receipt = server_->Submit(site, submission);
      if (receipt.status().code() != absl::StatusCode::kUnavailable) return receipt;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return absl::DeadlineExceededError("");
  }

  // A site's part of a round: tests the model if asked, trains, sends.
  void DoRound(const std::string& site, int round, float add, double auc = 0.5,
               ArrayEncoding encoding = ArrayEncoding::kFloat32) {
    const auto task = Next<RoundTask>(site);
    ASSERT_TRUE(task.has_value()) << site << " " << round << "\n" << log_;
    ASSERT_EQ(task->round, round);
    if (task->evaluate)
      ASSERT_TRUE(
          server_->Answer(site, Evaluation{task->run, round - 1, "", Result(auc), Result(auc)})
              .ok());
    const auto receipt = Send(site, Train(*task, site, add, encoding));
    ASSERT_TRUE(receipt.ok()) << receipt.status();
    ASSERT_EQ(receipt->state, Receipt::State::kKept) << receipt->why;
  }
  void DoTest(const std::string& site, int round, double auc) {
    const auto task = Next<TestTask>(site);
    ASSERT_TRUE(task.has_value());
    ASSERT_EQ(task->round, round);
    ASSERT_TRUE(
        server_
            ->Answer(site, Evaluation{task->run, round, task->trained_by, Result(auc), Result(auc)})
            .ok());
  }

  float FirstParameter(int round) {
    const auto model = ReadModelFile(RunFolder(folder_ / "runs/run").ModelPath(round), Spec(), 1);
    return model.ok() ? model->values.data()[0] : std::nanf("");
  }

  const TemporaryFolder folder_;
  std::string log_;
  FederatedRunConfig config_;
  std::unique_ptr<FederationStore> store_;
  std::atomic<int64_t> now_ms_ = 1000;
  std::atomic<int> changes_ = 0;
  std::mutex records_mutex_;
  std::map<std::string, int64_t> records_;  // words that were put on record, each once
  absl::Status record_error_;
  std::atomic<int64_t> last_event_ = 0;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, ARunFromOfferToEnd) {
  Begin();
  for (int round = 1; round <= 3; ++round) {
    for (const auto& [site, add] : kSites) DoRound(site, round, add, round == 3 ? 0.9 : 0.6);
  }
  for (const auto& [site, add] : kSites) DoTest(site, 3, 0.7);
  for (const auto& [site, add] : kSites) {
    const auto end = Next<EndTask>(site);
    ASSERT_TRUE(end.has_value());
    EXPECT_EQ(end->state, "finished");
    EXPECT_EQ(end->round, 2);  // tested in round 3 with the best AUC
    EXPECT_TRUE(server_->ArtifactPath(site, "run", end->model).ok());
    ASSERT_TRUE(server_->Answer(site, EndAnswer{"run", end->model.sha256}).ok());
    EXPECT_TRUE(Idle(site));
  }
  EXPECT_EQ(FirstParameter(3), 9.0f);
  EXPECT_EQ(FirstParameter(2), 6.0f);
  EXPECT_FALSE(
      fs::exists(folder_ / "runs/run/models/round-1.arr"));  // nobody can ask for it any more
  EXPECT_TRUE(fs::is_empty(folder_ / "runs/run/spool"));
  EXPECT_TRUE(fs::is_empty(folder_ / "runs/run/incoming"));
  const auto run = *store_->Run("run");
  EXPECT_EQ(run.state, "finished");
  EXPECT_EQ(run.best_round, 2);
  const auto asks = *store_->Asks("run");
  EXPECT_EQ(asks.size(), 9u);
  for (const auto& ask : asks) EXPECT_EQ(ask.ask.state, AskState::kAnswered);
  const auto metrics = nlohmann::json::parse((*store_->Rounds("run"))[2].metrics);
  EXPECT_NEAR(metrics["validation_auc"].get<double>(), 0.9, 1e-12);
}

// The clock of a crash: the server is thrown away and made anew between any two steps.
TEST_F(ServerTest, GoesOnWhereItWas) {
  CreateRun();
  Start();
  for (const auto& [site, add] : kSites) {
    Ready(site);
    Restart();
  }
  for (int round = 1; round <= 3; ++round) {
    for (const auto& [site, add] : kSites) {
      DoRound(site, round, add);
      Restart();
    }
  }
  for (const auto& [site, add] : kSites) {
    DoTest(site, 3, 0.7);
    Restart();
  }
  for (const auto& [site, add] : kSites) EXPECT_TRUE(Next<EndTask>(site).has_value());
  EXPECT_EQ(FirstParameter(3), 9.0f);
}

TEST_F(ServerTest, AnUploadGoesOnAtItsOffset) {
  Begin();
  const auto task = Next<RoundTask>("east");
  const Submission submission = Train(*task, "east", 1);
  EXPECT_EQ(server_->BeginUpload("east", submission)->offset, 0);
  ASSERT_TRUE(server_->AppendUpload("east", submission, 0, std::string(10, 'x')).ok());
  EXPECT_EQ(server_->AppendUpload("east", submission, 0, "y").code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_EQ(server_
                ->AppendUpload("east", submission, 10,
                               std::string(static_cast<size_t>(submission.artifact.bytes), 'x'))
                .code(),
            absl::StatusCode::kInvalidArgument);
  Restart();
  EXPECT_EQ(server_->BeginUpload("east", submission)->offset, 10);
  EXPECT_THAT(std::string(MessageOf(server_->Submit("east", submission).status())),
              HasSubstr("10 of"));
  // Those bytes were nonsense: the update is refused, and the same upload begins anew.
  const auto receipt = Send("east", submission);
  EXPECT_EQ(receipt.status().code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(Send("east", submission).ok());
  // The same again gives the same receipt, and counts once.
  EXPECT_EQ(Send("east", submission)->sha256, submission.artifact.sha256);
  Restart();
  EXPECT_EQ(Send("east", submission)->state, Receipt::State::kKept);
  EXPECT_TRUE(Idle("east"));
}

TEST_F(ServerTest, WhatIsAnnouncedAnewBoundsAnUpload) {
  Begin();
  const auto task = Next<RoundTask>("east");
  const Submission submission = Train(*task, "east", 1);
  Submission other = submission;
  other.artifact.bytes = 12;
  EXPECT_EQ(server_->BeginUpload("east", submission)->offset, 0);
  ASSERT_TRUE(server_->AppendUpload("east", submission, 0, std::string(10, 'x')).ok());
  // The same hash with another length: no byte more than that.
  EXPECT_EQ(server_->BeginUpload("east", other)->offset, 10);
  EXPECT_EQ(server_->AppendUpload("east", other, 10, "xyz").code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(server_->AppendUpload("east", submission, 10, "x").code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(ServerTest, HostileUpdatesAreRefusedAndSpoilNothing) {
  Begin();
  const auto task = Next<RoundTask>("east");
  Submission nan = Train(*task, "east", std::nanf(""));
  const auto receipt = Send("east", nan);
  ASSERT_TRUE(receipt.ok()) << receipt.status();
  EXPECT_EQ(receipt->state, Receipt::State::kRefused);
  EXPECT_THAT(receipt->why, HasSubstr("tensor w"));

  const auto west_task = Next<RoundTask>("west");
  Submission west = Train(*west_task, "west", 6);
  Submission wrong = west;
  wrong.round = 2;
  EXPECT_THAT(std::string(MessageOf(Send("west", wrong).status())),
              HasSubstr("round 1 is the next"));
  wrong = west;
  wrong.images = 21;  // it took part with 20
  EXPECT_THAT(std::string(MessageOf(Send("west", wrong).status())), HasSubstr("counts 21"));
  wrong = west;
  wrong.artifact.bytes = int64_t{1} << 50;
  EXPECT_THAT(std::string(MessageOf(server_->BeginUpload("west", wrong).status())),
              HasSubstr("at most"));
  wrong = west;
  wrong.artifact.sha256 = "../../../etc/passwd";
  EXPECT_THAT(std::string(MessageOf(server_->BeginUpload("west", wrong).status())),
              HasSubstr("no SHA-256"));
  wrong = west;
  wrong.artifact.sha256[0] = wrong.artifact.sha256[0] == 'a' ? 'b' : 'a';
  EXPECT_EQ(Send("west", wrong)->state, Receipt::State::kRefused);
  EXPECT_EQ(server_->BeginUpload("south", west).status().code(),
            absl::StatusCode::kFailedPrecondition);
  wrong = west;
  wrong.model_sha256 = std::string(64, 'a');
  EXPECT_THAT(std::string(MessageOf(Send("west", wrong).status())), HasSubstr("another model"));
  wrong = west;
  wrong.run = "other";
  EXPECT_EQ(server_->BeginUpload("west", wrong).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(server_->ArtifactPath("west", "run", {std::string(64, 'a'), 1}).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(server_->ArtifactPath("south", "run", west_task->model).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_FALSE(server_->Answer("west", Evaluation{"run", 7, "", Result(1), Result(1)}).ok());
  EXPECT_FALSE(
      server_->Answer("west", OfferAnswer{"run", OfferAnswer::State::kReady, {{1}, {1}, {1}}, ""})
          .ok() &&
      server_
          ->Answer("south",
                   OfferAnswer{"run", OfferAnswer::State::kReady, {{1, 1}, {1, 1}, {1, 1}}, ""})
          .ok());
}

// Killed behind its receipt, a site sends the same update again, perhaps when its round is long
// closed: it counted, and still did.
TEST_F(ServerTest, AnUpdateThatCountedIsNeverLate) {
  Begin();
  const auto task = Next<RoundTask>("east");
  const Submission first = Train(*task, "east", 1);
  ASSERT_EQ(Send("east", first)->state, Receipt::State::kKept);
  DoRound("north", 1, 2);
  DoRound("west", 1, 6);
  ASSERT_TRUE(Next<RoundTask>("north").has_value());
  for (int i = 0; i < 2; ++i) {
    const auto again = Send("east", first);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->state, Receipt::State::kKept);
    Restart();
  }
  const auto asks = store_->Asks("run");
  for (const auto& ask : *asks) {
    if (ask.round == 1) EXPECT_EQ(ask.ask.state, AskState::kAnswered) << ask.site;
  }
}

// Its receipt said that it was kept; that it does not count after all is told with the next task,
// and is on record too.
TEST_F(ServerTest, AnUpdateThatIsRefusedAtTheCloseIsToldSo) {
  config_.run.quorum = 2;
  config_.run.deadline_minutes = 60;
  Begin();
  for (int round = 1; round <= 3; ++round) {
    DoRound("east", round, 1);
    DoRound("north", round, 2);
    const auto task = Next<RoundTask>("west");
    ASSERT_TRUE(task.has_value());
    ASSERT_EQ(task->amended.has_value(), round > 1);
    if (task->amended) {
      EXPECT_EQ(task->amended->state, Receipt::State::kRefused);
      EXPECT_EQ(task->amended->round, round - 1);
      EXPECT_THAT(task->amended->why, HasSubstr("max_norm_ratio"));
      EXPECT_GT(task->amended->log_seq, 0);
    }
    EXPECT_EQ(Send("west", Train(*task, "west", 1000))->state, Receipt::State::kKept);
    Restart();
  }
  const auto test = Next<TestTask>("west");
  ASSERT_TRUE(test.has_value() && test->amended.has_value());
  EXPECT_EQ(test->amended->round, 3);
  EXPECT_FALSE(Next<TestTask>("east")->amended.has_value());
  EXPECT_EQ(FirstParameter(3), 4.5f);
  EXPECT_EQ(records_.size(), 12u);  // nine that were kept, three that were refused
}

// The update counts from the moment that it is kept; its receipt is not given before it is on
// record.
TEST_F(ServerTest, AReceiptThatCouldNotBePutOnRecordIsGivenLater) {
  Begin();
  const auto task = Next<RoundTask>("east");
  const Submission submission = Train(*task, "east", 1);
  record_error_ = absl::ResourceExhaustedError("full");
  EXPECT_EQ(Send("east", submission).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Send("east", submission).status().code(), absl::StatusCode::kResourceExhausted);
  Restart();
  record_error_ = absl::OkStatus();
  const auto receipt = Send("east", submission);
  ASSERT_TRUE(receipt.ok()) << receipt.status();
  EXPECT_EQ(receipt->state, Receipt::State::kKept);
  EXPECT_EQ(receipt->log_seq, 1);
}

TEST_F(ServerTest, AQuorumEndsARoundAtItsDeadlineAndTheLateOneIsLate) {
  const auto task = BeginWithQuorum();
  ASSERT_TRUE(task.has_value());
  const Submission late = Train(*task, "west", 6);
  DoRound("east", 1, 1);
  DoRound("north", 1, 2);
  EXPECT_TRUE(Idle("east"));
  now_ms_ += 61'000;
  server_->Sync();
  ASSERT_TRUE(Next<RoundTask>("east").has_value());
  EXPECT_EQ(FirstParameter(1), 1.5f);
  const auto receipt = Send("west", late);
  ASSERT_TRUE(receipt.ok()) << receipt.status();
  EXPECT_EQ(receipt->state, Receipt::State::kLate);
  const auto asks = store_->Asks("run");
  for (const auto& ask : *asks) {
    if (ask.round == 1 && ask.site == "west") EXPECT_EQ(ask.ask.state, AskState::kLate);
  }
  DoRound("west", 2, 6);  // it takes part again
}

// A site's counts are its own word, but only such as can be: nothing negative, nothing whose sums
// overflow, nothing that is not as many as its images.
TEST_F(ServerTest, HistogramsThatCannotBeAreRefused) {
  config_.run.bins = 2;
  Begin();
  for (const auto& [site, add] : kSites) DoRound(site, 1, add);
  const auto histogram = [&](std::vector<int64_t> counts) {
    EvaluationResult result = Result(0.5);
    result.images = 8;
    result.bins = 2;
    result.histogram = std::move(counts);
    return result;
  };
  const EvaluationResult good = histogram({3, 1, 1, 3});
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  std::vector<EvaluationResult> hostile = {
      histogram({-1, 5, 1, 3}),
      histogram({std::numeric_limits<int64_t>::min(), 1, 1, 3}),
      histogram({kMost, kMost, 9, 1}),  // 8 once the sum has wrapped around
      histogram({int64_t{1} << 40, 1, 1, 3}),
      histogram({3, 1, 1, 4}),
      histogram({3, 1, 1}),
      histogram({}),
      good,
      good,
      good};
  hostile[7].images = -8;
  hostile[8].images = kMost;
  hostile[9].bins = kMost / 4 > 0 ? 1 << 30 : 0;
  for (const auto& [site, add] : kSites) {
    const auto task = Next<RoundTask>(site);
    ASSERT_TRUE(task.has_value() && task->round == 2);
    if (site == "west") {
      for (size_t i = 0; i < hostile.size(); ++i) {
        for (const bool validation : {false, true}) {
          const absl::Status status =
              server_->Answer(site, Evaluation{"run", 1, "", validation ? hostile[i] : good,
                                               validation ? good : hostile[i]});
          EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << i << " " << status;
        }
      }
    }
    ASSERT_TRUE(server_->Answer(site, Evaluation{"run", 1, "", good, good}).ok());
  }
  const auto metrics = nlohmann::json::parse((*store_->Rounds("run"))[1].metrics);
  EXPECT_EQ(metrics["method"], "histograms");
  EXPECT_EQ(metrics["test_images"], 24);
  EXPECT_NEAR(metrics["test_auc"].get<double>(), 0.25, 1e-12);  // the first class is positive
}

class EncodedServerTest : public ServerTest, public testing::WithParamInterface<ArrayEncoding> {};
INSTANTIATE_TEST_SUITE_P(Each, EncodedServerTest,
                         testing::Values(ArrayEncoding::kFloat32, ArrayEncoding::kBfloat16));

// run.late = next: what west changed in round 1 is added to round 2's model, with west's weight.
TEST_P(EncodedServerTest, ALateUpdateCountsInTheNextRoundOnce) {
  const ArrayEncoding how = GetParam();
  config_.run.late = "next";
  config_.run.encoding = NameOf(how);
  const auto task = BeginWithQuorum();
  ASSERT_TRUE(task.has_value());
  Submission late = Train(*task, "west", 8, how);
  late.images = 10;  // half of the others' weight
  fs::copy_file(UpdateFile("west"), UpdateFile("west") + ".late");
  DoRound("east", 1, 1, 0.5, how);
  DoRound("north", 1, 2, 0.5, how);
  now_ms_ += 61'000;
  server_->Sync();
  DoRound("east", 2, 1, 0.5, how);
  EXPECT_EQ(FirstParameter(1), 1.5f);
  const auto expect_kept = [&] {
    const auto receipt = Send("west", late);
    ASSERT_TRUE(receipt.ok()) << receipt.status();
    EXPECT_EQ(receipt->state, Receipt::State::kKept) << receipt->why;
    EXPECT_EQ(receipt->round, 1);
    EXPECT_EQ(receipt->why, "round 1 was closed without it: it counts in round 2");
  };
  Submission other = late;
  other.model_sha256 = std::string(64, 'a');
  EXPECT_EQ(Send("west", other).status().code(), absl::StatusCode::kInvalidArgument);
  expect_kept();
  // It is round 2's answer now: nothing more is asked of west there, and nothing more is taken.
  EXPECT_TRUE(Idle("west"));
  Restart();
  expect_kept();
  EXPECT_TRUE(Idle("west"));
  const Submission second = Train(*task, "west", 100, how);
  EXPECT_THAT(std::string(MessageOf(Send("west", second).status())),
              HasSubstr("already answered in round 1"));
  fs::copy_file(UpdateFile("west") + ".late", UpdateFile("west"),
                fs::copy_options::overwrite_existing);
  DoRound("north", 2, 2, 0.5, how);
  const auto third = Next<RoundTask>("west");
  ASSERT_TRUE(third.has_value());
  EXPECT_EQ(third->round, 3);
  // 1.5 and the weighted mean of 1, 2 and 8.
  EXPECT_FLOAT_EQ(FirstParameter(2), 1.5f + (1 * 20 + 2 * 20 + 8 * 10) / 50.0f);
  expect_kept();  // also behind the end of that round
  EXPECT_EQ(records_.count("west 1 0"), 1u);
  std::map<int, std::map<AskState, int>> books;
  const auto asks = *store_->Asks("run");
  for (const auto& ask : asks) ++books[ask.round][ask.ask.state];
  EXPECT_EQ(books[1], (std::map<AskState, int>{{AskState::kAnswered, 2}, {AskState::kLate, 1}}));
  EXPECT_EQ(books[2], (std::map<AskState, int>{{AskState::kAnswered, 3}}));
  for (const auto& [site, add] : kSites) DoRound(site, 3, add, 0.5, how);
  for (const auto& [site, add] : kSites) DoTest(site, 3, 0.7);
  EXPECT_TRUE(Next<EndTask>("west").has_value());
}

// What the next round has no use for stays late.
TEST_F(ServerTest, ALateUpdateDoesNotCountBesideAnAnswerOrTwoRoundsLater) {
  config_.run.late = "next";
  config_.training.federation.rounds = 5;
  const auto task = BeginWithQuorum();
  ASSERT_TRUE(task.has_value());
  const Submission late = Train(*task, "west", 6);
  fs::copy_file(UpdateFile("west"), UpdateFile("west") + ".late");
  const auto pass = [&](int round) {
    DoRound("east", round, 1);
    DoRound("north", round, 2);
    now_ms_ += 61'000;
    server_->Sync();
    for (int i = 0; i < 1000 && store_->Run("run")->round < round; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ASSERT_EQ(Next<RoundTask>("east")->round, round + 1);
  };
  pass(1);
  // West answers round 2 itself.
  DoRound("west", 2, 6);
  fs::copy_file(UpdateFile("west") + ".late", UpdateFile("west"),
                fs::copy_options::overwrite_existing);
  auto receipt = Send("west", late);
  ASSERT_TRUE(receipt.ok()) << receipt.status();
  EXPECT_EQ(receipt->state, Receipt::State::kLate);
  DoRound("east", 2, 1);
  DoRound("north", 2, 2);
  ASSERT_TRUE(Next<RoundTask>("east").has_value());
  EXPECT_EQ(FirstParameter(2), 4.5f);
  // Rounds 3 and 4 end without west.
  const auto of_three = Next<RoundTask>("west");
  ASSERT_TRUE(of_three.has_value());
  const Submission later = Train(*of_three, "west", 6);
  pass(3);
  pass(4);
  receipt = Send("west", later);
  ASSERT_TRUE(receipt.ok()) << receipt.status();
  EXPECT_EQ(receipt->state, Receipt::State::kLate);
}

// One that answered in time cannot count again as a late one, nor change the books of that round.
TEST_F(ServerTest, AClosedRoundsBooksStay) {
  config_.run.late = "next";
  const auto task = BeginWithQuorum();
  DoRound("west", 1, 6);
  DoRound("east", 1, 1);
  DoRound("north", 1, 2);
  ASSERT_TRUE(Next<RoundTask>("west").has_value());
  for (const float add : {7.0f, std::nanf("")}) {
    // From the model of round 0, which is kept for those that are late.
    const Submission again = Train(*task, "west", add);
    EXPECT_THAT(std::string(MessageOf(Send("west", again).status())),
                HasSubstr("already answered in round 1"));
  }
  const auto asks = *store_->Asks("run");
  for (const auto& ask : asks) {
    if (ask.round == 1) EXPECT_EQ(ask.ask.state, AskState::kAnswered) << ask.site;
  }
  EXPECT_EQ(FirstParameter(1), 3.0f);
  DoRound("west", 2, 6);
}

TEST_F(ServerTest, ASiteThatIsGoneStopsNothingThatHasItsQuorum) {
  config_.run.quorum = 2;
  config_.run.deadline_minutes = 60;
  Begin();
  DoRound("east", 1, 1);
  DoRound("north", 1, 2);
  ASSERT_TRUE(store_->Revoke("west", "test", now_ms_).ok());
  server_->Sync();
  DoRound("east", 2, 1);
  EXPECT_FALSE(server_->NextTask("west").has_value());
}

TEST_F(ServerTest, AFailedSiteMayComeBack) {
  Begin();
  ASSERT_TRUE(Next<RoundTask>("west").has_value());
  ASSERT_TRUE(server_->Answer("west", Failure{"run", 1, "out of memory", false}).ok());
  EXPECT_TRUE(Idle("west"));
  DoRound("east", 1, 1);
  DoRound("north", 1, 2);
  EXPECT_TRUE(Idle("east"));
  server_->SiteConnected("west");
  DoRound("west", 1, 6);
  EXPECT_TRUE(Next<RoundTask>("east").has_value());
  EXPECT_EQ(FirstParameter(1), 3.0f);
}

TEST_F(ServerTest, ADamagedSpoolIsAskedForAgainAndNothingWrongIsAveraged) {
  Begin();
  DoRound("east", 1, 1);
  DoRound("north", 1, 2);
  server_.reset();
  std::string spooled;
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "runs/run/spool/1")) {
    if (entry.path().filename().string().starts_with("east.")) spooled = entry.path();
  }
  {
    std::fstream file(spooled, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(5000);
    file.put('?');
  }
  Start();
  DoRound("east", 1, 1);
  DoRound("west", 1, 6);
  ASSERT_TRUE(Next<RoundTask>("east").has_value());
  EXPECT_EQ(FirstParameter(1), 3.0f);
}

TEST_F(ServerTest, ADamagedModelHaltsItsRunAndSaysWhatToDo) {
  CreateRun();
  CreateRun("other");
  std::ofstream(folder_ / "runs/run/models/round-0.arr", std::ios::app) << "?";
  Start();
  EXPECT_THAT(log_, HasSubstr("round-0.arr"));
  EXPECT_THAT(log_, HasSubstr("restore it from a backup"));
  EXPECT_EQ(Next<OfferTask>("east")->run, "other");  // the other run goes on
  ASSERT_TRUE(store_->Want("run", "cancelled", 1).ok());
  server_->Sync();
  EXPECT_EQ(store_->Run("run")->state, "cancelled");
  EXPECT_EQ(store_->Want("run", "running", 1).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ServerTest, PauseResumeAndCancel) {
  Begin();
  ASSERT_TRUE(Next<RoundTask>("east").has_value());
  ASSERT_TRUE(store_->Want("run", "paused", 1).ok());
  server_->Sync();
  EXPECT_TRUE(Idle("east"));
  Restart();
  EXPECT_TRUE(Idle("east"));
  ASSERT_TRUE(store_->Want("run", "running", 1).ok());
  server_->Sync();
  DoRound("east", 1, 1);
  ASSERT_TRUE(store_->Want("run", "cancelled", 1).ok());
  server_->Sync();
  EXPECT_EQ(Next<EndTask>("north")->state, "cancelled");
  EXPECT_EQ(server_->ReportStatus("north", {"training", "run", 1, 5, 10, 3.0}, "0.1.0", "127.0.0.1")
                ->drop_run,
            "run");
}

TEST_F(ServerTest, AllRefusingEndsTheRunWithTheReason) {
  CreateRun();
  Start();
  for (const auto& [site, add] : kSites) {
    ASSERT_TRUE(Next<OfferTask>(site).has_value());
    ASSERT_TRUE(
        server_
            ->Answer(site, OfferAnswer{"run", OfferAnswer::State::kRefused, {}, "too few images"})
            .ok());
  }
  for (int i = 0; i < 1000 && store_->Run("run")->state != "failed"; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(store_->Run("run")->state, "failed");
  EXPECT_THAT(store_->Run("run")->why, HasSubstr("0 sites take part"));
}

TEST_F(ServerTest, CrossSiteTestsGoByPassingModels) {
  config_.run.cross_site = true;
  config_.training.federation.rounds = 1;
  Begin();
  for (const auto& [site, add] : kSites) DoRound(site, 1, add);
  for (const auto& [site, add] : kSites) {
    std::vector<std::string> of;
    for (int i = 0; i < 4; ++i) {
      const auto task = Next<TestTask>(site);
      ASSERT_TRUE(task.has_value());
      of.push_back(task->trained_by);
      const auto path = server_->ArtifactPath(site, "run", task->model);
      ASSERT_TRUE(path.ok());
      const float first = ReadModelFile(*path, Spec(), 1)->values.data()[0];
      EXPECT_EQ(first, task->trained_by.empty()      ? 3.0f
                       : task->trained_by == "east"  ? 1.0f
                       : task->trained_by == "north" ? 2.0f
                                                     : 6.0f);
      ASSERT_TRUE(
          server_->Answer(site, Evaluation{"run", 1, task->trained_by, Result(0.5), Result(0.5)})
              .ok());
    }
    EXPECT_THAT(of, UnorderedElementsAre("", "east", "north", "west"));
  }
  EXPECT_TRUE(Next<EndTask>("east").has_value());
  EXPECT_EQ(store_->Evaluations("run", 1)->size(), 12u);
}

// Lossy on the wire: sites start from the rounded model, the server keeps its own in full.
TEST_F(ServerTest, ChangesAreAddedToTheServersOwnModel) {
  config_.run.encoding = "bfloat16";
  Begin();
  for (int round = 1; round <= 3; ++round) {
    for (const auto& [site, add] : kSites)
      DoRound(site, round, add / 128, 0.5, ArrayEncoding::kBfloat16);
  }
  ASSERT_TRUE(Next<TestTask>("east").has_value());
  EXPECT_NEAR(FirstParameter(3), 9.0 / 128, 1e-3);
  EXPECT_TRUE(fs::exists(folder_ / "runs/run/models/round-3.wire"));
}

}  // namespace
}  // namespace manako
