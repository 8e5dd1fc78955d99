#include "data/csv.h"

#include <algorithm>
#include <set>

#include "base/csv.h"
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

}  // namespace

int CsvTable::Find(std::string_view column) const {
  const auto found = std::find(columns.begin(), columns.end(), column);
  return found == columns.end() ? -1 : static_cast<int>(found - columns.begin());
}

absl::StatusOr<CsvTable> ParseCsv(std::string_view bytes, std::string_view name) {
  MANAKO_RETURN_IF_ERROR(CheckEncoding(bytes, name));
  if (bytes.starts_with("\xef\xbb\xbf")) bytes.remove_prefix(3);
  CsvReader reader(bytes,
                   {.separator = FindSeparator(bytes), .lenient = true, .must_end_line = false});
  CsvTable table;
  std::vector<std::string> row;
  while (true) {
    absl::StatusOr<bool> more = reader.Next(row);
    if (!more.ok()) return Annotate(more.status(), name);
    if (!*more) break;
    const int64_t line = reader.line();
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
