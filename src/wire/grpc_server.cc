#include "wire/grpc_server.h"

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "base/crc32c.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "identity/names.h"
#include "manako/v1/federation.grpc.pb.h"
#include "wire/chunk.h"
#include "wire/convert.h"
#include "wire/grpc_status.h"
#include "wire/listener.h"

namespace manako {
namespace {

constexpr int kProtocol = 1;
constexpr int64_t kLongestWaitMs = 50'000;
constexpr int kLargestMessage = 32 << 20;

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

absl::Status NoLongerASite(const SiteRecord& site) {
  return absl::PermissionDeniedError(
      fmt::format("{} is no longer a site of this federation ({}): ask the central hospital for a "
                  "new invitation",
                  site.name, site.state.empty() ? "unknown" : site.state));
}

}  // namespace

void RequireTls13() {
  ::setenv("GRPC_SSL_CIPHER_SUITES", "PSK-AES128-GCM-SHA256", /*overwrite=*/1);
}

struct GrpcServer::Impl {
  Impl(Options the_options, Deps the_deps)
      : options(std::move(the_options)),
        deps(std::move(the_deps)),
        pool(options.threads),
        enrolment_service(this),
        federation_service(this) {}

  Options options;
  Deps deps;
  ThreadPool pool;  // for what waits for the disk

  // ---- who calls ----

  // The site that a call comes from. Unauthenticated, PermissionDenied: one line for the person
  // there.
  absl::StatusOr<std::string> Caller(CallbackServerContext* context) {
    const auto pems = context->auth_context()->FindPropertyValues("x509_pem_cert");
    if (pems.empty()) {
      return absl::UnauthenticatedError(
          "this call needs a site's certificate: join the federation first (manako site join)");
    }
    const std::string pem(pems.front().data(), pems.front().size());
    Known known;
    {
      const std::lock_guard lock(known_mutex);
      if (const auto found = known_certificates.find(pem); found != known_certificates.end())
        known = found->second;
    }
    if (known.site.empty()) {
      MANAKO_ASSIGN_OR_RETURN(const Certificate certificate, ParseCertificate(pem));
      MANAKO_ASSIGN_OR_RETURN(known.site,
                              VerifySiteCertificate(certificate, deps.enrolment->authority(),
                                                    absl::FromUnixMillis(deps.now_ms())));
      known.spki = certificate.spki_sha256;
      known.not_after_ms = absl::ToUnixMillis(certificate.not_after);
      const std::lock_guard lock(known_mutex);
      if (known_certificates.size() > 10'000) known_certificates.clear();
      known_certificates[pem] = known;
    }
    if (deps.now_ms() > known.not_after_ms) {
      return absl::UnauthenticatedError(fmt::format(
          "the certificate of {} has expired: ask the central hospital for a new invitation",
          known.site));
    }
    MANAKO_RETURN_IF_ERROR(MayTalk(known.site, known.spki));
    return known.site;
  }

  // Whether a site is enrolled, with this key. Asked at each call and each chunk; read from the
  // database once a change.
  absl::Status MayTalk(const std::string& site, const std::string& spki) {
    const std::lock_guard lock(states_mutex);
    auto found = states.find(site);
    if (found == states.end()) {
      MANAKO_ASSIGN_OR_RETURN(const auto record, deps.store->Site(site));
      found = states.emplace(site, record ? *record : SiteRecord{}).first;
    }
    if (found->second.state != "enrolled") return NoLongerASite(found->second);
    if (found->second.spki_sha256 != spki) {
      return absl::PermissionDeniedError(fmt::format(
          "{} has joined again from another machine: this one's certificate no longer counts",
          site));
    }
    return absl::OkStatus();
  }
  absl::Status MayStillTalk(const std::string& site) {
    const std::lock_guard lock(states_mutex);
    const auto found = states.find(site);
    if (found != states.end() && found->second.state == "enrolled") return absl::OkStatus();
    if (found == states.end()) return absl::OkStatus();  // looked up at the next call
    return NoLongerASite(found->second);
  }
  void ForgetStates() {
    auto sites = deps.store->Sites();
    if (!sites.ok()) return;
    const std::lock_guard lock(states_mutex);
    states.clear();
    for (const SiteRecord& site : *sites) states[site.name] = site;
  }

  // A unary call whose work may wait for the disk: done on the pool.
  template <typename Work>
  ServerUnaryReactor* Do(CallbackServerContext* context, Work work) {
    ServerUnaryReactor* reactor = context->DefaultReactor();
    pool.Add([reactor, work = std::move(work)] { reactor->Finish(ToGrpc(work())); });
    return reactor;
  }
  // The same for a known site.
  template <typename Work>
  ServerUnaryReactor* DoFor(CallbackServerContext* context, Work work) {
    auto site = Caller(context);
    if (!site.ok()) {
      ServerUnaryReactor* reactor = context->DefaultReactor();
      reactor->Finish(ToGrpc(site.status()));
      return reactor;
    }
    return Do(context, [site = *std::move(site), work = std::move(work)] { return work(site); });
  }

  // ---- waiting for work ----

  // A NextTask call that waits. Owned by gRPC's call; finished once, by whoever takes it off the
  // list.
  class Waiting : public ServerUnaryReactor {
   public:
    Waiting(Impl* impl, std::string site, v1::Task* reply, int64_t until_ms)
        : impl_(impl), site_(std::move(site)), reply_(reply), until_ms_(until_ms) {}
    void OnDone() override { delete this; }
    void OnCancel() override {
      if (impl_->TakeOff(id_) != nullptr) Finish(grpc::Status::CANCELLED);
    }
    Impl* impl_;
    std::string site_;
    v1::Task* reply_;
    int64_t until_ms_;
    uint64_t id_ = 0;
  };

  // Whoever takes a call off the list finishes it. By number: a pointer may be another call's by
  // now.
  Waiting* TakeOff(uint64_t id) {
    const std::lock_guard lock(waiting_mutex);
    const auto found = waiting_calls.find(id);
    if (found == waiting_calls.end()) return nullptr;
    Waiting* waiting = found->second;
    waiting_calls.erase(found);
    return waiting;
  }

  ServerUnaryReactor* Wait(CallbackServerContext* context, int64_t wait_ms, v1::Task* reply) {
    auto site = Caller(context);
    auto* waiting = new Waiting(this, site.value_or(""), reply,
                                deps.now_ms() + std::clamp<int64_t>(wait_ms, 0, kLongestWaitMs));
    if (!site.ok()) {
      waiting->Finish(ToGrpc(site.status()));
      return waiting;
    }
    {
      const std::lock_guard lock(waiting_mutex);
      if (ending) {
        waiting->Finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the server is going down"));
        return waiting;
      }
      waiting->id_ = ++last_id;
      waiting_calls[waiting->id_] = waiting;
      look = true;
    }
    wake.notify_one();
    return waiting;
  }

  // Gives waiting calls what they wait for: woken by any change, and by time.
  void Dispatch() {
    std::unique_lock lock(waiting_mutex);
    while (!ending) {
      look = false;
      std::vector<std::pair<uint64_t, std::string>> all;
      for (const auto& [id, waiting] : waiting_calls) all.emplace_back(id, waiting->site_);
      lock.unlock();
      int64_t next = deps.now_ms() + 60'000;
      for (const auto& [id, site] : all) Look(id, site, next);
      lock.lock();
      if (look || ending) continue;
      wake.wait_for(lock, std::chrono::milliseconds(std::max<int64_t>(1, next - deps.now_ms())),
                    [&] { return look || ending; });
    }
  }

  void Look(uint64_t id, const std::string& site, int64_t& next) {
    const absl::Status may = MayStillTalk(site);
    auto task = may.ok() ? deps.server->NextTask(site) : std::nullopt;
    if (may.ok() && !task) {
      const std::lock_guard lock(waiting_mutex);
      const auto found = waiting_calls.find(id);
      if (found == waiting_calls.end()) return;
      if (deps.now_ms() < found->second->until_ms_) {
        next = std::min(next, found->second->until_ms_);
        return;
      }
    }
    Waiting* waiting = TakeOff(id);
    if (waiting == nullptr) return;
    if (task) *waiting->reply_ = ToProto(*task);
    waiting->Finish(ToGrpc(may));
  }

  void Ring() {
    {
      const std::lock_guard lock(waiting_mutex);
      look = true;
    }
    wake.notify_one();
  }

  // ---- bytes ----

  class Sender : public grpc::ServerWriteReactor<v1::Chunk> {
   public:
    Sender(Impl* impl, std::string site, absl::StatusOr<std::string> path, int64_t offset)
        : impl_(impl), site_(std::move(site)), offset_(offset) {
      if (!path.ok()) {
        Finish(ToGrpc(path.status()));
        return;
      }
      fd_ = ::open(path->c_str(), O_RDONLY | O_CLOEXEC);
      if (fd_ < 0) {
        Finish(grpc::Status(grpc::StatusCode::NOT_FOUND, "that file is no longer here"));
        return;
      }
      if (offset < 0) {
        Finish(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "an offset below 0"));
        return;
      }
      Next();
    }
    void OnWriteDone(bool ok) override {
      if (!ok) return Finish(grpc::Status::CANCELLED);
      Next();
    }
    void OnDone() override {
      if (fd_ >= 0) ::close(fd_);
      delete this;
    }

   private:
    void Next() {
      if (const absl::Status may = impl_->MayStillTalk(site_); !may.ok())
        return Finish(ToGrpc(may));
      std::string* data = chunk_.mutable_data();
      data->resize(kChunk);
      const ssize_t n = ::pread(fd_, data->data(), kChunk, offset_);
      if (n < 0)
        return Finish(
            grpc::Status(grpc::StatusCode::UNAVAILABLE, "the server could not read its file"));
      if (n == 0) return Finish(grpc::Status::OK);
      data->resize(static_cast<size_t>(n));
      chunk_.set_offset(offset_);
      chunk_.set_crc32c(Crc32c(*data));
      offset_ += n;
      StartWrite(&chunk_);
    }
    Impl* impl_;
    std::string site_;
    int fd_ = -1;
    int64_t offset_;
    v1::Chunk chunk_;
  };

  class Receiver : public grpc::ServerReadReactor<v1::UploadPart> {
   public:
    Receiver(Impl* impl, absl::StatusOr<std::string> site, v1::UploadState* reply)
        : impl_(impl), reply_(reply) {
      if (!site.ok()) {
        Finish(ToGrpc(site.status()));
        return;
      }
      site_ = *std::move(site);
      StartRead(&part_);
    }
    void OnReadDone(bool ok) override {
      if (!ok) {
        reply_->set_offset(offset_);
        return Finish(grpc::Status::OK);
      }
      if (const absl::Status status = Take(); !status.ok()) return Finish(ToGrpc(status));
      StartRead(&part_);
    }
    void OnDone() override { delete this; }

   private:
    absl::Status Take() {
      MANAKO_RETURN_IF_ERROR(impl_->MayStillTalk(site_));
      if (part_.has_submission()) {
        if (begun_) return InvalidArgument("an upload with two submissions");
        begun_ = true;
        submission_ = FromProto(part_.submission());
        MANAKO_ASSIGN_OR_RETURN(const auto state,
                                impl_->deps.server->BeginUpload(site_, submission_));
        offset_ = state.offset;
        return absl::OkStatus();
      }
      if (!begun_ || !part_.has_chunk())
        return InvalidArgument("an upload begins with its submission, and goes on with chunks");
      const v1::Chunk& chunk = part_.chunk();
      MANAKO_RETURN_IF_ERROR(CheckChunk(chunk));
      MANAKO_RETURN_IF_ERROR(
          impl_->deps.server->AppendUpload(site_, submission_, chunk.offset(), chunk.data()));
      offset_ = chunk.offset() + static_cast<int64_t>(chunk.data().size());
      return absl::OkStatus();
    }
    Impl* impl_;
    std::string site_;
    v1::UploadState* reply_;
    v1::UploadPart part_;
    Submission submission_;
    bool begun_ = false;
    int64_t offset_ = 0;
  };

  // ---- the services ----

  class EnrolmentService : public v1::Enrolment::CallbackService {
   public:
    explicit EnrolmentService(Impl* impl) : impl_(impl) {}
    ServerUnaryReactor* Enrol(CallbackServerContext* context, const v1::EnrolRequest* request,
                              v1::EnrolReply* reply) override {
      return impl_->Do(context, [this, context, request, reply]() -> absl::Status {
        if (request->protocol() != kProtocol) {
          return FailedPrecondition(
              "this site speaks protocol {}, the server speaks {}: update the older one",
              request->protocol(), kProtocol);
        }
        const int64_t now = impl_->deps.now_ms();
        MANAKO_ASSIGN_OR_RETURN(
            const auto enrolled,
            impl_->deps.enrolment->Enrol(request->token(), request->request(), now));
        impl_->ForgetStates();
        impl_->deps.log(fmt::format("{} has joined from {}", enrolled.site, context->peer()));
        Fill(enrolled, now, reply);
        return absl::OkStatus();
      });
    }
    static void Fill(const manako::Enrolment::Enrolled& enrolled, int64_t now,
                     v1::EnrolReply* reply) {
      reply->set_certificate(enrolled.certificate);
      reply->set_authority(enrolled.authority);
      reply->set_site(enrolled.site);
      reply->set_federation(enrolled.federation);
      reply->set_time_ms(now);
    }

   private:
    Impl* impl_;
  };

  class FederationService : public v1::Federation::CallbackService {
   public:
    explicit FederationService(Impl* impl) : impl_(impl) {}
    ServerUnaryReactor* Renew(CallbackServerContext* context, const v1::RenewRequest* request,
                              v1::EnrolReply* reply) override {
      return impl_->DoFor(context, [this, request, reply](const std::string& site) -> absl::Status {
        const int64_t now = impl_->deps.now_ms();
        MANAKO_ASSIGN_OR_RETURN(const auto enrolled,
                                impl_->deps.enrolment->Renew(site, request->request(), now));
        impl_->ForgetStates();
        EnrolmentService::Fill(enrolled, now, reply);
        return absl::OkStatus();
      });
    }
    ServerUnaryReactor* Hello(CallbackServerContext* context, const v1::HelloRequest* request,
                              v1::HelloReply* reply) override {
      return impl_->DoFor(
          context, [this, context, request, reply](const std::string& site) -> absl::Status {
            if (request->protocol() != kProtocol) {
              return FailedPrecondition(
                  "this site speaks protocol {}, the server speaks {}: update the older one",
                  request->protocol(), kProtocol);
            }
            impl_->deps.server->SiteConnected(site);
            {
              const std::lock_guard lock(impl_->states_mutex);
              impl_->software[site] = request->software().substr(0, 100);
            }
            impl_->deps.log(fmt::format("{} is here, from {}, with version {}", site,
                                        context->peer(), Printable(request->software())));
            reply->set_protocol(kProtocol);
            reply->set_software(impl_->options.software);
            reply->set_federation(impl_->deps.enrolment->federation());
            reply->set_site(site);
            reply->set_time_ms(impl_->deps.now_ms());
            return absl::OkStatus();
          });
    }
    ServerUnaryReactor* NextTask(CallbackServerContext* context, const v1::NextTaskRequest* request,
                                 v1::Task* reply) override {
      return impl_->Wait(context, request->wait_ms(), reply);
    }
    ServerUnaryReactor* Answer(CallbackServerContext* context, const v1::AnswerRequest* request,
                               v1::AnswerReply*) override {
      return impl_->DoFor(context, [this, request](const std::string& site) -> absl::Status {
        MANAKO_ASSIGN_OR_RETURN(const SiteAnswer answer, FromProto(*request));
        return impl_->deps.server->Answer(site, answer);
      });
    }
    ServerUnaryReactor* ReportStatus(CallbackServerContext* context, const v1::Status* request,
                                     v1::StatusReply* reply) override {
      return impl_->DoFor(
          context, [this, context, request, reply](const std::string& site) -> absl::Status {
            std::string version;
            {
              const std::lock_guard lock(impl_->states_mutex);
              version = impl_->software[site];
            }
            MANAKO_ASSIGN_OR_RETURN(const StatusReply out,
                                    impl_->deps.server->ReportStatus(site, FromProto(*request),
                                                                     version, context->peer()));
            *reply = ToProto(out);
            return absl::OkStatus();
          });
    }
    grpc::ServerWriteReactor<v1::Chunk>* Download(CallbackServerContext* context,
                                                  const v1::DownloadRequest* request) override {
      auto site = impl_->Caller(context);
      auto path = site.ok() ? impl_->deps.server->ArtifactPath(*site, request->run(),
                                                               FromProto(request->artifact()))
                            : absl::StatusOr<std::string>(site.status());
      return new Sender(impl_, site.value_or(""), std::move(path), request->offset());
    }
    ServerUnaryReactor* BeginUpload(CallbackServerContext* context, const v1::Submission* request,
                                    v1::UploadState* reply) override {
      return impl_->DoFor(context, [this, request, reply](const std::string& site) -> absl::Status {
        MANAKO_ASSIGN_OR_RETURN(const auto state,
                                impl_->deps.server->BeginUpload(site, FromProto(*request)));
        reply->set_offset(state.offset);
        if (state.receipt) *reply->mutable_receipt() = ToProto(*state.receipt);
        return absl::OkStatus();
      });
    }
    grpc::ServerReadReactor<v1::UploadPart>* Upload(CallbackServerContext* context,
                                                    v1::UploadState* reply) override {
      return new Receiver(impl_, impl_->Caller(context), reply);
    }
    ServerUnaryReactor* Submit(CallbackServerContext* context, const v1::Submission* request,
                               v1::Receipt* reply) override {
      return impl_->DoFor(context, [this, request, reply](const std::string& site) -> absl::Status {
        MANAKO_ASSIGN_OR_RETURN(const Receipt receipt,
                                impl_->deps.server->Submit(site, FromProto(*request)));
        *reply = ToProto(receipt);
        return absl::OkStatus();
      });
    }
    ServerUnaryReactor* Leave(CallbackServerContext* context, const v1::LeaveRequest* request,
                              v1::LeaveReply*) override {
      return impl_->DoFor(context, [this, request](const std::string& site) -> absl::Status {
        const std::string why = Printable(request->why().substr(0, 200));
        MANAKO_RETURN_IF_ERROR(impl_->deps.store->Leave(site, why, impl_->deps.now_ms()));
        impl_->deps.log(
            fmt::format("{} has left the federation{}{}", site, why.empty() ? "" : ": ", why));
        impl_->ForgetStates();
        impl_->deps.server->Sync();  // rings, so that what the site waits for ends too
        return absl::OkStatus();
      });
    }

   private:
    Impl* impl_;
  };

  struct Known {
    std::string site, spki;
    int64_t not_after_ms = 0;
  };
  std::mutex known_mutex;
  std::map<std::string, Known> known_certificates;  // by PEM
  std::mutex states_mutex;
  std::map<std::string, SiteRecord> states;
  std::map<std::string, std::string> software;

  mutable std::mutex waiting_mutex;
  std::condition_variable wake;
  std::map<uint64_t, Waiting*> waiting_calls;
  uint64_t last_id = 0;
  bool look = false, ending = false;
  std::thread dispatcher;

  EnrolmentService enrolment_service;
  FederationService federation_service;
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor;
  std::unique_ptr<Listener> listener;
};

GrpcServer::GrpcServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(Options options, Deps deps) {
  RequireTls13();
  auto impl = std::make_unique<Impl>(std::move(options), std::move(deps));
  MANAKO_ASSIGN_OR_RETURN(const Certificate certificate,
                          impl->deps.enrolment->ServerCertificate(impl->deps.now_ms()));
  const std::string& ca = impl->deps.enrolment->authority().pem;
  grpc::SslServerCredentialsOptions tls(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  tls.pem_root_certs = ca;
  const SecretText key = impl->deps.enrolment->server_key().ToPem();
  // The authority goes along in the chain: a site that joins knows it by its fingerprint alone.
  tls.pem_key_cert_pairs.push_back({key.text(), certificate.pem + ca});
  impl->ForgetStates();

  grpc::ServerBuilder builder;
  // Before anything else: where another server is, this one has done nothing.
  MANAKO_ASSIGN_OR_RETURN(impl->listener, Listener::Open({.address = impl->options.listen}));
  impl->acceptor = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
      grpc::SslServerCredentials(tls));
  builder.RegisterService(&impl->enrolment_service);
  builder.RegisterService(&impl->federation_service);
  builder.SetMaxReceiveMessageSize(kLargestMessage);
  // A site has a few calls open at a time; what opens more is no site.
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 16);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 20'000);
  // gRPC would measure each line and let a fast one send megabytes ahead: memory that grows with
  // the number of sites. What is allowed ahead is fixed: enough for 400 Mbit/s over a line of 20
  // ms.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 1 << 20);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, kFrame);
  impl->server = builder.BuildAndStart();
  if (impl->server == nullptr) return Internal("gRPC cannot serve at {}", impl->options.listen);
  Impl* raw = impl.get();
  raw->dispatcher = std::thread([raw] { raw->Dispatch(); });
  raw->deps.server->set_on_change([raw] { raw->Ring(); });
  raw->listener->Run([raw](int fd) {
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
    connection.fd = fd;
    raw->acceptor->HandleNewConnection(&connection);
  });
  return std::unique_ptr<GrpcServer>(new GrpcServer(std::move(impl)));
}

GrpcServer::~GrpcServer() {
  impl_->listener.reset();
  impl_->deps.server->set_on_change(nullptr);
  {
    const std::lock_guard lock(impl_->waiting_mutex);
    impl_->ending = true;
  }
  impl_->wake.notify_all();
  impl_->dispatcher.join();
  std::vector<Impl::Waiting*> rest;
  {
    const std::lock_guard lock(impl_->waiting_mutex);
    for (const auto& [id, waiting] : impl_->waiting_calls) rest.push_back(waiting);
    impl_->waiting_calls.clear();
  }
  for (Impl::Waiting* waiting : rest)
    waiting->Finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the server is going down"));
  impl_->server->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(500));
  impl_->server->Wait();
}

int GrpcServer::port() const { return impl_->listener->port(); }

void GrpcServer::Recheck() {
  impl_->ForgetStates();
  impl_->Ring();
}

size_t GrpcServer::waiting() const {
  const std::lock_guard lock(impl_->waiting_mutex);
  return impl_->waiting_calls.size();
}

}  // namespace manako
