#include "base/hash.h"

#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/status_macros.h"

namespace manako {

struct Sha256Hasher::Impl {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~Impl() { EVP_MD_CTX_free(context); }
};

Sha256Hasher::Sha256Hasher() : impl_(std::make_unique<Impl>()) {
  // SHA-256 is part of every OpenSSL; without it nothing else could be trusted either.
  if (EVP_DigestInit_ex(impl_->context, EVP_sha256(), nullptr) != 1) std::abort();
}
Sha256Hasher::~Sha256Hasher() = default;

void Sha256Hasher::Add(std::string_view bytes) {
  EVP_DigestUpdate(impl_->context, bytes.data(), bytes.size());
}

absl::Status Sha256Hasher::AddFile(int fd, int64_t from, int64_t to, const std::string& path) {
  std::vector<char> piece(static_cast<size_t>(std::clamp<int64_t>(to - from, 0, 1 << 18)));
  while (from < to) {
    const size_t most =
        static_cast<size_t>(std::min<int64_t>(static_cast<int64_t>(piece.size()), to - from));
    const ssize_t n = ::pread(fd, piece.data(), most, from);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return DataLoss("{}: cannot be read: {}", path, std::strerror(errno));
    if (n == 0) return DataLoss("{}: is shorter than {} bytes", path, to);
    Add(piece.data(), static_cast<size_t>(n));
    from += n;
  }
  return absl::OkStatus();
}

Sha256Digest Sha256Hasher::Digest() const {
  const Impl copy;
  Sha256Digest digest;
  EVP_MD_CTX_copy_ex(copy.context, impl_->context);
  EVP_DigestFinal_ex(copy.context, digest.data(), nullptr);
  return digest;
}

Sha256Digest Sha256Hasher::Finish() {
  Sha256Digest digest;
  EVP_DigestFinal_ex(impl_->context, digest.data(), nullptr);
  return digest;
}

Sha256Digest Sha256(std::string_view bytes) {
  Sha256Hasher hasher;
  hasher.Add(bytes);
  return hasher.Finish();
}

std::string ToHex(const Sha256Digest& digest) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (uint8_t byte : digest) {
    hex.push_back(kDigits[byte >> 4]);
    hex.push_back(kDigits[byte & 15]);
  }
  return hex;
}

std::string Sha256Hex(std::string_view bytes) { return ToHex(Sha256(bytes)); }

absl::StatusOr<std::string> Sha256HexOfFile(const std::string& path) {
  std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (file == nullptr) return NotFound("{}: cannot be opened: {}", path, std::strerror(errno));
  Sha256Hasher hasher;
  std::vector<char> piece(1 << 18);
  while (size_t n = std::fread(piece.data(), 1, piece.size(), file.get())) {
    hasher.Add(piece.data(), n);
  }
  if (std::ferror(file.get()))
    return DataLoss("{}: cannot be read: {}", path, std::strerror(errno));
  return ToHex(hasher.Finish());
}

}  // namespace manako
