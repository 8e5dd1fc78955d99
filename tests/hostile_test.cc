// Hostile peers against the server as it is started, over real sockets. Behind each attack the
// honest sites end their run, and its model has the bits of an undisturbed one.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "base/crc32c.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "fixtures.h"
#include "identity/certificate.h"
#include "manako/v1/federation.grpc.pb.h"
#include "peer.h"
#include "process.h"
#include "server/run_folder.h"
#include "wire/convert.h"
#include "wire/testing.h"

namespace manako {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

bool Soaks() { return std::getenv("MANAKO_SOAK") != nullptr; }

int ConnectTcp(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (fd >= 0 && ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0)
    return fd;
  if (fd >= 0) ::close(fd);
  return -1;
}

std::string RandomBytes(Random& random, size_t n) {
  std::string bytes(n, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.Below(256));
  return bytes;
}

// A TLS connection that speaks bytes of one's own. Without a certificate, or with a site's.
class Tls {
 public:
  Tls(int port, const Peer* peer) : context_(::SSL_CTX_new(::TLS_client_method())) {
    fd_ = ConnectTcp(port);
    if (peer != nullptr) {
      const std::string key = std::string(peer->key().ToPem().text());
      BIO* bio = ::BIO_new_mem_buf(peer->joined().certificate.data(),
                                   static_cast<int>(peer->joined().certificate.size()));
      X509* certificate = ::PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
      ::BIO_free(bio);
      bio = ::BIO_new_mem_buf(key.data(), static_cast<int>(key.size()));
      EVP_PKEY* private_key = ::PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
      ::BIO_free(bio);
      ::SSL_CTX_use_certificate(context_, certificate);
      ::SSL_CTX_use_PrivateKey(context_, private_key);
      ::X509_free(certificate);
      ::EVP_PKEY_free(private_key);
    }
    ssl_ = ::SSL_new(context_);
    ::SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>("\x02h2"), 3);
    ::SSL_set_fd(ssl_, fd_);
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    good_ = fd_ >= 0 && ::SSL_connect(ssl_) == 1;
  }
  ~Tls() {
    ::SSL_free(ssl_);
    ::SSL_CTX_free(context_);
    if (fd_ >= 0) ::close(fd_);
  }
  bool good() const { return good_; }
  bool Write(const std::string& bytes) {
    return ::SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) > 0;
  }
  // Until the server closes, or enough has come.
  std::string Read(size_t most) {
    std::string all;
    char piece[4096];
    while (all.size() < most) {
      const int n = ::SSL_read(ssl_, piece, sizeof piece);
      if (n <= 0) break;
      all.append(piece, static_cast<size_t>(n));
    }
    return all;
  }

 private:
  SSL_CTX* context_;
  SSL* ssl_ = nullptr;
  int fd_ = -1;
  bool good_ = false;
};

// An HTTP/2 frame.
std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, const std::string& payload) {
  std::string frame;
  for (const int shift : {16, 8, 0}) frame += static_cast<char>(payload.size() >> shift & 0xff);
  frame += static_cast<char>(type);
  frame += static_cast<char>(flags);
  for (const int shift : {24, 16, 8, 0}) frame += static_cast<char>(stream >> shift & 0xff);
  return frame + payload;
}

// A header, literal and not indexed.
std::string Header(const std::string& name, const std::string& value) {
  return std::string(1, '\0') + static_cast<char>(name.size()) + name +
         static_cast<char>(value.size()) + value;
}

// The beginning of a gRPC call, up to its messages.
std::string CallOf(const std::string& method) {
  return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(4, 0, 0, "") +
         Frame(1, 4, 1,
               Header(":method", "POST") + Header(":scheme", "https") + Header(":path", method) +
                   Header(":authority", "127.0.0.1") + Header("content-type", "application/grpc") +
                   Header("te", "trailers"));
}

class HostileTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    // What 10,000 connections need at both ends; the server's is inherited.
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    folder_ = new TemporaryFolder();
    port_ = FreePort();
    const ProcessResult made = RunManako({"server", "init", Central(), "--name", "Test", "--host",
                                          "127.0.0.1", "--port", std::to_string(port_)});
    ASSERT_EQ(made.exit_code, 0) << made.err;
    StartServer();
    for (const char* site : {"east", "north", "west", "evil"})
      peers_[site] = NewPeer(site).release();
    // The model of a run that nobody disturbs.
    StartRun();
    ASSERT_TRUE(Gather());
    undisturbed_ = WorkToTheEnd();
    ASSERT_EQ(undisturbed_.size(), 64u);
  }
  static void TearDownTestSuite() {
    for (auto& [name, peer] : peers_) delete peer;
    peers_.clear();
    delete server_;
    delete folder_;
  }

  static std::string Central() { return *folder_ / "central"; }
  static void StartServer(const std::string& crash_at = "") {
    delete server_;
    server_ = nullptr;
    std::vector<std::pair<std::string, std::string>> environment;
    if (!crash_at.empty()) environment.emplace_back("MANAKO_CRASH_AT", crash_at);
    server_ = Process::Start({.arguments = {"server", "start", Central(), "--listen",
                                            fmt::format("127.0.0.1:{}", port_), "--threads", "1"},
                              .environment = environment,
                              .timeout_ms = 1'200'000})
                  .release();
    ASSERT_TRUE(server_->WaitForError("listens at")) << server_->ErrorSoFar();
  }
  static std::unique_ptr<Peer> NewPeer(const std::string& site) {
    const ProcessResult invited = RunManako({"server", "invite", Central(), "--site", site});
    EXPECT_EQ(invited.exit_code, 0) << invited.err;
    return std::make_unique<Peer>(Lines(invited.out).at(0), port_, folder_->path());
  }
  static void StartRun(const std::string& rules = "quorum = 3\ndeadline_minutes = 600\n") {
    Spill(*folder_ / "run.toml",
          "[run]\nname = \"test\"\nclasses = [\"a\", \"b\"]\nseed = 5\n" + rules +
              "max_norm_ratio = 10\nsites = [\"east\", \"evil\", \"north\", "
              "\"west\"]\n[data]\nimage_size = 32\n[model]\narchitecture = "
              "\"cnn3\"\n[train]\nlocal_epochs = 1\n[federation]\nrounds = 2\n"
              "select = \"last\"\n");
    const ProcessResult created =
        RunManako({"run", "create", Central(), *folder_ / "run.toml", "--start"});
    ASSERT_EQ(created.exit_code, 0) << created.err;
    run_ = Lines(created.out).at(0);
    spec_ = *RunFolder(Central() + "/runs/" + run_).Spec();
  }
  static bool Gather(bool evil_too = false) {
    absl::Status status = evil_too ? Evil().Agree() : Evil().Decline();
    for (const char* site : kHonest) status.Update(peers_[site]->Agree());
    EXPECT_TRUE(status.ok()) << status;
    return status.ok();
  }
  // The honest sites' part. The SHA-256 of the final model; empty where it came to nothing.
  static std::string WorkToTheEnd() {
    std::vector<std::thread> threads;
    absl::StatusOr<std::string> ends[3] = {absl::UnknownError(""), absl::UnknownError(""),
                                           absl::UnknownError("")};
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&ends, i] {
        ends[i] = peers_[kHonest[i]]->WorkToTheEnd(spec_, 0.125f * static_cast<float>(i + 1));
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const auto& end : ends) EXPECT_TRUE(end.ok()) << end.status();
    return ends[0].value_or("");
  }
  static void ExpectUndisturbed() {
    EXPECT_EQ(WorkToTheEnd(), undisturbed_);
    EXPECT_FALSE(server_->WaitMs(0)) << "the server has ended: " << server_->ErrorSoFar();
  }
  static Peer& Evil() { return *peers_["evil"]; }
  // The number of a site's updates of a round by what became of them.
  static nlohmann::json Books(int round) {
    const ProcessResult shown = RunManako({"run", "show", Central(), run_, "--json"});
    const auto json = nlohmann::json::parse(shown.out, nullptr, false);
    EXPECT_TRUE(json.is_object()) << shown.err;
    for (const auto& of : json["rounds"]) {
      if (of["round"] == round) return of["books"];
    }
    return {};
  }

  static constexpr const char* kHonest[3] = {"east", "north", "west"};
  static TemporaryFolder* folder_;
  static int port_;
  static Process* server_;
  static std::map<std::string, Peer*> peers_;
  static std::string undisturbed_, run_;
  static std::shared_ptr<const ModelSpec> spec_;
};
TemporaryFolder* HostileTest::folder_ = nullptr;
int HostileTest::port_ = 0;
Process* HostileTest::server_ = nullptr;
std::map<std::string, Peer*> HostileTest::peers_;
std::string HostileTest::undisturbed_, HostileTest::run_;
std::shared_ptr<const ModelSpec> HostileTest::spec_;

TEST_F(HostileTest, CertificatesThatAreNone) {
  StartRun();
  const int64_t now = absl::ToUnixMillis(absl::Now());
  // None at all.
  grpc::SslCredentialsOptions anonymous;
  anonymous.pem_root_certs = Evil().joined().authority;
  const auto stub = v1::Federation::NewStub(
      grpc::CreateChannel(fmt::format("127.0.0.1:{}", port_), grpc::SslCredentials(anonymous)));
  {
    grpc::ClientContext context;
    v1::Task task;
    EXPECT_EQ(stub->NextTask(&context, v1::NextTaskRequest(), &task).error_code(),
              grpc::StatusCode::UNAUTHENTICATED);
  }
  {
    grpc::ClientContext context;
    v1::Receipt receipt;
    EXPECT_EQ(stub->Submit(&context, v1::Submission(), &receipt).error_code(),
              grpc::StatusCode::UNAUTHENTICATED);
  }
  // Another authority's, for a site's name and with the right name of the federation.
  const PrivateKey other_key = *PrivateKey::Generate(), key = *PrivateKey::Generate();
  const CertificateAuthority other{*MakeFederationCa(other_key, "Test", absl::Now()), other_key};
  const std::string request = *MakeSiteRequest(key, "east");
  EXPECT_FALSE(Evil()
                   .Connect(SignSiteRequest(other, request, "east", absl::Now())->pem, &key)
                   ->Hello(now)
                   .ok());
  // This authority's: expired; not yet valid; for a site's name with a key that the site does not
  // have; for a site that never joined; the authority's own; the server's.
  const PrivateKey ca_key = *PrivateKey::Load(Central() + "/ca.key");
  const CertificateAuthority own{*ParseCertificate(Slurp(Central() + "/ca.pem")), ca_key};
  const std::string own_request = *MakeSiteRequest(Evil().key(), "evil");
  const absl::Time long_hence = absl::Now() + absl::Hours(24 * 200);
  EXPECT_FALSE(Evil()
                   .Connect(SignSiteRequest(own, own_request, "evil", absl::Now() - absl::Hours(2),
                                            absl::Hours(1))
                                ->pem)
                   ->Hello(now)
                   .ok());
  EXPECT_FALSE(
      Evil().Connect(SignSiteRequest(own, own_request, "evil", long_hence)->pem)->Hello(now).ok());
  EXPECT_EQ(Evil()
                .Connect(SignSiteRequest(own, request, "east", absl::Now())->pem, &key)
                ->Hello(now)
                .status()
                .code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Evil()
                .Connect(SignSiteRequest(own, request, "nobody", absl::Now())->pem, &key)
                ->Hello(now)
                .status()
                .code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_FALSE(Evil().Connect(Slurp(Central() + "/ca.pem"), &ca_key)->Hello(now).ok());
  const PrivateKey server_key = *PrivateKey::Load(Central() + "/server.key");
  EXPECT_FALSE(Evil().Connect(Slurp(Central() + "/server.pem"), &server_key)->Hello(now).ok());
  // One site's certificate with another's key; and the same again in a good one, which shows that
  // the above were not refused by chance.
  EXPECT_FALSE(Evil().Connect(peers_["east"]->joined().certificate)->Hello(now).ok());
  EXPECT_TRUE(
      Evil().Connect(SignSiteRequest(own, own_request, "evil", absl::Now())->pem)->Hello(now).ok());
  ASSERT_TRUE(Gather());
  ExpectUndisturbed();
}

TEST_F(HostileTest, ARevokedSiteIsOutAtOnce) {
  StartRun();
  ASSERT_TRUE(Gather());
  const auto gone = NewPeer("gone");
  ASSERT_TRUE(gone->channel().Hello(0).ok());
  ASSERT_EQ(RunManako({"server", "revoke", Central(), "--site", "gone"}).exit_code, 0);
  EXPECT_FALSE(gone->Next<RoundTask>().has_value());
  EXPECT_EQ(gone->last_error().code(), absl::StatusCode::kPermissionDenied) << gone->last_error();
  EXPECT_EQ(gone->Connect()->ReportStatus({}).status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(gone->Connect()->Renew(gone->key(), 0).status().code(),
            absl::StatusCode::kPermissionDenied);
  ExpectUndisturbed();
}

TEST_F(HostileTest, AReplayCountsOnceAndAnotherRoundsNever) {
  StartRun();
  ASSERT_TRUE(Gather());
  Peer& east = *peers_["east"];
  const auto task = east.Next<RoundTask>();
  ASSERT_TRUE(task.has_value());
  const Submission first = *east.Train(*task, spec_, [](float value) { return value + 0.125f; });
  const std::string bytes = Slurp(east.UpdateFile());
  Submission early = first;
  early.round = 2;
  EXPECT_EQ(east.Send(early).status().code(), absl::StatusCode::kFailedPrecondition);
  const auto receipt = east.Send(first);
  ASSERT_TRUE(receipt.ok() && receipt->state == Receipt::State::kKept) << receipt.status();
  const auto replay = east.Send(first);
  ASSERT_TRUE(replay.ok()) << replay.status();
  EXPECT_EQ(replay->log_seq, receipt->log_seq);
  // Another one for the same round; the first for another run; somebody who takes no part.
  const Submission second = *east.Train(*task, spec_, [](float value) { return value - 1; });
  EXPECT_EQ(east.Send(second).status().code(), absl::StatusCode::kFailedPrecondition);
  Spill(Evil().UpdateFile(), bytes);
  EXPECT_EQ(Evil().Send(first).status().code(), absl::StatusCode::kFailedPrecondition);
  for (int i = 1; i < 3; ++i)
    ASSERT_TRUE(peers_[kHonest[i]]->DoRound(spec_, 0.125f * static_cast<float>(i + 1)).ok());
  // Round 1 is closed.
  const auto next = east.Next<RoundTask>();
  ASSERT_TRUE(next.has_value() && next->round == 2);
  Spill(east.UpdateFile(), bytes);
  const auto late = east.Send(first);
  ASSERT_TRUE(late.ok()) << late.status();
  EXPECT_EQ(late->log_seq, receipt->log_seq);  // the same word
  Submission renamed = first;
  renamed.round = 2;
  EXPECT_FALSE(east.Send(renamed).ok());  // trained from another model than round 2's
  ExpectUndisturbed();
  for (const int round : {1, 2})
    EXPECT_EQ(Books(round), nlohmann::json({{"asked", 3}, {"answered", 3}}));
}

// A late update that the next round takes, over the network: the server dies while it takes it, and
// behind that, and the update counts once, to the same bits.
TEST_F(HostileTest, ALateUpdateCountsOnceThroughKills) {
  std::string undisturbed;
  for (const bool kill : {false, true}) {
    StartRun("quorum = 2\ndeadline_minutes = 0.1\nlate = \"next\"\n");
    ASSERT_TRUE(Gather());
    Peer& west = *peers_["west"];
    const auto task = west.Next<RoundTask>();
    ASSERT_TRUE(task.has_value());
    const Submission late = *west.Train(*task, spec_, [](float value) { return value + 0.5f; });
    ASSERT_TRUE(peers_["east"]->DoRound(spec_, 0.125f).ok());
    ASSERT_TRUE(peers_["north"]->DoRound(spec_, 0.25f).ok());
    const auto second = peers_["east"]->Next<RoundTask>();
    ASSERT_TRUE(second.has_value() && second->round == 2);
    if (kill) {
      for (const char* point : {"server.update_received", "server.update_kept"}) {
        server_->Signal(SIGKILL);
        server_->Finish();
        StartServer(point);
        auto cut = west.channel().Submit(late, west.UpdateFile(), nullptr);
        for (int i = 0; i < 100 && !cut.ok() && !server_->WaitMs(100); ++i)
          cut = west.channel().Submit(late, west.UpdateFile(), nullptr);
        EXPECT_FALSE(cut.ok());
        EXPECT_TRUE(server_->WaitMs(10'000)) << point << " was never passed";
      }
      StartServer();
    }
    const auto receipt = west.Send(late);
    ASSERT_TRUE(receipt.ok()) << receipt.status();
    EXPECT_EQ(receipt->state, Receipt::State::kKept);
    EXPECT_EQ(receipt->why, "round 1 was closed without it: it counts in round 2");
    const std::string model = WorkToTheEnd();
    ASSERT_EQ(model.size(), 64u);
    if (kill) EXPECT_EQ(model, undisturbed);
    undisturbed = model;
    EXPECT_EQ(Books(1), nlohmann::json({{"asked", 3}, {"answered", 2}, {"late", 1}}));
    EXPECT_EQ(Books(2), nlohmann::json({{"asked", 3}, {"answered", 3}}));
  }
}

TEST_F(HostileTest, NumbersThatAreNoneAreNotAveraged) {
  const float nan = std::nanf(""), infinite = std::numeric_limits<float>::infinity();
  for (const float poison : {nan, infinite, -infinite, 1e30f}) {
    SCOPED_TRACE(poison);
    StartRun();
    ASSERT_TRUE(Gather(/*evil_too=*/true));
    for (const int round : {1, 2}) {
      const auto task = Evil().Next<RoundTask>();
      ASSERT_TRUE(task.has_value() && task->round == round) << Evil().last_error();
      if (round == 2 && poison == 1e30f) {
        // It was kept, and the server's second thoughts are told.
        ASSERT_TRUE(task->amended.has_value());
        EXPECT_EQ(task->amended->state, Receipt::State::kRefused);
        EXPECT_THAT(task->amended->why, HasSubstr("max_norm_ratio"));
        EXPECT_GT(task->amended->log_seq, 0);
      }
      bool first = true;
      const Submission submission = *Evil().Train(*task, spec_, [&](float value) {
        // One number of all is enough, or each.
        return std::exchange(first, false) || poison == 1e30f ? poison : value;
      });
      const auto receipt = Evil().Send(submission);
      ASSERT_TRUE(receipt.ok()) << receipt.status();
      if (poison == 1e30f) {
        EXPECT_EQ(receipt->state, Receipt::State::kKept)
            << "its size shows when the others' are there";
      } else {
        EXPECT_EQ(receipt->state, Receipt::State::kRefused);
        EXPECT_THAT(receipt->why, HasSubstr("NaN or infinite"));
      }
      if (round == 1) {
        for (int i = 0; i < 3; ++i)
          ASSERT_TRUE(peers_[kHonest[i]]->DoRound(spec_, 0.125f * static_cast<float>(i + 1)).ok());
      }
    }
    std::thread evil([] {
      static_cast<void>(Evil().DoTest());
      const auto end = Evil().Next<EndTask>();
      if (end) static_cast<void>(Evil().channel().Answer(EndAnswer{end->run, end->model.sha256}));
    });
    ExpectUndisturbed();
    evil.join();
    for (const int round : {1, 2})
      EXPECT_EQ(Books(round), nlohmann::json({{"asked", 4}, {"answered", 3}, {"refused", 1}}));
  }
}

TEST_F(HostileTest, ChunksThatLie) {
  StartRun();
  ASSERT_TRUE(Gather());
  Peer& east = *peers_["east"];
  const auto task = east.Next<RoundTask>();
  ASSERT_TRUE(task.has_value());
  const Submission submission =
      *east.Train(*task, spec_, [](float value) { return value + 0.125f; });
  const std::string bytes = Slurp(east.UpdateFile());
  const auto channel = RawChannel(east.joined(), east.key(), fmt::format("127.0.0.1:{}", port_));
  const auto stub = v1::Federation::NewStub(channel);
  const auto upload = [&](const std::vector<v1::UploadPart>& parts) {
    return RawUpload(*stub, parts);
  };
  v1::UploadPart begin, good;
  *begin.mutable_submission() = ToProto(submission);
  good.mutable_chunk()->set_data(bytes.substr(0, 1000));
  good.mutable_chunk()->set_crc32c(Crc32c(good.chunk().data()));
  v1::UploadPart part = good;
  part.mutable_chunk()->set_crc32c(part.chunk().crc32c() ^ 1);
  EXPECT_EQ(upload({begin, part}), grpc::StatusCode::ABORTED);
  part = good;
  part.mutable_chunk()->set_offset(1);
  EXPECT_EQ(upload({begin, part}), grpc::StatusCode::OUT_OF_RANGE);
  part.mutable_chunk()->set_offset(-1000);
  EXPECT_EQ(upload({begin, part}), grpc::StatusCode::OUT_OF_RANGE);
  part.mutable_chunk()->set_offset(std::numeric_limits<int64_t>::max());
  EXPECT_EQ(upload({begin, part}), grpc::StatusCode::OUT_OF_RANGE);
  part = good;
  part.mutable_chunk()->set_data(std::string((1 << 20) + 1, 'x'));
  EXPECT_EQ(upload({begin, part}), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(upload({good}), grpc::StatusCode::INVALID_ARGUMENT);
  part = begin;
  part.mutable_submission()->mutable_artifact()->set_bytes(int64_t{1} << 60);
  EXPECT_EQ(upload({part, good}), grpc::StatusCode::INVALID_ARGUMENT);
  part.mutable_submission()->mutable_artifact()->set_bytes(500);  // 1000 come
  part.mutable_submission()->mutable_artifact()->set_sha256(std::string(64, 'a'));
  EXPECT_EQ(upload({part, good}), grpc::StatusCode::INVALID_ARGUMENT);

  // Bytes that are no message, and a message that is another's.
  Random random(1, "hostile.messages");
  grpc::GenericStub generic(channel);
  for (const char* method :
       {"Hello", "NextTask", "Answer", "ReportStatus", "BeginUpload", "Submit", "Renew"}) {
    for (int i = 0; i < (Soaks() ? 200 : 10); ++i) {
      const std::string message = RandomBytes(random, random.Below(200));
      const grpc::Slice slice(message);
      const grpc::ByteBuffer request(&slice, 1);
      grpc::ByteBuffer reply;
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
      grpc::CompletionQueue queue;
      const auto call = generic.PrepareUnaryCall(
          &context, std::string("/manako.v1.Federation/") + method, request, &queue);
      call->StartCall();
      grpc::Status status;
      call->Finish(&reply, &status, nullptr);
      void* tag = nullptr;
      bool ok = false;
      ASSERT_TRUE(queue.Next(&tag, &ok));
      EXPECT_NE(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED) << method;
    }
  }

  // A message that says it has 4 GiB, and one of 40 MiB that really has: nothing is kept of either.
  Tls line(port_, &Evil());
  ASSERT_TRUE(line.good());
  EXPECT_TRUE(line.Write(CallOf("/manako.v1.Federation/Upload") +
                         Frame(0, 0, 1, std::string("\0\xff\xff\xff\xff", 5) + "abc")));
  EXPECT_THAT(line.Read(20), testing::Not(testing::IsEmpty()));
  v1::UploadPart large;
  large.mutable_chunk()->set_data(std::string(40 << 20, 'x'));
  EXPECT_EQ(upload({begin, large}), grpc::StatusCode::RESOURCE_EXHAUSTED);
  ExpectUndisturbed();
}

TEST_F(HostileTest, RandomBytesOnThePort) {
  StartRun();
  ASSERT_TRUE(Gather());
  Random random(1, "hostile.bytes");
  const int times = Soaks() ? 2000 : 60;
  int sent = 0;
  for (int i = 0; i < times; ++i) {
    const std::string noise = RandomBytes(random, 1 + random.Below(3000));
    switch (i % 6) {
      case 0:
      case 1: {  // instead of TLS, or behind the first bytes of a handshake
        const int fd = ConnectTcp(port_);
        ASSERT_GE(fd, 0);
        const std::string bytes =
            i % 6 == 0 ? noise
                       : std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) + noise;
        sent += ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0 ? 1 : 0;
        ::close(fd);
        break;
      }
      case 2: {
        const int fd = ConnectTcp(port_);
        const std::string web = "GET / HTTP/1.1\r\nHost: fed.example.org\r\n\r\n";
        sent += ::send(fd, web.data(), web.size(), MSG_NOSIGNAL) > 0 ? 1 : 0;
        ::close(fd);
        break;
      }
      case 3: {  // within TLS, without a certificate and with a site's
        Tls line(port_, nullptr);
        sent += line.good() && line.Write(noise) ? 1 : 0;
        break;
      }
      case 4: {
        Tls line(port_, &Evil());
        sent += line.good() &&
                        line.Write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(4, 0, 0, "") + noise)
                    ? 1
                    : 0;
        break;
      }
      case 5: {  // as the messages of a call
        Tls line(port_, &Evil());
        sent += line.good() &&
                        line.Write(CallOf("/manako.v1.Federation/Upload") + Frame(0, 1, 1, noise))
                    ? 1
                    : 0;
        break;
      }
    }
  }
  EXPECT_GT(sent, times * 9 / 10);
  fmt::print("{} times random bytes\n", sent);
  ExpectUndisturbed();
}

TEST_F(HostileTest, ThousandsOfConnections) {
  const int wanted = Soaks() ? 10'000 : 1'000;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < static_cast<rlim_t>(wanted) + 500) {
    GTEST_SKIP() << "this machine allows " << limit.rlim_cur << " open files, and " << wanted
                 << " connections need more";
  }
  StartRun();
  ASSERT_TRUE(Gather());
  std::vector<int> connections;
  Random random(1, "hostile.connections");
  for (int i = 0; i < wanted; ++i) {
    const int fd = ConnectTcp(port_);
    if (fd < 0) continue;
    connections.push_back(fd);
    // Silent ones, ones that begin a handshake and do not go on, and ones that talk nonsense.
    if (i % 3 == 1)
      static_cast<void>(::send(fd, "\x16\x03\x01\x02\x00", 5, MSG_NOSIGNAL | MSG_DONTWAIT));
    if (i % 3 == 2) {
      const std::string noise = RandomBytes(random, 64);
      static_cast<void>(::send(fd, noise.data(), noise.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
    }
  }
  EXPECT_GT(connections.size(), static_cast<size_t>(wanted) * 9 / 10);
  fmt::print("{} connections\n", connections.size());
  ExpectUndisturbed();
  for (const int fd : connections) ::close(fd);
}

// Who reads nothing, or sends nothing more, holds no thread.
TEST_F(HostileTest, SlowReadersAndWriters) {
  StartRun();
  ASSERT_TRUE(Gather());
  const auto task = peers_["east"]->Next<RoundTask>();
  ASSERT_TRUE(task.has_value());
  std::vector<std::unique_ptr<Tls>> lines;
  // A window of one byte, and downloads and uploads that stand still: more of each than the server
  // has threads.
  const std::string tiny_window = Frame(4, 0, 0, std::string("\0\x04\0\0\0\x01", 6));
  v1::DownloadRequest request;
  request.set_run(run_);
  request.mutable_artifact()->set_sha256(task->model.sha256);
  const std::string body = request.SerializeAsString();
  ASSERT_LT(body.size(), 256u);
  // A flag, four bytes of length, the message.
  const std::string message = std::string(4, '\0') + static_cast<char>(body.size()) + body;
  const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  for (int i = 0; i < (Soaks() ? 200 : 30); ++i) {
    lines.push_back(std::make_unique<Tls>(port_, peers_["east"]));
    ASSERT_TRUE(lines.back()->good());
    const std::string call =
        CallOf(i % 2 == 0 ? "/manako.v1.Federation/Download" : "/manako.v1.Federation/Upload")
            .substr(preface.size());
    EXPECT_TRUE(lines.back()->Write(
        preface + tiny_window + call +
        (i % 2 == 0 ? Frame(0, 1, 1, message) : Frame(0, 0, 1, std::string("\0\0\0\x01", 4)))));
  }
  // The task that was looked at is given again.
  ExpectUndisturbed();
}

// Strangers knock, hold what they get and knock again, many more than the server may have open
// files: it stays within its limit, sites come through, and the run is not disturbed.
TEST_F(HostileTest, MoreConnectionsThanTheServerMayHave) {
  constexpr int kLimit = 200;
  const size_t wanted = Soaks() ? 10'000 : 700;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < wanted + 500)
    GTEST_SKIP() << "this machine allows " << limit.rlim_cur << " open files";
  server_->Signal(SIGKILL);
  server_->Finish();
  delete server_;
  server_ =
      Process::Start(
          {.program = "/bin/sh",
           .arguments =
               {"-c",
                fmt::format(
                    "ulimit -n {} && exec {} server start {} --listen 127.0.0.1:{} --threads 1",
                    kLimit, MANAKO_PROGRAM, Central(), port_)},
           .timeout_ms = 1'200'000})
          .release();
  ASSERT_TRUE(server_->WaitForError("listens at")) << server_->ErrorSoFar();
  std::atomic<bool> ended = false;
  std::atomic<size_t> knocks = 0;
  std::thread strangers([&] {
    std::deque<int> held;
    while (!ended) {
      const int fd = ConnectTcp(port_);
      if (fd >= 0) {
        ++knocks;
        held.push_back(fd);
        // Silent ones, ones that begin a handshake and do not go on, and ones that talk nonsense.
        const char* said = knocks % 3 == 0 ? "" : knocks % 3 == 1 ? "\x16\x03\x01\x02" : "GET / ";
        static_cast<void>(::send(fd, said, std::strlen(said), MSG_NOSIGNAL | MSG_DONTWAIT));
      }
      if (held.size() < wanted && fd >= 0) continue;
      if (!held.empty()) ::close(held.front());
      if (!held.empty()) held.pop_front();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    for (const int fd : held) ::close(fd);
  });
  for (int i = 0; i < 12'000 && knocks < wanted; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_GE(knocks, wanted);
  StartRun();
  EXPECT_TRUE(Gather());
  ExpectUndisturbed();
  // A site that comes only now is taken, too.
  const auto late = NewPeer("newcomer");
  EXPECT_TRUE(late->channel().Hello(0).ok());
  ended = true;
  strangers.join();
  fmt::print("{} knocks\n", knocks.load());
}

}  // namespace
}  // namespace manako
