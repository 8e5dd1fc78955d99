// A site's side of the wire without GrpcChannel's good manners, for tests.
#ifndef MANAKO_WIRE_TESTING_H_
#define MANAKO_WIRE_TESTING_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "core/codec/array_file.h"
#include "core/federation.h"
#include "identity/private_key.h"
#include "manako/v1/federation.grpc.pb.h"
#include "wire/grpc_channel.h"

namespace manako {

// A connection with the certificate of a site that has joined.
inline std::shared_ptr<grpc::Channel> RawChannel(const Joined& joined, const PrivateKey& key,
                                                 const std::string& server) {
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = joined.authority;
  tls.pem_cert_chain = joined.certificate;
  tls.pem_private_key = std::string(key.ToPem().text());
  return grpc::CreateChannel(server, grpc::SslCredentials(tls));
}

// Sends just these messages; how the server ends the call.
inline grpc::StatusCode RawUpload(v1::Federation::Stub& stub,
                                  const std::vector<v1::UploadPart>& parts) {
  grpc::ClientContext context;
  v1::UploadState reply;
  const auto writer = stub.Upload(&context, &reply);
  for (const auto& part : parts) {
    if (!writer->Write(part)) break;
  }
  writer->WritesDone();
  return writer->Finish().error_code();
}

// What is said of an update's file that answers `task`, of 20 images.
inline Submission SubmissionOf(const RoundTask& task, const ArrayFileSummary& file) {
  Submission submission;
  submission.run = task.run;
  submission.round = task.round;
  submission.model_sha256 = task.model.sha256;
  submission.artifact = {file.sha256, static_cast<int64_t>(file.bytes)};
  submission.images = submission.visits = 20;
  return submission;
}

}  // namespace manako

#endif  // MANAKO_WIRE_TESTING_H_
