// What a run wrote about itself: journal.jsonl of a run folder (docs/run-folder.md).
#ifndef MANAKO_REPORT_JOURNAL_H_
#define MANAKO_REPORT_JOURNAL_H_

#include <compare>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace manako {

// One trained model of a study. `site` is "" except for the arm "alone".
struct ModelName {
  int repeat = 1;
  int fold = 1;
  std::string arm;
  std::string site;
  auto operator<=>(const ModelName&) const = default;
};

// Numbers that are null or missing are NaN; counts that are missing are 0.
struct RunJournal {
  struct Text {
    std::string en, ja;
  };
  struct Start {
    std::string version, config, machine, precision, device;
    int64_t threads = 0;
  };
  struct Data {
    std::string source, name;
    std::vector<std::string> classes;
    std::optional<int> positive;
    bool synthetic = false;
    int64_t images = 0;
    std::optional<int64_t> patients;
    bool test_given = false;
    int64_t duplicate_groups = 0, duplicate_images = 0, duplicates_moved = 0;
    int64_t duplicates_conflicting = 0;
    int64_t bad_count = 0;
    std::vector<std::pair<std::string, std::string>> bad;  // file, why
    double load_seconds = 0;
  };
  struct Split {
    std::string name;
    std::vector<int64_t> per_class;
    std::optional<int64_t> patients;
  };
  struct Site {
    std::string name;
    std::vector<int64_t> train, validation, test;
  };
  struct Cell {
    std::string seed;
    std::vector<Split> splits;
    std::vector<Site> sites;
  };
  struct Round {
    double train_loss = std::numeric_limits<double>::quiet_NaN();
    double validation_auc = std::numeric_limits<double>::quiet_NaN();
    double test_auc = std::numeric_limits<double>::quiet_NaN();
    double images = 0, seconds = 0;
  };
  struct Finish {
    int best_round = 0;
    double seconds = 0;
  };
  struct Stop {
    int round = 0;
    Text why;
  };

  std::optional<Start> start;  // of run_started; a resumed run keeps its first one
  std::optional<Data> data;
  std::map<std::pair<int, int>, Cell> cells;  // by (repeat, fold)
  std::map<ModelName, std::map<int, Round>> rounds;
  std::map<ModelName, Finish> finished;
  std::map<ModelName, Stop> stopped;
  std::vector<Text> warnings;
  bool run_finished = false;
  double total_seconds =
      0;  // of run_finished; until then, from the first line's time to the last one's
  double last_time = 0;  // seconds since 1970
  int64_t unreadable =
      0;  // lines that are not a known event in good order; the torn last line is not one
};

// Never fails: unknown events are skipped, bad lines are counted, a torn last line is ignored. Of
// events with the same name the last one counts.
RunJournal ParseJournal(std::string_view text);

}  // namespace manako

#endif  // MANAKO_REPORT_JOURNAL_H_
