#include "identity/random_token.h"

#include <sodium.h>

#include <cstdlib>

#include "base/status_macros.h"

namespace manako {
namespace {

// Without random numbers there is no identity: the one failure here that nobody can handle.
void NeedSodium() {
  static const bool ready = sodium_init() >= 0;
  if (!ready) std::abort();
}

}  // namespace

std::string RandomBytes(size_t count) {
  NeedSodium();
  std::string bytes(count, '\0');
  randombytes_buf(bytes.data(), bytes.size());
  return bytes;
}

std::string ToBase64Url(std::string_view bytes) {
  constexpr int kVariant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
  std::string text(sodium_base64_encoded_len(bytes.size(), kVariant), '\0');
  sodium_bin2base64(text.data(), text.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
                    bytes.size(), kVariant);
  text.pop_back();  // its terminating zero
  return text;
}

absl::StatusOr<std::string> FromBase64Url(std::string_view text) {
  std::string bytes(text.size() * 3 / 4 + 1, '\0');
  size_t size = 0;
  const char* end = nullptr;
  if (sodium_base642bin(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(), text.data(),
                        text.size(), nullptr, &size, &end,
                        sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
      end != text.data() + text.size()) {
    return InvalidArgument("not base64url of whole bytes");
  }
  bytes.resize(size);
  // libsodium 1.0.18 takes some bytes above 127 for digits.
  if (ToBase64Url(bytes) != text) return InvalidArgument("not base64url of whole bytes");
  return bytes;
}

std::string NewSessionToken() { return ToBase64Url(RandomBytes(32)); }

bool ConstantTimeEqual(std::string_view a, std::string_view b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

void Cleanse(std::string& secret) {
  sodium_memzero(secret.data(), secret.size());
  secret.clear();
}

}  // namespace manako
