// What a study tells while it runs.
#ifndef MANAKO_STUDY_OBSERVER_H_
#define MANAKO_STUDY_OBSERVER_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "study/model_key.h"

namespace manako {

// One round of one model.
struct RoundRecord {
  ModelKey key;
  int round = 0;   // 0: the common initial model
  int rounds = 0;  // of the run
  std::optional<double> train_loss, validation_auc, validation_loss, test_auc;
  int64_t visits = 0;  // image visits of the round, all sites together
  double seconds = 0;  // since the round began
};

// Called from several threads, one call at a time.
class StudyObserver {
 public:
  virtual ~StudyObserver() = default;
  virtual void OnDecoding(size_t done, size_t total) {}
  // Every line of the journal, as it is written.
  virtual void OnEvent(const nlohmann::json& event) {}
  virtual void OnRound(const RoundRecord& record) {}
  // A sentence for the person who waits, such as what --init did. Not before a run that is refused.
  virtual void OnNote(const std::string& note) {}
};

}  // namespace manako

#endif  // MANAKO_STUDY_OBSERVER_H_
