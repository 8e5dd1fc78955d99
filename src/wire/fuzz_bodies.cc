#include "wire/fuzz_bodies.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <variant>

#include "base/files.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "base/temporary_folder.h"
#include "manako/v1/federation.pb.h"
#include "server/enrolment.h"
#include "server/server.h"
#include "site/agent.h"
#include "site/ledger.h"
#include "site/site_store.h"
#include "wire/chunk.h"
#include "wire/convert.h"

namespace manako {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kNow = 1'800'000'000'000;

void MustBe(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "not so: %s\n", what);
  std::abort();
}

std::shared_ptr<const ModelSpec> Spec() {
  static const auto spec = std::make_shared<const ModelSpec>(
      *ModelSpec::Create({{"w", {4, 5}, TensorKind::kParameter}}));
  return spec;
}

FederatedRunConfig RunOfTwoClasses() {
  FederatedRunConfig config;
  config.run.name = "fuzz";
  config.run.classes = {"a", "b"};
  config.training.federation.rounds = 3;
  config.training.train.local_epochs = 1;
  config.training.train.learning_rate = 0.1;
  config.training.data.image_size = 64;
  return config;
}

// A server with the sites east and west in the first round of "run".
class Central {
 public:
  Central() {
    MustBe(MakeCentral(folder_.path(),
                       {.name = "Fuzz", .host = "localhost", .port = 1, .more_hosts = {}}, kNow)
               .ok(),
           "a central hospital");
    store_ = *FederationStore::Open(folder_ / "federation.db");
    enrolment_ = *Enrolment::Open(folder_.path(), store_.get());
    for (const char* site : {"east", "west"}) {
      MustBe(store_->AddInvitation(site, site, 0, kNow).ok(), "an invitation");
      SiteRecord record;
      record.name = site;
      MustBe(store_->Enrol(record, site, 1).ok(), "a site");
    }
    MustBe(RunFolder(folder_ / "runs/run")
               .Create(ParameterSet::Zero(Spec()), ArrayEncoding::kFloat32, 1)
               .ok(),
           "a run's folder");
    RunRecord record;
    record.id = "run";
    record.config = RunOfTwoClasses().ToToml();
    record.wanted = record.state = "created";
    MustBe(store_->AddRun(record).ok() && store_->Want("run", "running", kNow).ok(), "a run");
    Server::Deps deps;
    deps.store = store_.get();
    deps.now_ms = [] { return kNow; };
    deps.log = [](std::string_view) {};
    server_ = *Server::Open({folder_.path(), 1}, deps);
    for (const char* site : {"east", "west"}) {
      MustBe(server_
                 ->Answer(
                     site,
                     OfferAnswer{"run", OfferAnswer::State::kReady, {{10, 10}, {2, 2}, {2, 2}}, ""})
                 .ok(),
             "an answer");
    }
    while (!server_->NextTask("east")) ::usleep(100);
    const auto task = server_->NextTask("east");
    MustBe(std::holds_alternative<RoundTask>(*task), "an open round");
    model_ = std::get<RoundTask>(*task).model;
  }
  ~Central() {
    server_.reset();
    enrolment_.reset();
    store_.reset();
  }
  Server& server() { return *server_; }
  Enrolment& enrolment() { return *enrolment_; }
  const ArtifactId& model() const { return model_; }

 private:
  // In memory: nothing here needs a disk.
  const TemporaryFolder folder_ = TemporaryFolder::InMemory();
  std::unique_ptr<FederationStore> store_;
  std::unique_ptr<Enrolment> enrolment_;
  std::unique_ptr<Server> server_;
  ArtifactId model_;
};

Central& TheCentral() {
  static Central central;
  return central;
}

template <typename Message>
std::optional<Message> Parse(std::string_view bytes) {
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
  return message;
}

// No message makes the server's own model another, or takes its files out of its folder.
void ExpectWhole(Central& central) {
  const auto path = central.server().ArtifactPath("east", "run", central.model());
  MustBe(path.ok(), "the round's model is still there");
  const auto sha256 = Sha256HexOfFile(*path);
  MustBe(sha256.ok() && *sha256 == central.model().sha256, "the round's model is as it was");
}

}  // namespace

void FuzzServerCall(std::string_view bytes) {
  if (bytes.empty()) return;
  Central& central = TheCentral();
  Server& server = central.server();
  const int call = static_cast<unsigned char>(bytes[0]) % 7;
  bytes.remove_prefix(1);
  if (call == 0) {
    const auto message = Parse<v1::AnswerRequest>(bytes);
    if (!message) return;
    const auto answer = FromProto(*message);
    if (answer.ok()) static_cast<void>(server.Answer("east", *answer));
  } else if (call == 1) {
    const auto message = Parse<v1::Status>(bytes);
    if (message)
      MustBe(server.ReportStatus("east", FromProto(*message), "fuzz", "nowhere").ok(),
             "a status is taken");
  } else if (call == 2) {
    const auto message = Parse<v1::DownloadRequest>(bytes);
    if (!message) return;
    const auto path = server.ArtifactPath("east", message->run(), FromProto(message->artifact()));
    MustBe(!path.ok() || message->artifact().sha256() == central.model().sha256,
           "no other file is given out");
  } else if (call == 3 || call == 4) {
    const auto message = Parse<v1::Submission>(bytes);
    if (!message) return;
    const Submission submission = FromProto(*message);
    const auto state = server.BeginUpload("east", submission);
    if (call == 4 && state.ok()) {
      const auto receipt = server.Submit("east", submission);
      MustBe(!receipt.ok(), "no update is kept whose bytes were never sent");
    }
  } else if (call == 5) {
    const auto message = Parse<v1::EnrolRequest>(bytes);
    if (message)
      MustBe(!central.enrolment().Enrol(message->token(), message->request(), kNow).ok(),
             "nobody joins uninvited");
  } else {
    const auto message = Parse<v1::RenewRequest>(bytes);
    if (message) static_cast<void>(central.enrolment().Renew("west", message->request(), kNow));
  }
  ExpectWhole(central);
}

void FuzzUpload(std::string_view bytes) {
  Central& central = TheCentral();
  Submission submission;
  bool begun = false;
  int64_t offset = 0;
  while (bytes.size() >= 2) {
    const size_t size =
        static_cast<unsigned char>(bytes[0]) + 256u * static_cast<unsigned char>(bytes[1]);
    bytes.remove_prefix(2);
    const auto part = Parse<v1::UploadPart>(bytes.substr(0, size));
    bytes.remove_prefix(std::min(size, bytes.size()));
    if (!part) return;
    if (part->has_submission() && !begun) {
      submission = FromProto(part->submission());
      const auto state = central.server().BeginUpload("west", submission);
      if (!state.ok() || state->receipt) return;
      begun = true;
      offset = state->offset;
    } else if (part->has_chunk()) {
      if (!CheckChunk(part->chunk()).ok()) return;
      const auto& chunk = part->chunk();
      const absl::Status status =
          central.server().AppendUpload("west", submission, chunk.offset(), chunk.data());
      MustBe(begun || !status.ok(), "no bytes are taken before they are announced");
      if (!status.ok()) return;
      MustBe(chunk.offset() == offset, "bytes join");
      offset += static_cast<int64_t>(chunk.data().size());
      MustBe(offset <= submission.artifact.bytes, "not more comes than was announced");
    } else {
      return;
    }
  }
  if (begun && offset == submission.artifact.bytes)
    static_cast<void>(central.server().Submit("west", submission));
  ExpectWhole(central);
}

namespace {

class NoLearner : public Learner {
 public:
  absl::StatusOr<Update> Train(const TrainTask& task) override {
    Update update;
    update.model = task.model->Clone();
    update.images = update.visits = 20;
    return update;
  }
  absl::StatusOr<Predictions> Evaluate(const ParameterSet&, ExampleSet) override {
    return absl::NotFoundError("no images");
  }
  LearnerState SaveState() const override { return {}; }
  absl::Status RestoreState(LearnerState) override { return absl::OkStatus(); }
};

class NoWork : public SiteWork {
 public:
  absl::StatusOr<std::unique_ptr<PreparedRun>> Prepare(
      const FederatedRunConfig&, const std::function<void(int64_t, int64_t)>&) override {
    return std::make_unique<Prepared>();
  }

 private:
  class Prepared : public PreparedRun {
   public:
    const SiteCounts& counts() const override { return counts_; }
    std::shared_ptr<const ModelSpec> spec() const override { return Spec(); }
    absl::StatusOr<std::unique_ptr<Learner>> MakeLearner(const FederatedRunConfig&, const RunBasis&,
                                                         int) override {
      return std::make_unique<NoLearner>();
    }
    absl::Status Export(const ParameterSet&, const std::string&, const std::string&) override {
      return absl::OkStatus();
    }

   private:
    SiteCounts counts_{{20, 20}, {5, 5}, {5, 5}};
  };
};

// A server that has joined the site to "run", and then says what the fuzzer wants.
class ServerOfOneWord : public ServerChannel {
 public:
  std::optional<SiteTask> task;
  std::optional<Receipt> receipt;
  std::optional<StatusReply> reply;
  std::string model;  // a file, given for whatever is asked
  std::stop_source stop;

  absl::StatusOr<SiteTask> NextTask() override {
    switch (turn_++) {
      case 0:
        return OfferTask{"run", RunOfTwoClasses().ToToml()};
      case 1:
        if (task) return *task;
        [[fallthrough]];
      case 2: {
        RoundTask round;
        round.run = "run";
        round.round = 1;
        round.rounds = 3;
        round.basis = {2, 80, {40, 40}};
        const auto sha256 = Sha256HexOfFile(model);
        round.model = {sha256.value_or(""), static_cast<int64_t>(fs::file_size(model))};
        return round;
      }
      default:
        stop.request_stop();
        return Wait{};
    }
  }
  absl::Status Answer(const SiteAnswer&) override { return absl::OkStatus(); }
  absl::StatusOr<StatusReply> ReportStatus(const SiteStatus&) override {
    return reply.value_or(StatusReply{});
  }
  absl::Status Download(const std::string&, const ArtifactId& artifact, const std::string& path,
                        const std::function<void(int64_t)>&) override {
    const auto sha256 = Sha256HexOfFile(model);
    if (!sha256.ok() || *sha256 != artifact.sha256) return absl::NotFoundError("no such file");
    std::error_code error;
    fs::copy_file(model, path, fs::copy_options::overwrite_existing, error);
    return error ? absl::NotFoundError("no copy") : absl::OkStatus();
  }
  absl::StatusOr<Receipt> Submit(const Submission& submission, const std::string&,
                                 const std::function<void(int64_t)>&) override {
    if (receipt) return *receipt;
    Receipt good;
    good.run = submission.run;
    good.round = submission.round;
    good.sha256 = submission.artifact.sha256;
    return good;
  }

 private:
  int turn_ = 0;
};

}  // namespace

void FuzzServerAnswer(std::string_view bytes) {
  if (bytes.empty()) return;
  const int kind = static_cast<unsigned char>(bytes[0]) % 3;
  bytes.remove_prefix(1);
  ServerOfOneWord server;
  if (kind == 0) {
    const auto message = Parse<v1::Task>(bytes);
    const auto task = message ? FromProto(*message) : absl::InvalidArgumentError("");
    if (!task.ok()) return;
    server.task = *task;
  } else if (kind == 1) {
    const auto message = Parse<v1::Receipt>(bytes);
    const auto receipt = message ? FromProto(*message) : absl::InvalidArgumentError("");
    if (!receipt.ok()) return;
    server.receipt = *receipt;
  } else {
    const auto message = Parse<v1::StatusReply>(bytes);
    if (!message) return;
    server.reply = FromProto(*message);
  }
  static const PrivateKey key = *PrivateKey::Generate();
  const TemporaryFolder root = TemporaryFolder::InMemory();
  const std::string folder = root / "site";
  MustBe(MakeFolders(folder).ok(), "a site's folder");
  server.model = root / "model";
  MustBe(WriteModelFile(ParameterSet::Zero(Spec()), ArrayEncoding::kFloat32, server.model, 1).ok(),
         "a model");
  {
    NoWork work;
    const auto store = *SiteStore::Open(folder);
    const auto ledger =
        *Ledger::Open(store->folder().ledger(), key, {{"server:1", "-"}, [] { return kNow; }});
    SiteAgent::Options options;
    options.config.server.address = "server:1";
    options.config.server.site = "east";
    options.config.data.path = "/nowhere";
    options.config.policy.approval = "none";
    options.networks = {"cnn3"};
    options.first_retry_seconds = options.longest_retry_seconds = 0.0001;
    SiteAgent::Deps deps;
    deps.channel = &server;
    deps.work = &work;
    deps.store = store.get();
    deps.ledger = ledger.get();
    deps.now_ms = [] { return kNow; };
    MustBe(SiteAgent(options, deps).Run(server.stop.get_token()).ok(),
           "no word of the server's ends the agent");
  }
  // Nothing is written but in the site's own folder, and what is written down is a ledger.
  int outside = 0;
  for (const auto& entry : fs::directory_iterator(root.path()))
    outside += entry.path() != folder && entry.path() != server.model ? 1 : 0;
  MustBe(outside == 0, "nothing is written outside the site's folder");
  const absl::Status ledger = Ledger::Verify(folder + "/ledger.jsonl", key.public_key(), nullptr);
  MustBe(ledger.ok() || ledger.code() == absl::StatusCode::kNotFound, "the ledger is good");
}

}  // namespace manako
