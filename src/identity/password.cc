#include "identity/password.h"

#include <sodium.h>

#include <algorithm>

#include "base/hash.h"
#include "base/status_macros.h"

namespace manako {
namespace {

constexpr size_t kFewestCharacters = 10;
constexpr size_t kMostBytes = 1024;
constexpr unsigned long long kPasses = 3;
constexpr size_t kMemoryBytes = size_t{128} << 20;

bool Ready() {
  static const bool ready = sodium_init() >= 0;
  return ready;
}

std::mutex& OneAtATime() {
  static std::mutex* mutex = new std::mutex;
  return *mutex;
}

absl::StatusOr<std::string> Hash(std::string_view password) {
  char hash[crypto_pwhash_STRBYTES];
  if (!Ready() || crypto_pwhash_str_alg(hash, password.data(), password.size(), kPasses,
                                        kMemoryBytes, crypto_pwhash_ALG_ARGON2ID13) != 0) {
    return ResourceExhausted("no memory for a password's hash ({} MiB are needed)",
                             kMemoryBytes >> 20);
  }
  return std::string(hash);
}

// A hash of something that nobody can type, at the usual cost.
const std::string& HashOfNothing() {
  static const std::string* hash = [] {
    char bytes[32];
    randombytes_buf(bytes, sizeof bytes);
    absl::StatusOr<std::string> made = Hash({bytes, sizeof bytes});
    return new std::string(made.ok() ? *std::move(made) : "");
  }();
  return *hash;
}

// Of one size, however long the name is.
std::string KeyOf(std::string_view kind, std::string_view value) {
  return std::string(kind) + Sha256Hex(value).substr(0, 32);
}

}  // namespace

absl::Status CheckPassword(std::string_view password) {
  // Bytes that continue a character of UTF-8 are none of their own.
  const auto characters =
      static_cast<size_t>(std::count_if(password.begin(), password.end(), [](char c) {
        return (static_cast<uint8_t>(c) & 0xc0) != 0x80;
      }));
  if (characters < kFewestCharacters) {
    return InvalidArgument("a password has at least {} characters, but this one has {}",
                           kFewestCharacters, characters);
  }
  if (password.size() > kMostBytes) {
    return InvalidArgument("a password has at most {} bytes, but this one has {}", kMostBytes,
                           password.size());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> HashPassword(std::string_view password) {
  MANAKO_RETURN_IF_ERROR(CheckPassword(password));
  const std::lock_guard<std::mutex> lock(OneAtATime());
  return Hash(password);
}

bool VerifyPassword(std::string_view hash, std::string_view password) {
  if (!Ready() || password.size() > kMostBytes) return false;
  const std::lock_guard<std::mutex> lock(OneAtATime());
  const bool known = !hash.empty();
  const std::string stored(known ? hash : HashOfNothing());
  // libsodium reads a text that ends with a zero, and of no other length than its own.
  if (stored.size() >= crypto_pwhash_STRBYTES) return false;
  return crypto_pwhash_str_verify(stored.c_str(), password.data(), password.size()) == 0 && known;
}

absl::Duration AttemptLimiter::DelayAfter(int attempts) const {
  if (attempts < limits_.free_attempts) return absl::ZeroDuration();
  absl::Duration delay = limits_.first_delay;
  for (int i = limits_.free_attempts; i < attempts && delay < limits_.longest_delay; ++i)
    delay *= 2;
  return std::min(delay, limits_.longest_delay);
}

void AttemptLimiter::Count(const std::string& key, absl::Time now) {
  Attempts& attempts = attempts_[key];
  if (now - attempts.last >= limits_.forgotten_after) attempts.count = 0;
  attempts.count = std::min(attempts.count + 1, 1 << 20);
  attempts.last = now;
  if (attempts_.size() <= limits_.most_remembered) return;
  auto quietest = attempts_.end();
  for (auto it = attempts_.begin(); it != attempts_.end(); ++it) {
    if (it->first != key &&
        (quietest == attempts_.end() || it->second.last < quietest->second.last))
      quietest = it;
  }
  if (quietest != attempts_.end()) attempts_.erase(quietest);
}

absl::Status AttemptLimiter::Begin(std::string_view name, std::string_view address,
                                   absl::Time now) {
  const std::string keys[] = {KeyOf("name ", name), KeyOf("address ", address)};
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const std::string& key : keys) {
    const auto found = attempts_.find(key);
    if (found == attempts_.end() || now - found->second.last >= limits_.forgotten_after) continue;
    // A clock that was set back must not lock anybody out for longer than the delay itself.
    const absl::Duration passed = std::max(now - found->second.last, absl::ZeroDuration());
    const absl::Duration wait = DelayAfter(found->second.count) - passed;
    if (wait > absl::ZeroDuration()) {
      return ResourceExhausted("too many attempts to sign in: wait {} seconds",
                               absl::ToInt64Seconds(absl::Ceil(wait, absl::Seconds(1))));
    }
  }
  for (const std::string& key : keys) Count(key, now);
  return absl::OkStatus();
}

void AttemptLimiter::Succeeded(std::string_view name, std::string_view address) {
  const std::lock_guard<std::mutex> lock(mutex_);
  attempts_.erase(KeyOf("name ", name));
  // Not all: whoever has one account could otherwise guess at others' without end.
  const auto found = attempts_.find(KeyOf("address ", address));
  if (found != attempts_.end() && --found->second.count <= 0) attempts_.erase(found);
}

size_t AttemptLimiter::remembered() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return attempts_.size();
}

}  // namespace manako
