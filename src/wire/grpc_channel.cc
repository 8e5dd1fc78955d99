#include "wire/grpc_channel.h"

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <set>

#include "base/crc32c.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "base/system_error.h"
#include "identity/certificate.h"
#include "manako/v1/federation.grpc.pb.h"
#include "wire/chunk.h"
#include "wire/convert.h"
#include "wire/grpc_server.h"
#include "wire/grpc_status.h"

namespace manako {
namespace {

constexpr int kProtocol = 1;
constexpr auto kShortCall = std::chrono::seconds(60);
// So long a call waits for a connection that is not there, each time that it is tried.
constexpr auto kConnecting = std::chrono::seconds(2);
// A transfer that is slower than this is given up and goes on at the offset reached, in case the
// connection only looks alive.
constexpr int64_t kSlowestBytesPerSecond = 4096;

grpc::ChannelArguments Arguments() {
  grpc::ChannelArguments arguments;
  // Finds a dead connection, and keeps a live one from being forgotten by firewalls on the way.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  // That is how long one attempt may take, handshakes and all: a slow line needs seconds for them.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 20'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 5'000);
  arguments.SetMaxReceiveMessageSize(8 << 20);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, kFrame);
  return arguments;
}

// This machine's fault: to be mended, and not tried again.
absl::Status FileError(const char* doing, const std::string& path) {
  return SystemError(doing, path, absl::StatusCode::kFailedPrecondition);
}

// Knows a server by the fingerprint of its authority, and keeps that authority's certificate.
class PinningVerifier : public grpc::experimental::ExternalCertificateVerifier {
 public:
  // What it found, which gRPC says in no words of its own.
  class Finding {
   public:
    absl::Status why() const {
      const std::lock_guard lock(mutex_);
      return why_;
    }
    void Set(absl::Status why) {
      const std::lock_guard lock(mutex_);
      why_ = std::move(why);
    }

   private:
    mutable std::mutex mutex_;
    absl::Status why_;
  };

  PinningVerifier(std::string ca_sha256, std::string host, int64_t now_ms,
                  std::shared_ptr<Finding> finding)
      : ca_sha256_(std::move(ca_sha256)),
        host_(std::move(host)),
        now_ms_(now_ms),
        finding_(std::move(finding)) {}
  bool Verify(grpc::experimental::TlsCustomVerificationCheckRequest* request,
              std::function<void(grpc::Status)>, grpc::Status* sync_status) override {
    const auto chain = request->peer_cert_full_chain();
    const auto ca = VerifyPinnedChain(std::string_view(chain.data(), chain.size()), ca_sha256_,
                                      host_, absl::FromUnixMillis(now_ms_));
    finding_->Set(ca.status());
    *sync_status = ToGrpc(ca.status());
    return true;
  }
  void Cancel(grpc::experimental::TlsCustomVerificationCheckRequest*) override {}

 private:
  const std::string ca_sha256_, host_;
  const int64_t now_ms_;
  const std::shared_ptr<Finding> finding_;
};

Joined FromReply(const v1::EnrolReply& reply, int64_t now_ms) {
  return {reply.certificate(), reply.authority(), reply.site(), reply.federation(),
          now_ms - reply.time_ms()};
}

}  // namespace

absl::StatusOr<Joined> JoinFederation(const Invitation& invitation, const PrivateKey& key,
                                      const std::string& software, int64_t now_ms) {
  RequireTls13();
  MANAKO_ASSIGN_OR_RETURN(const std::string request_pem, MakeSiteRequest(key, invitation.site));
  // Kept by gRPC beyond this call, perhaps.
  const auto finding = std::make_shared<PinningVerifier::Finding>();
  auto verifier = grpc::experimental::ExternalCertificateVerifier::Create<PinningVerifier>(
      invitation.ca_sha256, invitation.server.host, now_ms, finding);
  grpc::experimental::TlsChannelCredentialsOptions tls;
  tls.set_verify_server_certs(false);
  tls.set_check_call_host(false);
  tls.set_certificate_verifier(verifier);
  const auto channel = grpc::CreateCustomChannel(
      ToText(invitation.server), grpc::experimental::TlsCredentials(tls), Arguments());
  const auto stub = v1::Enrolment::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kShortCall);
  v1::EnrolRequest request;
  request.set_protocol(kProtocol);
  request.set_software(software);
  request.set_token(invitation.token);
  request.set_request(request_pem);
  request.set_time_ms(now_ms);
  v1::EnrolReply reply;
  const grpc::Status called = stub->Enrol(&context, request, &reply);
  if (!called.ok()) {
    MANAKO_RETURN_IF_ERROR(Annotate(finding->why(), ToText(invitation.server)));
    return Annotate(FromGrpc(called), ToText(invitation.server));
  }
  Joined joined = FromReply(reply, now_ms);
  // What came back must be this site's, by the authority that the invitation named.
  MANAKO_ASSIGN_OR_RETURN(const Certificate ca, ParseCertificate(joined.authority));
  if (ca.fingerprint != invitation.ca_sha256)
    return absl::PermissionDeniedError(
        "the server answered with another authority than the invitation names");
  MANAKO_ASSIGN_OR_RETURN(const Certificate own, ParseCertificate(joined.certificate));
  MANAKO_ASSIGN_OR_RETURN(
      const std::string site,
      VerifySiteCertificate(own, ca, absl::FromUnixMillis(now_ms - joined.clock_skew_ms)));
  if (site != invitation.site || own.spki_sha256 != key.public_key().SpkiSha256()) {
    return absl::PermissionDeniedError(
        "the server answered with a certificate that is not this site's");
  }
  return joined;
}

struct GrpcChannel::Impl {
  Impl(Options the_options, PrivateKey the_key)
      : options(std::move(the_options)), key(std::move(the_key)) {
    Dial();
  }

  Options options;
  PrivateKey key;
  std::atomic<bool> greeted = false;
  std::mutex mutex;
  // Others once the certificate is renewed.
  std::shared_ptr<grpc::Channel> connection;
  std::shared_ptr<v1::Federation::Stub> current;
  std::set<grpc::ClientContext*> open;
  bool cancelled = false;

  void Dial() {
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = options.authority;
    tls.pem_cert_chain = options.certificate;
    tls.pem_private_key = key.ToPem().text();
    connection =
        grpc::CreateCustomChannel(ToText(options.server), grpc::SslCredentials(tls), Arguments());
    current = v1::Federation::NewStub(connection);
  }
  std::shared_ptr<v1::Federation::Stub> stub() {
    const std::lock_guard lock(mutex);
    return current;
  }

  // gRPC moves a connection on only while somebody waits at it, and a call does not wait once an
  // attempt to connect has failed: it fails at once. Between a site's attempts nobody would wait,
  // so that a handshake over a slow line was never done before it was given up.
  void AwaitConnection() {
    const auto until = std::chrono::system_clock::now() + kConnecting;
    for (;;) {
      std::shared_ptr<grpc::Channel> channel;
      {
        const std::lock_guard lock(mutex);
        if (cancelled) return;
        channel = connection;
      }
      const grpc_connectivity_state state = channel->GetState(/*try_to_connect=*/true);
      const auto now = std::chrono::system_clock::now();
      if (state == GRPC_CHANNEL_READY || now >= until) return;
      // In short turns, for Cancel().
      channel->WaitForStateChange(state, std::min(until, now + std::chrono::milliseconds(100)));
    }
  }

  // A call's context, known to Cancel() while the call lasts. Begins with a connection, if one can
  // be had.
  class Call {
   public:
    Call(Impl* impl, std::chrono::milliseconds deadline) : impl_(impl) {
      impl_->AwaitConnection();
      context_.set_deadline(std::chrono::system_clock::now() + deadline);
      const std::lock_guard lock(impl_->mutex);
      impl_->open.insert(&context_);
      if (impl_->cancelled) context_.TryCancel();
    }
    ~Call() {
      const std::lock_guard lock(impl_->mutex);
      impl_->open.erase(&context_);
    }
    grpc::ClientContext* context() { return &context_; }

   private:
    Impl* impl_;
    grpc::ClientContext context_;
  };

  static std::chrono::milliseconds TransferDeadline(int64_t bytes) {
    return std::chrono::milliseconds(60'000 + bytes * 1000 / kSlowestBytesPerSecond);
  }
};

GrpcChannel::GrpcChannel(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GrpcChannel::~GrpcChannel() = default;

absl::StatusOr<std::unique_ptr<GrpcChannel>> GrpcChannel::Connect(Options options,
                                                                  const PrivateKey& key) {
  RequireTls13();
  auto impl = std::make_unique<Impl>(std::move(options), key);
  return std::unique_ptr<GrpcChannel>(new GrpcChannel(std::move(impl)));
}

void GrpcChannel::Cancel() {
  const std::lock_guard lock(impl_->mutex);
  impl_->cancelled = true;
  for (grpc::ClientContext* context : impl_->open) context->TryCancel();
}

absl::StatusOr<GrpcChannel::Greeting> GrpcChannel::Hello(int64_t now_ms) {
  Impl::Call call(impl_.get(), kShortCall);
  v1::HelloRequest request;
  request.set_protocol(kProtocol);
  request.set_software(impl_->options.software);
  v1::HelloReply reply;
  MANAKO_RETURN_IF_ERROR(FromGrpc(impl_->stub()->Hello(call.context(), request, &reply)));
  impl_->greeted = true;
  return Greeting{reply.software(), reply.federation(), reply.site(), now_ms - reply.time_ms()};
}

absl::StatusOr<Joined> GrpcChannel::Renew(const PrivateKey& key, int64_t now_ms) {
  Impl::Call call(impl_.get(), kShortCall);
  v1::RenewRequest request;
  MANAKO_ASSIGN_OR_RETURN(*request.mutable_request(), MakeSiteRequest(key, "renewal"));
  v1::EnrolReply reply;
  MANAKO_RETURN_IF_ERROR(FromGrpc(impl_->stub()->Renew(call.context(), request, &reply)));
  return FromReply(reply, now_ms);
}

absl::Status GrpcChannel::Leave(const std::string& why) {
  Impl::Call call(impl_.get(), kShortCall);
  v1::LeaveRequest request;
  request.set_why(why);
  v1::LeaveReply reply;
  return FromGrpc(impl_->stub()->Leave(call.context(), request, &reply));
}

void GrpcChannel::Use(const std::string& certificate) {
  const std::lock_guard lock(impl_->mutex);
  impl_->options.certificate = certificate;
  impl_->Dial();
}

absl::StatusOr<SiteTask> GrpcChannel::NextTask() {
  // A server that was away may be another process now, which knows nothing of this one.
  if (!impl_->greeted) MANAKO_RETURN_IF_ERROR(Hello(0).status());
  Impl::Call call(impl_.get(),
                  std::chrono::milliseconds(impl_->options.wait_ms) + std::chrono::seconds(30));
  v1::NextTaskRequest request;
  request.set_wait_ms(impl_->options.wait_ms);
  v1::Task reply;
  if (const absl::Status status =
          FromGrpc(impl_->stub()->NextTask(call.context(), request, &reply));
      !status.ok()) {
    impl_->greeted = false;
    return status;
  }
  return FromProto(reply);
}

absl::Status GrpcChannel::Answer(const SiteAnswer& answer) {
  Impl::Call call(impl_.get(), kShortCall);
  v1::AnswerReply reply;
  return FromGrpc(impl_->stub()->Answer(call.context(), ToProto(answer), &reply));
}

absl::StatusOr<StatusReply> GrpcChannel::ReportStatus(const SiteStatus& status) {
  Impl::Call call(impl_.get(), kShortCall);
  v1::StatusReply reply;
  MANAKO_RETURN_IF_ERROR(
      FromGrpc(impl_->stub()->ReportStatus(call.context(), ToProto(status), &reply)));
  return FromProto(reply);
}

absl::Status GrpcChannel::Download(const std::string& run, const ArtifactId& artifact,
                                   const std::string& path,
                                   const std::function<void(int64_t done)>& progress) {
  const std::string part = path + ".part";
  const int fd = ::open(part.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return FileError("cannot open", part);
  const std::unique_ptr<const int, void (*)(const int*)> closer(&fd,
                                                                [](const int* f) { ::close(*f); });
  struct stat info;
  if (::fstat(fd, &info) != 0) return FileError("cannot look at", part);
  int64_t offset = info.st_size;
  if (offset > artifact.bytes) {
    if (::ftruncate(fd, 0) != 0) return FileError("cannot cut", part);
    offset = 0;
  }
  // Digested as it comes: nothing is read again, but what an earlier call has left.
  Sha256Hasher hasher;
  MANAKO_RETURN_IF_ERROR(hasher.AddFile(fd, 0, offset, part));
  if (offset < artifact.bytes) {
    Impl::Call call(impl_.get(), Impl::TransferDeadline(artifact.bytes - offset));
    v1::DownloadRequest request;
    request.set_run(run);
    *request.mutable_artifact() = ToProto(artifact);
    request.set_offset(offset);
    const auto stub = impl_->stub();
    const auto reader = stub->Download(call.context(), request);
    v1::Chunk chunk;
    absl::Status wrong;
    while (wrong.ok() && reader->Read(&chunk)) {
      const std::string& data = chunk.data();
      if (chunk.offset() != offset || offset + static_cast<int64_t>(data.size()) > artifact.bytes) {
        wrong = absl::AbortedError("the server sent other bytes than it was asked for");
      } else if (Crc32c(data) != chunk.crc32c()) {
        wrong = absl::AbortedError("a chunk was damaged on the way");
      } else {
        size_t done = 0;
        while (done < data.size()) {
          const ssize_t n = ::pwrite(fd, data.data() + done, data.size() - done,
                                     offset + static_cast<int64_t>(done));
          if (n < 0 && errno == EINTR) continue;
          if (n < 0) {
            wrong = FileError("cannot write", part);
            break;
          }
          done += static_cast<size_t>(n);
        }
        hasher.Add(data);
        if (wrong.ok()) offset += static_cast<int64_t>(data.size());
        if (progress) progress(offset);
      }
    }
    if (!wrong.ok()) {
      call.context()->TryCancel();
      while (reader->Read(&chunk)) {
      }
      reader->Finish();
      return wrong;
    }
    MANAKO_RETURN_IF_ERROR(FromGrpc(reader->Finish()));
    if (offset != artifact.bytes)
      return absl::AbortedError(
          fmt::format("the server sent {} of {} bytes", offset, artifact.bytes));
  }
  if (const std::string sha256 = ToHex(hasher.Finish()); sha256 != artifact.sha256) {
    ::unlink(part.c_str());
    return DataLoss("what came for {} has another SHA-256 ({})", artifact.sha256, sha256);
  }
  if (::rename(part.c_str(), path.c_str()) != 0) return FileError("cannot rename to", path);
  return absl::OkStatus();
}

absl::StatusOr<Receipt> GrpcChannel::Submit(const Submission& submission, const std::string& path,
                                            const std::function<void(int64_t done)>& progress) {
  const v1::Submission message = ToProto(submission);
  v1::UploadState state;
  {
    Impl::Call call(impl_.get(), kShortCall);
    MANAKO_RETURN_IF_ERROR(FromGrpc(impl_->stub()->BeginUpload(call.context(), message, &state)));
  }
  if (state.has_receipt()) return FromProto(state.receipt());
  const int64_t bytes = submission.artifact.bytes;
  if (state.offset() < bytes) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return FileError("cannot open", path);
    const std::unique_ptr<const int, void (*)(const int*)> closer(
        &fd, [](const int* f) { ::close(*f); });
    int64_t offset = state.offset();
    Impl::Call call(impl_.get(), Impl::TransferDeadline(bytes - offset));
    v1::UploadState reply;
    const auto stub = impl_->stub();
    const auto writer = stub->Upload(call.context(), &reply);
    v1::UploadPart part;
    *part.mutable_submission() = message;
    bool open = writer->Write(part);
    while (open && offset < bytes) {
      v1::Chunk* chunk = part.mutable_chunk();
      std::string* data = chunk->mutable_data();
      data->resize(std::min<size_t>(kChunk, static_cast<size_t>(bytes - offset)));
      const ssize_t n = ::pread(fd, data->data(), data->size(), offset);
      if (n <= 0) {
        call.context()->TryCancel();
        writer->Finish();
        return n < 0 ? FileError("cannot read", path)
                     : DataLoss("{} is shorter than the {} bytes that it should have", path, bytes);
      }
      data->resize(static_cast<size_t>(n));
      chunk->set_offset(offset);
      chunk->set_crc32c(Crc32c(*data));
      open = writer->Write(part);
      offset += n;
      if (progress) progress(offset);
    }
    if (open) writer->WritesDone();
    const absl::Status sent = FromGrpc(writer->Finish());
    // Another connection of this site has been here in between: the next try begins where that one
    // came to.
    if (sent.code() == absl::StatusCode::kOutOfRange) return absl::AbortedError(sent.message());
    MANAKO_RETURN_IF_ERROR(sent);
  }
  v1::Receipt receipt;
  // The server reads the update whole before it answers.
  Impl::Call call(impl_.get(), Impl::TransferDeadline(bytes / 64));
  MANAKO_RETURN_IF_ERROR(FromGrpc(impl_->stub()->Submit(call.context(), message, &receipt)));
  return FromProto(receipt);
}

}  // namespace manako
