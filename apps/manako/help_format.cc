#include "apps/manako/help_format.h"

#include <fmt/format.h>

#include <sstream>

namespace manako {
namespace {

constexpr size_t kWidth = 80;
constexpr size_t kDescription = 28;  // the column where descriptions begin

}  // namespace

std::string Wrap(const std::string& text, size_t column, size_t indent) {
  std::string out;
  std::istringstream words(text);
  bool first = true;
  for (std::string word; words >> word;) {
    if (!first && column + 1 + word.size() > kWidth) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (!first) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    first = false;
  }
  return out;
}

std::string HelpFormat::make_group(std::string group, bool is_positional,
                                   std::vector<const CLI::Option*> options) const {
  return group == kNotInHelp
             ? ""
             : CLI::Formatter::make_group(std::move(group), is_positional, std::move(options));
}

std::string HelpFormat::make_option(const CLI::Option* option, bool is_positional) const {
  std::string name;
  if (is_positional) {
    name = option->get_name(true);
  } else {
    const auto& names = option->get_lnames();
    const bool opposite = names.size() == 2 && names[1] == "no-" + names[0];
    name = opposite ? "--[no-]" + names[0] : option->get_name(false, true);
    if (const std::string value = option->get_default_str(); !opposite && !value.empty())
      name += " " + value;
  }
  std::string line = "  " + name;
  line += line.size() + 2 > kDescription ? "\n" + std::string(kDescription, ' ')
                                         : std::string(kDescription - line.size(), ' ');
  return line + Wrap(option->get_description(), kDescription, kDescription) + "\n";
}

}  // namespace manako
