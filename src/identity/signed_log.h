// An append-only log in which nothing can be changed unseen: the ledger of what left a hospital,
// and the server's receipts.
//
// A log is a file of lines of JSON. Each is what was told, between two fields before and two
// behind:
//
//   {"seq":7,"time":"2027-01-15T08:00:00.000Z", ..., "prev":"<64 hex>","sig":"<base64url>"}
//
// seq counts from 1 without gaps. time is what the machine's clock said (it may have been set
// back). prev is the SHA-256 of the whole line before, without its line end (kNoLine for the
// first). sig is the owner's signature (ECDSA P-256, SHA-256, DER) of the line's bytes without
// `,"sig":"..."`. Bytes are canonical: no spaces, and what nlohmann-json writes for what it reads.
//
// The last line has no successor that would vouch for it, so its seq and hash, the head, are
// remembered: in <path>.head, and by the other side of the federation. Who can write the file and
// has the key can write another history; against the head that the other side remembers, that shows
// too.
#ifndef MANAKO_IDENTITY_SIGNED_LOG_H_
#define MANAKO_IDENTITY_SIGNED_LOG_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "identity/private_key.h"

namespace manako {

// The hash of the line before the first.
inline constexpr std::string_view kNoLine =
    "0000000000000000000000000000000000000000000000000000000000000000";
// A line without its line end.
constexpr size_t kMaxLogLineBytes = 64 << 10;

struct LogHead {
  int64_t seq = 0;
  std::string hash{kNoLine};
  friend bool operator==(const LogHead&, const LogHead&) = default;
};

// Checks lines one by one, from the first on. DataLoss says at which line and what: changed,
// missing before it, inserted or moved, not a line of a log. After an error it is used no more. The
// bytes may be hostile.
class LogVerifier {
 public:
  // Without a key, signatures are not checked.
  explicit LogVerifier(const PublicKey* key) : key_(key) {}
  // `line` without its line end. `content`, if given, gets the whole line.
  absl::Status Next(std::string_view line, nlohmann::ordered_json* content = nullptr);
  const LogHead& head() const { return head_; }

 private:
  const PublicKey* key_;
  LogHead head_;
};

struct VerifyLogOptions {
  // Heads that others remember of this log: each of them must be on it.
  std::vector<LogHead> remembered = {};
  // Whether <path>.head belongs to it, as it does where the log is written, but not to a copy.
  bool head_file = true;
  // Called with each line, in order, before the log as a whole has been found good; null: none.
  std::function<void(const nlohmann::ordered_json& line)> each = nullptr;
};

// Reads the whole log, a piece at a time, and checks every line and the heads. Returns the last. A
// last line that is not whole (its writer was killed, or is writing now) does not count. NotFound
// when there is no file; DataLoss as LogVerifier, and for lines that have been cut off the end or
// written anew.
absl::StatusOr<LogHead> VerifyLog(const std::string& path, const PublicKey& key,
                                  const VerifyLogOptions& options = {});

struct SignedLogOptions {
  std::function<absl::Time()> clock = absl::Now;
  // Begins to remember a log whose head file has been lost. Only for a person who has compared it
  // with the other side.
  bool adopt_lost_head = false;
};

// The writer; one at a time. Any thread.
class SignedLog {
 public:
  // Makes the log, or goes on with it after checking its lines (signatures: the last one's) and its
  // head. What a killed writer left of a line is cut off, nothing else. DataLoss when the log is
  // not what it was; FailedPrecondition when another process has it open.
  static absl::StatusOr<std::unique_ptr<SignedLog>> Open(const std::string& path,
                                                         const PrivateKey& key,
                                                         const SignedLogOptions& options = {});
  ~SignedLog();
  SignedLog(const SignedLog&) = delete;
  SignedLog& operator=(const SignedLog&) = delete;

  // Writes a line with these fields (a JSON object without seq, time, prev, sig); returns when it
  // is on the disk. InvalidArgument for fields that cannot be a line, or one longer than
  // kMaxLogLineBytes. After a failed write (a full disk) the log is as before; if not even that can
  // be had, it refuses all that follows until it is opened again.
  absl::StatusOr<LogHead> Append(const nlohmann::ordered_json& fields);
  LogHead head() const;

 private:
  SignedLog(std::string path, const PrivateKey& key, SignedLogOptions options)
      : path_(std::move(path)), key_(key), options_(std::move(options)) {}
  absl::Status WriteLine(const std::string& line);

  const std::string path_;
  const PrivateKey key_;
  const SignedLogOptions options_;
  mutable std::mutex mutex_;
  int fd_ = -1;
  int head_fd_ = -1;
  uint64_t size_ = 0;
  LogHead head_;
  absl::Status broken_;
};

// What <path>.head remembers of the log <path>. NotFound when there is none; DataLoss when it is
// unreadable.
absl::StatusOr<LogHead> ReadLogHead(const std::string& path);

}  // namespace manako

#endif  // MANAKO_IDENTITY_SIGNED_LOG_H_
