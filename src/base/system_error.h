// What errno says of a file.
#ifndef MANAKO_BASE_SYSTEM_ERROR_H_
#define MANAKO_BASE_SYSTEM_ERROR_H_

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace manako {

// "DOING PATH: what errno says": ResourceExhausted where the disk is full, else of the code
// `otherwise`. (More codes would be another's business, such as a site's that is told of the
// server's disk.)
inline absl::Status SystemError(std::string_view doing, std::string_view path,
                                absl::StatusCode otherwise = absl::StatusCode::kInternal) {
  const int error = errno;
  const bool full = error == ENOSPC || error == EDQUOT;
  return absl::Status(full ? absl::StatusCode::kResourceExhausted : otherwise,
                      fmt::format("{} {}: {}", doing, path, std::strerror(error)));
}

// The same of a file that is the caller's own, with more codes told apart ("SENTENCE: what errno
// says"): NotFound, PermissionDenied, ResourceExhausted (and what to do then).
inline absl::Status FileError(int error, std::string_view sentence, absl::StatusCode otherwise) {
  const std::string text = fmt::format("{}: {}", sentence, std::strerror(error));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(text);
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(text + " (free some space, then go on)");
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(text);
    default:
      return absl::Status(otherwise, text);
  }
}

}  // namespace manako

#endif  // MANAKO_BASE_SYSTEM_ERROR_H_
