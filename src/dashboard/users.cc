#include "dashboard/users.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/files.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "identity/names.h"
#include "identity/password.h"

namespace manako {
namespace {

constexpr uint64_t kMaxFileBytes = 1 << 20;
constexpr size_t kMaxNameBytes = 40;

absl::Status CheckUserName(std::string_view user) {
  const bool good =
      !user.empty() && user.size() <= kMaxNameBytes &&
      std::all_of(user.begin(), user.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
      });
  if (good) return absl::OkStatus();
  return InvalidArgument("a user's name must be 1 to {} of a-z, 0-9, '-', '_' and '.', but is {}",
                         kMaxNameBytes, Printable(user));
}

std::map<std::string, std::string> Parse(const std::string& text) {
  std::map<std::string, std::string> hashes;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    const size_t space = line.find(' ');
    if (space != std::string::npos && CheckUserName(line.substr(0, space)).ok()) {
      hashes[line.substr(0, space)] = line.substr(space + 1);
    }
    at = end + 1;
  }
  return hashes;
}

absl::StatusOr<std::map<std::string, std::string>> Read(const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path, kMaxFileBytes);
  if (absl::IsNotFound(text.status())) return std::map<std::string, std::string>();
  MANAKO_RETURN_IF_ERROR(text.status());
  return Parse(*text);
}

absl::Status Save(const std::string& path, const std::map<std::string, std::string>& hashes) {
  std::string text;
  for (const auto& [user, hash] : hashes) text += fmt::format("{} {}\n", user, hash);
  return WriteFileAtomically(path, text, 0600);
}

}  // namespace

absl::Status SetWebPassword(const std::string& path, const std::string& user,
                            std::string_view password) {
  MANAKO_RETURN_IF_ERROR(CheckUserName(user));
  MANAKO_ASSIGN_OR_RETURN(std::string hash, HashPassword(password));
  MANAKO_ASSIGN_OR_RETURN(auto hashes, Read(path));
  hashes[user] = std::move(hash);
  return Save(path, hashes);
}

absl::Status RemoveWebUser(const std::string& path, const std::string& user) {
  MANAKO_ASSIGN_OR_RETURN(auto hashes, Read(path));
  if (hashes.erase(user) == 0) return NotFound("there is no user {} in {}", Printable(user), path);
  return Save(path, hashes);
}

// The file is written by renaming, so another content is another inode or another time.
void WebUsers::Refresh() {
  struct stat file {};
  std::string stamp = "none";
  if (stat(path_.c_str(), &file) == 0) {
    stamp = fmt::format("{}.{} {} {}", file.st_mtim.tv_sec, file.st_mtim.tv_nsec, file.st_ino,
                        file.st_size);
  }
  if (stamp == stamp_) return;
  stamp_ = std::move(stamp);
  // Unreadable: nobody can sign in, and nobody stays.
  auto hashes = Read(path_);
  hashes_ = hashes.ok() ? *std::move(hashes) : std::map<std::string, std::string>();
}

bool WebUsers::any() {
  const std::lock_guard<std::mutex> lock(mutex_);
  Refresh();
  return !hashes_.empty();
}

bool WebUsers::Check(const std::string& user, std::string_view password) {
  std::string hash;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    Refresh();
    const auto found = hashes_.find(user);
    if (found != hashes_.end()) hash = found->second;
  }
  return VerifyPassword(hash, password);
}

std::string WebUsers::Version(const std::string& user) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Refresh();
  const auto found = hashes_.find(user);
  return found == hashes_.end() ? "" : Sha256Hex(found->second);
}

}  // namespace manako
