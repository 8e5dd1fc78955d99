// What errno says of a file.
#ifndef MANAKO_BASE_SYSTEM_ERROR_H_
#define MANAKO_BASE_SYSTEM_ERROR_H_

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "absl/status/status.h"

namespace manako {

// "DOING PATH: what errno says": ResourceExhausted where the disk is full, else of the code
// `otherwise`. (files.h tells its own callers more codes apart; here they would be another's
// business, such as a site's that is told of the server's disk.)
inline absl::Status SystemError(std::string_view doing, std::string_view path,
                                absl::StatusCode otherwise = absl::StatusCode::kInternal) {
  const int error = errno;
  const bool full = error == ENOSPC || error == EDQUOT;
  return absl::Status(full ? absl::StatusCode::kResourceExhausted : otherwise,
                      fmt::format("{} {}: {}", doing, path, std::strerror(error)));
}

}  // namespace manako

#endif  // MANAKO_BASE_SYSTEM_ERROR_H_
