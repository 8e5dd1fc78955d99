// Messages to core's structs and back. Nothing is believed: a message that could not have come from
// ToProto() is InvalidArgument.
#ifndef MANAKO_WIRE_CONVERT_H_
#define MANAKO_WIRE_CONVERT_H_

#include "absl/status/statusor.h"
#include "core/federation.h"
#include "manako/v1/federation.pb.h"

namespace manako {

v1::Task ToProto(const SiteTask& task);
absl::StatusOr<SiteTask> FromProto(const v1::Task& task);

v1::AnswerRequest ToProto(const SiteAnswer& answer);
absl::StatusOr<SiteAnswer> FromProto(const v1::AnswerRequest& answer);

v1::Submission ToProto(const Submission& submission);
Submission FromProto(const v1::Submission& submission);

v1::Receipt ToProto(const Receipt& receipt);
absl::StatusOr<Receipt> FromProto(const v1::Receipt& receipt);

v1::Status ToProto(const SiteStatus& status);
SiteStatus FromProto(const v1::Status& status);
v1::StatusReply ToProto(const StatusReply& reply);
StatusReply FromProto(const v1::StatusReply& reply);

v1::Artifact ToProto(const ArtifactId& artifact);
ArtifactId FromProto(const v1::Artifact& artifact);

}  // namespace manako

#endif  // MANAKO_WIRE_CONVERT_H_
