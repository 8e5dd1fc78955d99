#include "report/csv.h"

#include <algorithm>

#include "base/status_macros.h"

namespace manako {

absl::StatusOr<bool> CsvReader::Next(std::vector<std::string>& fields) {
  if (at_ >= text_.size() || torn_) return false;
  record_line_ = next_line_;
  size_t used = 0;
  const auto next_field = [&]() -> std::string& {
    if (used == fields.size()) fields.emplace_back();
    std::string& field = fields[used++];
    field.clear();
    return field;
  };
  for (;;) {
    std::string& field = next_field();
    if (at_ < text_.size() && text_[at_] == '"') {
      for (++at_; at_ < text_.size(); ++at_) {
        if (text_[at_] == '"') {
          if (at_ + 1 >= text_.size() || text_[at_ + 1] != '"') break;
          ++at_;
        }
        next_line_ += text_[at_] == '\n';
        field.push_back(text_[at_]);
      }
      ++at_;  // the closing quote
    } else {
      const size_t end = std::min(text_.find_first_of(",\n\"", at_), text_.size());
      field.assign(text_.substr(at_, end - at_));
      at_ = end;
    }
    if (at_ >= text_.size()) {
      torn_ = true;
      return false;
    }
    if (text_[at_] == ',') {
      ++at_;
      continue;
    }
    if (text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n') ++at_;
    if (text_[at_] != '\n') {
      return InvalidArgument(
          "line {}: a comma or the line's end must follow a quoted field, and quotes in a field "
          "must be doubled",
          record_line_);
    }
    ++at_;
    ++next_line_;
    if (!field.empty() && field.back() == '\r') field.pop_back();
    fields.resize(used);
    return true;
  }
}

}  // namespace manako
