#include "identity/private_key.h"

#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/files.h"
#include "base/hash.h"
#include "identity/openssl_types.h"
#include "identity/random_token.h"

namespace manako {
namespace {

constexpr size_t kMaxKeyBytes = 16 << 10;

bool IsP256(EVP_PKEY* key) {
  if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC) return false;
  char group[64] = {};
  size_t size = 0;
  const bool named = EVP_PKEY_get_group_name(key, group, sizeof group, &size) == 1;
  ERR_clear_error();
  return named && std::string_view(group) == SN_X9_62_prime256v1;
}

// Without it OpenSSL would ask at the terminal for the password of an encrypted key.
int NoPassword(char*, int, int, void*) { return -1; }

}  // namespace

absl::StatusOr<PublicKey> PublicKey::FromHandle(EVP_PKEY* key) {
  if (key == nullptr || !IsP256(key)) return InvalidArgument("not a key of the curve P-256");
  const std::unique_ptr<EVP_PKEY_CTX, OpensslFree<EVP_PKEY_CTX_free>> context(
      EVP_PKEY_CTX_new(key, nullptr));
  if (context == nullptr || EVP_PKEY_public_check(context.get()) != 1) {
    return InvalidArgument("not a point of the curve P-256: {}", OpensslReason());
  }
  EVP_PKEY_up_ref(key);
  return PublicKey(std::shared_ptr<EVP_PKEY>(key, EVP_PKEY_free));
}

absl::StatusOr<PublicKey> PublicKey::Parse(std::string_view bytes) {
  if (bytes.size() > kMaxKeyBytes) return InvalidArgument("a public key of {} bytes", bytes.size());
  PkeyPtr key;
  if (bytes.starts_with("-----BEGIN")) {
    const BioPtr bio = ReadingBio(bytes);
    key.reset(PEM_read_bio_PUBKEY(bio.get(), nullptr, NoPassword, nullptr));
  } else {
    const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
    key.reset(d2i_PUBKEY(nullptr, &at, static_cast<long>(bytes.size())));
    if (key != nullptr &&
        at != reinterpret_cast<const unsigned char*>(bytes.data()) + bytes.size()) {
      return InvalidArgument("bytes behind a public key");
    }
  }
  if (key == nullptr) return InvalidArgument("not a public key: {}", OpensslReason());
  return FromHandle(key.get());
}

std::string PublicKey::ToPem() const {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PUBKEY(bio.get(), key_.get());
  return TakeBio(bio.get());
}

std::string PublicKey::ToDer() const { return SpkiDer(key_.get()); }

std::string PublicKey::SpkiSha256() const { return Sha256Hex(ToDer()); }

bool PublicKey::Verify(std::string_view message, std::string_view signature) const {
  const MdContextPtr context(EVP_MD_CTX_new());
  const bool good =
      EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get()) == 1 &&
      EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()),
                       signature.size(), reinterpret_cast<const unsigned char*>(message.data()),
                       message.size()) == 1;
  ERR_clear_error();
  return good;
}

// A short string lives in the object itself and is copied when moved.
SecretText::SecretText(SecretText&& other) noexcept : text_(other.text_) { Cleanse(other.text_); }

SecretText::~SecretText() { Cleanse(text_); }

absl::StatusOr<PrivateKey> PrivateKey::Generate() {
  EVP_PKEY* key = EVP_EC_gen(SN_X9_62_prime256v1);
  if (key == nullptr) return OpensslFailed("cannot make a key");
  return PrivateKey(std::shared_ptr<EVP_PKEY>(key, EVP_PKEY_free));
}

absl::StatusOr<PrivateKey> PrivateKey::FromPem(std::string_view pem) {
  if (pem.size() > kMaxKeyBytes) return InvalidArgument("a private key of {} bytes", pem.size());
  const BioPtr bio = ReadingBio(pem);
  EVP_PKEY* read = PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassword, nullptr);
  if (read == nullptr)
    return InvalidArgument("not an unencrypted private key (PEM): {}", OpensslReason());
  std::shared_ptr<EVP_PKEY> key(read, EVP_PKEY_free);
  if (!IsP256(read)) return InvalidArgument("not a private key of the curve P-256");
  const std::unique_ptr<EVP_PKEY_CTX, OpensslFree<EVP_PKEY_CTX_free>> context(
      EVP_PKEY_CTX_new(read, nullptr));
  if (context == nullptr || EVP_PKEY_check(context.get()) != 1) {
    return InvalidArgument("a private key that does not fit its public key: {}", OpensslReason());
  }
  return PrivateKey(std::move(key));
}

absl::StatusOr<PrivateKey> PrivateKey::Load(const std::string& path) {
  // What is checked is the file that is then read, not one of the same name. NONBLOCK: a pipe would
  // never open.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    if (errno == ENOENT) return NotFound("there is no key {}", path);
    return FailedPrecondition("cannot open the key {}: {}", path, std::strerror(errno));
  }
  struct stat info {};
  std::string pem(kMaxKeyBytes + 1, '\0');
  const bool stated = ::fstat(fd, &info) == 0;
  const ssize_t size = stated && S_ISREG(info.st_mode) ? ::read(fd, pem.data(), pem.size()) : -1;
  const int error = errno;
  ::close(fd);
  SecretText secret([&] {
    std::string read = pem.substr(0, size > 0 ? static_cast<size_t>(size) : 0);
    Cleanse(pem);
    return read;
  }());
  if (stated && !S_ISREG(info.st_mode)) return FailedPrecondition("the key {} is not a file", path);
  if (!stated || size < 0)
    return FailedPrecondition("cannot read the key {}: {}", path, std::strerror(error));
  if ((info.st_mode & 077) != 0) {
    return FailedPrecondition(
        "the key {} may be read or changed by others (mode {:04o}): run `chmod 600 {}`, and if "
        "strangers use this machine make a "
        "new key",
        path, info.st_mode & 07777, path);
  }
  absl::StatusOr<PrivateKey> key = FromPem(secret.text());
  if (!key.ok()) return Annotate(key.status(), path);
  return key;
}

absl::Status PrivateKey::Save(const std::string& path) const {
  return WriteFileAtomically(path, ToPem().text(), 0600);
}

SecretText PrivateKey::ToPem() const {
  // OpenSSL overwrites what a memory BIO held.
  const BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return SecretText(TakeBio(bio.get()));
}

absl::StatusOr<std::string> PrivateKey::Sign(std::string_view message) const {
  const MdContextPtr context(EVP_MD_CTX_new());
  std::string signature(80, '\0');
  size_t size = signature.size();
  if (EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get()) != 1 ||
      EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                     reinterpret_cast<const unsigned char*>(message.data()), message.size()) != 1) {
    return OpensslFailed("cannot sign");
  }
  signature.resize(size);
  return signature;
}

PublicKey PrivateKey::public_key() const { return *PublicKey::FromHandle(key_.get()); }

}  // namespace manako
