// Secrets out of the system's random numbers (libsodium), their spelling and their comparison.
#ifndef MANAKO_IDENTITY_RANDOM_TOKEN_H_
#define MANAKO_IDENTITY_RANDOM_TOKEN_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace manako {

// Bytes that nobody can guess. Any thread.
std::string RandomBytes(size_t count);

// Base64 with '-' and '_' and without padding (RFC 4648, section 5). Reading is strict: every text
// that it accepts is the one that writing gives; anything else is InvalidArgument.
std::string ToBase64Url(std::string_view bytes);
absl::StatusOr<std::string> FromBase64Url(std::string_view text);

// A web session's secret: 256 random bits as 43 characters of base64url.
std::string NewSessionToken();

// In a time that depends on the lengths alone.
bool ConstantTimeEqual(std::string_view a, std::string_view b);

// Overwrites a secret with zeros in a way that no compiler leaves out, and empties it.
void Cleanse(std::string& secret);

}  // namespace manako

#endif  // MANAKO_IDENTITY_RANDOM_TOKEN_H_
