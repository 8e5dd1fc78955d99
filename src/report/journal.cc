#include "report/journal.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

namespace manako {
namespace {

using Json = nlohmann::json;

constexpr int64_t kLargestCount = int64_t{1} << 53;

const Json& Member(const Json& object, const char* key) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

double Number(const Json& object, const char* key,
              double otherwise = std::numeric_limits<double>::quiet_NaN()) {
  const Json& value = Member(object, key);
  return value.is_number() ? value.get<double>() : otherwise;
}

std::string String(const Json& object, const char* key) {
  const Json& value = Member(object, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

bool Bool(const Json& object, const char* key) {
  const Json& value = Member(object, key);
  return value.is_boolean() && value.get<bool>();
}

// A whole number from 0 to 2^53, or nothing.
std::optional<int64_t> ToCount(const Json& value) {
  if (!value.is_number()) return std::nullopt;
  const double number = value.get<double>();
  if (!(number >= 0 && number <= static_cast<double>(kLargestCount))) return std::nullopt;
  if (number != std::floor(number)) return std::nullopt;
  return static_cast<int64_t>(number);
}

int64_t Count(const Json& object, const char* key) {
  return ToCount(Member(object, key)).value_or(0);
}

std::vector<int64_t> Counts(const Json& object, const char* key) {
  std::vector<int64_t> counts;
  for (const Json& value : Member(object, key)) counts.push_back(ToCount(value).value_or(0));
  return counts;
}

// `least` to a million, or nothing: repeats, folds, rounds.
std::optional<int> Ordinal(const Json& object, const char* key, int least) {
  const std::optional<int64_t> count = ToCount(Member(object, key));
  if (!count || *count < least || *count > 1000000) return std::nullopt;
  return static_cast<int>(*count);
}

std::optional<ModelName> NameOf(const Json& event) {
  const auto repeat = Ordinal(event, "repeat", 1), fold = Ordinal(event, "fold", 1);
  ModelName name{repeat.value_or(0), fold.value_or(0), String(event, "arm"), String(event, "site")};
  if (!repeat || !fold || name.arm.empty()) return std::nullopt;
  return name;
}

RunJournal::Start ReadStart(const Json& event) {
  return {.version = String(event, "version"),
          .config = String(event, "config"),
          .machine = String(event, "machine"),
          .precision = String(event, "precision"),
          .device = String(event, "device"),
          .threads = Count(event, "threads")};
}

RunJournal::Data ReadData(const Json& event) {
  const Json& data = Member(event, "data");
  RunJournal::Data read;
  read.source = String(data, "source");
  read.name = String(data, "name");
  for (const Json& name : Member(data, "classes")) {
    read.classes.push_back(name.is_string() ? name.get<std::string>() : std::string());
  }
  const std::optional<int64_t> positive = ToCount(Member(data, "positive"));
  if (positive && *positive < static_cast<int64_t>(read.classes.size())) {
    read.positive = static_cast<int>(*positive);
  }
  read.synthetic = Bool(data, "synthetic");
  read.images = Count(data, "images");
  read.patients = ToCount(Member(data, "patients"));
  read.test_given = Bool(data, "test_given");
  const Json& duplicates = Member(data, "duplicates");
  read.duplicate_groups = Count(duplicates, "groups");
  read.duplicate_images = Count(duplicates, "images");
  read.duplicates_moved = Count(duplicates, "moved");
  read.duplicates_conflicting = Count(duplicates, "conflicting");
  const Json& bad = Member(data, "bad");
  read.bad_count = Count(bad, "count");
  for (const Json& one : Member(bad, "listed")) {
    read.bad.emplace_back(String(one, "file"), String(one, "why"));
  }
  read.load_seconds = Number(event, "seconds", 0);
  return read;
}

RunJournal::Cell ReadCell(const Json& event) {
  RunJournal::Cell cell;
  cell.seed = String(event, "seed");
  for (const Json& split : Member(event, "splits")) {
    cell.splits.push_back(
        {String(split, "name"), Counts(split, "per_class"), ToCount(Member(split, "patients"))});
  }
  for (const Json& site : Member(event, "sites")) {
    cell.sites.push_back({String(site, "name"), Counts(site, "train"), Counts(site, "validation"),
                          Counts(site, "test")});
  }
  return cell;
}

// Whether the event was in good order (or unknown).
bool Take(const Json& event, RunJournal& journal) {
  const std::string name = String(event, "event");
  if (name.empty()) return false;
  if (name == "run_started") {
    if (!journal.start) journal.start = ReadStart(event);
  } else if (name == "data_loaded") {
    journal.data = ReadData(event);
  } else if (name == "cell_started") {
    const auto repeat = Ordinal(event, "repeat", 1), fold = Ordinal(event, "fold", 1);
    if (!repeat || !fold) return false;
    journal.cells[{*repeat, *fold}] = ReadCell(event);
  } else if (name == "warning") {
    journal.warnings.push_back({String(event, "en"), String(event, "ja")});
  } else if (name == "run_finished") {
    journal.run_finished = true;
    journal.total_seconds = Number(event, "seconds", 0);
  } else if (name == "round" || name == "model_finished" || name == "model_stopped") {
    const std::optional<ModelName> model = NameOf(event);
    if (!model) return false;
    if (name == "model_finished") {
      const std::optional<int> best = Ordinal(event, "best_round", 0);
      if (!best) return false;
      journal.finished[*model] = {*best, Number(event, "seconds", 0)};
      return true;
    }
    const std::optional<int> round = Ordinal(event, "round", 0);
    if (!round) return false;
    if (name == "model_stopped") {
      journal.stopped[*model] = {*round, {String(event, "en"), String(event, "ja")}};
    } else {
      journal.rounds[*model][*round] = {.train_loss = Number(event, "train_loss"),
                                        .validation_auc = Number(event, "validation_auc"),
                                        .test_auc = Number(event, "test_auc"),
                                        .images = static_cast<double>(Count(event, "images")),
                                        .seconds = std::max(0.0, Number(event, "seconds", 0))};
    }
  }
  return true;
}

}  // namespace

RunJournal ParseJournal(std::string_view text) {
  RunJournal journal;
  std::optional<double> first_time;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) break;  // torn
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const Json event = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!event.is_object() || !Take(event, journal)) {
      ++journal.unreadable;
      continue;
    }
    const double time = Number(event, "time");
    if (std::isnan(time)) continue;
    if (!first_time) first_time = time;
    journal.last_time = time;
  }
  // A resumed run says the same warning again.
  std::set<std::pair<std::string, std::string>> seen;
  std::erase_if(journal.warnings, [&](const RunJournal::Text& warning) {
    return !seen.emplace(warning.en, warning.ja).second;
  });
  if (!journal.run_finished && first_time) {
    journal.total_seconds = std::max(0.0, journal.last_time - *first_time);
  }
  return journal;
}

}  // namespace manako
