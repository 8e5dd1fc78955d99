#include <fmt/ranges.h>
#include <sys/stat.h>

#include <filesystem>
#include <map>

#include "base/files.h"
#include "base/status_macros.h"
#include "data/csv.h"
#include "data/discover.h"
#include "data/utf8.h"

namespace manako {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxManifestBytes = uint64_t{1} << 30;

// Where the columns stand in the table; -1: not asked for.
struct Columns {
  int file = -1, label = -1, patient = -1, site = -1, split = -1;
};

absl::StatusOr<Columns> FindColumns(const CsvTable& table, const DataConfig& config, bool is_test,
                                    const std::string& shown) {
  Columns columns;
  struct Wanted {
    int* at;
    const std::string& name;
    std::string_view key;
    bool needed;
  };
  // A test set given apart need not say at which hospital or in which split it is.
  const Wanted wanted[] = {{&columns.file, config.file_column, "data.file_column", true},
                           {&columns.label, config.label_column, "data.label_column", true},
                           {&columns.patient, config.group_column, "data.group_column", !is_test},
                           {&columns.site, config.site_column, "data.site_column", !is_test},
                           {&columns.split, config.split_column, "data.split_column", !is_test}};
  for (const Wanted& one : wanted) {
    if (one.name.empty()) continue;
    *one.at = table.Find(one.name);
    if (*one.at < 0 && one.needed) {
      return InvalidArgument("{} has no column \"{}\" ({}); it has: {}", shown, one.name, one.key,
                             fmt::join(table.columns, ", "));
    }
  }
  return columns;
}

}  // namespace

absl::StatusOr<Found> DiscoverManifest(const std::string& file, const DataConfig& config,
                                       bool is_test) {
  const std::string shown = ToDisplay(file);
  MANAKO_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(file, kMaxManifestBytes));
  if (bytes.starts_with("\xff\xd8\xff") || bytes.starts_with("\x89PNG") ||
      bytes.starts_with("PK")) {
    return InvalidArgument("{} is no folder, CSV manifest or .npz file: give one of these", shown);
  }
  MANAKO_ASSIGN_OR_RETURN(const CsvTable table, ParseCsv(bytes, shown));
  MANAKO_ASSIGN_OR_RETURN(const Columns columns, FindColumns(table, config, is_test, shown));

  Found found;
  found.has_patients = columns.patient >= 0;
  const fs::path folder = fs::path(file).parent_path();
  std::error_code ignored;
  found.synthetic = fs::exists(folder / "SYNTHETIC.txt", ignored);
  std::map<std::string, size_t> seen;  // path -> row
  std::vector<std::string> missing;
  for (size_t r = 0; r < table.rows.size(); ++r) {
    const auto cell = [&](int column) {
      return column < 0 ? std::string() : table.rows[r][static_cast<size_t>(column)];
    };
    for (const int column :
         {columns.file, columns.label, columns.patient, columns.site, columns.split}) {
      if (column >= 0 && cell(column).empty()) {
        return InvalidArgument(
            "{}: line {}: column \"{}\" is empty: fill it in, or leave the row out", shown,
            table.lines[r], table.columns[static_cast<size_t>(column)]);
      }
    }
    const fs::path relative = fs::path(cell(columns.file)).lexically_normal();
    const std::string path = (folder / relative).lexically_normal().string();
    const auto [first, is_new] = seen.emplace(path, r);
    if (!is_new) {
      for (const int column : {columns.label, columns.patient, columns.site, columns.split}) {
        if (column < 0) continue;
        const auto c = static_cast<size_t>(column);
        if (table.rows[first->second][c] == table.rows[r][c]) continue;
        return InvalidArgument(
            "{}: lines {} and {} both name {}, but \"{}\" is {} on one and {} on the other", shown,
            table.lines[first->second], table.lines[r], ToDisplay(relative.string()),
            table.columns[c], table.rows[first->second][c], table.rows[r][c]);
      }
      found.left_out.push_back({ToDisplay(relative.string()),
                                fmt::format("line {} of the manifest repeats line {} (read once)",
                                            table.lines[r], table.lines[first->second])});
      continue;
    }
    FoundImage image;
    image.file = ToDisplay(relative.string());
    image.path = path;
    image.label = cell(columns.label);
    image.patient = cell(columns.patient);
    image.site = cell(columns.site);
    if (columns.split >= 0) {
      image.given = SplitFromName(cell(columns.split));
      if (image.given == Split::kUnset) {
        return InvalidArgument("{}: line {}: split \"{}\" must be train, validation or test", shown,
                               table.lines[r], cell(columns.split));
      }
      found.test_given = found.test_given || image.given == Split::kTest;
    }
    struct stat info;
    if (::stat(path.c_str(), &info) != 0) missing.push_back(image.file);
    found.images.push_back(std::move(image));
  }
  if (!missing.empty()) {
    const size_t count = missing.size();
    missing.resize(std::min<size_t>(count, 3));
    return InvalidArgument(
        "{} names {} files that do not exist ({}{}): relative paths start at the manifest's folder",
        shown, count, fmt::join(missing, ", "), count > 3 ? ", ..." : "");
  }
  return found;
}

}  // namespace manako
