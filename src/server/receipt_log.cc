#include "server/receipt_log.h"

#include <string_view>

#include "base/files.h"
#include "base/status_macros.h"

namespace manako {
namespace {

using Json = nlohmann::ordered_json;

std::string KeyOf(const Json& line) {
  return fmt::format("{} {} {} {} {}", line.value("site", ""), line.value("run", ""),
                     line.value("round", 0), line.value("sha256", ""), line.value("state", ""));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ReceiptLog>> ReceiptLog::Open(const std::string& path,
                                                             const PrivateKey& key) {
  MANAKO_ASSIGN_OR_RETURN(auto log, SignedLog::Open(path, key));
  std::unique_ptr<ReceiptLog> receipts(new ReceiptLog(std::move(log)));
  // Its lines have just been checked; here only what they say is wanted.
  LogVerifier lines(nullptr);
  MANAKO_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
  std::string_view rest(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size());
  for (size_t end; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
    Json line;
    MANAKO_RETURN_IF_ERROR(Annotate(lines.Next(rest.substr(0, end), &line), path));
    try {
      receipts->lines_.emplace(KeyOf(line), lines.head());
    } catch (const Json::exception&) {
      return DataLoss("{}: line {} is no receipt", path, lines.head().seq);
    }
  }
  return receipts;
}

absl::Status ReceiptLog::Record(const std::string& site, Receipt& receipt) {
  Json line = {{"site", site},
               {"run", receipt.run},
               {"round", receipt.round},
               {"sha256", receipt.sha256},
               {"state", NameOf(receipt.state)}};
  const std::string key = KeyOf(line);
  if (!receipt.why.empty()) line["why"] = receipt.why;
  const std::lock_guard lock(mutex_);
  auto found = lines_.find(key);
  if (found == lines_.end()) {
    MANAKO_ASSIGN_OR_RETURN(const LogHead head, log_->Append(line));
    found = lines_.emplace(key, head).first;
  }
  receipt.log_seq = found->second.seq;
  receipt.log_hash = found->second.hash;
  return absl::OkStatus();
}

}  // namespace manako
