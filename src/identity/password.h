// Passwords of the web pages: hashes (Argon2id) and a limit on guessing.
#ifndef MANAKO_IDENTITY_PASSWORD_H_
#define MANAKO_IDENTITY_PASSWORD_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace manako {

// 10 characters at least, 1024 bytes at most. InvalidArgument otherwise.
absl::Status CheckPassword(std::string_view password);

// A text that holds the salt, the cost (3 passes over 128 MiB, between libsodium's "interactive"
// and "moderate") and the hash: what is stored. InvalidArgument as CheckPassword().
absl::StatusOr<std::string> HashPassword(std::string_view password);

// Whether this is the password. An empty `hash` (there is no such user) is false after the same
// work, so that nobody learns from the time which users there are. One check runs at a time in the
// whole process: many cannot take its memory.
bool VerifyPassword(std::string_view hash, std::string_view password);

struct AttemptLimits {
  int free_attempts = 5;                          // without delay
  absl::Duration first_delay = absl::Seconds(1);  // doubles with each further one
  absl::Duration longest_delay = absl::Minutes(15);
  absl::Duration forgotten_after = absl::Hours(24);
  size_t most_remembered =
      10'000;  // names and addresses; then the one that has been quiet for longest is forgotten
};

// Counts attempts to sign in by name and by address, each alone: guessing many passwords for one
// name and one password for many names are both slow. Any thread. Time is given, so tests need no
// clock.
class AttemptLimiter {
 public:
  explicit AttemptLimiter(AttemptLimits limits = {}) : limits_(limits) {}

  // Before the password is looked at. Ok: the attempt may go on, and is counted as a failed one, so
  // that many at once are many. ResourceExhausted, with the seconds to wait, when it came too
  // early; it is then not counted.
  absl::Status Begin(std::string_view name, std::string_view address, absl::Time now);
  // The password was right: the name's attempts are forgotten, of the address's this one.
  void Succeeded(std::string_view name, std::string_view address);
  size_t remembered() const;

 private:
  struct Attempts {
    int count = 0;
    absl::Time last;
  };
  absl::Duration DelayAfter(int attempts) const;
  void Count(const std::string& key, absl::Time now);

  const AttemptLimits limits_;
  mutable std::mutex mutex_;
  std::map<std::string, Attempts> attempts_;
};

}  // namespace manako

#endif  // MANAKO_IDENTITY_PASSWORD_H_
