// Reads a CSV manifest: RFC 4180 as people's spreadsheets write it.
#ifndef MANAKO_DATA_CSV_H_
#define MANAKO_DATA_CSV_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace manako {

struct CsvTable {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;  // each as long as `columns`
  std::vector<int64_t> lines;                  // line of the file on which each row begins, from 1

  // Index of the column, or -1.
  int Find(std::string_view column) const;
};

// Parses RFC 4180: quoted fields with "" for a quote, commas and line ends inside quotes. Beyond
// it: LF, CRLF or CR line ends, a UTF-8 byte order mark, `;` or tab as the separator when the
// header has one and no comma, blank lines skipped, spaces around unquoted fields cut off. `name`
// stands in messages. InvalidArgument, with the line: another encoding than UTF-8, a NUL byte, an
// open quote, text behind a closing quote, a row with more or fewer fields than the header, a
// repeated or empty column name, no header.
absl::StatusOr<CsvTable> ParseCsv(std::string_view bytes, std::string_view name);

}  // namespace manako

#endif  // MANAKO_DATA_CSV_H_
