// The study's journal.jsonl; docs/run-folder.md says what each event holds.
#ifndef MANAKO_STUDY_JOURNAL_H_
#define MANAKO_STUDY_JOURNAL_H_

#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "base/files.h"
#include "study/observer.h"

namespace manako {

// Appends events; each is on disk when Write() returns. Thread-safe. The first error is kept and
// returned by status().
class Journal {
 public:
  static absl::StatusOr<std::unique_ptr<Journal>> Open(const std::string& path,
                                                       StudyObserver* observer);
  // `event` gets a "time".
  void Write(nlohmann::json event);
  void WriteRound(const RoundRecord& record);
  absl::Status status() const;

 private:
  Journal(std::unique_ptr<LineLog> log, StudyObserver* observer)
      : log_(std::move(log)), observer_(observer) {}
  mutable std::mutex mutex_;
  std::unique_ptr<LineLog> log_;
  StudyObserver* observer_;
  absl::Status status_;
};

}  // namespace manako

#endif  // MANAKO_STUDY_JOURNAL_H_
