// A federation's run as a report: read from the database when it is asked for, so that it is never
// older than the run.
#ifndef MANAKO_APPS_MANAKO_RUN_REPORT_H_
#define MANAKO_APPS_MANAKO_RUN_REPORT_H_

#include <string>

#include "absl/status/statusor.h"
#include "report/federated_run.h"
#include "server/federation_store.h"

namespace manako {

// What the database knows of a run. NotFound: no such run.
absl::StatusOr<FederatedRun> ReadFederatedRun(FederationStore* store, const std::string& run);

// FailedPrecondition: it has not been started, so that there is nothing to say on a page.
absl::Status MayReport(const FederatedRun& run);

// report.html. Works from a run's start on; what is not there yet is said in the page.
absl::StatusOr<std::string> RunReportPage(FederationStore* store, const std::string& run);

}  // namespace manako

#endif  // MANAKO_APPS_MANAKO_RUN_REPORT_H_
