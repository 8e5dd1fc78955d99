#include "identity/signed_log.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>

#include "base/hash.h"
#include "base/status_macros.h"
#include "identity/log_internal.h"
#include "identity/random_token.h"

namespace manako {
namespace {

using Json = nlohmann::ordered_json;

bool WriteAt(int fd, std::string_view bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return true;
}

// Without this a power cut could take the new file's name away.
bool SyncFolderOf(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const int fd = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool synced = ::fsync(fd) == 0 || errno == EINVAL;
  ::close(fd);
  return synced;
}

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
}

}  // namespace

absl::StatusOr<std::unique_ptr<SignedLog>> SignedLog::Open(const std::string& path,
                                                           const PrivateKey& key,
                                                           const SignedLogOptions& options) {
  std::unique_ptr<SignedLog> log(new SignedLog(path, key, options));
  log->fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (log->fd_ < 0) return LogFileError(errno, "open", path);
  if (::flock(log->fd_, LOCK_EX | LOCK_NB) != 0) {
    return FailedPrecondition("the log {} is open in another manako: end that one first", path);
  }
  const absl::StatusOr<LogHead> remembered = ReadLogHead(path);
  const bool head_lost = absl::IsNotFound(remembered.status());
  if (!remembered.ok() && !(head_lost || options.adopt_lost_head)) return remembered.status();
  const PublicKey public_key = key.public_key();
  const std::span<const LogHead> heads =
      remembered.ok() ? std::span<const LogHead>(&*remembered, 1) : std::span<const LogHead>();
  MANAKO_ASSIGN_OR_RETURN(const ReadLogResult read,
                          ReadLog(log->fd_, path, nullptr, heads, nullptr));
  if (!remembered.ok() && read.head.seq > 0 && !options.adopt_lost_head) {
    return DataLoss(
        "{} is missing: lines may have been cut off the end of the log, compare it with the other "
        "side's record",
        HeadPath(path));
  }
  if (read.head.seq > 0) {
    // The chain vouches for all lines but the last; that one vouches for itself.
    const size_t sig = read.last_line.rfind(",\"sig\":\"");
    const absl::StatusOr<std::string> signature = FromBase64Url(
        std::string_view(read.last_line).substr(sig + 8, read.last_line.size() - sig - 10));
    if (!public_key.Verify(read.last_line.substr(0, sig) + "}", *signature)) {
      return DataLoss(
          "{}: line {} is not signed with this key: it was changed, or the log is of another key",
          path, read.head.seq);
    }
  }
  // Only now: what is cut off could have been evidence.
  if (::ftruncate(log->fd_, static_cast<off_t>(read.whole_bytes)) != 0 || ::fsync(log->fd_) != 0) {
    return LogFileError(errno, "repair", path);
  }
  log->size_ = read.whole_bytes;
  log->head_ = read.head;
  log->head_fd_ = ::open(HeadPath(path).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  // One line may have come to the disk without its head.
  if (log->head_fd_ < 0 ||
      !WriteAt(log->head_fd_, FormatHeadSlot(log->head_),
               static_cast<uint64_t>(log->head_.seq % 2) * kHeadSlotBytes) ||
      ::fsync(log->head_fd_) != 0) {
    return LogFileError(errno, "remember the end of", path);
  }
  if (!SyncFolderOf(path)) return LogFileError(errno, "sync the folder of", path);
  return log;
}

SignedLog::~SignedLog() {
  if (head_fd_ >= 0) {
    // Lines are synced one by one, their heads only here: an older head proves a little less, and a
    // line costs one sync, not two.
    (void)::fdatasync(head_fd_);
    ::close(head_fd_);
  }
  if (fd_ >= 0) ::close(fd_);
}

absl::Status SignedLog::WriteLine(const std::string& line) {
  const bool written = WriteAt(fd_, line, size_);
  int error = errno;
  if (written && ::fdatasync(fd_) == 0) return absl::OkStatus();
  if (written) error = errno;
  const absl::Status status = LogFileError(error, "write", path_);
  // Half a line must not run into the next. Behind a failed sync nobody knows what is on the disk.
  if (written || ::ftruncate(fd_, static_cast<off_t>(size_)) != 0) broken_ = status;
  return status;
}

absl::StatusOr<LogHead> SignedLog::Append(const Json& fields) {
  if (!fields.is_object()) return InvalidArgument("a line of a log has fields");
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!broken_.ok()) return Annotate(broken_, "an earlier line");
  Json line;
  line["seq"] = static_cast<uint64_t>(head_.seq + 1);
  line["time"] = TimeText(options_.clock());
  for (const auto& [name, value] : fields.items()) {
    if (IsLogsOwnField(name))
      return InvalidArgument("a line's field \"{}\" is the log's own", name);
    line[name] = value;
  }
  line["prev"] = head_.hash;
  std::string body;
  try {
    body = line.dump();
  } catch (const std::exception&) {
    return InvalidArgument("a field of a log's line is not UTF-8");
  }
  // A line that could not be verified must not get in.
  if (!ParseLogBody(body).has_value())
    return InvalidArgument("a log's line cannot hold these fields");
  MANAKO_ASSIGN_OR_RETURN(const std::string signature, key_.Sign(body));
  body.pop_back();
  const std::string text = fmt::format("{},\"sig\":\"{}\"}}", body, ToBase64Url(signature));
  if (text.size() > kMaxLogLineBytes) {
    return InvalidArgument("a log's line has at most {} bytes, but this one has {}",
                           kMaxLogLineBytes, text.size());
  }
  MANAKO_RETURN_IF_ERROR(WriteLine(text + "\n"));
  size_ += text.size() + 1;
  head_ = {head_.seq + 1, Sha256Hex(text)};
  if (!WriteAt(head_fd_, FormatHeadSlot(head_),
               static_cast<uint64_t>(head_.seq % 2) * kHeadSlotBytes)) {
    broken_ = LogFileError(errno, "remember the end of", path_);
    return broken_;
  }
  return head_;
}

LogHead SignedLog::head() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return head_;
}

}  // namespace manako
