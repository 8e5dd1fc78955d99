// A run of a federation as a report: the same page as a study's, made of what the sites agreed to
// send.
//
// Which statistics there are depends on the least that all sites which tested the run's model gave
// of their test images (`method` of the result):
//
//   scores      everything a study's report has, from single scores.
//   histograms  the same from score histograms, two images of one bin counting as a tie (for the
//               AUC one half): AUC with DeLong's interval ("delong_binned"), ROC, sensitivity and
//               the like with Wilson's, calibration with the bins' middles. No Brier score.
//   metrics     the image-weighted mean of the sites' own AUCs, which is another number than the
//               AUC of all images together; its interval is put together from the sites' (each
//               Newcombe's, from the AUC and the agreed counts of images). Accuracy at 0.5.
//
// Where some sites gave scores and all others histograms, the scores are put into the same bins.
// Nobody told the server which images are of one patient, so every image counts as a patient of its
// own; the report says so.
#ifndef MANAKO_REPORT_FEDERATED_REPORT_H_
#define MANAKO_REPORT_FEDERATED_REPORT_H_

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "report/federated_run.h"

namespace manako {

// The numbers, as web/src/report/federated/data.ts says. Works on a run that is not finished:
// what is not there is null or absent, and a warning says so. What a site sent that does not fit
// together (negative counts, an AUC above 1) counts as not sent.
nlohmann::json BuildFederatedReport(const FederatedRun& run);

// The page, with those numbers in it.
absl::StatusOr<std::string> FederatedReportPage(const nlohmann::json& report);

}  // namespace manako

#endif  // MANAKO_REPORT_FEDERATED_REPORT_H_
