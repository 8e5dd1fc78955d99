// A copy of the central hospital's folder from which its federation can go on: of one moment, while
// the server works or not.
#ifndef MANAKO_SERVER_BACKUP_H_
#define MANAKO_SERVER_BACKUP_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace manako {

struct BackupSummary {
  int files = 0;
  int64_t bytes = 0;
  // What is damaged or missing here already, and so in the copy: one line each.
  std::vector<std::string> problems;
};

// Writes the copy to `to`: one file in tar's format where that ends in ".tar", else a folder, which
// is a central hospital's folder itself. Everything in it is its owner's alone (folders 0700, files
// 0600): it holds the authority's key. It appears under its name when it is whole and on the disk.
//
// In it are keys and certificates, the database, the receipts with their head, who may sign in to
// the web page and where it is, and of each run its specification, the models that are kept and the
// updates of its open round. Not in it: uploads under way (the sites send them again) and
// server.log (the events in it are made anew from the database).
//
// NotFound: no central hospital's folder, or a file of it is missing. AlreadyExists: something
// stands at `to`; it is never overwritten. InvalidArgument: `to` lies within the folder.
absl::StatusOr<BackupSummary> BackUpCentral(const std::string& folder, const std::string& to,
                                            int64_t now_ms);

}  // namespace manako

#endif  // MANAKO_SERVER_BACKUP_H_
