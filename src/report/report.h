// A run folder in, the report out: metrics.json and report.html.
//
// The numbers are those of web/src/report/data.ts, which says what each is; how they are computed
// over repeats and folds stands in report/arm_statistics.h. Nothing but the folder's files goes in:
// the same folder gives the same bytes.
#ifndef MANAKO_REPORT_REPORT_H_
#define MANAKO_REPORT_REPORT_H_

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace manako {

struct ReportOptions {
  std::string run_folder;
  // Equivalence margin in AUC, > 0, where the run's configuration has none (study.margin).
  double margin = 0.02;
  // Pictures of the mistakes in the page. An image without one (an error, or no function) is shown
  // without.
  bool thumbnails = true;
  // JPEG bytes for an image, named as in predictions.csv. Called once for each listed mistake.
  std::function<absl::StatusOr<std::string>(const std::string& file)> thumbnail_jpeg{};
  // Of each arm, the most confident mistakes; an image counts once, with the model that was the
  // surest.
  int max_mistakes = 24;
};

// Works on a run that is not finished, or was torn by a crash: what is not there is null or absent
// and a warning says so. NotFound without a journal; DataLoss, with file and line, for predictions
// that are not as docs/run-folder.md says.
absl::StatusOr<nlohmann::json> BuildReport(const ReportOptions& options);

// Writes report.html and metrics.json (the same without thumbnails) into the run folder, each
// atomically.
absl::Status WriteReport(const ReportOptions& options);

}  // namespace manako

#endif  // MANAKO_REPORT_REPORT_H_
