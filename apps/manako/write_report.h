// The report of a run folder, with thumbnails from its cache.
#ifndef MANAKO_APPS_MANAKO_WRITE_REPORT_H_
#define MANAKO_APPS_MANAKO_WRITE_REPORT_H_

#include <string>

#include "absl/status/status.h"

namespace manako {

// Writes report.html and metrics.json and, unless `quiet`, says on standard output where they are
// and what the comparison came to.
absl::Status WriteRunReport(const std::string& run_folder, bool quiet = false);

}  // namespace manako

#endif  // MANAKO_APPS_MANAKO_WRITE_REPORT_H_
