#include "report/federated_report.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "base/status_macros.h"
#include "report/arm_data.h"
#include "report/arm_statistics.h"
#include "report/html.h"
#include "report/pooled/pooled_metrics.h"
#include "report/protocol.h"
#include "report/report_json.h"
#include "report/stats/auc.h"
#include "report/stats/binned.h"
#include "report/stats/rates.h"

namespace manako {
namespace {

using report_json::IsoTime;
using report_json::Text;
using report_json::ToJson;
using Json = nlohmann::json;
using stats::BinnedScores;
using stats::Estimate;
using Metric = std::pair<std::string, Estimate>;

// Images of a class below which the report says that its numbers say little.
constexpr int64_t kFewImages = 20;

// A site's result of one set, checked: what can be used of it.
struct SiteResult {
  std::string site;
  const EvaluationResult* sent = nullptr;
  Given given = Given::kMetrics;
  std::vector<int64_t> images{};  // per class: as tested, or else the agreed counts
};

std::optional<double> AccuracyOf(const EvaluationResult& r) {
  const auto found = r.metrics.find("accuracy");
  if (found == r.metrics.end() || !(found->second >= 0 && found->second <= 1)) return std::nullopt;
  return found->second;
}

// What the sites sent of one set of images with one model.
struct Results {
  std::vector<SiteResult> sites;  // with at least one image, by name
  Given given = Given::kMetrics;  // the least of them
  int64_t images = 0;
};

class Reader {
 public:
  explicit Reader(const FederatedRun& run) : run_(run) {
    task_.classes = static_cast<int>(run.classes.size());
    task_.positive = task_.classes == 2 ? run.positive : -1;
  }

  const ClassTask& task() const { return task_; }

  Results Gather(int round, bool validation) const {
    Results results;
    for (const FederatedRun::Test& test : run_.tests) {
      if (test.round == round && test.trained_by.empty()) {
        Take(test.site, validation ? test.validation : test.test, validation, results);
      }
    }
    std::sort(results.sites.begin(), results.sites.end(),
              [](const SiteResult& a, const SiteResult& b) { return a.site < b.site; });
    results.given = results.sites.empty() ? Given::kMetrics : Given::kScores;
    for (const SiteResult& site : results.sites) {
      results.given = std::min(results.given, site.given);
      results.images += site.sent->images;
    }
    return results;
  }

  // One result alone.
  Results Only(const SiteResult& site) const {
    return {.sites = {site}, .given = site.given, .images = site.sent->images};
  }
  Results Only(const std::string& site, const EvaluationResult& result) const {
    Results results;
    Take(site, result, false, results);
    if (!results.sites.empty()) results.given = results.sites[0].given;
    return results;
  }

  BinnedScores Histogram(const SiteResult& site) const {
    return BinnedOf(*site.sent, run_.bins, task_.positive);
  }
  BinnedScores Histogram(const Results& results) const {
    BinnedScores sums;
    for (const SiteResult& site : results.sites) sums.Add(Histogram(site));
    return sums;
  }

 private:
  void Take(const std::string& name, const EvaluationResult& result, bool validation,
            Results& into) const {
    if (result.images <= 0) return;
    SiteResult site{
        .site = name, .sent = &result, .given = GivenOf(result, task_.classes, run_.bins)};
    site.images.assign(run_.classes.size(), 0);
    if (site.given == Given::kScores) {
      for (const int label : result.labels) ++site.images[static_cast<size_t>(label)];
    } else if (site.given == Given::kHistograms) {
      const BinnedScores binned = Histogram(site);
      site.images[static_cast<size_t>(task_.positive)] = binned.positives();
      site.images[static_cast<size_t>(1 - task_.positive)] = binned.negatives();
    } else {
      for (const FederatedRun::Site& known : run_.sites) {
        const auto& counts = validation ? known.counts.validation : known.counts.test;
        if (known.name == name && counts.size() == run_.classes.size()) site.images = counts;
      }
    }
    into.sites.push_back(std::move(site));
  }

  const FederatedRun& run_;
  ClassTask task_;
};

// ---- From scores: what a study makes of a model's predictions ----

RunPredictions AsPredictions(const FederatedRun& run, const Results& validation,
                             const Results& test) {
  RunPredictions predictions;
  predictions.classes = run.classes;
  const ModelName name{1, 1, "federated", ""};
  int32_t image = 0;
  const auto add = [&](const Results& results, auto& to) {
    auto rows = std::make_shared<ModelPredictions>();
    for (const SiteResult& site : results.sites) {
      auto at = std::find(predictions.sites.begin(), predictions.sites.end(), site.site);
      if (at == predictions.sites.end()) at = predictions.sites.insert(at, site.site);
      for (const int label : site.sent->labels) {
        rows->image.push_back(image);
        rows->patient.push_back(image++);
        rows->label.push_back(label);
        rows->image_site.push_back(static_cast<int32_t>(at - predictions.sites.begin()));
      }
      rows->probability.insert(rows->probability.end(), site.sent->probabilities.begin(),
                               site.sent->probabilities.end());
    }
    if (rows->size() > 0) to[name] = rows;
  };
  add(test, predictions.test);
  if (validation.given == Given::kScores) add(validation, predictions.validation);
  return predictions;
}

// ---- From histograms and metrics ----

// Of counts: a rate and its Wilson interval; nothing where there is nothing to count.
Metric Rate(const char* key, int64_t hits, int64_t misses) {
  if (hits + misses == 0) return {key, {}};
  return {key,
          stats::WilsonInterval(static_cast<double>(hits), static_cast<double>(hits + misses))};
}

std::vector<Metric> RatesOf(const stats::Decisions& d) {
  std::vector<Metric> metrics = {
      Rate("sensitivity", d.true_positive, d.false_negative),
      Rate("specificity", d.true_negative, d.false_positive),
      Rate("accuracy", d.true_positive + d.true_negative, d.false_positive + d.false_negative)};
  const Estimate both[] = {metrics[0].second, metrics[1].second};
  metrics.emplace_back("balanced_accuracy", stats::MeanOfRates(both));
  metrics.push_back(Rate("ppv", d.true_positive, d.false_positive));
  metrics.push_back(Rate("npv", d.true_negative, d.false_negative));
  return metrics;
}

Estimate SiteMetricAuc(const ClassTask& task, const SiteResult& site) {
  const double auc = ToldAuc(*site.sent);
  if (std::isnan(auc)) return {};
  Estimate bare;
  bare.value = auc;
  if (!task.binary()) return bare;
  const Estimate estimate =
      stats::NewcombeInterval(auc,
                              {site.images[static_cast<size_t>(task.positive)],
                               site.images[static_cast<size_t>(1 - task.positive)]},
                              0.95);
  return std::isnan(estimate.low) ? bare : estimate;
}

// The mean of the sites' AUCs by images, with MOVER's interval: the sites are independent.
Estimate MeanAuc(const ClassTask& task, const Results& results) {
  double images = 0, sum = 0, below = 0, above = 0;
  for (const SiteResult& site : results.sites) {
    const Estimate one = SiteMetricAuc(task, site);
    if (std::isnan(one.value)) continue;
    const double w = static_cast<double>(site.sent->images);
    images += w;
    sum += w * one.value;
    below += w * w * (one.value - one.low) * (one.value - one.low);
    above += w * w * (one.high - one.value) * (one.high - one.value);
  }
  Estimate mean;
  if (images == 0) return mean;
  mean.value = sum / images;
  if (std::isnan(below) || std::isnan(above)) return mean;
  mean.low = mean.value - std::sqrt(below) / images;
  mean.high = mean.value + std::sqrt(above) / images;
  mean.method = results.sites.size() == 1 ? "newcombe" : "mover_sites";
  return mean;
}

// As each site told it, at 0.5 (of several classes: the most probable one).
Metric ToldAccuracy(const Results& results) {
  int64_t right = 0, images = 0;
  for (const SiteResult& site : results.sites) {
    const std::optional<double> accuracy = AccuracyOf(*site.sent);
    if (!accuracy) continue;
    images += site.sent->images;
    right += std::llround(*accuracy * static_cast<double>(site.sent->images));
  }
  return Rate("accuracy_at_half", right, images - right);
}

// ---- The run's model ----

struct Threshold {
  double value = 0.5;
  int first_positive = 0;  // bin
  bool chosen = false;     // on validation images
};

struct Judged {
  Estimate auc;
  std::vector<Metric> metrics;
  Json roc = Json::array(), calibration = Json::array(), confusion = Json::array();
};

Judged FromScores(const ClassTask& task, const ArmData& arm, const FederatedRun& run) {
  Judged judged;
  judged.auc = ArmAuc(task, arm.cells);
  judged.metrics = ArmMetrics(task, arm.cells, run.classes);
  judged.roc = report_json::RocJson(task, arm);
  judged.calibration = report_json::CalibrationJson(ArmCalibration(task, arm.cells));
  judged.confusion = ArmConfusion(task, arm.cells);
  return judged;
}

Judged FromHistogram(const ClassTask& task, const BinnedScores& binned, int first_positive) {
  Judged judged;
  judged.auc = stats::BinnedAucInterval(binned);
  const stats::Decisions d = stats::Decide(binned, first_positive);
  judged.metrics = RatesOf(d);
  if (const stats::RocPoints roc = stats::BinnedRoc(binned); !roc.fpr.empty()) {
    judged.roc.push_back({{"label", "federated"},
                          {"auc", ToJson(judged.auc.value)},
                          {"fpr", roc.fpr},
                          {"tpr", roc.tpr}});
  }
  judged.calibration = report_json::CalibrationJson(stats::BinnedCalibration(binned));
  std::vector<std::vector<int64_t>> confusion(2, std::vector<int64_t>(2));
  const auto p = static_cast<size_t>(task.positive);
  confusion[p][p] = d.true_positive;
  confusion[p][1 - p] = d.false_negative;
  confusion[1 - p][1 - p] = d.true_negative;
  confusion[1 - p][p] = d.false_positive;
  judged.confusion = confusion;
  return judged;
}

Judged FromMetrics(const ClassTask& task, const Results& results) {
  Judged judged;
  judged.auc = MeanAuc(task, results);
  const Metric accuracy = ToldAccuracy(results);
  if (!std::isnan(accuracy.second.value)) judged.metrics.push_back(accuracy);
  return judged;
}

Threshold ChooseOnHistograms(const Reader& reader, const FederatedRun& run,
                             const Results& validation) {
  Threshold threshold;
  threshold.first_positive = (run.bins + 1) / 2;
  const int cut = validation.given == Given::kMetrics || validation.sites.empty()
                      ? -1
                      : stats::BinnedYouden(reader.Histogram(validation));
  if (cut >= 0) {
    threshold.first_positive = cut;
    threshold.chosen = true;
  }
  threshold.value = static_cast<double>(threshold.first_positive) / run.bins;
  return threshold;
}

Json MetricsJson(const std::vector<Metric>& metrics) {
  Json list = Json::array();
  for (const auto& [key, estimate] : metrics) {
    list.push_back({{"key", key}, {"estimate", ToJson(estimate)}});
  }
  return list;
}

Json Find(const std::vector<Metric>& metrics, const std::string& key) {
  for (const auto& [name, estimate] : metrics) {
    if (name == key) return ToJson(estimate);
  }
  return ToJson(Estimate{});
}

Json SiteJson(const ClassTask& task, const SiteResult& site, const Judged& judged) {
  // Only what the site itself told: at 0.5, since nobody else can count it.
  const bool told = site.given == Given::kMetrics;
  return {{"site", site.site},
          {"images", site.images},
          {"tested", site.sent->images},
          {"given", NameOf(site.given)},
          {"auc", ToJson(told ? SiteMetricAuc(task, site) : judged.auc)},
          {"sensitivity", Find(judged.metrics, "sensitivity")},
          {"specificity", Find(judged.metrics, "specificity")},
          {"accuracy", Find(judged.metrics, told ? "accuracy_at_half" : "accuracy")},
          {"loss", ToJson(site.sent->loss)}};
}

// The model of run.best_round on the sites' test images. null where nobody has tested it.
Json ResultJson(const Reader& reader, const FederatedRun& run, const Results& test) {
  if (test.sites.empty()) return {};
  const ClassTask& task = reader.task();
  const Results validation = reader.Gather(run.best_round, /*validation=*/true);
  Judged judged;
  Threshold threshold;
  Json by_site = Json::array();
  if (test.given == Given::kScores) {
    const RunPredictions predictions = AsPredictions(run, validation, test);
    const std::vector<ArmData> arms = GatherArms(task, {}, predictions);
    const ArmData& arm = arms.at(0);
    judged = FromScores(task, arm, run);
    if (task.binary() && !arm.cells.empty()) {
      threshold.value = arm.cells[0].models[0].threshold;
      threshold.chosen = arm.cells[0].models[0].threshold_chosen;
    }
    for (const SiteResult& site : test.sites) {
      const auto number = std::find(predictions.sites.begin(), predictions.sites.end(), site.site);
      ArmData own{.name = arm.name};
      own.cells = OnlySite(task, arm.cells,
                           static_cast<int32_t>(number - predictions.sites.begin()), site.site);
      by_site.push_back(SiteJson(task, site, FromScores(task, own, run)));
    }
  } else {
    if (task.binary() && run.bins > 0) threshold = ChooseOnHistograms(reader, run, validation);
    judged = test.given == Given::kHistograms
                 ? FromHistogram(task, reader.Histogram(test), threshold.first_positive)
                 : FromMetrics(task, test);
    for (const SiteResult& site : test.sites) {
      const bool counted = site.given != Given::kMetrics && task.binary() && run.bins > 0;
      by_site.push_back(
          SiteJson(task, site,
                   counted ? FromHistogram(task, reader.Histogram(site), threshold.first_positive)
                           : FromMetrics(task, reader.Only(site))));
    }
  }
  double loss = 0;
  std::vector<int64_t> images(run.classes.size(), 0);
  for (const SiteResult& site : test.sites) {
    loss += site.sent->loss * static_cast<double>(site.sent->images);
    for (size_t c = 0; c < images.size(); ++c) images[c] += site.images[c];
  }
  const bool decided = task.binary() && test.given != Given::kMetrics;
  return {{"round", run.best_round},
          {"method", NameOf(test.given)},
          {"bins", test.given == Given::kHistograms ? Json(run.bins) : Json()},
          {"tested", test.images},
          {"images", images},
          {"loss", ToJson(loss / static_cast<double>(test.images))},
          {"auc", ToJson(judged.auc)},
          {"metrics", MetricsJson(judged.metrics)},
          {"threshold", decided ? ToJson(threshold.value) : Json()},
          {"threshold_chosen", decided && threshold.chosen},
          {"roc", judged.roc},
          {"calibration", judged.calibration},
          {"confusion", judged.confusion},
          {"by_site", by_site}};
}

// AUC of every site's own last model at every site that tested it.
Json CrossJson(const Reader& reader, const FederatedRun& run) {
  Json cells = Json::array();
  std::set<std::string> trained, tested;
  for (const FederatedRun::Test& test : run.tests) {
    if (test.trained_by.empty()) continue;
    const Results one = reader.Only(test.site, test.test);
    if (one.sites.empty()) continue;
    Estimate auc;
    if (one.given == Given::kScores) {
      const std::vector<ArmData> arms = GatherArms(reader.task(), {}, AsPredictions(run, {}, one));
      if (!arms.empty()) auc = ArmAuc(reader.task(), arms[0].cells);
    } else if (one.given == Given::kHistograms) {
      auc = stats::BinnedAucInterval(reader.Histogram(one));
    } else {
      auc = SiteMetricAuc(reader.task(), one.sites[0]);
    }
    trained.insert(test.trained_by);
    tested.insert(test.site);
    cells.push_back({{"trained_by", test.trained_by}, {"site", test.site}, {"auc", ToJson(auc)}});
  }
  if (cells.empty()) return {};
  return {{"trained_by", trained}, {"sites", tested}, {"cells", cells}};
}

Json RoundsJson(const FederatedRun& run) {
  Json rounds = Json::array();
  for (const FederatedRun::Round& r : run.all_rounds) {
    const bool closed = r.closed_ms > 0 && r.opened_ms > 0;
    rounds.push_back(
        {{"round", r.round},
         {"seconds",
          closed ? ToJson(static_cast<double>(r.closed_ms - r.opened_ms) / 1000) : Json()},
         {"asked", r.asked},
         {"answered", r.answered},
         {"refused", r.refused},
         {"failed", r.failed},
         {"late", r.late},
         {"visits", r.visits},
         {"train_loss", ToJson(r.train_loss)},
         {"validation_auc", ToJson(r.validation_auc)},
         {"test_auc", ToJson(r.test_auc)}});
  }
  return rounds;
}

Json SitesJson(const FederatedRun& run) {
  Json sites = Json::array();
  for (const FederatedRun::Site& site : run.sites) {
    sites.push_back({{"name", site.name},
                     {"state", site.state},
                     {"why", site.why},
                     {"train", site.counts.train},
                     {"validation", site.counts.validation},
                     {"test", site.counts.test}});
  }
  return sites;
}

Json WarningsJson(const Reader& reader, const FederatedRun& run, const Results& test,
                  const Json& result) {
  Json warnings = Json::array();
  if (run.state == "cancelled" || run.state == "failed") {
    const bool cancelled = run.state == "cancelled";
    warnings.push_back(
        Text(fmt::format("The run {} after round {}: these are the numbers of what there was.",
                         cancelled ? "was cancelled" : "failed", run.round),
             fmt::format("実行はラウンド {} の後に{}。それまでの数値である。", run.round,
                         cancelled ? "中止された" : "失敗した")));
  } else if (run.state != "finished") {
    warnings.push_back(Text("The run is not finished: these are the numbers so far.",
                            "実行は完了していない。現時点までの数値である。"));
  }
  if (test.sites.empty()) {
    warnings.push_back(Text("No site has sent a test of the run's model yet.",
                            "採用モデルのテスト結果を送信した施設はまだない。"));
    return warnings;
  }
  if (test.given == Given::kMetrics) {
    warnings.push_back(
        Text("At least one site sent no more than its own metrics, so the AUC is the "
             "image-weighted mean of the sites' AUCs. That is another number than the AUC of all "
             "images together: differences between the sites' levels of scores do not lower it.",
             "少なくとも1施設が自施設の指標のみを送信したため、AUCは各施設のAUCの画像数による"
             "加重平均である。全画像をまとめたAUCとは異なる量であり、施設間のスコア水準の違いは"
             "反映されない。"));
  }
  std::string missing_en, missing_ja;
  for (const FederatedRun::Site& site : run.sites) {
    if (site.counts.train.empty()) continue;
    const bool there = std::any_of(test.sites.begin(), test.sites.end(),
                                   [&](const SiteResult& r) { return r.site == site.name; });
    if (there) continue;
    missing_en += (missing_en.empty() ? "" : ", ") + site.name;
    missing_ja += (missing_ja.empty() ? "" : "、") + site.name;
  }
  if (!missing_en.empty()) {
    warnings.push_back(Text(
        fmt::format("Sites that took part and sent no test of this model: {}.", missing_en),
        fmt::format("参加したが、このモデルのテスト結果を送信していない施設：{}。", missing_ja)));
  }
  if (reader.task().binary() && test.given != Given::kMetrics &&
      !result["threshold_chosen"].get<bool>()) {
    warnings.push_back(Text("The sites' validation results could not tell a threshold; it is 0.5.",
                            "各施設の検証結果から閾値を決められず、0.5を用いた。"));
  }
  for (size_t c = 0; c < run.classes.size(); ++c) {
    int64_t images = 0;
    for (const SiteResult& site : test.sites) images += site.images[c];
    if (images >= kFewImages) continue;
    warnings.push_back(
        Text(fmt::format("There are only {} test images of class '{}'; what is said of it is very "
                         "uncertain.",
                         images, run.classes[c]),
             fmt::format("クラス「{}」のテスト画像は{}枚のみで、これに関する数値はきわめて不確か"
                         "である。",
                         run.classes[c], images)));
  }
  return warnings;
}

Json ProtocolJson(const FederatedRun& run) {
  Json rows = Json::array();
  for (const auto& [key, value] : ReadProtocol(run.config_toml).rows) {
    rows.push_back({{"key", key}, {"value", value}});
  }
  return rows;
}

// Of the latest thing that the report tells, so that the same run gives the same bytes.
double LastTime(const FederatedRun& run) {
  int64_t last = std::max({run.created_ms, run.started_ms, run.finished_ms});
  for (const FederatedRun::Round& round : run.all_rounds) {
    last = std::max({last, round.opened_ms, round.closed_ms});
  }
  return static_cast<double>(last) / 1000;
}

}  // namespace

Json BuildFederatedReport(const FederatedRun& run) {
  const Reader reader(run);
  const Results test = reader.Gather(run.best_round, /*validation=*/false);
  const Json result = ResultJson(reader, run, test);
  const auto time = [](int64_t ms) { return IsoTime(static_cast<double>(ms) / 1000); };
  return {{"format", 1},
          {"kind", "federated_run"},
          {"manako_version", run.manako_version},
          {"created", IsoTime(LastTime(run))},
          {"run",
           {{"id", run.id},
            {"name", run.name},
            {"federation", run.federation},
            {"state", run.state},
            {"why", run.why},
            {"created", time(run.created_ms)},
            {"started", time(run.started_ms)},
            {"finished", time(run.finished_ms)},
            {"round", run.round},
            {"rounds", run.rounds},
            {"best_round", run.best_round},
            {"chosen", run.chosen},
            {"report", run.report}}},
          {"classes", run.classes},
          {"positive", reader.task().binary() ? Json(reader.task().positive) : Json()},
          {"sites", SitesJson(run)},
          {"result", result},
          {"rounds", RoundsJson(run)},
          {"cross_site", CrossJson(reader, run)},
          {"protocol", ProtocolJson(run)},
          {"warnings", WarningsJson(reader, run, test, result)},
          {"config_toml", run.config_toml}};
}

absl::StatusOr<std::string> FederatedReportPage(const Json& report) {
  return PutJsonIntoPage(ReportPage(), report_json::Dump(report, /*indent=*/-1));
}

}  // namespace manako
