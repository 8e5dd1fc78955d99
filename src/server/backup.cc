#include "server/backup.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <utility>

#include "base/files.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "base/system_error.h"
#include "server/enrolment.h"
#include "server/federation_store.h"
#include "server/run_folder.h"

namespace manako {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr mode_t kPrivateFolder = 0700, kPrivateFile = 0600;
constexpr size_t kPiece = 1 << 20;

// A file of the folder that is held open: it may be replaced or removed there, and is still read
// as it was.
class HeldFile {
 public:
  static absl::StatusOr<HeldFile> Open(const std::string& path) {
    HeldFile file;
    file.fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file.fd_ < 0 && errno == ENOENT) return NotFound("{} is missing", path);
    if (file.fd_ < 0) return SystemError("cannot open", path);
    struct stat info;
    if (::fstat(file.fd_, &info) != 0) return SystemError("cannot look at", path);
    file.path_ = path;
    file.bytes_ = info.st_size;
    return file;
  }
  HeldFile(HeldFile&& other) noexcept
      : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), bytes_(other.bytes_) {}
  HeldFile& operator=(HeldFile&&) = delete;
  ~HeldFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  const std::string& path() const { return path_; }
  int64_t bytes() const {
    return bytes_;
  }  // when it was opened: what is appended since is left out
  absl::StatusOr<size_t> Read(int64_t offset, char* to, size_t size) const {
    while (true) {
      const ssize_t n = ::pread(fd_, to, size, offset);
      if (n >= 0) return static_cast<size_t>(n);
      if (errno != EINTR) return SystemError("cannot read", path_);
    }
  }

 private:
  HeldFile() = default;
  std::string path_;
  int fd_ = -1;
  int64_t bytes_ = 0;
};

// Where the copy goes: names are relative ("runs/R/spec.json").
class Target {
 public:
  virtual ~Target() = default;
  virtual absl::Status Folder(const std::string& name) = 0;
  virtual absl::Status Begin(const std::string& name, int64_t bytes) = 0;
  virtual absl::Status Append(std::string_view bytes) = 0;
  virtual absl::Status End() = 0;
  // Whole and on the disk.
  virtual absl::Status Finish() = 0;
};

absl::Status WriteAll(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SystemError("cannot write", path);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

absl::Status SyncFolder(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return SystemError("cannot open", path);
  const bool synced = ::fsync(fd) == 0;
  absl::Status status = synced ? absl::OkStatus() : SystemError("cannot sync", path);
  ::close(fd);
  return status;
}

class FolderTarget : public Target {
 public:
  explicit FolderTarget(std::string root) : root_(std::move(root)) {}
  ~FolderTarget() override {
    if (fd_ >= 0) ::close(fd_);
  }
  absl::Status Folder(const std::string& name) override {
    const std::string path = root_ + "/" + name;
    if (::mkdir(path.c_str(), kPrivateFolder) != 0 && errno != EEXIST)
      return SystemError("cannot make", path);
    folders_.push_back(path);
    return absl::OkStatus();
  }
  absl::Status Begin(const std::string& name, int64_t) override {
    path_ = root_ + "/" + name;
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kPrivateFile);
    return fd_ < 0 ? SystemError("cannot make", path_) : absl::OkStatus();
  }
  absl::Status Append(std::string_view bytes) override { return WriteAll(fd_, bytes, path_); }
  absl::Status End() override {
    const bool synced = ::fsync(fd_) == 0;
    absl::Status status = synced ? absl::OkStatus() : SystemError("cannot sync", path_);
    ::close(std::exchange(fd_, -1));
    return status;
  }
  absl::Status Finish() override {
    for (auto folder = folders_.rbegin(); folder != folders_.rend(); ++folder)
      MANAKO_RETURN_IF_ERROR(SyncFolder(*folder));
    return SyncFolder(root_);
  }

 private:
  const std::string root_;
  std::string path_;
  std::vector<std::string> folders_;
  int fd_ = -1;
};

// POSIX's tar (ustar), with GNU's form of lengths from 8 GiB on.
class TarTarget : public Target {
 public:
  TarTarget(int fd, std::string path, std::string root, int64_t now_ms)
      : fd_(fd), path_(std::move(path)), root_(std::move(root)), time_s_(now_ms / 1000) {}
  ~TarTarget() override { ::close(fd_); }
  absl::Status Folder(const std::string& name) override {
    return Header(root_ + "/" + name + (name.empty() ? "" : "/"), '5', kPrivateFolder, 0);
  }
  absl::Status Begin(const std::string& name, int64_t bytes) override {
    written_ = 0;
    return Header(root_ + "/" + name, '0', kPrivateFile, bytes);
  }
  absl::Status Append(std::string_view bytes) override {
    written_ += bytes.size();
    return WriteAll(fd_, bytes, path_);
  }
  absl::Status End() override {
    return WriteAll(fd_, std::string((kBlock - written_ % kBlock) % kBlock, '\0'), path_);
  }
  absl::Status Finish() override {
    MANAKO_RETURN_IF_ERROR(WriteAll(fd_, std::string(2 * kBlock, '\0'), path_));
    return ::fsync(fd_) == 0 ? absl::OkStatus() : SystemError("cannot sync", path_);
  }

 private:
  static constexpr size_t kBlock = 512;
  absl::Status Header(const std::string& name, char type, mode_t mode, int64_t bytes) {
    std::string header(kBlock, '\0');
    const auto put = [&](size_t at, std::string_view text) {
      header.replace(at, text.size(), text);
    };
    // A name of more than 100 bytes is cut at a slash.
    size_t cut = 0;
    if (name.size() > 100) {
      cut = name.find('/', name.size() - 101);
      if (cut == std::string::npos || cut > 155 || cut + 1 == name.size())
        return InvalidArgument("{} is too long a name for a tar file: back up to a folder", name);
      put(345, name.substr(0, cut));
      ++cut;
    }
    put(0, name.substr(cut));
    put(100, fmt::format("{:07o}", mode));
    put(108, "0000000");
    put(116, "0000000");
    if (bytes < int64_t{1} << 33) {
      put(124, fmt::format("{:011o}", bytes));
    } else {
      header[124] = '\x80';
      for (int i = 0; i < 8; ++i)
        header[static_cast<size_t>(135 - i)] = static_cast<char>(bytes >> (8 * i));
    }
    put(136, fmt::format("{:011o}", time_s_));
    put(148, "        ");
    header[156] = type;
    put(257, std::string_view("ustar\00000", 8));
    unsigned sum = 0;
    for (const char byte : header) sum += static_cast<unsigned char>(byte);
    put(148, fmt::format("{:06o}", sum) + std::string(1, '\0'));
    return WriteAll(fd_, header, path_);
  }
  const int fd_;
  const std::string path_, root_;
  const int64_t time_s_;
  size_t written_ = 0;
};

// Removes what was begun, unless it was finished.
class Unfinished {
 public:
  explicit Unfinished(std::string path) : path_(std::move(path)) {}
  ~Unfinished() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }
  void Finished() { path_.clear(); }

 private:
  std::string path_;
};

// Copies `file` and gives its SHA-256.
absl::StatusOr<std::string> Copy(const HeldFile& file, const std::string& name, Target& target,
                                 BackupSummary& summary) {
  MANAKO_RETURN_IF_ERROR(target.Begin(name, file.bytes()));
  Sha256Hasher hash;
  std::string piece(kPiece, '\0');
  for (int64_t at = 0; at < file.bytes();) {
    const auto want = static_cast<size_t>(
        std::min<int64_t>(static_cast<int64_t>(piece.size()), file.bytes() - at));
    MANAKO_ASSIGN_OR_RETURN(const size_t n, file.Read(at, piece.data(), want));
    if (n == 0) return DataLoss("{} became shorter while it was read", file.path());
    const std::string_view bytes(piece.data(), n);
    hash.Add(bytes);
    MANAKO_RETURN_IF_ERROR(target.Append(bytes));
    at += static_cast<int64_t>(n);
  }
  MANAKO_RETURN_IF_ERROR(target.End());
  ++summary.files;
  summary.bytes += file.bytes();
  return ToHex(hash.Finish());
}

// What a run's state needs in its folder, by name: the SHA-256 of each.
std::map<std::string, std::string> NeededBy(const RunRecord& run) {
  std::map<std::string, std::string> needed;
  const json state = json::parse(run.rounds_state, nullptr, false);
  if (!state.is_object()) return needed;  // not started yet
  const RunFolder folder("");
  const auto under = [&](const std::string& path) { return "runs/" + run.id + path; };
  const bool over = run.state == "finished" || run.state == "cancelled" || run.state == "failed";
  // Of the models only these are asked for again; of a finished run a person may have removed them.
  const auto sha256_of = [&](const char* what, int round) -> std::string {
    const json all = state.value(what, json::object());
    const auto found = all.find(std::to_string(round));
    return found != all.end() && found->is_array() && !found->empty() && (*found)[0].is_string()
               ? (*found)[0].get<std::string>()
               : "";
  };
  for (const int round : {run.round, run.best_round}) {
    const std::string model = sha256_of("models", round), wire = sha256_of("wires", round);
    if (over || model.empty()) continue;
    needed[under(folder.ModelPath(round))] = model;
    if (wire != model) needed[under(folder.WirePath(round))] = wire;
  }
  const json rounds = state.value("rounds", json::object());
  if (over || !rounds.value("open", false)) return needed;
  const json asks = rounds.value("asks", json::object());
  for (const auto& [site, ask] : asks.items()) {
    if (!ask.is_object() || ask.value("state", "") != "answered") continue;
    const std::string sha256 = ask.value("sha256", "");
    needed[under(folder.SpoolPath(rounds.value("round", 0), site, sha256))] = sha256;
  }
  return needed;
}

}  // namespace

absl::StatusOr<BackupSummary> BackUpCentral(const std::string& folder, const std::string& to,
                                            int64_t now_ms) {
  MANAKO_RETURN_IF_ERROR(CheckCentral(folder));
  if (to.empty()) return InvalidArgument("give a name for the backup");
  const fs::path target_path = fs::absolute(to).lexically_normal();
  const bool tar = target_path.extension() == ".tar";
  std::error_code error;
  if (fs::exists(fs::symlink_status(target_path, error))) {
    return absl::AlreadyExistsError(
        fmt::format("{} is there already, and a backup overwrites nothing: give another name", to));
  }
  const fs::path parent = target_path.parent_path();
  if (!fs::is_directory(parent, error))
    return NotFound("there is no folder {} to put the backup in: make it first", parent.string());
  const fs::path real_parent = fs::canonical(parent, error), real_folder = fs::canonical(folder);
  if (std::mismatch(real_folder.begin(), real_folder.end(), real_parent.begin(), real_parent.end())
          .first == real_folder.end()) {
    return InvalidArgument(
        "{} lies within {}, and would be lost with it: give a place outside, best on another disk",
        to, folder);
  }
  if (!fs::exists(folder + "/federation.db", error))
    return NotFound("{}/federation.db is missing: there is nothing to back up", folder);
  MANAKO_ASSIGN_OR_RETURN(const auto store, FederationStore::Open(folder + "/federation.db"));

  Unfinished place(fmt::format("{}.unfinished-{}", target_path.string(), ::getpid()));
  Unfinished database_copy(place.path() + (tar ? ".db" : "/federation.db"));
  std::unique_ptr<Target> target;
  if (tar) {
    const int fd =
        ::open(place.path().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kPrivateFile);
    if (fd < 0) return SystemError("cannot make", place.path());
    target = std::make_unique<TarTarget>(fd, place.path(), target_path.stem().string(), now_ms);
  } else {
    if (::mkdir(place.path().c_str(), kPrivateFolder) != 0)
      return SystemError("cannot make", place.path());
    target = std::make_unique<FolderTarget>(place.path());
  }

  // One moment: nothing is copied yet, but all that there is is held open. What the database names
  // was on the disk before it was named, and is removed only after it is named no longer; so the
  // folder is, at any moment at which nobody writes to the database, one from which a server that
  // was killed would go on.
  std::vector<std::pair<std::string, HeldFile>> files;
  const auto hold = [&](const std::string& name, bool must_be) -> absl::Status {
    auto file = HeldFile::Open(folder + "/" + name);
    if (absl::IsNotFound(file.status()) && !must_be) return absl::OkStatus();
    MANAKO_RETURN_IF_ERROR(file.status());
    files.emplace_back(name, *std::move(file));
    return absl::OkStatus();
  };
  std::set<std::string> folders = {"runs"};
  const auto hold_runs = [&]() -> absl::Status {
    std::error_code gone;
    for (const auto& run : fs::directory_iterator(folder + "/runs", gone)) {
      if (!run.is_directory(gone)) continue;
      const std::string name = "runs/" + run.path().filename().string();
      folders.insert(name);
      MANAKO_RETURN_IF_ERROR(hold(name + "/spec.json", false));
      for (const char* part : {"models", "spool"}) {
        folders.insert(name + "/" + part);
        for (fs::recursive_directory_iterator entry(run.path() / part, gone), end;
             !gone && entry != end; entry.increment(gone)) {
          const std::string inner =
              fmt::format("{}/{}", name, entry->path().lexically_relative(run.path()).string());
          std::error_code lost;
          if (entry->is_directory(lost)) {
            folders.insert(inner);
          } else if (const auto extension = entry->path().extension();
                     extension == ".arr" || extension == ".wire") {
            MANAKO_RETURN_IF_ERROR(hold(inner, false));
          }
        }
        gone.clear();
      }
    }
    return absl::OkStatus();
  };
  MANAKO_RETURN_IF_ERROR(store->Backup(database_copy.path(), [&]() -> absl::Status {
    for (const char* name : {"ca.pem", "ca.key", "server.key", "server.pem"})
      MANAKO_RETURN_IF_ERROR(hold(name, true));
    for (const char* name : {"web-users", "web.toml"}) MANAKO_RETURN_IF_ERROR(hold(name, false));
    return hold_runs();
  }));
  // The head before the log: a log that is ahead of its head is what a kill may leave, too.
  BackupSummary summary;
  const auto head = ReadFile(folder + "/receipts.log.head", 1 << 20);
  if (!head.ok() && !absl::IsNotFound(head.status())) return head.status();
  MANAKO_RETURN_IF_ERROR(hold("receipts.log", false));

  const auto copy_text = [&](const std::string& name, const std::string& text) -> absl::Status {
    MANAKO_RETURN_IF_ERROR(target->Begin(name, static_cast<int64_t>(text.size())));
    MANAKO_RETURN_IF_ERROR(target->Append(text));
    ++summary.files;
    summary.bytes += static_cast<int64_t>(text.size());
    return target->End();
  };
  if (tar) MANAKO_RETURN_IF_ERROR(target->Folder(""));
  for (const std::string& name : folders) MANAKO_RETURN_IF_ERROR(target->Folder(name));
  if (tar) {
    MANAKO_ASSIGN_OR_RETURN(const HeldFile database, HeldFile::Open(database_copy.path()));
    MANAKO_RETURN_IF_ERROR(Copy(database, "federation.db", *target, summary).status());
  } else {
    ++summary.files;
    summary.bytes += static_cast<int64_t>(fs::file_size(database_copy.path(), error));
  }
  if (head.ok()) MANAKO_RETURN_IF_ERROR(copy_text("receipts.log.head", *head));
  std::map<std::string, std::string> hashes;
  for (const auto& [name, file] : files) {
    MANAKO_ASSIGN_OR_RETURN(hashes[name], Copy(file, name, *target, summary));
  }

  // What the copy's database names must be in the copy.
  {
    const std::string check = database_copy.path() + ".check";
    const Unfinished remove_check(check);
    const Unfinished remove_wal(check + "-wal"), remove_shm(check + "-shm");
    fs::copy_file(database_copy.path(), check, error);
    if (error) return Internal("cannot copy {}: {}", database_copy.path(), error.message());
    MANAKO_ASSIGN_OR_RETURN(const auto copy, FederationStore::Open(check));
    MANAKO_ASSIGN_OR_RETURN(const auto runs, copy->Runs());
    for (const RunRecord& run : runs) {
      for (const auto& [name, sha256] : NeededBy(run)) {
        const auto found = hashes.find(name);
        if (found == hashes.end()) {
          summary.problems.push_back(fmt::format("run {}: {}/{} is missing", run.id, folder, name));
        } else if (!sha256.empty() && found->second != sha256) {
          summary.problems.push_back(fmt::format("run {}: {}/{} is damaged", run.id, folder, name));
        }
      }
    }
  }
  MANAKO_RETURN_IF_ERROR(target->Finish());
  target.reset();
  if (::renameat2(AT_FDCWD, place.path().c_str(), AT_FDCWD, target_path.c_str(),
                  RENAME_NOREPLACE) != 0) {
    // A file system that does not know this: the name was free a moment ago.
    if (errno != EINVAL || ::rename(place.path().c_str(), target_path.c_str()) != 0)
      return SystemError("cannot rename to", target_path.string());
  }
  if (!tar) database_copy.Finished();
  place.Finished();
  MANAKO_RETURN_IF_ERROR(SyncFolder(parent.string()));
  return summary;
}

}  // namespace manako
