// Server and channel over real TLS on loopback.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "base/hash.h"
#include "base/status_macros.h"
#include "base/temporary_folder.h"
#include "core/codec/array_file_writer.h"
#include "manako/v1/federation.grpc.pb.h"
#include "server/enrolment.h"
#include "server/server.h"
#include "wire/grpc_channel.h"
#include "wire/grpc_server.h"
#include "wire/testing.h"

namespace manako {
namespace {

using testing::HasSubstr;

int64_t Now() { return absl::ToUnixMillis(absl::Now()); }

std::shared_ptr<const ModelSpec> Spec() {
  static const auto spec = std::make_shared<const ModelSpec>(
      *ModelSpec::Create({{"w", {700'000}, TensorKind::kParameter}}));
  return spec;
}

class WireTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(MakeCentral(central_,
                            {.name = "Test Federation",
                             .host = "127.0.0.1",
                             .port = 8443,
                             .more_hosts = {"127.0.0.1"}},
                            Now())
                    .ok());
    StartServer();
  }
  void TearDown() override { StopServer(); }
  void StartServer() {
    store_ = *FederationStore::Open(central_ + "/federation.db");
    enrolment_ = *Enrolment::Open(central_, store_.get());
    const auto log = [this](std::string_view line) {
      const std::lock_guard lock(log_mutex_);
      log_ += std::string(line) + "\n";
    };
    Server::Deps deps{store_.get(), Now, log, nullptr, nullptr};
    server_ = *Server::Open({central_, 1}, deps);
    auto grpc = GrpcServer::Start({fmt::format("127.0.0.1:{}", port_), "0.1.0", 4},
                                  {server_.get(), enrolment_.get(), store_.get(), Now, log});
    ASSERT_TRUE(grpc.ok()) << grpc.status();
    grpc_ = *std::move(grpc);
    port_ = grpc_->port();
  }
  void StopServer() {
    grpc_.reset();
    server_.reset();
    enrolment_.reset();
    store_.reset();
  }

  struct Site {
    std::unique_ptr<PrivateKey> key;
    Joined joined;
    std::unique_ptr<GrpcChannel> channel;
  };
  Invitation Invite(const std::string& site) {
    Invitation invitation = *ParseInvitation(*enrolment_->Invite(site, 1, Now()));
    invitation.server.port = static_cast<uint16_t>(port_);
    return invitation;
  }
  std::unique_ptr<GrpcChannel> Connect(const PrivateKey& key, const Joined& joined,
                                       int64_t wait_ms = 2000) {
    GrpcChannel::Options options;
    options.server = {"127.0.0.1", static_cast<uint16_t>(port_)};
    options.authority = joined.authority;
    options.certificate = joined.certificate;
    options.software = "test";
    options.wait_ms = wait_ms;
    return *GrpcChannel::Connect(options, key);
  }
  Site Join(const std::string& name) {
    Site site;
    site.key = std::make_unique<PrivateKey>(*PrivateKey::Generate());
    auto joined = JoinFederation(Invite(name), *site.key, "test", Now());
    EXPECT_TRUE(joined.ok()) << joined.status();
    site.joined = *std::move(joined);
    site.channel = Connect(*site.key, site.joined);
    return site;
  }
  void CreateRun(const std::string& id = "run") {
    FederatedRunConfig config;
    config.run.classes = {"detached", "normal"};
    config.training.federation.rounds = 1;
    config.training.train.local_epochs = 1;
    config.training.train.learning_rate = 0.1;
    config.training.data.image_size = 64;
    ParameterSet initial = ParameterSet::Zero(Spec());
    for (int64_t i = 0; i < Spec()->size(); ++i)
      initial.values.data()[i] = static_cast<float>(i) / 7;
    ASSERT_TRUE(
        RunFolder(central_ + "/runs/" + id).Create(initial, ArrayEncoding::kFloat32, 1).ok());
    RunRecord record;
    record.id = id;
    record.config = config.ToToml();
    record.wanted = record.state = "created";
    ASSERT_TRUE(store_->AddRun(record).ok());
    ASSERT_TRUE(store_->Want(id, "running", Now()).ok());
    server_->Sync();
  }
  RoundTask ReadyForRound(GrpcChannel& channel) {
    const auto offer = channel.NextTask();
    EXPECT_TRUE(offer.ok() && std::holds_alternative<OfferTask>(*offer)) << offer.status();
    EXPECT_TRUE(
        channel
            .Answer(OfferAnswer{"run", OfferAnswer::State::kReady, {{10, 10}, {2, 2}, {2, 2}}, ""})
            .ok());
    const auto round = channel.NextTask();
    EXPECT_TRUE(round.ok() && std::holds_alternative<RoundTask>(*round)) << round.status();
    return std::get<RoundTask>(*round);
  }
  Submission WriteUpdate(const RoundTask& task, const std::string& path) {
    ArrayFileHeader header;
    header.spec_hash = Spec()->hash();
    header.sections = {
        {"model", static_cast<uint64_t>(Spec()->size()), ArrayEncoding::kFloat32, false}};
    FlatArray values(Spec()->size());
    for (int64_t i = 0; i < Spec()->size(); ++i)
      values.data()[i] = static_cast<float>(i % 1000) / 3;
    const std::vector<ArrayPiece> pieces = {{.values = values.values()}};
    const auto summary = *WriteArrayFile(path, header, pieces, {.threads = 1, .compress = false});
    return SubmissionOf(task, summary);
  }

  const TemporaryFolder folder_;
  const std::string central_ = folder_ / "central";
  std::string log_;
  std::mutex log_mutex_;
  int port_ = 0;
  std::unique_ptr<FederationStore> store_;
  std::unique_ptr<Enrolment> enrolment_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<GrpcServer> grpc_;
};

TEST_F(WireTest, ARoundOverTls) {
  Site east = Join("east-clinic");
  EXPECT_EQ(east.joined.federation, "Test Federation");
  EXPECT_EQ(east.joined.site, "east-clinic");
  const auto greeting = east.channel->Hello(Now());
  ASSERT_TRUE(greeting.ok()) << greeting.status();
  EXPECT_EQ(greeting->site, "east-clinic");
  CreateRun();
  const RoundTask task = ReadyForRound(*east.channel);
  const std::string model = folder_ / "model.arr";
  ASSERT_TRUE(east.channel->Download("run", task.model, model, nullptr).ok());
  EXPECT_EQ(*Sha256HexOfFile(model), task.model.sha256);
  const Submission submission = WriteUpdate(task, folder_ / "update.arr");
  int64_t sent = 0;
  const auto receipt =
      east.channel->Submit(submission, folder_ / "update.arr", [&](int64_t done) { sent = done; });
  ASSERT_TRUE(receipt.ok()) << receipt.status();
  EXPECT_EQ(receipt->state, Receipt::State::kKept);
  EXPECT_EQ(sent, submission.artifact.bytes);
  const auto next = east.channel->NextTask();
  ASSERT_TRUE(next.ok() && std::holds_alternative<TestTask>(*next)) << next.status();
  EXPECT_EQ(
      ReadModelFile(RunFolder(central_ + "/runs/run").ModelPath(1), Spec(), 1)->values.data()[4],
      4.0f / 3);
  const auto status = east.channel->ReportStatus({"testing", "run", 1, 1, 2, 3.5});
  ASSERT_TRUE(status.ok());
  EXPECT_NEAR(static_cast<double>(status->time_ms), static_cast<double>(Now()), 60'000);
}

TEST_F(WireTest, WaitingForWorkEndsWithTheWorkAndNotBefore) {
  Site east = Join("east");
  const auto began = std::chrono::steady_clock::now();
  const auto nothing = Connect(*east.key, east.joined, 300)->NextTask();
  ASSERT_TRUE(nothing.ok()) << nothing.status();
  EXPECT_TRUE(std::holds_alternative<Wait>(*nothing));
  EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(300));
  std::atomic<bool> got = false;
  std::thread waiting([&] {
    const auto task = Connect(*east.key, east.joined, 40'000)->NextTask();
    got = task.ok() && std::holds_alternative<OfferTask>(*task);
  });
  for (int i = 0; i < 5000 && grpc_->waiting() == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_FALSE(got);
  CreateRun();
  waiting.join();
  EXPECT_TRUE(got);
}

TEST_F(WireTest, RevocationCountsAtOnceOnOpenConnections) {
  Site east = Join("east");
  ASSERT_TRUE(east.channel->Hello(Now()).ok());
  absl::Status ended;
  std::thread waiting(
      [&] { ended = Connect(*east.key, east.joined, 40'000)->NextTask().status(); });
  for (int i = 0; i < 5000 && grpc_->waiting() == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ASSERT_TRUE(store_->Revoke("east", "left", Now()).ok());
  server_->Sync();
  grpc_->Recheck();
  waiting.join();
  EXPECT_EQ(ended.code(), absl::StatusCode::kPermissionDenied) << ended;
  EXPECT_EQ(east.channel->Hello(Now()).status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Connect(*east.key, east.joined)->NextTask().status().code(),
            absl::StatusCode::kPermissionDenied);
}

TEST_F(WireTest, ASiteLeavesByItsOwnWord) {
  Site east = Join("east");
  absl::Status ended;
  std::thread waiting(
      [&] { ended = Connect(*east.key, east.joined, 40'000)->NextTask().status(); });
  for (int i = 0; i < 5000 && grpc_->waiting() == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ASSERT_TRUE(east.channel->Leave("we\nclose").ok());
  waiting.join();
  EXPECT_EQ(ended.code(), absl::StatusCode::kPermissionDenied) << ended;
  EXPECT_EQ((*store_->Site("east"))->state, "left");
  EXPECT_EQ(east.channel->Leave("").code(), absl::StatusCode::kPermissionDenied);
  const auto events = *store_->Events(0, 100);
  EXPECT_EQ(events.back().kind, "site_left_federation");
  EXPECT_EQ(events.back().fields["why"].get<std::string>().find('\n'), std::string::npos);
  // It may come back, as a new site of the same name.
  EXPECT_TRUE(Join("east").channel->Hello(Now()).ok());
}

TEST_F(WireTest, ARenewedCertificateIsUsedByCallsFromThenOn) {
  Site east = Join("east");
  const auto renewed = east.channel->Renew(*east.key, Now());
  ASSERT_TRUE(renewed.ok()) << renewed.status();
  EXPECT_NE(renewed->certificate, east.joined.certificate);
  east.channel->Use(renewed->certificate);
  EXPECT_TRUE(east.channel->Hello(Now()).ok());
  east.channel->Use(east.joined.authority);  // no site's certificate: so the new one is what counts
  EXPECT_FALSE(east.channel->Hello(Now()).ok());
}

TEST_F(WireTest, AnInvitationIsForItsServerAndOnce) {
  const Invitation invitation = Invite("east");
  const PrivateKey key = *PrivateKey::Generate();
  Invitation other = invitation;
  other.ca_sha256[0] = other.ca_sha256[0] == 'a' ? 'b' : 'a';
  // Another authority: refused before the token is sent, so the invitation is still good.
  EXPECT_FALSE(JoinFederation(other, key, "test", Now()).ok());
  // A clock that is a day off, either way, is no obstacle.
  const auto joined = JoinFederation(invitation, key, "test", Now() - 24 * 3'600'000);
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_NEAR(static_cast<double>(joined->clock_skew_ms), -24.0 * 3'600'000, 60'000);
  const auto again = JoinFederation(invitation, key, "test", Now());
  EXPECT_THAT(std::string(MessageOf(again.status())), HasSubstr("was used on"));
}

TEST_F(WireTest, ASiteRenewsItsCertificate) {
  Site east = Join("east");
  const PrivateKey fresh = *PrivateKey::Generate();
  const auto renewed = east.channel->Renew(fresh, Now());
  ASSERT_TRUE(renewed.ok()) << renewed.status();
  EXPECT_TRUE(Connect(fresh, *renewed)->Hello(Now()).ok());
  // The old key is another one: whoever has it is no longer this site.
  EXPECT_EQ(east.channel->Hello(Now()).status().code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(WireTest, WithoutACertificateOrWithAnotherAuthoritysNothingIsSaid) {
  Site east = Join("east");
  grpc::SslCredentialsOptions anonymous;
  anonymous.pem_root_certs = east.joined.authority;
  const auto channel =
      grpc::CreateChannel(fmt::format("127.0.0.1:{}", port_), grpc::SslCredentials(anonymous));
  const auto stub = v1::Federation::NewStub(channel);
  grpc::ClientContext context;
  v1::HelloReply reply;
  EXPECT_EQ(stub->Hello(&context, v1::HelloRequest(), &reply).error_code(),
            grpc::StatusCode::UNAUTHENTICATED);

  const PrivateKey ca_key = *PrivateKey::Generate();
  const Certificate ca = *MakeFederationCa(ca_key, "Another", absl::Now());
  const PrivateKey key = *PrivateKey::Generate();
  const Certificate forged =
      *SignSiteRequest({ca, ca_key}, *MakeSiteRequest(key, "east"), "east", absl::Now());
  Joined joined = east.joined;
  joined.certificate = forged.pem;
  EXPECT_FALSE(Connect(key, joined)->Hello(Now()).ok());
}

TEST_F(WireTest, OneSitesCertificateIsNotAnothersName) {
  Site east = Join("east");
  Site west = Join("west");
  CreateRun();
  const RoundTask task = [&] {
    EXPECT_TRUE(west.channel->NextTask().ok());
    EXPECT_TRUE(
        west.channel
            ->Answer(OfferAnswer{"run", OfferAnswer::State::kReady, {{10, 10}, {2, 2}, {2, 2}}, ""})
            .ok());
    return ReadyForRound(*east.channel);
  }();
  const Submission submission = WriteUpdate(task, folder_ / "update.arr");
  ASSERT_EQ(east.channel->Submit(submission, folder_ / "update.arr", nullptr)->state,
            Receipt::State::kKept);
  // The same bytes from west are west's own answer: no message can say whose they are.
  ASSERT_EQ(west.channel->Submit(submission, folder_ / "update.arr", nullptr)->state,
            Receipt::State::kKept);
  const auto asks = store_->Asks("run");
  for (const auto& ask : *asks) EXPECT_EQ(ask.ask.state, AskState::kAnswered) << ask.site;
}

TEST_F(WireTest, TransfersGoOnWhereTheServerWasKilled) {
  Site east = Join("east");
  CreateRun();
  const RoundTask task = ReadyForRound(*east.channel);
  const std::string model = folder_ / "model.arr";
  // Half of the model is there already.
  {
    const std::string source = RunFolder(central_ + "/runs/run").ModelPath(0);
    std::ifstream in(source, std::ios::binary);
    std::string bytes(static_cast<size_t>(task.model.bytes) / 2, '\0');
    in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    std::ofstream(model + ".part", std::ios::binary) << bytes;
  }
  int64_t first = -1;
  ASSERT_TRUE(east.channel
                  ->Download("run", task.model, model,
                             [&](int64_t done) {
                               if (first < 0) first = done;
                             })
                  .ok());
  EXPECT_GT(first, task.model.bytes / 2);
  // A part that is another file's is thrown away, and told as what passes.
  std::ofstream(model + ".part", std::ios::binary) << std::string(100, '?');
  EXPECT_EQ(east.channel->Download("run", task.model, model, nullptr).code(),
            absl::StatusCode::kDataLoss);
  EXPECT_TRUE(east.channel->Download("run", task.model, model, nullptr).ok());

  const Submission submission = WriteUpdate(task, folder_ / "update.arr");
  ASSERT_TRUE(server_->BeginUpload("east", submission).ok());
  std::ifstream in(folder_ / "update.arr", std::ios::binary);
  std::string bytes(1'000'000, '\0');
  in.read(bytes.data(), 1'000'000);
  ASSERT_TRUE(server_->AppendUpload("east", submission, 0, bytes).ok());
  StopServer();
  const auto unreachable = east.channel->Submit(submission, folder_ / "update.arr", nullptr);
  EXPECT_EQ(unreachable.status().code(), absl::StatusCode::kUnavailable) << unreachable.status();
  StartServer();
  first = -1;
  absl::StatusOr<Receipt> receipt = absl::UnknownError("");
  for (int i = 0; i < 100 && !receipt.ok(); ++i) {
    receipt = east.channel->Submit(submission, folder_ / "update.arr", [&](int64_t done) {
      if (first < 0) first = done;
    });
    if (!receipt.ok()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  ASSERT_TRUE(receipt.ok()) << receipt.status();
  EXPECT_EQ(receipt->state, Receipt::State::kKept);
  EXPECT_GT(first, 1'000'000);
}

// What a hostile or broken peer does on the wire: each is refused, and the server goes on.
TEST_F(WireTest, BadUploadsAreRefused) {
  Site east = Join("east");
  CreateRun();
  const RoundTask task = ReadyForRound(*east.channel);
  const Submission submission = WriteUpdate(task, folder_ / "update.arr");
  const auto stub = v1::Federation::NewStub(
      RawChannel(east.joined, *east.key, fmt::format("127.0.0.1:{}", port_)));
  const auto upload = [&](const std::vector<v1::UploadPart>& parts) {
    return RawUpload(*stub, parts);
  };
  v1::UploadPart begin, chunk, wrong_crc, wrong_offset, huge, empty;
  begin.mutable_submission()->set_run("run");
  begin.mutable_submission()->set_round(1);
  begin.mutable_submission()->mutable_artifact()->set_sha256(submission.artifact.sha256);
  begin.mutable_submission()->mutable_artifact()->set_bytes(submission.artifact.bytes);
  begin.mutable_submission()->set_images(20);
  chunk.mutable_chunk()->set_data("abc");
  wrong_crc = chunk;
  wrong_crc.mutable_chunk()->set_crc32c(1);
  wrong_offset = chunk;
  wrong_offset.mutable_chunk()->set_offset(77);
  wrong_offset.mutable_chunk()->set_crc32c(0x364b3fb7);  // of "abc"
  huge.mutable_chunk()->set_data(std::string((1 << 20) + 1, 'x'));
  empty.mutable_chunk();
  EXPECT_EQ(upload({chunk}), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(upload({begin, begin}), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(upload({begin, wrong_crc}), grpc::StatusCode::ABORTED);
  EXPECT_EQ(upload({begin, wrong_offset}), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(upload({begin, huge}), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(upload({begin, empty}), grpc::StatusCode::INVALID_ARGUMENT);
  grpc::ClientContext context;
  v1::DownloadRequest request;
  request.set_run("run");
  request.mutable_artifact()->set_sha256("../../ca.key");
  const auto reader = stub->Download(&context, request);
  v1::Chunk out;
  EXPECT_FALSE(reader->Read(&out));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(east.channel->Submit(submission, folder_ / "update.arr", nullptr)->state,
            Receipt::State::kKept);
}

TEST_F(WireTest, OnlyTls13IsSpoken) {
  if (std::system("command -v openssl >/dev/null 2>&1") != 0)
    GTEST_SKIP() << "no openssl command here";
  const auto speaks = [&](const char* version) {
    return std::system(fmt::format("timeout 10 openssl s_client -connect 127.0.0.1:{} {} -alpn h2 "
                                   "</dev/null 2>&1 | grep -q 'BEGIN CERTIFICATE'",
                                   port_, version)
                           .c_str()) == 0;
  };
  EXPECT_TRUE(speaks("-tls1_3"));
  EXPECT_FALSE(speaks("-tls1_2"));
}

}  // namespace
}  // namespace manako
