// Comma-separated values (RFC 4180), out of a buffer, record by record.
#ifndef MANAKO_BASE_CSV_H_
#define MANAKO_BASE_CSV_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace manako {

// What differs between a file that a program wrote and one that people's spreadsheets did.
struct CsvFormat {
  char separator = ',';
  // Spaces around fields are cut off, and a quote within an unquoted field is text.
  bool lenient = false;
  // A last record without its line end is torn (its writer died): it is not given.
  bool must_end_line = true;
};

// Quoted fields may hold separators, line ends and doubled quotes. Lines end with LF, CRLF or CR.
class CsvReader {
 public:
  // `text` must outlive the reader.
  explicit CsvReader(std::string_view text, CsvFormat format = {}) : text_(text), format_(format) {}

  // Reads the next record into `fields` (its strings are reused). False at the end, and for a torn
  // last record. InvalidArgument, with the line: a quote that is never closed (where the format
  // wants no line end), text behind a closing quote, a quote inside an unquoted field.
  absl::StatusOr<bool> Next(std::vector<std::string>& fields);

  // The line on which the last record began, from 1.
  int64_t line() const { return record_line_; }
  bool torn() const { return torn_; }

 private:
  bool AtEnd() const { return at_ >= text_.size(); }
  bool AtFieldEnd() const;
  void SkipSpaces();
  absl::Status TakeField(std::string& field);
  absl::Status TakeQuoted(std::string& field);

  std::string_view text_;
  CsvFormat format_;
  size_t at_ = 0;
  int64_t next_line_ = 1;
  int64_t record_line_ = 0;
  bool torn_ = false;
};

// A field as RFC 4180 writes it: in quotes where it holds a separator, a quote or a line end.
std::string CsvField(std::string_view text);

}  // namespace manako

#endif  // MANAKO_BASE_CSV_H_
