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
    // Wrong passwords: so many are free, for a name and for an address; then each costs a wait of
    // first_wait_ms, doubled each time up to longest_wait_ms, in which no password is looked at.
    int free_attempts = 5;
    int64_t first_wait_ms = 2'000, longest_wait_ms = 15 * 60'000;
    int64_t forget_ms = 60 * 60'000;  // attempts older than this
  };
  Sessions(Options options, WebUsers* users, std::function<int64_t()> now_ms)
      : options_(options), users_(users), now_ms_(std::move(now_ms)) {}

  struct SignIn {
    std::string token;  // for the cookie; empty: refused
    Session session;
    int64_t wait_ms = 0;  // of a refusal: until an attempt is looked at again
  };
  // Says nothing of whether the name exists.
  SignIn TrySignIn(const std::string& user, std::string_view password, const std::string& address);
  // The session of a cookie's token, and counts as its use; none when it has expired.
  std::optional<Session> Find(std::string_view token);
  void SignOut(std::string_view token);

  int64_t failed() const;  // sign-ins, ever
  int64_t open() const;

 private:
  struct Open {
    Session session;
    std::string version;  // of the user's password
    int64_t started_ms = 0, used_ms = 0;
  };
  struct Attempts {
    int count = 0;
    int64_t last_ms = 0, next_ms = 0;
  };
  int64_t WaitOf(const std::string& key, int64_t now) const;
  void Fail(const std::string& key, int64_t now);

  const Options options_;
  WebUsers* const users_;
  const std::function<int64_t()> now_ms_;
  mutable std::mutex mutex_;
  std::map<std::string, Open> sessions_;  // by the SHA-256 of the token
  std::map<std::string, Attempts> attempts_;
  int64_t failed_ = 0;
};

}  // namespace manako

#endif  // MANAKO_DASHBOARD_SESSIONS_H_
