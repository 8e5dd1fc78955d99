#include "server/server.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>

#include "base/crash_point.h"
#include "base/status_macros.h"
#include "base/system_error.h"
#include "core/codec/array_file_reader.h"

namespace manako {
namespace {

namespace fs = std::filesystem;

// Of the disk or the database, and not of what a site sent.
bool IsStorageError(const absl::Status& status) {
  return status.code() == absl::StatusCode::kResourceExhausted ||
         status.code() == absl::StatusCode::kInternal ||
         status.code() == absl::StatusCode::kDataLoss;
}

}  // namespace

// A second name for a file that is on the disk, as durable as the file.
absl::Status LinkDurably(const std::string& from, const std::string& to) {
  const std::string folder = fs::path(to).parent_path().string();
  MANAKO_RETURN_IF_ERROR(MakeFolders(folder));
  ::unlink(to.c_str());  // of a call that was cut short
  if (::link(from.c_str(), to.c_str()) != 0) return SystemError("cannot link", to);
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return SystemError("cannot open folder", folder);
  const bool synced = ::fsync(fd) == 0 || errno == EINVAL;
  const absl::Status status = synced ? absl::OkStatus() : SystemError("cannot sync", folder);
  ::close(fd);
  return status;
}

// A part of an update, on the disk.
struct Server::Upload {
  std::mutex mutex;
  std::string run, sha256, path;
  int64_t bytes = 0;  // announced
  int fd = -1;
  int64_t size = 0;  // so far
  // Of all bytes so far, digested as they came: the update need not be read again for it.
  std::optional<Sha256Hasher> hasher;
  Sha256Digest content{};  // of all but the digest at the file's end, once they are here
  int64_t writeback = 0;   // see BeginWriteback()
  ~Upload() {
    if (fd >= 0) ::close(fd);
  }
  // With another length it is another one: what was announced first must not bound it.
  bool IsOf(const Submission& submission) const {
    return run == submission.run && sha256 == submission.artifact.sha256 &&
           bytes == submission.artifact.bytes;
  }
  int64_t content_bytes() const { return bytes - static_cast<int64_t>(kArrayDigestBytes); }
  // The next bytes, which are or come at `size`.
  void Digest(std::string_view next) {
    if (const int64_t rest = content_bytes() - size; rest >= 0 && rest <= std::ssize(next)) {
      hasher->Add(next.substr(0, static_cast<size_t>(rest)));
      content = hasher->Digest();
      next.remove_prefix(static_cast<size_t>(rest));
    }
    hasher->Add(next);
  }
  // What came before this process began. Under the mutex, before anything else.
  absl::Status TakeUp() {
    if (hasher) return absl::OkStatus();
    hasher.emplace();
    const int64_t first = std::clamp<int64_t>(content_bytes(), 0, size);
    absl::Status status = hasher->AddFile(fd, 0, first, path);
    if (first == content_bytes()) content = hasher->Digest();
    if (status.ok()) status = hasher->AddFile(fd, first, size, path);
    if (status.ok()) return status;
    hasher.reset();
    return Internal("{}", MessageOf(status));
  }
};

Server::Server(Options options, Deps deps, std::unique_ptr<FolderLock> lock)
    : options_(std::move(options)), deps_(std::move(deps)), folder_lock_(std::move(lock)) {}

absl::StatusOr<std::unique_ptr<Server>> Server::Open(Options options, Deps deps) {
  MANAKO_RETURN_IF_ERROR(MakeFolders(options.folder + "/runs"));
  MANAKO_ASSIGN_OR_RETURN(auto lock, FolderLock::Take(options.folder));
  auto server =
      std::unique_ptr<Server>(new Server(std::move(options), std::move(deps), std::move(lock)));
  {
    const std::lock_guard state_lock(server->mutex_);
    server->SyncLocked();
  }
  server->worker_ = std::thread([raw = server.get()] { raw->Work(); });
  return server;
}

Server::~Server() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  if (worker_.joinable()) worker_.join();
}

void Server::set_on_change(std::function<void()> on_change) {
  const std::lock_guard lock(on_change_mutex_);
  on_change_ = std::move(on_change);
}

void Server::Changed() {
  const std::lock_guard lock(on_change_mutex_);
  if (on_change_) on_change_();
}

ServerRun* Server::Find(const std::string& run) {
  const auto found = runs_.find(run);
  return found == runs_.end() ? nullptr : found->second.get();
}

// Memory is but a copy of what the database says. After a step that could not be written the two
// may differ: the copy is made anew.
void Server::Reload(const std::string& run) {
  runs_.erase(run);
  std::erase(order_, run);
  SyncLocked();
}

void Server::Sync() {
  {
    const std::lock_guard lock(mutex_);
    SyncLocked();
    due_ = true;
  }
  wake_.notify_all();
  Changed();
}

void Server::SyncLocked() {
  const int64_t now = deps_.now_ms();
  const auto note = [&](const absl::Status& status) {
    if (!status.ok()) deps_.log(MessageOf(status));
  };
  auto sites = deps_.store->Sites();
  auto runs = deps_.store->Runs();
  if (!sites.ok() || !runs.ok()) {
    note(sites.status());
    note(runs.status());
    return;
  }
  std::vector<std::string> enrolled;
  for (const SiteRecord& site : *sites) {
    if (site.state == "enrolled") enrolled.push_back(site.name);
    std::string& before = site_states_[site.name];
    if (site.gone() && before != site.state) {
      for (auto& [id, run] : runs_) note(run->SiteGone(site.name, site.state, now));
    }
    before = site.state;
  }
  for (const RunRecord& record : *runs) {
    if (halted_.contains(record.id) && record.wanted != "cancelled") continue;
    if (record.state == "cancelled" && Find(record.id) == nullptr &&
        record.why.find("halted") != std::string::npos)
      continue;
    ServerRun* run = Find(record.id);
    if (run == nullptr) {
      if (record.wanted == "created") continue;
      auto loaded = ServerRun::Load(record, options_.folder + "/runs/" + record.id,
                                    {deps_.store, options_.threads});
      if (!loaded.ok()) {
        if (record.wanted == "cancelled") {
          // That needs none of its files.
          RunRecord ended = record;
          ended.state = "cancelled";
          ended.why = fmt::format("cancelled by a person, while it was halted: {}",
                                  MessageOf(loaded.status()));
          ended.finished_ms = now;
          auto batch = deps_.store->Begin();
          batch.SaveRun(ended);
          batch.AddEvent(record.id, "", "run_cancelled", {{"why", ended.why}}, now);
          note(batch.Commit());
          halted_.erase(record.id);
          continue;
        }
        // The other runs go on.
        halted_[record.id] = std::string(MessageOf(loaded.status()));
        deps_.log(fmt::format("run {} is halted: {}", record.id, MessageOf(loaded.status())));
        continue;
      }
      run = loaded->get();
      runs_[record.id] = *std::move(loaded);
      for (const std::string& problem : run->problems())
        deps_.log(fmt::format("run {}: {}", record.id, problem));
      order_.push_back(record.id);
      for (const SiteRecord& site : *sites) {
        if (site.gone()) note(run->SiteGone(site.name, site.state, now));
      }
    }
    if (run->record().wanted != record.wanted ||
        (record.wanted == "running" && run->record().state == "created") ||
        (record.wanted == "cancelled" && !run->over())) {
      note(run->Want(record.wanted, enrolled, now));
    }
  }
}

std::optional<SiteTask> Server::NextTask(const std::string& site) {
  std::optional<SiteTask> task;
  {
    const std::lock_guard lock(mutex_);
    for (const std::string& id : order_) {
      if ((task = runs_.at(id)->TaskFor(site))) break;
    }
  }
  const auto put_on_record = [&](auto& of) {
    // Where the disk is full, the work goes on without it: the books are right, and the next task
    // says it.
    if (of.amended && !Record(site, *of.amended).ok()) of.amended.reset();
  };
  if (task && std::holds_alternative<RoundTask>(*task)) put_on_record(std::get<RoundTask>(*task));
  if (task && std::holds_alternative<TestTask>(*task)) put_on_record(std::get<TestTask>(*task));
  return task;
}

absl::Status Server::Noted(absl::Status status) {
  if (!IsStorageError(status)) return status;
  {
    const std::lock_guard lock(noted_mutex_);
    const int64_t now = deps_.now_ms();
    if (noted_ == MessageOf(status) && now < noted_ms_ + 60'000) return status;
    noted_ = MessageOf(status);
    noted_ms_ = now;
  }
  deps_.log(MessageOf(status));
  return status;
}

absl::Status Server::Record(const std::string& site, Receipt& receipt) const {
  return deps_.record ? deps_.record(site, receipt) : absl::OkStatus();
}

absl::Status Server::Answer(const std::string& site, const SiteAnswer& answer) {
  absl::Status status;
  {
    const std::lock_guard lock(mutex_);
    const std::string& id =
        std::visit([](const auto& a) -> const std::string& { return a.run; }, answer);
    ServerRun* run = Find(id);
    if (run == nullptr) return FailedPrecondition("there is no run {} here", id);
    status = std::visit([&](const auto& a) { return run->Take(site, a, deps_.now_ms()); }, answer);
    if (IsStorageError(status)) Reload(id);
    due_ = true;
  }
  wake_.notify_all();
  return Noted(std::move(status));
}

absl::StatusOr<StatusReply> Server::ReportStatus(const std::string& site, const SiteStatus& status,
                                                 const std::string& version,
                                                 const std::string& address) {
  StatusReply reply;
  reply.time_ms = deps_.now_ms();
  {
    const std::lock_guard lock(mutex_);
    if (ServerRun* run = Find(status.run); run != nullptr && !status.run.empty()) {
      if (run->over()) {
        reply.drop_run = status.run;
        reply.why = fmt::format("the run is {}", run->record().state);
      } else if (status.round > 0 && status.round < run->rounds().round()) {
        // An update for a closed round may still count, if the run says so: then the site should go
        // on.
        reply.why = fmt::format("round {} is closed", status.round);
      }
    }
  }
  const nlohmann::json json = {
      {"phase", status.phase}, {"run", status.run},
      {"round", status.round}, {"step", status.step},
      {"steps", status.steps}, {"images_per_second", status.images_per_second}};
  MANAKO_RETURN_IF_ERROR(
      deps_.store->Seen(site, reply.time_ms, version, address,
                        json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)));
  return reply;
}

void Server::SiteConnected(const std::string& site) {
  {
    const std::lock_guard lock(mutex_);
    for (auto& [id, run] : runs_) {
      if (const absl::Status status = run->SiteBack(site, deps_.now_ms()); !status.ok())
        deps_.log(MessageOf(status));
    }
  }
  Changed();
}

absl::StatusOr<std::string> Server::ArtifactPath(const std::string& site, const std::string& run_id,
                                                 const ArtifactId& artifact) {
  const std::lock_guard lock(mutex_);
  ServerRun* run = Find(run_id);
  if (run == nullptr) return NotFound("there is no run {} here", run_id);
  return run->ArtifactPath(site, artifact);
}

absl::StatusOr<std::shared_ptr<Server::Upload>> Server::UploadOf(const std::string& site,
                                                                 const Submission& submission) {
  std::string path;
  {
    const std::lock_guard lock(mutex_);
    ServerRun* run = Find(submission.run);
    if (run == nullptr) return FailedPrecondition("there is no run {} here", submission.run);
    MANAKO_RETURN_IF_ERROR(run->CheckUpload(site, submission));
    path = run->folder().PartPath(site);
  }
  const std::lock_guard lock(uploads_mutex_);
  std::shared_ptr<Upload>& upload = uploads_[site];
  if (upload != nullptr && upload->IsOf(submission)) return upload;
  // The name says what the part is of, so that one from before a restart is only gone on with if it
  // is the same update's.
  auto fresh = std::make_shared<Upload>();
  fresh->run = submission.run;
  fresh->sha256 = submission.artifact.sha256;
  fresh->bytes = submission.artifact.bytes;
  fresh->path = path + "." + submission.artifact.sha256;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(fs::path(path).parent_path(), ignored)) {
    const std::string name = entry.path().filename().string(),
                      own = fs::path(path).filename().string() + ".";
    if (name.starts_with(own) && entry.path() != fresh->path) fs::remove(entry.path(), ignored);
  }
  fresh->fd = ::open(fresh->path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fresh->fd < 0) return Noted(SystemError("cannot open", fresh->path));
  struct stat info;
  if (::fstat(fresh->fd, &info) != 0) return SystemError("cannot look at", fresh->path);
  fresh->size = info.st_size;
  if (fresh->size > fresh->bytes) {
    if (::ftruncate(fresh->fd, 0) != 0) return SystemError("cannot cut", fresh->path);
    fresh->size = 0;
  }
  upload = fresh;
  return upload;
}

absl::StatusOr<Server::UploadState> Server::BeginUpload(const std::string& site,
                                                        const Submission& submission) {
  std::optional<Receipt> receipt;
  {
    const std::lock_guard lock(mutex_);
    ServerRun* run = Find(submission.run);
    if (run == nullptr) return FailedPrecondition("there is no run {} here", submission.run);
    receipt = run->KeptBefore(site, submission);
  }
  if (receipt) {
    // A crash may have come between the update and the receipt's line.
    MANAKO_RETURN_IF_ERROR(Noted(Record(site, *receipt)));
    return UploadState{submission.artifact.bytes, std::move(receipt)};
  }
  MANAKO_ASSIGN_OR_RETURN(const auto upload, UploadOf(site, submission));
  const std::lock_guard lock(upload->mutex);
  MANAKO_RETURN_IF_ERROR(Noted(upload->TakeUp()));
  return UploadState{upload->size, std::nullopt};
}

absl::Status Server::AppendUpload(const std::string& site, const Submission& submission,
                                  int64_t offset, std::string_view bytes) {
  std::shared_ptr<Upload> upload;
  {
    const std::lock_guard lock(uploads_mutex_);
    const auto found = uploads_.find(site);
    if (found != uploads_.end()) upload = found->second;
  }
  if (upload == nullptr || !upload->IsOf(submission)) {
    return FailedPrecondition("no upload of {} was begun", submission.artifact.sha256);
  }
  const std::lock_guard lock(upload->mutex);
  MANAKO_RETURN_IF_ERROR(Noted(upload->TakeUp()));
  if (offset != upload->size) {
    return absl::OutOfRangeError(
        fmt::format("byte {} of the upload is the next, not {}", upload->size, offset));
  }
  if (offset + static_cast<int64_t>(bytes.size()) > upload->bytes) {
    return InvalidArgument("{} sends more than the {} bytes that it announced", site,
                           upload->bytes);
  }
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(upload->fd, bytes.data(), bytes.size(), upload->size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Noted(SystemError("cannot write", upload->path));
    upload->Digest(bytes.substr(0, static_cast<size_t>(n)));
    upload->size += n;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  BeginWriteback(upload->fd, upload->size, &upload->writeback);
  return absl::OkStatus();
}

absl::StatusOr<Receipt> Server::Submit(const std::string& site, const Submission& submission) {
  MANAKO_ASSIGN_OR_RETURN(const UploadState state, BeginUpload(site, submission));
  if (state.receipt) return *state.receipt;
  if (state.offset != submission.artifact.bytes) {
    return FailedPrecondition("{} of {} bytes of the update are here: send the rest first",
                              state.offset, submission.artifact.bytes);
  }
  MANAKO_ASSIGN_OR_RETURN(const auto upload, UploadOf(site, submission));
  const std::lock_guard upload_lock(upload->mutex);
  MANAKO_RETURN_IF_ERROR(Noted(upload->TakeUp()));
  ArrayFileExpectation expected;
  std::string base_path, spool_path;
  {
    const std::lock_guard lock(mutex_);
    ServerRun* run = Find(submission.run);
    if (run == nullptr) return FailedPrecondition("there is no run {} here", submission.run);
    MANAKO_ASSIGN_OR_RETURN(expected, run->Expect(submission));
    base_path = run->BaseModelPath(submission.round);
    spool_path = run->SpoolPath(site, submission);
  }
  const auto drop = [&] {
    std::error_code ignored;
    fs::remove(upload->path, ignored);
    const std::lock_guard lock(uploads_mutex_);
    uploads_.erase(site);
  };
  // Without the lock: an update is read whole here, which takes a while.
  absl::StatusOr<ArrayFileSummary> summary = absl::UnknownError("");
  if (auto reader = ArrayFileReader::Open(upload->path, expected); reader.ok()) {
    ArrayVerifyOptions options;
    options.threads = options_.threads;
    const auto base = ArrayFileReader::Open(base_path);
    if (!base.ok()) {
      // This machine's fault, and not the update's.
      static_cast<void>(Noted(DataLoss("{}: restore it from a backup", MessageOf(base.status()))));
      return absl::UnavailableError(
          fmt::format("the server cannot read its model of run {}", submission.run));
    }
    options.base = BaseOf(**base);
    options.digests = {upload->content, upload->hasher->Digest()};
    summary = (*reader)->VerifyAll(options);
  } else {
    summary = reader.status();
  }
  if (!summary.ok()) {
    drop();
    return InvalidArgument("the update of {} for round {} is not fit to count: {}", site,
                           submission.round, MessageOf(summary.status()));
  }
  // To the disk, and under the name that it will have if it counts, without the lock either: others
  // wait for that. Only what the summary has found to be what the name says gets it.
  if (::fdatasync(upload->fd) != 0) return Noted(SystemError("cannot sync", upload->path));
  const bool spooled =
      summary->sha256 == submission.artifact.sha256 && LinkDurably(upload->path, spool_path).ok();
  MANAKO_CRASH_POINT("server.update_received");
  absl::StatusOr<Receipt> receipt = FailedPrecondition("there is no run {} here", submission.run);
  {
    const std::lock_guard lock(mutex_);
    ServerRun* run = Find(submission.run);
    // In a round that was opened meanwhile its place is another one.
    const bool in_place =
        spooled && run != nullptr && run->SpoolPath(site, submission) == spool_path;
    if (run != nullptr) {
      receipt = run->Keep(site, submission, *summary, in_place ? spool_path : upload->path,
                          deps_.now_ms());
    }
    // Where it does not count there, it need not lie there.
    if (spooled && (!in_place || (!receipt.ok() && !run->KeptBefore(site, submission))))
      ::unlink(spool_path.c_str());
    if (IsStorageError(receipt.status())) Reload(submission.run);
    due_ = true;
  }
  if (receipt.ok()) {
    MANAKO_CRASH_POINT("server.update_kept");
    drop();
    wake_.notify_all();
    MANAKO_RETURN_IF_ERROR(Noted(Record(site, *receipt)));
    MANAKO_CRASH_POINT("server.receipt_recorded");
  } else {
    static_cast<void>(Noted(receipt.status()));
  }
  return receipt;
}

int64_t Server::AdvanceLocked(std::unique_lock<std::mutex>& lock) {
  int64_t next = 0;
  const auto note = [&](const std::string& id, const absl::Status& status) {
    if (!status.ok()) deps_.log(fmt::format("run {}: {}", id, MessageOf(status)));
    if (!status.ok()) Reload(id);
    return status.ok();
  };
  for (const std::string& id : std::vector<std::string>(order_)) {
    ServerRun* run = Find(id);
    if (run == nullptr) continue;
    const auto due = run->Advance(deps_.now_ms());
    if (!note(id, due.status())) {
      // A full disk: what failed is tried again when something happens, and after a while in any
      // case.
      next = deps_.now_ms() + 5000;
      continue;
    }
    if (*due) {
      auto closing = run->BeginClosing(deps_.now_ms());
      if (!note(id, closing.status())) continue;
      if (closing->has_value()) {
        MANAKO_CRASH_POINT("server.round_closing");
        lock.unlock();
        (*closing)->Work();
        MANAKO_CRASH_POINT("server.model_written");
        lock.lock();
        if (!note(id, run->EndClosing(**closing, deps_.now_ms()))) {
          next = deps_.now_ms() + 5000;
          continue;
        }
        for (const std::string& site : (*closing)->damaged) {
          deps_.log(
              fmt::format("run {}: the update of {} for round {} was damaged on the disk: it is "
                          "asked for again",
                          id, site, (*closing)->round));
        }
        MANAKO_CRASH_POINT("server.round_closed");
        due_ = true;
      }
    }
    if (const int64_t deadline = run->NextDeadline();
        deadline > 0 && (next == 0 || deadline < next))
      next = deadline;
  }
  return next;
}

void Server::TellEvents() {
  if (!deps_.on_event) return;
  while (true) {
    const auto events = deps_.store->Events(deps_.events_behind, 100);
    if (!events.ok() || events->empty()) return;
    for (const EventRecord& event : *events) {
      if (!deps_.on_event(event).ok()) return;
      deps_.events_behind = event.seq;
    }
  }
}

void Server::Work() {
  std::unique_lock lock(mutex_);
  int64_t next = 0;
  while (!ending_) {
    if (due_ || (next > 0 && deps_.now_ms() >= next)) {
      due_ = false;
      next = AdvanceLocked(lock);
      lock.unlock();
      TellEvents();
      Changed();
      lock.lock();
      continue;
    }
    if (next > 0) {
      wake_.wait_for(
          lock, std::chrono::milliseconds(std::clamp<int64_t>(next - deps_.now_ms(), 1, 60000)));
    } else {
      wake_.wait(lock);
    }
  }
}

}  // namespace manako
