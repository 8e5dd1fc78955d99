#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/files.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "base/system_error.h"
#include "identity/log_internal.h"
#include "identity/signed_log.h"

namespace manako {
namespace {

constexpr size_t kPieceBytes = 1 << 18;

std::optional<LogHead> ParseHeadSlot(std::string_view slot) {
  slot = slot.substr(0, slot.find_last_not_of(" \n") + 1);
  LogHead head;
  const char* end = slot.data() + slot.size();
  const auto [at, error] = std::from_chars(slot.data(), end, head.seq);
  if (error != std::errc() || head.seq < 0 || end - at < 66) return std::nullopt;
  head.hash.assign(at + 1, 64);
  // Its own digest is in it: half a write is none.
  const std::string whole = FormatHeadSlot(head);
  if (std::string_view(whole).substr(0, slot.size()) != slot ||
      slot.size() < whole.find_last_not_of(" \n") + 1) {
    return std::nullopt;
  }
  return head;
}

}  // namespace

absl::Status LogFileError(int error, std::string_view doing, std::string_view path) {
  return FileError(error, fmt::format("cannot {} the log {}", doing, path),
                   absl::StatusCode::kUnavailable);
}

std::string HeadPath(const std::string& path) { return path + ".head"; }

std::string FormatHeadSlot(const LogHead& head) {
  std::string slot = fmt::format("{} {} ", head.seq, head.hash);
  slot += Sha256Hex(slot);
  slot.resize(kHeadSlotBytes - 1, ' ');
  return slot + "\n";
}

absl::StatusOr<LogHead> ReadLogHead(const std::string& path) {
  MANAKO_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(HeadPath(path), 2 * kHeadSlotBytes));
  // Made, but not yet written.
  if (bytes.empty()) return NotFound("{} is empty", HeadPath(path));
  std::optional<LogHead> head;
  for (size_t at = 0; at < bytes.size(); at += kHeadSlotBytes) {
    const std::optional<LogHead> slot =
        ParseHeadSlot(std::string_view(bytes).substr(at, kHeadSlotBytes));
    if (slot.has_value() && (!head.has_value() || slot->seq > head->seq)) head = slot;
  }
  if (!head.has_value())
    return DataLoss("{} does not say where the log ends: it was changed", HeadPath(path));
  return *head;
}

absl::StatusOr<ReadLogResult> ReadLog(
    int fd, const std::string& path, const PublicKey* key, std::span<const LogHead> heads,
    const std::function<void(const nlohmann::ordered_json&)>& each) {
  std::vector<LogHead> expected(heads.begin(), heads.end());
  std::sort(expected.begin(), expected.end(),
            [](const LogHead& a, const LogHead& b) { return a.seq < b.seq; });
  size_t next_expected = 0;
  LogVerifier verifier(key);
  ReadLogResult result;
  // Every head that stands where the log now is.
  const auto check_heads = [&]() -> absl::Status {
    for (; next_expected < expected.size() && expected[next_expected].seq <= verifier.head().seq;
         ++next_expected) {
      if (expected[next_expected] != verifier.head()) {
        return DataLoss(
            "{}: line {} is not the one that was remembered (SHA-256 {}, but it was {}): the log "
            "was written anew",
            path, verifier.head().seq, verifier.head().hash, expected[next_expected].hash);
      }
    }
    return absl::OkStatus();
  };
  MANAKO_RETURN_IF_ERROR(check_heads());
  std::string buffer;
  std::string piece(kPieceBytes, '\0');
  uint64_t offset = 0;
  while (true) {
    const ssize_t n = ::pread(fd, piece.data(), piece.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return LogFileError(errno, "read", path);
    if (n == 0) break;
    offset += static_cast<uint64_t>(n);
    buffer.append(piece, 0, static_cast<size_t>(n));
    size_t begin = 0;
    for (size_t end; (end = buffer.find('\n', begin)) != std::string::npos; begin = end + 1) {
      const std::string_view line = std::string_view(buffer).substr(begin, end - begin);
      nlohmann::ordered_json content;
      const absl::Status status = verifier.Next(line, each ? &content : nullptr);
      if (!status.ok()) return Annotate(status, path);
      MANAKO_RETURN_IF_ERROR(check_heads());
      if (each) each(content);
      result.last_line = line;
      result.whole_bytes += line.size() + 1;
    }
    buffer.erase(0, begin);
    if (buffer.size() > kMaxLogLineBytes) {
      return DataLoss("{}: line {} has no end: it was changed or put in", path,
                      verifier.head().seq + 1);
    }
  }
  if (next_expected < expected.size()) {
    const int64_t last = expected.back().seq;
    return DataLoss("{}: the log ends with line {}, but had {}: {} line{} cut off its end", path,
                    verifier.head().seq, last, last - verifier.head().seq,
                    last - verifier.head().seq == 1 ? " was" : "s were");
  }
  result.head = verifier.head();
  return result;
}

absl::StatusOr<LogHead> VerifyLog(const std::string& path, const PublicKey& key,
                                  const VerifyLogOptions& options) {
  std::vector<LogHead> heads = options.remembered;
  bool head_lost = false;
  if (options.head_file) {
    // Before the log, which a writer may be making longer.
    const absl::StatusOr<LogHead> head = ReadLogHead(path);
    if (head.ok()) heads.push_back(*head);
    head_lost = absl::IsNotFound(head.status());
    if (!head.ok() && !head_lost) return head.status();
  }
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return LogFileError(errno, "open", path);
  const absl::StatusOr<ReadLogResult> result = ReadLog(fd, path, &key, heads, options.each);
  ::close(fd);
  MANAKO_RETURN_IF_ERROR(result.status());
  if (head_lost && result->head.seq > 0) {
    return DataLoss(
        "{} is missing: lines may have been cut off the end of the log, compare it with the other "
        "side's record",
        HeadPath(path));
  }
  return result->head;
}

}  // namespace manako
