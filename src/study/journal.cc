#include "study/journal.h"

#include <chrono>
#include <cmath>
#include <utility>

#include "base/status_macros.h"

namespace manako {
namespace {

using nlohmann::json;

json OrNull(const std::optional<double>& value) {
  return value.has_value() && std::isfinite(*value) ? json(*value) : json(nullptr);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Journal>> Journal::Open(const std::string& path,
                                                       StudyObserver* observer) {
  MANAKO_ASSIGN_OR_RETURN(auto log, LineLog::Open(path));
  return std::unique_ptr<Journal>(new Journal(std::move(log), observer));
}

void Journal::Write(json event) {
  using std::chrono::duration;
  event["time"] = duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  // File names may hold bytes that are not UTF-8; they must not stop the journal.
  const std::string line = event.dump(-1, ' ', false, json::error_handler_t::replace);
  std::lock_guard lock(mutex_);
  if (absl::Status status = log_->Append(line); status_.ok()) status_ = status;
  observer_->OnEvent(event);
}

void Journal::WriteRound(const RoundRecord& record) {
  Write({{"event", "round"},
         {"repeat", record.key.repeat},
         {"fold", record.key.fold},
         {"arm", record.key.arm},
         {"site", record.key.site},
         {"round", record.round},
         {"train_loss", OrNull(record.train_loss)},
         {"validation_auc", OrNull(record.validation_auc)},
         {"validation_loss", OrNull(record.validation_loss)},
         {"test_auc", OrNull(record.test_auc)},
         {"images", record.visits},
         {"seconds", record.seconds}});
  std::lock_guard lock(mutex_);
  observer_->OnRound(record);
}

absl::Status Journal::status() const {
  std::lock_guard lock(mutex_);
  return status_;
}

}  // namespace manako
