// Help that fits a terminal of 80 columns.
#ifndef MANAKO_APPS_MANAKO_HELP_FORMAT_H_
#define MANAKO_APPS_MANAKO_HELP_FORMAT_H_

#include <CLI/CLI.hpp>
#include <string>

namespace manako {

// The group of flags that --help leaves out. CLI11's own "" would take their names out of error
// messages too.
inline constexpr char kNotInHelp[] = "not in --help";

// A flag, its default and what it does: "--rounds 20   Rounds"; a switch that has an opposite as
// --[no-]name.
class HelpFormat : public CLI::Formatter {
 public:
  std::string make_group(std::string group, bool is_positional,
                         std::vector<const CLI::Option*> options) const override;
  std::string make_option(const CLI::Option* option, bool is_positional) const override;
};

// `text` in lines of at most 80 columns, all but the first indented by `indent`; the first begins
// at column `column`.
std::string Wrap(const std::string& text, size_t column, size_t indent);

}  // namespace manako

#endif  // MANAKO_APPS_MANAKO_HELP_FORMAT_H_
