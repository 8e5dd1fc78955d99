#include "report/federated_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "report/pooled/pooled_metrics.h"
#include "report/stats/auc.h"
#include "report/stats/test_fixtures.h"

namespace manako {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;
using testing::Not;

// A finished run of two sites and one round; its tests are each test's own matter.
FederatedRun FinishedRun(int bins) {
  FederatedRun run;
  run.manako_version = "1.2.3";
  run.federation = "Himeji Eye Federation";
  run.id = "20261124-bcdfg";
  run.name = "Glaucoma";
  run.state = "finished";
  run.created_ms = 1'700'000'000'000;
  run.started_ms = run.created_ms + 1000;
  run.finished_ms = run.created_ms + 60'000;
  run.round = run.rounds = run.best_round = 1;
  run.classes = {"glaucoma", "normal"};
  run.positive = 0;
  run.report = "histograms";
  run.bins = bins;
  run.config_toml = "[run]\nname = \"Glaucoma\"\n[train]\nbatch = 32\n";
  run.sites = {{"east", "ended", "", {{40, 50}, {5, 6}, {20, 40}}},
               {"west", "ended", "", {{30, 60}, {5, 8}, {10, 30}}}};
  return run;
}

// The labels are indices of `classes`: 0 is the disease.
EvaluationResult Histogram(const std::vector<int64_t>& ill, const std::vector<int64_t>& well) {
  EvaluationResult result;
  result.bins = static_cast<int>(ill.size());
  for (const auto* counts : {&ill, &well}) {
    for (const int64_t count : *counts) {
      result.histogram.push_back(count);
      result.images += count;
    }
  }
  return result;
}

EvaluationResult Told(int64_t images, double auc, double accuracy) {
  EvaluationResult result;
  result.images = images;
  result.metrics = {{"auc", auc}, {"accuracy", accuracy}};
  return result;
}

Json Metric(const Json& result, const std::string& key) {
  for (const Json& metric : result["metrics"]) {
    if (metric["key"] == key) return metric["estimate"];
  }
  return nullptr;
}

// Measurements of a published study, dealt to two hospitals: the AUC and its variance must be
// pROC's of all of them together, though the server has only the hospitals' histograms.
TEST(FederatedReport, HistogramsOfTwoSitesGiveTheAucOfAllImages) {
  constexpr int kBins = 250;
  FederatedRun run = FinishedRun(kBins);
  const auto scores = stats::Fixture("proc.txt", "asah.s100b");
  const auto positive = stats::FixtureFlags("proc.txt", "asah.positive");
  std::vector<std::vector<int64_t>> ill(2, std::vector<int64_t>(kBins)), well = ill;
  for (size_t i = 0; i < scores.size(); ++i) {
    ++(positive[i] ? ill : well)[i % 2][static_cast<size_t>(std::lround(scores[i] * 100))];
  }
  for (size_t site = 0; site < 2; ++site) {
    run.tests.push_back({1, "", run.sites[site].name, {}, Histogram(ill[site], well[site])});
  }
  const Json result = BuildFederatedReport(run)["result"];
  EXPECT_EQ(result["method"], "histograms");
  EXPECT_EQ(result["bins"], kBins);
  EXPECT_EQ(result["tested"], scores.size());
  const double a = stats::Fixture("proc.txt", "asah.s100b.auc")[0];
  const double half = 1.959963984540054 *
                      std::sqrt(stats::Fixture("proc.txt", "asah.s100b.variance")[0]) /
                      (a * (1 - a));
  EXPECT_NEAR(result["auc"]["value"], a, 1e-12);
  EXPECT_NEAR(result["auc"]["low"], 1 / (1 + std::exp(half - std::log(a / (1 - a)))), 1e-12);
  EXPECT_NEAR(result["auc"]["high"], 1 / (1 + std::exp(-half - std::log(a / (1 - a)))), 1e-12);
  EXPECT_EQ(result["auc"]["method"], "delong_binned");
  EXPECT_TRUE(Metric(result, "brier").is_null());
}

// By hand. Validation's best cut is at bin 2 of 4; at it the two sites' test images are 18 + 2 of
// 20 right in each class, whose Wilson interval is 0.698966 to 0.972134.
TEST(FederatedReport, RatesComeFromCountsAtAThresholdOfTheValidationImages) {
  FederatedRun run = FinishedRun(4);
  run.tests.push_back({1, "", "east", Histogram({0, 1, 9, 10}, {10, 9, 1, 0}),
                       Histogram({1, 0, 3, 6}, {7, 2, 1, 0})});
  run.tests.push_back({1, "", "west", {}, Histogram({0, 1, 1, 8}, {5, 4, 0, 1})});
  const Json result = BuildFederatedReport(run)["result"];
  EXPECT_DOUBLE_EQ(result["threshold"], 0.5);
  EXPECT_EQ(result["threshold_chosen"], true);
  for (const char* key : {"sensitivity", "specificity", "accuracy", "ppv", "npv"}) {
    EXPECT_DOUBLE_EQ(Metric(result, key)["value"], 0.9) << key;
  }
  EXPECT_NEAR(Metric(result, "sensitivity")["low"], 0.698966, 1e-6);
  EXPECT_NEAR(Metric(result, "sensitivity")["high"], 0.972134, 1e-6);
  EXPECT_EQ(Metric(result, "sensitivity")["method"], "wilson");
  EXPECT_EQ(result["confusion"], Json({{18, 2}, {2, 18}}));
  EXPECT_EQ(result["images"], Json({20, 20}));
  const Json& west = result["by_site"][1];
  EXPECT_EQ(west["site"], "west");
  EXPECT_EQ(west["images"], Json({10, 10}));
  EXPECT_DOUBLE_EQ(west["specificity"]["value"], 0.9);
  // Pairs of the west: the ones in bin 3 beat 9 and tie 1 each, and so on.
  EXPECT_NEAR(west["auc"]["value"], (8 * 9.5 + 1 * 9 + 1 * (5 + 2)) / 100, 1e-12);

  // At another cut the threshold follows: validation alone decides.
  run.tests[0].validation = Histogram({0, 0, 0, 20}, {10, 9, 1, 0});
  EXPECT_DOUBLE_EQ(BuildFederatedReport(run)["result"]["threshold"], 0.75);
  // Without validation results it is a half, and a warning.
  run.tests[0].validation = {};
  const Json report = BuildFederatedReport(run);
  EXPECT_DOUBLE_EQ(report["result"]["threshold"], 0.5);
  EXPECT_EQ(report["result"]["threshold_chosen"], false);
  EXPECT_THAT(report["warnings"].dump(), HasSubstr("could not tell a threshold"));
}

// Numbers from a few lines of Python: Newcombe's method 5 for each site, put together by MOVER.
TEST(FederatedReport, MetricsGiveTheMeanOfTheSitesAucsAndSaySo) {
  FederatedRun run = FinishedRun(200);
  run.tests.push_back({1, "", "east", {}, Told(60, 0.8, 0.75)});
  run.tests.push_back({1, "", "west", {}, Told(40, 0.9, 0.85)});
  const Json report = BuildFederatedReport(run);
  const Json& result = report["result"];
  EXPECT_EQ(result["method"], "metrics");
  EXPECT_NEAR(result["auc"]["value"], 0.84, 1e-12);
  EXPECT_NEAR(result["auc"]["low"], 0.7246959383016107, 1e-9);
  EXPECT_NEAR(result["auc"]["high"], 0.9005731485557225, 1e-9);
  EXPECT_NEAR(result["by_site"][0]["auc"]["low"], 0.6527207732314415, 1e-9);
  EXPECT_EQ(result["by_site"][0]["auc"]["method"], "newcombe");
  EXPECT_EQ(result["auc"]["method"], "mover_sites");
  // 45 + 34 right of 100.
  EXPECT_DOUBLE_EQ(Metric(result, "accuracy_at_half")["value"], 0.79);
  EXPECT_TRUE(result["threshold"].is_null());
  EXPECT_TRUE(result["roc"].empty());
  EXPECT_THAT(report["warnings"].dump(), HasSubstr("image-weighted mean of the sites' AUCs"));
}

struct Drawn {
  EvaluationResult scores, histogram;
  std::vector<double> score;
  std::vector<uint8_t> ill;
};

Drawn Draw(uint64_t seed, int images, int bins) {
  Random random(seed, "federated report");
  Drawn drawn;
  std::vector<int64_t> ill(static_cast<size_t>(bins)), well = ill;
  for (int i = 0; i < images; ++i) {
    const bool is_ill = random.Uniform() < 0.5;
    const auto p =
        static_cast<float>(std::clamp(0.4 + 0.2 * is_ill + 0.2 * random.Normal(), 0.01, 0.99));
    drawn.scores.labels.push_back(is_ill ? 0 : 1);
    drawn.scores.probabilities.insert(drawn.scores.probabilities.end(), {p, 1 - p});
    drawn.score.push_back(p);
    drawn.ill.push_back(is_ill);
    ++(is_ill ? ill : well)[static_cast<size_t>(static_cast<double>(p) * bins)];
  }
  drawn.scores.images = images;
  drawn.histogram = Histogram(ill, well);
  return drawn;
}

TEST(FederatedReport, ScoresGiveWhatAStudyGives) {
  FederatedRun run = FinishedRun(200);
  const Drawn east = Draw(1, 90, 200), west = Draw(2, 70, 200);
  run.tests.push_back({1, "", "west", Draw(3, 40, 200).scores, west.scores});
  run.tests.push_back({1, "", "east", Draw(4, 40, 200).scores, east.scores});
  const Json result = BuildFederatedReport(run)["result"];
  EXPECT_EQ(result["method"], "scores");
  std::vector<double> score = east.score;
  std::vector<uint8_t> ill = east.ill;
  score.insert(score.end(), west.score.begin(), west.score.end());
  ill.insert(ill.end(), west.ill.begin(), west.ill.end());
  EXPECT_NEAR(result["auc"]["value"], stats::ComputeAuc(score, ill).auc, 1e-12);
  EXPECT_EQ(result["auc"]["method"], "delong");
  EXPECT_EQ(result["by_site"][0]["site"], "east");
  EXPECT_NEAR(result["by_site"][0]["auc"]["value"], stats::ComputeAuc(east.score, east.ill).auc,
              1e-12);
  double brier = 0;
  for (size_t i = 0; i < score.size(); ++i) brier += (score[i] - ill[i]) * (score[i] - ill[i]);
  EXPECT_NEAR(Metric(result, "brier")["value"], brier / static_cast<double>(score.size()), 1e-6);

  // One of them gives histograms only: then both are counted in bins, to the same numbers as two
  // histograms.
  run.tests[0].test = west.histogram;
  const Json mixed = BuildFederatedReport(run)["result"];
  EXPECT_EQ(mixed["method"], "histograms");
  run.tests[1].test = east.histogram;
  run.tests[1].validation = {};
  run.tests[0].validation = {};
  EXPECT_EQ(BuildFederatedReport(run)["result"]["auc"], mixed["auc"]);
  EXPECT_NEAR(mixed["auc"]["value"], result["auc"]["value"].get<double>(), 0.01);
}

TEST(FederatedReport, ShowsEverySitesOwnModelAtTheOthers) {
  FederatedRun run = FinishedRun(4);
  run.tests.push_back({1, "east", "west", {}, Histogram({0, 1, 1, 8}, {5, 4, 0, 1})});
  run.tests.push_back({1, "west", "east", {}, Told(60, 0.8, 0.75)});
  const Json report = BuildFederatedReport(run);
  EXPECT_TRUE(report["result"].is_null());  // the global model was tested nowhere
  const Json& cross = report["cross_site"];
  EXPECT_EQ(cross["sites"], Json({"east", "west"}));
  EXPECT_NEAR(cross["cells"][0]["auc"]["value"], (8 * 9.5 + 1 * 9 + 1 * (5 + 2)) / 100, 1e-12);
  EXPECT_NEAR(cross["cells"][1]["auc"]["low"], 0.6527207732314415, 1e-9);
}

TEST(FederatedReport, AnUnfinishedRunSaysSo) {
  FederatedRun run = FinishedRun(200);
  run.state = "gathering";
  run.best_round = -1;
  const Json report = BuildFederatedReport(run);
  EXPECT_TRUE(report["result"].is_null());
  EXPECT_THAT(report["warnings"].dump(), HasSubstr("not finished"));
  EXPECT_TRUE(BuildFederatedReport(FederatedRun())["result"].is_null());
}

// What no honest site sends: nothing of it is counted, and the page cannot be broken by it.
TEST(FederatedReport, NonsenseFromASiteCountsAsNotSent) {
  FederatedRun run = FinishedRun(4);
  run.sites[1].why = "</script><script>alert(1)</script>";
  EvaluationResult negative = Histogram({1, 1, -1, 4}, {5, 4, 0, 1});
  run.tests.push_back({1, "", "east", {}, negative});
  EvaluationResult huge = Told(40, 17.0, -3);
  huge.labels = {0, 7};
  huge.probabilities = {0.5f, 0.5f, NAN, 2.0f};
  run.tests.push_back({1, "", "west", {}, huge});
  const Json report = BuildFederatedReport(run);
  EXPECT_EQ(report["result"]["method"], "metrics");
  EXPECT_TRUE(report["result"]["auc"]["value"].is_null());
  EXPECT_TRUE(report["result"]["metrics"].empty());
  const auto page = FederatedReportPage(report);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_THAT(*page, Not(HasSubstr("<script>alert(1)")));
  EXPECT_THAT(*page, HasSubstr("Himeji Eye Federation"));
}

// The books of a round (`run show`, the web page) and the report say the same of the same tests,
// whatever the sites sent.
TEST(FederatedReport, SaysWhatTheBooksOfTheRoundSay) {
  constexpr int kBins = 4;
  EvaluationResult scores = Told(8, 0.75, 0.5);
  for (int i = 0; i < 8; ++i) {
    const float p = 0.1f * static_cast<float>(i + (i % 3 == 0 ? 2 : 0));
    scores.labels.push_back(i % 2);
    scores.probabilities.insert(scores.probabilities.end(), {p, 1 - p});
  }
  EvaluationResult histogram = Histogram({1, 2, 3, 4}, {6, 3, 2, 0});
  histogram.metrics = {{"auc", 0.8}};
  const EvaluationResult told = Told(40, 0.9, 0.8);
  EvaluationResult negative = Histogram({1, 1, -1, 4}, {5, 4, 0, 1});
  negative.metrics = {{"auc", 0.6}};
  const std::vector<std::pair<std::vector<EvaluationResult>, std::string>> cases = {
      {{scores, scores}, "scores"},        {{scores, histogram}, "histograms"},
      {{histogram, scores}, "histograms"}, {{histogram, histogram}, "histograms"},
      {{scores, told}, "metrics"},         {{histogram, told}, "metrics"},
      {{told, told}, "metrics"},           {{scores, negative}, "metrics"},
      {{{}, histogram}, "histograms"}};
  for (const auto& [sent, method] : cases) {
    SCOPED_TRACE(method);
    FederatedRun run = FinishedRun(kBins);
    for (size_t site = 0; site < 2; ++site)
      run.tests.push_back({1, "", run.sites[site].name, {}, sent[site]});
    const Json result = BuildFederatedReport(run)["result"];
    const PooledMetrics pooled = PoolResults(sent, 2, run.positive, kBins);
    EXPECT_EQ(result["method"], method);
    EXPECT_EQ(pooled.method, method);
    EXPECT_NEAR(result["auc"]["value"].get<double>(), pooled.auc, 1e-12);
    EXPECT_EQ(result["tested"], pooled.images);
  }
}

TEST(FederatedReport, TheSameRunGivesTheSameBytes) {
  const FederatedRun run = FinishedRun(4);
  EXPECT_EQ(BuildFederatedReport(run).dump(), BuildFederatedReport(run).dump());
  EXPECT_EQ(BuildFederatedReport(run)["created"], "2023-11-14T22:14:20Z");
}

}  // namespace
}  // namespace manako
