// The central hospital's server, without its network: everything that a site may ask of it, and all
// that a person may want. src/wire puts it on the network, src/dashboard on web pages.
#ifndef MANAKO_SERVER_SERVER_H_
#define MANAKO_SERVER_SERVER_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "base/files.h"
#include "core/federation.h"
#include "server/federation_store.h"
#include "server/server_run.h"

namespace manako {

// Crash-only: there is nothing to do before it ends, and a new one goes on where it was.
// Thread-safe. Every member that takes a site's name believes it: who it is was settled by its
// certificate.
class Server {
 public:
  struct Options {
    std::string folder;
    int threads = 1;  // to average and to check with
  };
  struct Deps {
    FederationStore* store = nullptr;
    std::function<int64_t()> now_ms;                 // since 1970
    std::function<void(std::string_view line)> log;  // any thread
    // Puts a receipt on record before it is given, once; fills in its log_seq and log_hash. May be
    // empty.
    std::function<absl::Status(const std::string& site, Receipt& receipt)> record;
    // Is told each event of the database behind number `events_behind`, in order, on a thread of
    // the server's. An error: told again later. May be empty.
    std::function<absl::Status(const EventRecord& event)> on_event;
    int64_t events_behind = 0;
  };
  // FailedPrecondition: another server works here.
  static absl::StatusOr<std::unique_ptr<Server>> Open(Options options, Deps deps);
  ~Server();

  // Called, from any thread and without locks, whenever a site may have got work.
  void set_on_change(std::function<void()> on_change);

  // The next thing for a site to do; none at the moment.
  std::optional<SiteTask> NextTask(const std::string& site);
  absl::Status Answer(const std::string& site, const SiteAnswer& answer);
  absl::StatusOr<StatusReply> ReportStatus(const std::string& site, const SiteStatus& status,
                                           const std::string& version, const std::string& address);
  // A new connection of the site: what it had given up, it may try again.
  void SiteConnected(const std::string& site);
  // The file that an artifact is, which the site may read. NotFound.
  absl::StatusOr<std::string> ArtifactPath(const std::string& site, const std::string& run,
                                           const ArtifactId& artifact);

  // An upload goes on at the offset reached, whatever happened in between; or it is not needed,
  // because the update has been kept before (then `receipt` is its receipt).
  struct UploadState {
    int64_t offset = 0;
    std::optional<Receipt> receipt;
  };
  absl::StatusOr<UploadState> BeginUpload(const std::string& site, const Submission& submission);
  // The next bytes. OutOfRange: another offset is the next. InvalidArgument: more than was
  // announced.
  absl::Status AppendUpload(const std::string& site, const Submission& submission, int64_t offset,
                            std::string_view bytes);
  // Judges the update whose bytes are here. FailedPrecondition: they are not, all of them.
  // Unavailable: the round is being closed this moment; ask again.
  absl::StatusOr<Receipt> Submit(const std::string& site, const Submission& submission);

  // Reads from the database what people want now: new runs, started, paused and cancelled ones,
  // revoked sites.
  void Sync();

 private:
  struct Upload;
  Server(Options options, Deps deps, std::unique_ptr<FolderLock> lock);
  void SyncLocked();
  void Reload(const std::string& run);
  void Work();
  // The clock's and the answers' consequences. Gives the time at which it is due again; 0: not by
  // time alone.
  int64_t AdvanceLocked(std::unique_lock<std::mutex>& lock);
  void Changed();
  void TellEvents();
  // Tells the person here what the disk or the database does; the same again not before a minute.
  // Gives the status back.
  absl::Status Noted(absl::Status status);
  // A receipt that is given again, or for the first time: on record either way.
  absl::Status Record(const std::string& site, Receipt& receipt) const;
  ServerRun* Find(const std::string& run);
  absl::StatusOr<std::shared_ptr<Upload>> UploadOf(const std::string& site,
                                                   const Submission& submission);

  Options options_;
  Deps deps_;
  std::unique_ptr<FolderLock> folder_lock_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ending_ = false, due_ = true;
  std::map<std::string, std::unique_ptr<ServerRun>> runs_;  // by id
  std::vector<std::string> order_;                          // of creation
  std::map<std::string, std::string> halted_;               // runs that cannot go on here, and why
  std::map<std::string, std::string> site_states_;
  std::mutex uploads_mutex_;
  std::map<std::string, std::shared_ptr<Upload>> uploads_;  // by site
  std::mutex on_change_mutex_;
  std::function<void()> on_change_;
  std::mutex noted_mutex_;
  std::string noted_;
  int64_t noted_ms_ = 0;
  std::thread worker_;
};

}  // namespace manako

#endif  // MANAKO_SERVER_SERVER_H_
