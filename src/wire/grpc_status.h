// gRPC's status and Abseil's: the same codes.
#ifndef MANAKO_WIRE_GRPC_STATUS_H_
#define MANAKO_WIRE_GRPC_STATUS_H_

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"
#include "base/status_macros.h"

namespace manako {

inline grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(MessageOf(status)));
}

// At a site. What gRPC itself calls INTERNAL, UNKNOWN or CANCELLED is a connection that broke: it
// passes, like UNAVAILABLE.
inline absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  switch (status.error_code()) {
    case grpc::StatusCode::INTERNAL:
    case grpc::StatusCode::UNKNOWN:
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return absl::UnavailableError(status.error_message());
    default:
      return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                          status.error_message());
  }
}

}  // namespace manako

#endif  // MANAKO_WIRE_GRPC_STATUS_H_
