// Comma-separated values as RFC 4180 has them, out of a buffer, record by record.
#ifndef MANAKO_REPORT_CSV_H_
#define MANAKO_REPORT_CSV_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace manako {

// Quoted fields may hold commas, line breaks and doubled quotes. Lines end with LF or CRLF.
class CsvReader {
 public:
  // `text` must outlive the reader.
  explicit CsvReader(std::string_view text) : text_(text) {}

  // Reads the next record into `fields` (its strings are reused). False at the end. A last record
  // without its line end is torn (its writer died): it is not given, and torn() becomes true.
  // InvalidArgument, with the line, for text after a closing quote or a quote inside an unquoted
  // field.
  absl::StatusOr<bool> Next(std::vector<std::string>& fields);

  // The line on which the last record began, from 1.
  int64_t line() const { return record_line_; }
  bool torn() const { return torn_; }

 private:
  std::string_view text_;
  size_t at_ = 0;
  int64_t next_line_ = 1;
  int64_t record_line_ = 0;
  bool torn_ = false;
};

}  // namespace manako

#endif  // MANAKO_REPORT_CSV_H_
