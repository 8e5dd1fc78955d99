#include "data/csv.h"

#include <algorithm>
#include <set>

#include "base/status_macros.h"
#include "data/utf8.h"

namespace manako {
namespace {

absl::Status CheckEncoding(std::string_view bytes, std::string_view name) {
  const bool utf16 = bytes.starts_with("\xff\xfe") || bytes.starts_with("\xfe\xff") ||
                     (bytes.size() >= 2 && (bytes[0] == '\0') != (bytes[1] == '\0'));
  if (utf16) {
    return InvalidArgument("{}: line 1: the file is encoded as UTF-16: save it as CSV UTF-8", name);
  }
  const size_t bad = FindInvalidUtf8(bytes);
  const size_t nul = bytes.find('\0');
  const size_t at = std::min(bad, nul);
  if (at >= bytes.size()) return absl::OkStatus();
  int64_t line = 1;
  for (size_t i = 0; i < at; ++i) {
    if (bytes[i] == '\n' || (bytes[i] == '\r' && bytes[i + 1] != '\n')) ++line;
  }
  return InvalidArgument(
      "{}: line {}: byte 0x{:02x} is no UTF-8 text (Latin-1 or another old encoding?): save the "
      "file as CSV UTF-8",
      name, line, static_cast<uint8_t>(bytes[at]));
}

char FindSeparator(std::string_view bytes) {
  const std::string_view header = bytes.substr(0, bytes.find_first_of("\r\n"));
  if (header.find(',') != header.npos) return ',';
  if (header.find(';') != header.npos) return ';';
  return header.find('\t') != header.npos ? '\t' : ',';
}

std::string Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == text.npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(" \t") - first + 1));
}

class Reader {
 public:
  Reader(std::string_view bytes, std::string_view name)
      : bytes_(bytes), name_(name), separator_(FindSeparator(bytes)) {}

  bool AtEnd() const { return at_ >= bytes_.size(); }
  int64_t line() const { return line_; }

  absl::StatusOr<std::vector<std::string>> Row() {
    std::vector<std::string> row;
    while (true) {
      MANAKO_ASSIGN_OR_RETURN(std::string field, Field());
      row.push_back(std::move(field));
      if (AtEnd()) return row;
      if (bytes_[at_] == separator_) {
        ++at_;
        continue;
      }
      TakeLineEnd();
      return row;
    }
  }

 private:
  void TakeLineEnd() {
    if (bytes_[at_] == '\r' && at_ + 1 < bytes_.size() && bytes_[at_ + 1] == '\n') ++at_;
    ++at_;
    ++line_;
  }

  bool AtFieldEnd() const {
    return AtEnd() || bytes_[at_] == separator_ || bytes_[at_] == '\n' || bytes_[at_] == '\r';
  }

  void SkipSpaces() {
    while (!AtFieldEnd() && (bytes_[at_] == ' ' || bytes_[at_] == '\t')) ++at_;
  }

  absl::StatusOr<std::string> Field() {
    const size_t start = at_;
    SkipSpaces();
    if (AtEnd() || bytes_[at_] != '"') {
      while (!AtFieldEnd()) ++at_;
      return Trim(bytes_.substr(start, at_ - start));
    }
    return QuotedField();
  }

  absl::StatusOr<std::string> QuotedField() {
    const int64_t first_line = line_;
    std::string field;
    ++at_;
    while (true) {
      if (AtEnd()) {
        return InvalidArgument(
            "{}: line {}: a quote is opened and never closed: close it, or "
            "write \"\" for a quote inside a field",
            name_, first_line);
      }
      const char c = bytes_[at_];
      if (c == '"') {
        if (at_ + 1 >= bytes_.size() || bytes_[at_ + 1] != '"') break;
        ++at_;
      } else if (c == '\n' || (c == '\r' && bytes_.substr(at_ + 1, 1) != "\n")) {
        ++line_;
      }
      field.push_back(c);
      ++at_;
    }
    ++at_;
    SkipSpaces();
    if (!AtFieldEnd()) {
      return InvalidArgument(
          "{}: line {}: text stands behind a closing quote: write \"\" for a "
          "quote inside a field",
          name_, line_);
    }
    return field;
  }

  std::string_view bytes_, name_;
  char separator_;
  size_t at_ = 0;
  int64_t line_ = 1;
};

}  // namespace

int CsvTable::Find(std::string_view column) const {
  const auto found = std::find(columns.begin(), columns.end(), column);
  return found == columns.end() ? -1 : static_cast<int>(found - columns.begin());
}

absl::StatusOr<CsvTable> ParseCsv(std::string_view bytes, std::string_view name) {
  MANAKO_RETURN_IF_ERROR(CheckEncoding(bytes, name));
  if (bytes.starts_with("\xef\xbb\xbf")) bytes.remove_prefix(3);
  Reader reader(bytes, name);
  CsvTable table;
  while (!reader.AtEnd()) {
    const int64_t line = reader.line();
    MANAKO_ASSIGN_OR_RETURN(std::vector<std::string> row, reader.Row());
    if (row.size() == 1 && row[0].empty()) continue;
    if (table.columns.empty()) {
      const std::set<std::string> names(row.begin(), row.end());
      if (names.size() != row.size() || names.contains("")) {
        return InvalidArgument(
            "{}: line {}: a column name is empty or stands twice: give every "
            "column its own name",
            name, line);
      }
      table.columns = std::move(row);
      continue;
    }
    if (row.size() != table.columns.size()) {
      return InvalidArgument(
          "{}: line {}: {} fields, but the header has {}: quote fields that "
          "hold a separator",
          name, line, row.size(), table.columns.size());
    }
    table.rows.push_back(std::move(row));
    table.lines.push_back(line);
  }
  if (table.columns.empty()) {
    return InvalidArgument("{}: the file is empty: it needs a header line with column names", name);
  }
  return table;
}

}  // namespace manako
