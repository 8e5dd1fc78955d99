// What the .cc files of signed_log.h share.
#ifndef MANAKO_IDENTITY_LOG_INTERNAL_H_
#define MANAKO_IDENTITY_LOG_INTERNAL_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "identity/signed_log.h"

namespace manako {

// The fields that are the log's own.
bool IsLogsOwnField(std::string_view name);

// A line without its signature, read; nothing when it is not in the form in which logs are written.
std::optional<nlohmann::ordered_json> ParseLogBody(std::string_view body);

std::string HeadPath(const std::string& path);
// <path>.head has two places of 512 bytes, used in turn: the one that a crash tears is never the
// last good one.
constexpr size_t kHeadSlotBytes = 512;
std::string FormatHeadSlot(const LogHead& head);

struct ReadLogResult {
  LogHead head;
  uint64_t whole_bytes = 0;  // up to the end of the last whole line
  std::string last_line;
};
// Reads the log in `fd` from its begin and checks its lines (signatures: with a key) and that each
// of `heads` is on it.
absl::StatusOr<ReadLogResult> ReadLog(
    int fd, const std::string& path, const PublicKey* key, std::span<const LogHead> heads,
    const std::function<void(const nlohmann::ordered_json&)>& each);

absl::Status LogFileError(int error, std::string_view doing, std::string_view path);

}  // namespace manako

#endif  // MANAKO_IDENTITY_LOG_INTERNAL_H_
