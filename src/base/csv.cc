#include "base/csv.h"

#include "base/status_macros.h"

namespace manako {

bool CsvReader::AtFieldEnd() const {
  return AtEnd() || text_[at_] == format_.separator || text_[at_] == '\n' || text_[at_] == '\r';
}

void CsvReader::SkipSpaces() {
  while (format_.lenient && !AtFieldEnd() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
}

absl::Status CsvReader::TakeField(std::string& field) {
  SkipSpaces();
  if (!AtEnd() && text_[at_] == '"') return TakeQuoted(field);
  const size_t start = at_;
  while (!AtFieldEnd()) {
    if (text_[at_] == '"' && !format_.lenient) {
      return InvalidArgument(
          "line {}: a quote stands in an unquoted field: quote the field and write \"\"",
          next_line_);
    }
    ++at_;
  }
  size_t end = at_;
  while (format_.lenient && end > start && (text_[end - 1] == ' ' || text_[end - 1] == '\t')) --end;
  field.assign(text_.substr(start, end - start));
  return absl::OkStatus();
}

absl::Status CsvReader::TakeQuoted(std::string& field) {
  const int64_t first_line = next_line_;
  for (++at_;; ++at_) {
    if (AtEnd()) {
      if (format_.must_end_line) return absl::OkStatus();  // torn
      return InvalidArgument(
          "line {}: a quote is opened and never closed: close it, or write \"\" for a quote inside "
          "a field",
          first_line);
    }
    const char c = text_[at_];
    if (c == '"') {
      if (at_ + 1 >= text_.size() || text_[at_ + 1] != '"') break;
      ++at_;
    } else if (c == '\n' || (c == '\r' && text_.substr(at_ + 1, 1) != "\n")) {
      ++next_line_;
    }
    field.push_back(c);
  }
  ++at_;
  SkipSpaces();
  if (AtFieldEnd()) return absl::OkStatus();
  return InvalidArgument(
      "line {}: text stands behind a closing quote: write \"\" for a quote inside a field",
      next_line_);
}

absl::StatusOr<bool> CsvReader::Next(std::vector<std::string>& fields) {
  if (AtEnd() || torn_) return false;
  record_line_ = next_line_;
  for (size_t used = 0;;) {
    if (used == fields.size()) fields.emplace_back();
    fields[used].clear();
    MANAKO_RETURN_IF_ERROR(TakeField(fields[used]));
    ++used;
    if (AtEnd()) {
      torn_ = format_.must_end_line;
      fields.resize(used);
      return !torn_;
    }
    if (text_[at_] == format_.separator) {
      ++at_;
      continue;
    }
    if (text_[at_] == '\r' && text_.substr(at_ + 1, 1) == "\n") ++at_;
    ++at_;
    ++next_line_;
    fields.resize(used);
    return true;
  }
}

std::string CsvField(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

}  // namespace manako
