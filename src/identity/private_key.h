// Keys of P-256: an institution's identity, from which its certificate and the signatures in its
// ledger come.
#ifndef MANAKO_IDENTITY_PRIVATE_KEY_H_
#define MANAKO_IDENTITY_PRIVATE_KEY_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

typedef struct evp_pkey_st EVP_PKEY;

namespace manako {

// Cheap to copy; any thread may use it.
class PublicKey {
 public:
  // SubjectPublicKeyInfo as PEM or DER. InvalidArgument for anything but a point on P-256. The
  // bytes may be hostile.
  static absl::StatusOr<PublicKey> Parse(std::string_view pem_or_der);
  // Takes a reference on `key`. InvalidArgument as above.
  static absl::StatusOr<PublicKey> FromHandle(EVP_PKEY* key);

  std::string ToPem() const;
  std::string ToDer() const;
  // SHA-256 of the DER, lower-case hexadecimal: the key's name, whatever certificate it is in.
  std::string SpkiSha256() const;
  // Whether `signature` (DER, ECDSA with SHA-256) is one of `message` by this key. Whoever has one
  // signature can make a second of the same message: a signature is no identifier.
  bool Verify(std::string_view message, std::string_view signature) const;
  EVP_PKEY* handle() const { return key_.get(); }

 private:
  explicit PublicKey(std::shared_ptr<EVP_PKEY> key) : key_(std::move(key)) {}
  std::shared_ptr<EVP_PKEY> key_;
};

// A text that is overwritten when it is no longer used.
class SecretText {
 public:
  explicit SecretText(std::string text) : text_(std::move(text)) {}
  SecretText(SecretText&& other) noexcept;
  SecretText& operator=(SecretText&&) = delete;
  ~SecretText();
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// Copies share one key, which is overwritten when the last of them goes. Any thread may use it.
class PrivateKey {
 public:
  static absl::StatusOr<PrivateKey> Generate();
  // Reads what Save() wrote, or any PEM of an unencrypted P-256 key. NotFound when there is none;
  // FailedPrecondition when its permissions let others than its owner at it (with the chmod that
  // helps); InvalidArgument when it is no such key.
  static absl::StatusOr<PrivateKey> Load(const std::string& path);
  static absl::StatusOr<PrivateKey> FromPem(std::string_view pem);

  // PKCS #8 as PEM into a file of mode 0600, whole or not at all.
  absl::Status Save(const std::string& path) const;
  SecretText ToPem() const;
  // ECDSA with SHA-256, as DER (at most 72 bytes).
  absl::StatusOr<std::string> Sign(std::string_view message) const;
  PublicKey public_key() const;
  EVP_PKEY* handle() const { return key_.get(); }

 private:
  explicit PrivateKey(std::shared_ptr<EVP_PKEY> key) : key_(std::move(key)) {}
  std::shared_ptr<EVP_PKEY> key_;
};

}  // namespace manako

#endif  // MANAKO_IDENTITY_PRIVATE_KEY_H_
