// Sign-ins. In memory: a restart of the program ends them.
#ifndef MANAKO_DASHBOARD_SESSIONS_H_
#define MANAKO_DASHBOARD_SESSIONS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "identity/password.h"

namespace manako {

class WebUsers;

struct Session {
  std::string user;
  std::string csrf;  // goes with every request that changes something
};

// Thread-safe.
class Sessions {
 public:
  struct Options {
    int64_t idle_ms = 30 * 60'000;
    int64_t absolute_ms = 12 * 3'600'000;
    int max_sessions = 256;  // then the one that was used longest ago goes
    AttemptLimits attempts;  // by name and by address
  };
  Sessions(const Options& options, WebUsers* users, std::function<int64_t()> now_ms)
      : options_(options), users_(users), now_ms_(std::move(now_ms)), limiter_(options.attempts) {}

  struct SignIn {
    std::string token;  // for the cookie
    Session session;
  };
  // PermissionDenied in the same words for an unknown name and a wrong password; ResourceExhausted
  // when there were too many attempts (says how long to wait).
  absl::StatusOr<SignIn> TrySignIn(const std::string& user, std::string_view password,
                                   const std::string& address);
  // The session of a cookie's token; none when it has expired or its user's password is another
  // now. `use`: this counts as its use.
  std::optional<Session> Find(std::string_view token, bool use = true);
  void SignOut(std::string_view token);

  int64_t failed() const;  // sign-ins, ever
  int64_t open() const;

 private:
  struct Open {
    Session session;
    std::string version;  // of the user's password
    int64_t started_ms = 0, used_ms = 0;
  };
  const Options options_;
  WebUsers* const users_;
  const std::function<int64_t()> now_ms_;
  AttemptLimiter limiter_;
  mutable std::mutex mutex_;
  std::map<std::string, Open> sessions_;  // by the SHA-256 of the token
  int64_t failed_ = 0;
};

}  // namespace manako

#endif  // MANAKO_DASHBOARD_SESSIONS_H_
