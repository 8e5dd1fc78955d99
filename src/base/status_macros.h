// Short forms for code that returns absl::Status or absl::StatusOr.
#ifndef MANAKO_BASE_STATUS_MACROS_H_
#define MANAKO_BASE_STATUS_MACROS_H_

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns from the calling function when `expr` is an error.
#define MANAKO_RETURN_IF_ERROR(expr)                                                       \
  do {                                                                                     \
    if (absl::Status manako_status_ = (expr); !manako_status_.ok()) return manako_status_; \
  } while (false)

// MANAKO_ASSIGN_OR_RETURN(auto x, F()): x gets F()'s value, or the calling function returns F()'s
// error.
#define MANAKO_ASSIGN_OR_RETURN(lhs, expr) \
  MANAKO_ASSIGN_OR_RETURN_IMPL_(MANAKO_CONCAT_(manako_or_, __LINE__), lhs, expr)
#define MANAKO_ASSIGN_OR_RETURN_IMPL_(tmp, lhs, expr) \
  auto tmp = (expr);                                  \
  if (!tmp.ok()) return tmp.status();                 \
  lhs = *std::move(tmp)
#define MANAKO_CONCAT_(a, b) MANAKO_CONCAT_IMPL_(a, b)
#define MANAKO_CONCAT_IMPL_(a, b) a##b

namespace manako {

// Errors with a formatted message: InvalidArgument("clip_l2 must be > 0, but is {}", x).
template <typename... Args>
absl::Status InvalidArgument(fmt::format_string<Args...> format, Args&&... args) {
  return absl::InvalidArgumentError(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
absl::Status NotFound(fmt::format_string<Args...> format, Args&&... args) {
  return absl::NotFoundError(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
absl::Status FailedPrecondition(fmt::format_string<Args...> format, Args&&... args) {
  return absl::FailedPreconditionError(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
absl::Status DataLoss(fmt::format_string<Args...> format, Args&&... args) {
  return absl::DataLossError(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
absl::Status ResourceExhausted(fmt::format_string<Args...> format, Args&&... args) {
  return absl::ResourceExhaustedError(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
absl::Status Internal(fmt::format_string<Args...> format, Args&&... args) {
  return absl::InternalError(fmt::format(format, std::forward<Args>(args)...));
}

// The status's message as a std::string_view (Debian's Abseil has a string_view type of its own).
inline std::string_view MessageOf(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

// The same status with `where` put before its message: "reading a.csv: line 3 ...".
inline absl::Status Annotate(const absl::Status& status, std::string_view where) {
  if (status.ok()) return status;
  return absl::Status(status.code(), fmt::format("{}: {}", where, MessageOf(status)));
}

}  // namespace manako

#endif  // MANAKO_BASE_STATUS_MACROS_H_
