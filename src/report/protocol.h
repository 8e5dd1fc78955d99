// The configuration of a run (TOML) as rows for a table.
#ifndef MANAKO_REPORT_PROTOCOL_H_
#define MANAKO_REPORT_PROTOCOL_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace manako {

struct ProtocolRows {
  // In the order of the file. A key is the last part of its name ("local_epochs" of
  // train.local_epochs), or the whole dotted name where the last part has occurred before. Empty
  // values are left out.
  std::vector<std::pair<std::string, std::string>> rows;
  std::optional<double> margin;  // study.margin, if it is > 0
  std::optional<int> repeats;    // study.repeats, if it is >= 1
  std::optional<int> folds;      // study.folds, if it is >= 0
  bool readable = true;          // false: the text is no TOML, and there are no rows
};

ProtocolRows ReadProtocol(const std::string& toml);

}  // namespace manako

#endif  // MANAKO_REPORT_PROTOCOL_H_
