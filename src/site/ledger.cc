#include "site/ledger.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/crash_point.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "identity/names.h"
#include "identity/signed_log.h"
#include "site/answers.h"

namespace manako {
namespace {

using nlohmann::ordered_json;

constexpr char kReceipt[] = "receipt";
constexpr char kUpdate[] = "update";
constexpr const char* kRefused = NameOf(Receipt::State::kRefused);

std::string KeyOf(const std::string& kind, const std::string& run, int round,
                  const std::string& sha256) {
  return fmt::format("{} {} {} {}", kind, run, round, sha256);
}

std::string RefusalOf(const LedgerLine& line) {
  return KeyOf(kRefused, line.run, line.round, line.sha256);
}

ordered_json ToJson(const LedgerLine& line) {
  ordered_json fields = {
      {"kind", line.kind}, {"run", line.run}, {"round", line.round}, {"sha256", line.sha256}};
  if (line.kind == kReceipt) {
    fields["receipt"] = line.receipt;
    if (!line.why.empty()) fields["why"] = line.why;
    fields["server_time_ms"] = line.server_time_ms;
    fields["server_seq"] = line.log_seq;
    fields["server_hash"] = line.log_hash;
  } else {
    fields["contents"] = line.contents;
    fields["bytes"] = line.bytes;
    if (line.l2) fields["l2"] = *line.l2;
  }
  fields["server"] = line.recipient.server;
  fields["authority"] = line.recipient.fingerprint;
  return fields;
}

absl::StatusOr<LedgerLine> FromJson(const ordered_json& fields) {
  LedgerLine line;
  try {
    line.seq = fields.at("seq").get<int64_t>();
    line.time = fields.at("time").get<std::string>();
    line.kind = fields.at("kind").get<std::string>();
    line.run = fields.at("run").get<std::string>();
    line.round = fields.at("round").get<int>();
    line.sha256 = fields.at("sha256").get<std::string>();
    if (line.kind == kReceipt) {
      line.receipt = fields.at("receipt").get<std::string>();
      line.why = fields.value("why", "");
      line.server_time_ms = fields.at("server_time_ms").get<int64_t>();
      line.log_seq = fields.at("server_seq").get<int64_t>();
      line.log_hash = fields.at("server_hash").get<std::string>();
    } else {
      line.contents = fields.at("contents").get<std::string>();
      line.bytes = fields.at("bytes").get<int64_t>();
      if (fields.contains("l2")) line.l2 = fields.at("l2").get<double>();
    }
    line.recipient.server = fields.at("server").get<std::string>();
    line.recipient.fingerprint = fields.at("authority").get<std::string>();
  } catch (const ordered_json::exception&) {
    return DataLoss("line {} is none of a site's ledger", fields.value("seq", int64_t{0}));
  }
  return line;
}

}  // namespace

Ledger::Ledger(Options options) : options_(std::move(options)) {}
Ledger::~Ledger() = default;

absl::StatusOr<std::unique_ptr<Ledger>> Ledger::Open(const std::string& path, const PrivateKey& key,
                                                     Options options) {
  SignedLogOptions log_options;
  if (options.now_ms) {
    log_options.clock = [now_ms = options.now_ms] { return absl::FromUnixMillis(now_ms()); };
  }
  std::unique_ptr<Ledger> ledger(new Ledger(std::move(options)));
  MANAKO_ASSIGN_OR_RETURN(ledger->log_, SignedLog::Open(path, key, log_options));
  // Its lines have just been checked; here only what they say is wanted.
  absl::Status strange;
  LogVerifier lines(nullptr);
  MANAKO_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
  std::string_view rest(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size());
  for (size_t end; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
    ordered_json content;
    MANAKO_RETURN_IF_ERROR(Annotate(lines.Next(rest.substr(0, end), &content), path));
    const auto line = FromJson(content);
    MANAKO_RETURN_IF_ERROR(Annotate(line.status(), path));
    ledger->known_.insert(KeyOf(line->kind, line->run, line->round, line->sha256));
    if (line->receipt == kRefused) ledger->known_.insert(RefusalOf(*line));
  }
  return ledger;
}

absl::Status Ledger::Append(LedgerLine line) {
  line.recipient = options_.recipient;
  std::lock_guard lock(mutex_);
  const std::string key = KeyOf(line.kind, line.run, line.round, line.sha256);
  // A refusal may come behind the word that the update was kept: it is another word.
  const std::string refusal = line.receipt == kRefused ? RefusalOf(line) : "";
  if (known_.contains(refusal.empty() ? key : refusal)) return absl::OkStatus();
  MANAKO_RETURN_IF_ERROR(log_->Append(ToJson(line)).status());
  known_.insert(key);
  if (!refusal.empty()) known_.insert(refusal);
  return absl::OkStatus();
}

absl::Status Ledger::BeforeAnswer(const SiteAnswer& answer) {
  LedgerLine line;
  if (const auto* offer = std::get_if<OfferAnswer>(&answer)) {
    line.kind = "offer answer";
    line.run = offer->run;
  } else if (const auto* evaluation = std::get_if<Evaluation>(&answer)) {
    line.kind = "evaluation";
    line.run = evaluation->run;
    line.round = evaluation->round;
  } else if (const auto* end = std::get_if<EndAnswer>(&answer)) {
    line.kind = "end answer";
    line.run = end->run;
  } else {
    const auto& failure = std::get<Failure>(answer);
    line.kind = "failure";
    line.run = failure.run;
    line.round = failure.round;
  }
  const std::string text = AnswerAsText(answer);
  line.contents = Printable(ContentsOf(answer));
  line.bytes = static_cast<int64_t>(text.size());
  line.sha256 = Sha256Hex(text);
  MANAKO_RETURN_IF_ERROR(Append(std::move(line)));
  MANAKO_CRASH_POINT("site.answer_logged");
  return absl::OkStatus();
}

absl::Status Ledger::BeforeSubmit(const Submission& submission) {
  LedgerLine line;
  line.kind = kUpdate;
  line.run = submission.run;
  line.round = submission.round;
  line.contents = fmt::format("what {} images changed in the model", submission.images);
  line.bytes = submission.artifact.bytes;
  line.sha256 = submission.artifact.sha256;
  line.l2 = submission.l2;
  MANAKO_RETURN_IF_ERROR(Append(std::move(line)));
  MANAKO_CRASH_POINT("site.update_logged");
  return absl::OkStatus();
}

absl::Status Ledger::Add(const Receipt& receipt) {
  LedgerLine line;
  line.kind = kReceipt;
  line.run = receipt.run;
  line.round = receipt.round;
  line.sha256 = receipt.sha256;
  line.receipt = NameOf(receipt.state);
  line.why = Printable(receipt.why);
  line.server_time_ms = receipt.time_ms;
  line.log_seq = receipt.log_seq;
  line.log_hash = Printable(receipt.log_hash);
  MANAKO_RETURN_IF_ERROR(Append(std::move(line)));
  MANAKO_CRASH_POINT("site.receipt_logged");
  return absl::OkStatus();
}

bool Ledger::HasReceipt(const Submission& submission) const {
  std::lock_guard lock(mutex_);
  return known_.contains(
      KeyOf(kReceipt, submission.run, submission.round, submission.artifact.sha256));
}

absl::Status Ledger::Verify(const std::string& path, const PublicKey& key,
                            std::vector<LedgerLine>* lines) {
  VerifyLogOptions options;
  absl::Status strange;
  options.each = [&](const ordered_json& fields) {
    auto line = FromJson(fields);
    if (!line.ok()) {
      if (strange.ok()) strange = Annotate(line.status(), path);
    } else if (lines != nullptr) {
      lines->push_back(*std::move(line));
    }
  };
  MANAKO_RETURN_IF_ERROR(VerifyLog(path, key, options).status());
  return strange;
}

}  // namespace manako
