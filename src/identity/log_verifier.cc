#include <iterator>

#include "base/hash.h"
#include "base/status_macros.h"
#include "identity/log_internal.h"
#include "identity/random_token.h"
#include "identity/signed_log.h"

namespace manako {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kSigBegin = ",\"sig\":\"";
constexpr std::string_view kSigEnd = "\"}";
// Writing JSON takes a piece of stack for each level.
constexpr int kMaxDepth = 32;

bool IsTooDeep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

bool IsHash(const Json& value) {
  return value.is_string() && value.get_ref<const std::string&>().size() == 64;
}

}  // namespace

bool IsLogsOwnField(std::string_view name) {
  return name == "seq" || name == "time" || name == "prev" || name == "sig";
}

std::optional<Json> ParseLogBody(std::string_view body) {
  if (IsTooDeep(body)) return std::nullopt;
  Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  // The signature comes behind the body; a second one in it would be a key twice.
  if (!json.is_object() || json.size() < 3 || json.contains("sig")) return std::nullopt;
  const auto seq = json.begin();
  const auto time = std::next(seq);
  const auto prev = std::prev(json.end());
  if (seq.key() != "seq" || !seq->is_number_unsigned() || time.key() != "time" ||
      !time->is_string() || prev.key() != "prev" || !IsHash(*prev)) {
    return std::nullopt;
  }
  // Two texts for one content (a key twice, a number written otherwise, spaces) would be two
  // readings of one line.
  if (json.dump(-1, ' ', false, Json::error_handler_t::replace) != body) return std::nullopt;
  return json;
}

absl::Status LogVerifier::Next(std::string_view line, Json* content) {
  const int64_t number = head_.seq + 1;
  const auto no_line = [&](std::string_view why) {
    return DataLoss("line {} is not a line of a log ({}): it was changed or put in", number, why);
  };
  if (line.size() > kMaxLogLineBytes) return no_line("it is too long");
  const size_t sig_at = line.rfind(kSigBegin);
  if (sig_at == std::string_view::npos || !line.ends_with(kSigEnd) ||
      line.size() < sig_at + kSigBegin.size() + kSigEnd.size()) {
    return no_line("it has no signature at its end");
  }
  const std::string_view sig_text = line.substr(
      sig_at + kSigBegin.size(), line.size() - sig_at - kSigBegin.size() - kSigEnd.size());
  const absl::StatusOr<std::string> signature = FromBase64Url(sig_text);
  if (!signature.ok()) return no_line("its signature cannot be read");
  const std::string body = std::string(line.substr(0, sig_at)) + "}";
  std::optional<Json> json = ParseLogBody(body);
  if (!json.has_value()) return no_line("it is not written as logs are");
  if (key_ != nullptr && !key_->Verify(body, *signature)) {
    return DataLoss("line {} does not fit its signature: it was changed, or is of another log",
                    number);
  }
  // From here on the line is one that the key's owner wrote: is it in its place?
  const uint64_t seq = json->front().get<uint64_t>();
  if (seq > static_cast<uint64_t>(number)) {
    return DataLoss("line {} has seq {}: before it {} is missing", number, seq,
                    seq == static_cast<uint64_t>(number) + 1
                        ? fmt::format("seq {}", number)
                        : fmt::format("seq {} to {}", number, seq - 1));
  }
  if (seq < static_cast<uint64_t>(number)) {
    return DataLoss("line {} has seq {}: it was put in or moved there", number, seq);
  }
  if (json->back().get_ref<const std::string&>() != head_.hash) {
    return number == 1 ? DataLoss("line 1 is not the first of a log: it was put in")
                       : DataLoss(
                             "line {} does not follow line {}: one of them was changed, or is of "
                             "another log",
                             number, number - 1);
  }
  head_ = {number, Sha256Hex(line)};
  if (content != nullptr) {
    *content = *std::move(json);
    (*content)["sig"] = sig_text;
  }
  return absl::OkStatus();
}

}  // namespace manako
