#include "report/report.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "base/files.h"
#include "base/status_macros.h"
#include "report/arm_data.h"
#include "report/arm_statistics.h"
#include "report/html.h"
#include "report/journal.h"
#include "report/predictions.h"
#include "report/protocol.h"
#include "report/report_json.h"

namespace manako {
namespace {

using report_json::Dump;
using report_json::IsoTime;
using report_json::Text;
using report_json::ToJson;
using Json = nlohmann::json;

// Patients of a class below which the report says that its numbers say little.
constexpr size_t kFewPatients = 20;

// Everything that the parts below are made from.
struct Sources {
  RunJournal journal;
  RunPredictions predictions;
  ProtocolRows protocol;
  std::vector<std::string> classes;
  ClassTask task;
  std::vector<ArmData> arms;
  double margin = 0;
};

template <typename T>
Json OrNull(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

Json SiteOrNull(const ModelName& name) { return name.arm == "alone" ? Json(name.site) : Json(); }

std::string LastPart(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  const size_t slash = path.find_last_of('/');
  return slash == std::string::npos || slash + 1 == path.size() ? path : path.substr(slash + 1);
}

const RunJournal::Cell& FirstCell(const Sources& s) {
  static const RunJournal::Cell kNone;
  return s.journal.cells.empty() ? kNone : s.journal.cells.begin()->second;
}

Json DataJson(const Sources& s) {
  const RunJournal::Data data = s.journal.data.value_or(RunJournal::Data());
  Json listed = Json::array(), splits = Json::array(), sites = Json::array();
  for (const auto& [file, why] : data.bad) listed.push_back({{"file", file}, {"why", why}});
  for (const RunJournal::Split& split : FirstCell(s).splits) {
    splits.push_back({{"name", split.name},
                      {"per_class", split.per_class},
                      {"patients", OrNull(split.patients)}});
  }
  for (const RunJournal::Site& site : FirstCell(s).sites) {
    sites.push_back({{"name", site.name},
                     {"train", site.train},
                     {"validation", site.validation},
                     {"test", site.test}});
  }
  return {{"source", data.source},
          {"name", data.name},
          {"classes", s.classes},
          {"positive", s.task.binary() ? Json(s.task.positive) : Json()},
          {"images", data.images},
          {"patients", OrNull(data.patients)},
          {"test_given", data.test_given},
          {"duplicates",
           {{"groups", data.duplicate_groups},
            {"images", data.duplicate_images},
            {"moved", data.duplicates_moved},
            {"conflicting", data.duplicates_conflicting}}},
          {"bad", {{"count", data.bad_count}, {"listed", listed}}},
          {"splits", splits},
          {"sites", sites}};
}

// Image visits of an arm in the first cell; arms have the same budget, so the most advanced one
// tells it.
double VisitsPerArm(const RunJournal& journal) {
  if (journal.rounds.empty()) return 0;
  const ModelName& first = journal.rounds.begin()->first;
  std::map<std::string, double> by_arm;
  for (const auto& [name, rounds] : journal.rounds) {
    if (name.repeat != first.repeat || name.fold != first.fold) continue;
    for (const auto& [number, round] : rounds) by_arm[name.arm] += round.images;
  }
  double most = 0;
  for (const auto& [arm, visits] : by_arm) most = std::max(most, visits);
  return most;
}

Json ProtocolJson(const Sources& s) {
  Json rows = Json::array();
  for (const auto& [key, value] : s.protocol.rows) rows.push_back({{"key", key}, {"value", value}});
  std::set<int> repeats, folds;
  for (const auto& [cell, started] : s.journal.cells) {
    repeats.insert(cell.first);
    folds.insert(cell.second);
  }
  const int seen_repeats = std::max<int>(1, static_cast<int>(repeats.size()));
  const int seen_folds = folds.size() > 1 ? static_cast<int>(folds.size()) : 0;
  return {{"rows", rows},
          {"repeats", s.protocol.repeats.value_or(seen_repeats)},
          {"folds", s.protocol.folds.value_or(seen_folds)},
          {"margin", s.margin},
          {"visits_per_arm", VisitsPerArm(s.journal)},
          {"primary_metric", s.task.binary() ? "auc" : "macro_auc"}};
}

int BestRound(const RunJournal& journal, const ModelName& name) {
  if (const auto found = journal.finished.find(name); found != journal.finished.end()) {
    return found->second.best_round;
  }
  const auto rounds = journal.rounds.find(name);
  if (rounds == journal.rounds.end()) return 0;
  int best = rounds->second.begin()->first;
  double highest = -1;
  for (const auto& [number, round] : rounds->second) {
    if (round.validation_auc > highest) {
      highest = round.validation_auc;
      best = number;
    }
  }
  return best;
}

Json RoundsJson(const RunJournal& journal, const std::string& arm) {
  Json curves = Json::array();
  for (const auto& [name, rounds] : journal.rounds) {
    if (name.arm != arm) continue;
    Json numbers = Json::array(), loss = Json::array(), validation = Json::array(),
         test = Json::array();
    for (const auto& [number, round] : rounds) {
      numbers.push_back(number);
      loss.push_back(ToJson(round.train_loss));
      validation.push_back(ToJson(round.validation_auc));
      test.push_back(ToJson(round.test_auc));
    }
    curves.push_back({{"repeat", name.repeat},
                      {"fold", name.fold},
                      {"site", SiteOrNull(name)},
                      {"rounds", numbers},
                      {"train_loss", loss},
                      {"validation_auc", validation},
                      {"test_auc", test},
                      {"best_round", BestRound(journal, name)}});
  }
  return curves;
}

Json BySiteJson(const Sources& s, const ArmData& arm) {
  Json sites = Json::array();
  for (const RunJournal::Site& site : FirstCell(s).sites) {
    const auto number =
        std::find(s.predictions.sites.begin(), s.predictions.sites.end(), site.name);
    if (number == s.predictions.sites.end()) continue;
    const std::vector<ArmCell> cells = OnlySite(
        s.task, arm.cells, static_cast<int32_t>(number - s.predictions.sites.begin()), site.name);
    std::vector<int64_t> images(s.task.classes, 0);
    if (!cells.empty()) {
      for (const int32_t label : cells[0].models[0].test->label) ++images[label];
    }
    sites.push_back({{"site", site.name},
                     {"auc", ToJson(ArmAuc(s.task, cells))},
                     {"accuracy", ToJson(ArmAccuracy(s.task, cells))},
                     {"images", images}});
  }
  return sites;
}

struct Mistake {
  int32_t image = 0;
  int32_t truth = 0;
  int32_t predicted = 0;
  float probability = 0;
};

std::vector<Mistake> MistakesOf(const ClassTask& task, const ArmData& arm, size_t most) {
  std::map<int32_t, Mistake> surest;  // by image
  for (const ArmCell& cell : arm.cells) {
    for (const ArmModel& model : cell.models) {
      const ModelPredictions& test = *model.test;
      for (size_t i = 0; i < test.size(); ++i) {
        if (test.label[i] == model.predicted[i]) continue;
        const Mistake mistake{test.image[i], test.label[i], model.predicted[i],
                              test.probability[i * task.classes + model.predicted[i]]};
        const auto [at, is_new] = surest.emplace(mistake.image, mistake);
        if (!is_new && mistake.probability > at->second.probability) at->second = mistake;
      }
    }
  }
  std::vector<Mistake> mistakes;
  for (const auto& [image, mistake] : surest) mistakes.push_back(mistake);
  std::stable_sort(mistakes.begin(), mistakes.end(), [](const Mistake& a, const Mistake& b) {
    return a.probability > b.probability;
  });
  if (mistakes.size() > most) mistakes.resize(most);
  return mistakes;
}

Json MistakesJson(const Sources& s, const ArmData& arm, const ReportOptions& options) {
  Json listed = Json::array();
  const size_t most = static_cast<size_t>(std::max(0, options.max_mistakes));
  for (const Mistake& mistake : MistakesOf(s.task, arm, most)) {
    const std::string& file = s.predictions.files[mistake.image];
    Json thumbnail;
    if (options.thumbnails && options.thumbnail_jpeg) {
      const absl::StatusOr<std::string> jpeg = options.thumbnail_jpeg(file);
      if (jpeg.ok()) thumbnail = JpegDataUrl(*jpeg);
    }
    listed.push_back({{"file", file},
                      {"truth", mistake.truth},
                      {"predicted", mistake.predicted},
                      {"probability", mistake.probability},
                      {"thumbnail", std::move(thumbnail)}});
  }
  return listed;
}

Json ArmJson(const Sources& s, const ArmData& arm, const ReportOptions& options) {
  Json metrics = Json::array();
  for (const auto& [key, estimate] : ArmMetrics(s.task, arm.cells, s.classes)) {
    metrics.push_back({{"key", key}, {"estimate", ToJson(estimate)}});
  }
  // The arm "alone" has a threshold for each site; there is no one number to show.
  Json threshold;
  if (s.task.binary() && !arm.cells.empty() && arm.cells[0].models.size() == 1) {
    threshold = arm.cells[0].models[0].threshold;
  }
  Json stopped = Json::array();
  for (const auto& [name, stop] : s.journal.stopped) {
    if (name.arm != arm.name) continue;
    stopped.push_back({{"repeat", name.repeat},
                       {"fold", name.fold},
                       {"site", SiteOrNull(name)},
                       {"round", stop.round},
                       {"why", {{"en", stop.why.en}, {"ja", stop.why.ja}}}});
  }
  double seconds = 0, images = 0;
  for (const auto& [name, rounds] : s.journal.rounds) {
    if (name.arm != arm.name) continue;
    for (const auto& [number, round] : rounds) {
      seconds += round.seconds;
      images += round.images;
    }
  }
  return {{"name", arm.name},
          {"auc", ToJson(ArmAuc(s.task, arm.cells))},
          {"metrics", metrics},
          {"threshold", threshold},
          {"roc", report_json::RocJson(s.task, arm)},
          {"calibration", report_json::CalibrationJson(ArmCalibration(s.task, arm.cells))},
          {"confusion", ArmConfusion(s.task, arm.cells)},
          {"by_round", RoundsJson(s.journal, arm.name)},
          {"by_site", BySiteJson(s, arm)},
          {"mistakes", MistakesJson(s, arm, options)},
          {"stopped", stopped},
          {"train_seconds", seconds},
          {"images_per_second", seconds > 0 ? images / seconds : 0}};
}

const ArmCell* FindCell(const ArmData& arm, int repeat, int fold) {
  for (const ArmCell& cell : arm.cells) {
    if (cell.repeat == repeat && cell.fold == fold) return &cell;
  }
  return nullptr;
}

double CellAuc(const ClassTask& task, const ArmCell* cell) {
  if (cell == nullptr) return stats::kUndefined;
  double sum = 0;
  for (const ArmModel& model : cell->models) sum += ModelAuc(task, model);
  return sum / static_cast<double>(cell->models.size());
}

Json ComparisonJson(const Sources& s, const ArmData& a, const ArmData& b) {
  std::set<std::pair<int, int>> cells;
  for (const ArmCell& cell : a.cells) cells.emplace(cell.repeat, cell.fold);
  for (const ArmCell& cell : b.cells) cells.emplace(cell.repeat, cell.fold);
  std::vector<ArmCell> common_a, common_b;
  Json by_cell = Json::array();
  for (const auto& [repeat, fold] : cells) {
    const ArmCell* of_a = FindCell(a, repeat, fold);
    const ArmCell* of_b = FindCell(b, repeat, fold);
    ArmDifference difference;
    if (of_a && of_b && of_a->models[0].test->image == of_b->models[0].test->image) {
      common_a.push_back(*of_a);
      common_b.push_back(*of_b);
      difference = CompareArms(s.task, {of_a, 1}, {of_b, 1}, s.margin);
    }
    by_cell.push_back({{"repeat", repeat},
                       {"fold", fold},
                       {"a", ToJson(CellAuc(s.task, of_a))},
                       {"b", ToJson(CellAuc(s.task, of_b))},
                       {"difference", ToJson(difference.estimate.value)},
                       {"low", ToJson(difference.estimate.low)},
                       {"high", ToJson(difference.estimate.high)},
                       {"p_value", ToJson(difference.p_value)}});
  }
  const ArmDifference all = CompareArms(s.task, common_a, common_b, s.margin);
  Json equivalence;
  if (a.name == "federated" && b.name == "pooled") {
    const stats::Verdict verdict = stats::JudgeInterval(all.at90.low, all.at90.high, s.margin);
    equivalence = {{"margin", s.margin},
                   {"low90", ToJson(all.at90.low)},
                   {"high90", ToJson(all.at90.high)},
                   {"verdict", stats::VerdictName(verdict)},
                   {"p_value", ToJson(all.tost_p_value)}};
  }
  return {{"a", a.name},
          {"b", b.name},
          {"difference", ToJson(all.estimate)},
          {"p_value", ToJson(all.p_value)},
          {"test", all.test},
          {"by_cell", by_cell},
          {"equivalence", equivalence}};
}

Json ComparisonsJson(const Sources& s) {
  Json comparisons = Json::array();
  for (const auto& [a_name, b_name] :
       {std::pair("federated", "pooled"), std::pair("federated", "alone"),
        std::pair("pooled", "alone")}) {
    const ArmData* a = nullptr;
    const ArmData* b = nullptr;
    for (const ArmData& arm : s.arms) {
      if (arm.name == a_name) a = &arm;
      if (arm.name == b_name) b = &arm;
    }
    if (a && b) comparisons.push_back(ComparisonJson(s, *a, *b));
  }
  return comparisons;
}

Json CellsJson(const Sources& s) {
  std::set<std::pair<int, int>> cells;
  for (const auto& [cell, started] : s.journal.cells) cells.insert(cell);
  for (const ArmData& arm : s.arms) {
    for (const ArmCell& cell : arm.cells) cells.emplace(cell.repeat, cell.fold);
  }
  Json list = Json::array();
  for (const auto& [repeat, fold] : cells) {
    Json aucs = Json::array();
    for (const ArmData& arm : s.arms) {
      const ArmCell* cell = FindCell(arm, repeat, fold);
      if (cell == nullptr) continue;
      for (const ArmModel& model : cell->models) {
        aucs.push_back({{"arm", arm.name},
                        {"site", SiteOrNull(model.name)},
                        {"value", ToJson(ModelAuc(s.task, model))},
                        {"best_round", BestRound(s.journal, model.name)}});
      }
    }
    const auto started = s.journal.cells.find({repeat, fold});
    list.push_back({{"repeat", repeat},
                    {"fold", fold},
                    {"seed", started == s.journal.cells.end() ? "" : started->second.seed},
                    {"auc", aucs}});
  }
  return list;
}

void WarnOfArm(const Sources& s, const ArmData& arm, Json& warnings) {
  if (!arm.missing.empty() || arm.cells.empty()) {
    const size_t all = arm.cells.size() + arm.missing.size();
    warnings.push_back(Text(
        fmt::format("The arm '{}' has usable predictions for {} of {} cells (repeats and folds); "
                    "only these are counted.",
                    arm.name, arm.cells.size(), all),
        fmt::format("群「{}」の予測は{}区画（反復・分割）のうち{}"
                    "区画でのみ利用でき、集計はそれに限られる。",
                    arm.name, all, arm.cells.size())));
  }
  if (!s.task.binary()) return;
  size_t fallback = 0;
  for (const ArmCell& cell : arm.cells) {
    for (const ArmModel& model : cell.models) fallback += !model.threshold_chosen;
  }
  if (fallback > 0) {
    warnings.push_back(Text(
        fmt::format(
            "For {} models of the arm '{}' the validation images could not tell a threshold "
            "(one class only, or none); theirs is 0.5.",
            fallback, arm.name),
        fmt::format(
            "群「{}」の{}"
            "個のモデルでは、検証用画像から閾値を決められず（一方のクラスのみ、または画像なし）、"
            "0.5を用いた。",
            arm.name, fallback)));
  }
}

Json WarningsJson(const Sources& s) {
  Json warnings = Json::array();
  if (!s.journal.run_finished) {
    warnings.push_back(Text("The run is not finished: these are the numbers so far.",
                            "実行は完了していない。現時点までの数値である。"));
  }
  for (const RunJournal::Text& w : s.journal.warnings) warnings.push_back(Text(w.en, w.ja));
  if (s.journal.unreadable > 0) {
    warnings.push_back(
        Text(fmt::format("{} lines of the journal could not be read and were left out.",
                         s.journal.unreadable),
             fmt::format("記録（journal）の{}行は読み取れず、除外した。", s.journal.unreadable)));
  }
  if (s.predictions.torn) {
    warnings.push_back(Text("The last line of the predictions is incomplete and was left out.",
                            "予測ファイルの最終行が不完全なため、除外した。"));
  }
  if (!s.protocol.readable) {
    warnings.push_back(Text("The run's configuration is not valid TOML; the protocol is empty.",
                            "設定が正しいTOMLではないため、試験条件の表は空である。"));
  }
  for (const ArmData& arm : s.arms) WarnOfArm(s, arm, warnings);
  if (s.arms.empty() || s.arms[0].cells.empty()) return warnings;
  const ModelPredictions& test = *s.arms[0].cells[0].models[0].test;
  for (int c = 0; c < s.task.classes; ++c) {
    std::set<int32_t> patients;
    for (size_t i = 0; i < test.size(); ++i) {
      if (test.label[i] == c) patients.insert(test.patient[i]);
    }
    if (patients.size() >= kFewPatients) continue;
    warnings.push_back(Text(
        fmt::format("The test images of class '{}' are of {} patients only; what is said of it "
                    "is very uncertain.",
                    s.classes[c], patients.size()),
        fmt::format(
            "クラス「{}」のテスト画像は{}人分のみで、これに関する数値はきわめて不確かである。",
            s.classes[c], patients.size())));
  }
  return warnings;
}

absl::StatusOr<Sources> Load(const ReportOptions& options) {
  if (!(options.margin > 0)) {
    return InvalidArgument("margin must be > 0, but is {} (ReportOptions)", options.margin);
  }
  Sources s;
  const std::string journal_path = options.run_folder + "/journal.jsonl";
  MANAKO_ASSIGN_OR_RETURN(const std::string journal_text, ReadFile(journal_path));
  s.journal = ParseJournal(journal_text);
  if (s.journal.start) s.protocol = ReadProtocol(s.journal.start->config);
  s.margin = s.protocol.margin.value_or(options.margin);

  const std::string predictions_path = options.run_folder + "/predictions.csv";
  absl::StatusOr<std::string> predictions_text = ReadFile(predictions_path);
  if (predictions_text.ok()) {
    absl::StatusOr<RunPredictions> predictions = ParsePredictions(*predictions_text);
    if (!predictions.ok()) return Annotate(predictions.status(), predictions_path);
    s.predictions = *std::move(predictions);
  } else if (predictions_text.status().code() != absl::StatusCode::kNotFound) {
    return predictions_text.status();
  }

  s.classes = s.journal.data ? s.journal.data->classes : s.predictions.classes;
  if (!s.predictions.classes.empty() && s.predictions.classes != s.classes) {
    return DataLoss(
        "{}: the classes are not those of the journal ({} against {} of them, or other names)",
        predictions_path, s.predictions.classes.size(), s.classes.size());
  }
  s.task.classes = static_cast<int>(s.classes.size());
  if (s.task.classes == 2 && s.journal.data) {
    s.task.positive = s.journal.data->positive.value_or(-1);
  }
  s.arms = GatherArms(s.task, s.journal, s.predictions);
  return s;
}

}  // namespace

absl::StatusOr<Json> BuildReport(const ReportOptions& options) {
  MANAKO_ASSIGN_OR_RETURN(const Sources s, Load(options));
  const RunJournal::Start start = s.journal.start.value_or(RunJournal::Start());
  Json arms = Json::array();
  for (const ArmData& arm : s.arms) arms.push_back(ArmJson(s, arm, options));
  Json warnings = WarningsJson(s);
  const RunJournal::Data data = s.journal.data.value_or(RunJournal::Data());
  return Json{{"format", 1},
              {"manako_version", start.version},
              {"title", data.name.empty() ? LastPart(data.source) : data.name},
              {"created", IsoTime(s.journal.last_time)},
              {"synthetic", s.journal.data && s.journal.data->synthetic},
              {"data", DataJson(s)},
              {"protocol", ProtocolJson(s)},
              {"arms", std::move(arms)},
              {"comparisons", ComparisonsJson(s)},
              {"cells", CellsJson(s)},
              {"times",
               {{"total_seconds", ToJson(s.journal.total_seconds)},
                {"load_seconds", s.journal.data ? ToJson(s.journal.data->load_seconds) : Json(0)},
                {"threads", start.threads},
                {"precision", start.precision},
                {"device", start.device},
                {"machine", start.machine}}},
              {"warnings", std::move(warnings)},
              {"config_toml", start.config}};
}

absl::Status WriteReport(const ReportOptions& options) {
  MANAKO_ASSIGN_OR_RETURN(Json report, BuildReport(options));
  MANAKO_ASSIGN_OR_RETURN(const std::string html,
                          PutJsonIntoPage(ReportPage(), Dump(report, /*indent=*/-1)));
  for (Json& arm : report["arms"]) {
    for (Json& mistake : arm["mistakes"]) mistake["thumbnail"] = nullptr;
  }
  MANAKO_RETURN_IF_ERROR(
      WriteFileAtomically(options.run_folder + "/metrics.json", Dump(report, /*indent=*/1) + "\n"));
  return WriteFileAtomically(options.run_folder + "/report.html", html);
}

}  // namespace manako
