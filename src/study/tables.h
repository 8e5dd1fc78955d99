// The tables of a run folder: the journal's counts of images and predictions.csv.
#ifndef MANAKO_STUDY_TABLES_H_
#define MANAKO_STUDY_TABLES_H_

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/learner.h"
#include "data/dataset.h"
#include "data/split.h"
#include "study/model_key.h"

namespace manako {

// The events data_loaded and cell_started of docs/run-folder.md.
nlohmann::json DataLoadedEvent(const Dataset& dataset, double seconds);
nlohmann::json CellStartedEvent(const Dataset& dataset, const CellPlan& plan, int repeat, int fold,
                                uint64_t seed);

// SHA-256 over all that a study reads: names, labels, groups, sites and pixels.
std::string DatasetDigest(const Dataset& dataset);

// predictions.csv, piece by piece.
class PredictionsWriter {
 public:
  static absl::StatusOr<std::unique_ptr<PredictionsWriter>> Create(const std::string& path,
                                                                   const Dataset& dataset);
  ~PredictionsWriter();
  absl::Status Add(const ModelKey& key, const char* split, const CellPlan& plan,
                   const Predictions& predictions);
  absl::Status Commit();

 private:
  struct Impl;
  explicit PredictionsWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace manako

#endif  // MANAKO_STUDY_TABLES_H_
