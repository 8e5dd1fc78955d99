#include "server/event_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "absl/time/time.h"
#include "base/status_macros.h"
#include "base/system_error.h"

namespace manako {
namespace {

using Json = nlohmann::ordered_json;

// A line has at most this many bytes: reasons are one line, and lists of sites are short.
constexpr int64_t kTail = 1 << 20;

std::string Time(int64_t ms) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::FromUnixMillis(ms), absl::UTCTimeZone());
}

std::string Text(const Json& line) {
  return line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

absl::StatusOr<std::unique_ptr<EventLog>> EventLog::Open(const std::string& path, Options options) {
  std::unique_ptr<EventLog> log(new EventLog(path, options));
  MANAKO_RETURN_IF_ERROR(log->OpenFile());
  return log;
}

EventLog::~EventLog() {
  if (fd_ >= 0) ::close(fd_);
}

absl::Status EventLog::OpenFile() {
  fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd_ < 0) return SystemError("cannot open", path_);
  struct stat info;
  if (::fstat(fd_, &info) != 0) return SystemError("cannot look at", path_);
  size_ = info.st_size;
  std::string tail(static_cast<size_t>(std::min(size_, kTail)), '\0');
  const ssize_t n =
      ::pread(fd_, tail.data(), tail.size(), size_ - static_cast<int64_t>(tail.size()));
  if (n < 0) return SystemError("cannot read", path_);
  tail.resize(static_cast<size_t>(n));
  const size_t whole = tail.rfind('\n') + 1;  // npos + 1 is 0
  if (whole < tail.size()) {
    size_ -= static_cast<int64_t>(tail.size() - whole);
    if (::ftruncate(fd_, size_) != 0) return SystemError("cannot cut", path_);
  }
  // From the end: the last line that is an event.
  std::string_view rest = std::string_view(tail).substr(0, whole);
  while (!rest.empty()) {
    rest.remove_suffix(1);
    const size_t begin = rest.rfind('\n') + 1;
    const Json line = Json::parse(rest.substr(begin), nullptr, false);
    if (line.is_object() && line.contains("seq") && line["seq"].is_number_integer()) {
      last_seq_ = std::max(last_seq_, line["seq"].get<int64_t>());
      break;
    }
    rest = rest.substr(0, begin);
  }
  return absl::OkStatus();
}

int64_t EventLog::last_seq() const {
  const std::lock_guard lock(mutex_);
  return last_seq_;
}

absl::Status EventLog::WriteLine(const std::string& line) {
  if (size_ > 0 && size_ + static_cast<int64_t>(line.size()) > options_.most_bytes) {
    if (std::rename(path_.c_str(), (path_ + ".1").c_str()) != 0)
      return SystemError("cannot rename", path_);
    ::close(fd_);
    fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    size_ = 0;
  }
  if (fd_ < 0) return SystemError("cannot open", path_);
  const ssize_t n = ::write(fd_, line.data(), line.size());
  if (n == static_cast<ssize_t>(line.size())) {
    size_ += n;
    return absl::OkStatus();
  }
  if (n >= 0) errno = ENOSPC;
  const absl::Status status = SystemError("cannot write", path_);
  // Half a line would spoil the next one.
  if (n > 0 && ::ftruncate(fd_, size_) != 0) size_ += n;
  return status;
}

absl::Status EventLog::Write(const EventRecord& event) {
  const std::lock_guard lock(mutex_);
  if (event.seq <= last_seq_) return absl::OkStatus();
  Json line = {{"time", Time(event.time_ms)}, {"seq", event.seq}, {"event", event.kind}};
  if (!event.run.empty()) line["run"] = event.run;
  if (!event.site.empty()) line["site"] = event.site;
  if (event.fields.is_object()) {
    for (const auto& [name, value] : event.fields.items()) {
      if (!line.contains(name)) line[name] = value;
    }
  }
  MANAKO_RETURN_IF_ERROR(WriteLine(Text(line)));
  last_seq_ = event.seq;
  return absl::OkStatus();
}

absl::Status EventLog::Note(std::string_view text, int64_t time_ms) {
  const std::lock_guard lock(mutex_);
  return WriteLine(Text({{"time", Time(time_ms)}, {"event", "note"}, {"text", std::string(text)}}));
}

}  // namespace manako
