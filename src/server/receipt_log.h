// The server's signed record of every receipt that it gave: receipts.log.
#ifndef MANAKO_SERVER_RECEIPT_LOG_H_
#define MANAKO_SERVER_RECEIPT_LOG_H_

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "core/federation.h"
#include "identity/private_key.h"
#include "identity/signed_log.h"

namespace manako {

// Thread-safe.
class ReceiptLog {
 public:
  // Makes the log or goes on with it, with SignedLog's errors.
  static absl::StatusOr<std::unique_ptr<ReceiptLog>> Open(const std::string& path,
                                                          const PrivateKey& key);

  // Fills in the line that stands for the receipt, which is on the disk when this returns. The same
  // word on the same update has one line, however often it is given, and also when a crash came
  // between the update and its line.
  absl::Status Record(const std::string& site, Receipt& receipt);

 private:
  explicit ReceiptLog(std::unique_ptr<SignedLog> log) : log_(std::move(log)) {}

  std::unique_ptr<SignedLog> log_;
  std::mutex mutex_;
  std::map<std::string, LogHead> lines_;  // by site, run, round, SHA-256 and state
};

}  // namespace manako

#endif  // MANAKO_SERVER_RECEIPT_LOG_H_
