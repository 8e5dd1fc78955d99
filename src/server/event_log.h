// The server's log for machines: JSON, one line for each event, in `server.log` beside the
// database.
//
//     {"time":"2027-01-15T08:00:00.000Z","seq":41,"event":"round_closed","run":"...","round":2,
//     ...}
//     {"time":"2027-01-15T08:00:01.000Z","event":"note","text":"east is here, from ..."}
//
// Events are the database's (table `events`), in its order, each once: one that a crash kept from
// the log is written when the server starts again. Notes are what the server says on standard
// error. Neither holds a key, a token or a password.
#ifndef MANAKO_SERVER_EVENT_LOG_H_
#define MANAKO_SERVER_EVENT_LOG_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/federation_store.h"

namespace manako {

// Thread-safe. Lines are written whole and not synced: what counts is in the database.
class EventLog {
 public:
  struct Options {
    int64_t most_bytes = 64 << 20;  // then the file becomes <path>.1, in place of the one before
  };
  // Goes on with the file that is there; what a killed writer left of a line is cut off.
  static absl::StatusOr<std::unique_ptr<EventLog>> Open(const std::string& path, Options options);
  static absl::StatusOr<std::unique_ptr<EventLog>> Open(const std::string& path) {
    return Open(path, Options());
  }
  ~EventLog();
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  // The number of the last event that stands there; 0: none.
  int64_t last_seq() const;
  // Nothing for an event that stands there already. ResourceExhausted, Internal: it was not
  // written.
  absl::Status Write(const EventRecord& event);
  absl::Status Note(std::string_view text, int64_t time_ms);

 private:
  EventLog(std::string path, Options options) : path_(std::move(path)), options_(options) {}
  absl::Status OpenFile();
  absl::Status WriteLine(const std::string& line);

  const std::string path_;
  const Options options_;
  mutable std::mutex mutex_;
  int fd_ = -1;
  int64_t size_ = 0, last_seq_ = 0;
};

}  // namespace manako

#endif  // MANAKO_SERVER_EVENT_LOG_H_
