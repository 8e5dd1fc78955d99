// SHA-256, for file contents, cache keys, specs and models.
#ifndef MANAKO_BASE_HASH_H_
#define MANAKO_BASE_HASH_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace manako {

using Sha256Digest = std::array<uint8_t, 32>;

// Digests what is added piece by piece. Finish() once, then drop it. OpenSSL uses the processor's
// SHA instructions.
class Sha256Hasher {
 public:
  Sha256Hasher();
  ~Sha256Hasher();
  Sha256Hasher(const Sha256Hasher&) = delete;
  Sha256Hasher& operator=(const Sha256Hasher&) = delete;
  void Add(std::string_view bytes);
  void Add(const void* data, size_t size) { Add({static_cast<const char*>(data), size}); }
  // Bytes [from, to) of an open file, read in pieces. DataLoss: it cannot be read, or is shorter.
  absl::Status AddFile(int fd, int64_t from, int64_t to, const std::string& path);
  // The digest of what was added until now; more may be added.
  Sha256Digest Digest() const;
  Sha256Digest Finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

Sha256Digest Sha256(std::string_view bytes);
// Lower-case hexadecimal, 64 characters.
std::string ToHex(const Sha256Digest& digest);
std::string Sha256Hex(std::string_view bytes);
// The digest of a file's content, read in pieces.
absl::StatusOr<std::string> Sha256HexOfFile(const std::string& path);

}  // namespace manako

#endif  // MANAKO_BASE_HASH_H_
