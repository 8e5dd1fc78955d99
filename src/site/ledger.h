// The site's record of every byte that left it: written, and on the disk, before the byte leaves.
// Lines are chained by hash and signed with the site's key (identity/signed_log.h), so that an edit
// or a gap is found.
#ifndef MANAKO_SITE_LEDGER_H_
#define MANAKO_SITE_LEDGER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/federation.h"
#include "identity/private_key.h"

namespace manako {

class SignedLog;

// Who gets it.
struct LedgerRecipient {
  std::string server;       // host:port
  std::string fingerprint;  // SHA-256 of the federation's authority certificate
};

// One line as a person reads it.
struct LedgerLine {
  int64_t seq = 0;   // from 1, without gaps
  std::string time;  // this site's clock, ISO 8601
  std::string kind;  // offer answer, evaluation, update, failure; receipt
  std::string run;
  int round = 0;
  std::string contents;  // in a few words
  int64_t bytes = 0;
  std::string sha256;        // of what left; of a receipt: of the submission that it is for
  std::optional<double> l2;  // of an update's change
  LedgerRecipient recipient;
  std::string receipt;         // of a receipt: kept, late, refused
  std::string why;             // of a receipt that isn't kept
  int64_t server_time_ms = 0;  // of a receipt: since 1970, the server's clock
  int64_t log_seq = 0;         // of a receipt: the server's line, and its hash
  std::string log_hash;
};

// Thread-safe. One process has it open at a time (the agent, which holds the folder's lock).
class Ledger {
 public:
  struct Options {
    LedgerRecipient recipient;
    std::function<int64_t()> now_ms;  // since 1970; null: the system's clock
  };
  // Makes the file where there is none. A last line that a crash tore is cut off. DataLoss: the
  // file is not this key's, or was changed: nothing may leave until a person has looked (names the
  // line).
  static absl::StatusOr<std::unique_ptr<Ledger>> Open(const std::string& path,
                                                      const PrivateKey& key, Options options);
  ~Ledger();

  // What is about to leave; on the disk when this returns, and when it returns an error nothing may
  // leave. The same answer or submission again (after a lost connection or a crash) has its line
  // already.
  absl::Status BeforeAnswer(const SiteAnswer& answer);
  absl::Status BeforeSubmit(const Submission& submission);
  // The server's word. The same one again adds nothing; that an update which was kept is refused
  // after all is another.
  absl::Status Add(const Receipt& receipt);
  // Whether the server has given its word on that submission.
  bool HasReceipt(const Submission& submission) const;

  // Reads a ledger and checks it against the site's public key: every line's signature and number,
  // and the chain. DataLoss names the first line that was changed, left out or added. The lines
  // before it are in `lines` where that is not null.
  static absl::Status Verify(const std::string& path, const PublicKey& key,
                             std::vector<LedgerLine>* lines);

 private:
  explicit Ledger(Options options);
  absl::Status Append(LedgerLine line);

  std::unique_ptr<SignedLog> log_;
  Options options_;
  mutable std::mutex mutex_;
  std::set<std::string> known_;  // kind, run, round and hash of every line
};

}  // namespace manako

#endif  // MANAKO_SITE_LEDGER_H_
