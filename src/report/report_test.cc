#include "report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "report/fake_run.h"
#include "report/stats/auc.h"
#include "report/stats/compare.h"
#include "report/stats/multiclass.h"
#include "report/stats/roc.h"

namespace manako {
namespace {

using Json = nlohmann::json;
using Model = FakeRun::Model;

constexpr char kToml[] =
    "[train]\nlocal_epochs = 1\n[study]\nmargin = 0.05\nrepeats = 1\nfolds = 0\n";
const std::vector<std::string> kSites = {"Kita", "Minato"};
const std::vector<std::string> kBinary = {"well", "ill"};

Json Build(const FakeRun& run) {
  const auto report = BuildReport({.run_folder = run.folder()});
  EXPECT_TRUE(report.ok()) << report.status();
  return report.ok() ? *report : Json();
}

const Json& Arm(const Json& report, const std::string& name) {
  for (const Json& arm : report["arms"]) {
    if (arm["name"] == name) return arm;
  }
  ADD_FAILURE() << "no arm " << name;
  return report["arms"][0];
}

Json Metric(const Json& arm, const std::string& key) {
  for (const Json& metric : arm["metrics"]) {
    if (metric["key"] == key) return metric["estimate"];
  }
  ADD_FAILURE() << "no metric " << key;
  return {};
}

std::string Warnings(const Json& report) {
  std::string all;
  for (const Json& w : report["warnings"]) all += w["en"].get<std::string>() + "\n";
  return all;
}

// All arms of one cell, with rounds and predictions.
void AddCell(FakeRun& run, int repeat, int fold, const std::vector<FakeImage>& test) {
  run.Cell(repeat, fold, 100, kSites);
  const auto validation = run.Images(fmt::format("v{}_{}_", repeat, fold), 60, 1, kSites);
  const std::vector<Model> models = {{repeat, fold, "pooled", "", 1.6},
                                     {repeat, fold, "federated", "", 1.5},
                                     {repeat, fold, "alone", "Kita", 1.1},
                                     {repeat, fold, "alone", "Minato", 0.9}};
  for (const Model& model : models) {
    run.Rounds(repeat, fold, model.arm, model.site, 3);
    run.Predict(model, "validation", validation);
    run.Predict(model, "test", test);
  }
}

std::vector<double> Scores(const FakeRun& run, const Model& model,
                           const std::vector<FakeImage>& images) {
  std::vector<double> scores;
  for (const FakeImage& image : images) scores.push_back(run.Probabilities(model, image)[1]);
  return scores;
}

std::vector<uint8_t> Positives(const std::vector<FakeImage>& images) {
  std::vector<uint8_t> positive;
  for (const FakeImage& image : images) positive.push_back(image.label == 1);
  return positive;
}

std::vector<int64_t> PatientIds(const std::vector<FakeImage>& images, int per_patient) {
  std::vector<int64_t> ids;
  for (size_t i = 0; i < images.size(); ++i) ids.push_back(static_cast<int64_t>(i) / per_patient);
  return ids;
}

TEST(Report, OneCell) {
  FakeRun run(kBinary, 1);
  run.Start(kToml);
  const auto test = run.Images("t", 120, 2, kSites);
  AddCell(run, 1, 1, test);
  run.Finish();
  run.Write();
  const Json report = Build(run);

  EXPECT_EQ(report["format"], 1);
  EXPECT_EQ(report["title"], "eyes");
  EXPECT_EQ(report["created"], "2026-09-21T14:13:43Z");
  EXPECT_EQ(report["synthetic"], true);
  EXPECT_EQ(report["data"]["positive"], 1);
  EXPECT_EQ(report["data"]["sites"][0]["name"], "Kita");
  EXPECT_EQ(report["data"]["splits"][0]["per_class"], Json({100, 100}));
  EXPECT_EQ(report["protocol"]["margin"], 0.05);
  EXPECT_EQ(report["protocol"]["rows"][0], (Json{{"key", "local_epochs"}, {"value", "1"}}));
  EXPECT_EQ(report["protocol"]["visits_per_arm"], 600);  // alone: two sites of three rounds of 100
  EXPECT_EQ(report["protocol"]["primary_metric"], "auc");
  EXPECT_EQ(report["times"]["total_seconds"], 77);
  EXPECT_EQ(report["cells"][0]["seed"], "18446744073709551001");
  EXPECT_EQ(report["cells"][0]["auc"].size(), 4u);
  EXPECT_THAT(Warnings(report), testing::Not(testing::HasSubstr("not finished")));

  // The AUCs by the statistics library on the very probabilities.
  const auto positive = Positives(test);
  const auto patients = stats::Clusters::From(PatientIds(test, 2));
  const std::vector<stats::AucComponents> models = {
      stats::ComputeAuc(Scores(run, {1, 1, "federated", "", 1.5}, test), positive),
      stats::ComputeAuc(Scores(run, {1, 1, "pooled", "", 1.6}, test), positive)};
  const stats::Joint joint = stats::AucCovariance(models, positive, patients);
  const Json& federated = Arm(report, "federated");
  EXPECT_EQ(federated["auc"]["method"], "delong_clustered");
  EXPECT_NEAR(federated["auc"]["value"], joint.value[0], 1e-12);
  const auto interval =
      stats::LogitInterval({joint.value[0], std::sqrt(joint.cov(0, 0)), stats::kNormal}, 0.95);
  EXPECT_NEAR(federated["auc"]["low"], interval.low, 1e-12);

  const Json& comparison = report["comparisons"][0];
  EXPECT_EQ(comparison["a"], "federated");
  EXPECT_EQ(comparison["b"], "pooled");
  EXPECT_EQ(comparison["test"], "delong_paired_clustered");
  const stats::Measured d = stats::PairedDifference(joint);
  EXPECT_NEAR(comparison["difference"]["value"], d.value, 1e-12);
  EXPECT_NEAR(comparison["difference"]["low"], d.value - 1.959963984540054 * d.standard_error,
              1e-12);
  EXPECT_NEAR(comparison["equivalence"]["low90"], d.value - 1.6448536269514722 * d.standard_error,
              1e-12);
  EXPECT_NEAR(comparison["p_value"], stats::PValue(d), 1e-12);
  EXPECT_NEAR(comparison["equivalence"]["p_value"], stats::TostPValue(d, 0.05), 1e-12);
  EXPECT_NEAR(comparison["by_cell"][0]["p_value"], stats::PValue(d), 1e-12);
  EXPECT_EQ(report["comparisons"][1]["b"], "alone");
  EXPECT_TRUE(report["comparisons"][1]["equivalence"].is_null());
  EXPECT_EQ(report["comparisons"][2]["a"], "pooled");

  // The threshold is chosen on validation and used on the test images.
  const auto validation = run.Images("v1_1_", 60, 1, kSites);
  const double threshold = stats::YoudenThreshold(
      Scores(run, {1, 1, "federated", "", 1.5}, validation), Positives(validation));
  EXPECT_DOUBLE_EQ(federated["threshold"], threshold);
  const auto scores = Scores(run, {1, 1, "federated", "", 1.5}, test);
  double hits = 0;
  for (size_t i = 0; i < test.size(); ++i) hits += positive[i] && scores[i] >= threshold;
  EXPECT_NEAR(Metric(federated, "sensitivity")["value"], hits / 60, 1e-12);
  EXPECT_EQ(Metric(federated, "sensitivity")["method"], "wilson_clustered");
  EXPECT_EQ(federated["confusion"][1][1], static_cast<int>(hits));

  // Alone: the mean over sites; everything else once for each site.
  const Json& alone = Arm(report, "alone");
  const double kita =
      stats::ComputeAuc(Scores(run, {1, 1, "alone", "Kita", 1.1}, test), positive).auc;
  const double minato =
      stats::ComputeAuc(Scores(run, {1, 1, "alone", "Minato", 0.9}, test), positive).auc;
  EXPECT_NEAR(alone["auc"]["value"], (kita + minato) / 2, 1e-12);
  EXPECT_EQ(alone["roc"].size(), 2u);
  EXPECT_EQ(alone["roc"][1]["label"], "Minato");
  EXPECT_TRUE(alone["threshold"].is_null());
  EXPECT_EQ(alone["by_round"].size(), 2u);
  EXPECT_EQ(alone["by_round"][0]["best_round"], 2);
  EXPECT_EQ(alone["by_round"][0]["rounds"], Json({0, 1, 2, 3}));
  EXPECT_TRUE(alone["by_round"][0]["train_loss"][0].is_null());
  EXPECT_EQ(alone["train_seconds"], 12);
  EXPECT_EQ(alone["images_per_second"], 50);
  int decided = 0;
  for (const Json& row : alone["confusion"]) {
    for (const Json& count : row) decided += count.get<int>();
  }
  EXPECT_EQ(decided, 240);

  // A site's own images only; of alone, the site's own model.
  ASSERT_EQ(alone["by_site"].size(), 2u);
  std::vector<FakeImage> of_minato;
  for (const FakeImage& image : test) {
    if (image.site == "Minato") of_minato.push_back(image);
  }
  EXPECT_NEAR(alone["by_site"][1]["auc"]["value"],
              stats::ComputeAuc(Scores(run, {1, 1, "alone", "Minato", 0.9}, of_minato),
                                Positives(of_minato))
                  .auc,
              1e-12);
  EXPECT_EQ(alone["by_site"][1]["images"], Json({30, 30}));

  // Mistakes: the surest first, none of them right.
  double last = 1;
  for (const Json& mistake : federated["mistakes"]) {
    EXPECT_NE(mistake["truth"], mistake["predicted"]);
    EXPECT_LE(mistake["probability"], last);
    last = mistake["probability"];
  }
  EXPECT_FALSE(federated["mistakes"].empty());
}

TEST(Report, RepeatsOnTheSameTestImages) {
  FakeRun run(kBinary, 1);
  run.Start(kToml);
  const auto test = run.Images("t", 100, 1, kSites);
  for (int r = 1; r <= 3; ++r) AddCell(run, r, 1, test);
  run.Finish();
  run.Write();
  const Json report = Build(run);
  const auto positive = Positives(test);
  std::vector<stats::AucComponents> models;
  for (const auto& [arm, skill] : {std::pair("federated", 1.5), std::pair("pooled", 1.6)}) {
    for (int r = 1; r <= 3; ++r) {
      models.push_back(stats::ComputeAuc(Scores(run, {r, 1, arm, "", skill}, test), positive));
    }
  }
  const stats::Measured d = stats::ObuchowskiRocketteDifference(
      stats::AucCovariance(models, positive, stats::Clusters::Singles(test.size())));
  const Json& comparison = report["comparisons"][0];
  EXPECT_EQ(comparison["test"], "obuchowski_rockette");
  EXPECT_NEAR(comparison["difference"]["value"], d.value, 1e-12);
  EXPECT_NEAR(comparison["difference"]["high"], stats::PlainInterval(d, 0.95, -1, 1).high, 1e-12);
  EXPECT_NEAR(comparison["p_value"], stats::PValue(d), 1e-12);
  EXPECT_EQ(comparison["by_cell"].size(), 3u);
  const Json& pooled = Arm(report, "pooled");
  EXPECT_EQ(pooled["auc"]["method"], "obuchowski_rockette");
  double mean = 0;
  for (const Json& cell : report["cells"]) mean += cell["auc"][0]["value"].get<double>() / 3;
  EXPECT_NEAR(pooled["auc"]["value"], mean, 1e-12);
  EXPECT_EQ(Metric(pooled, "sensitivity")["method"], "obuchowski_rockette");
  EXPECT_EQ(Metric(pooled, "brier")["method"], "obuchowski_rockette");
}

TEST(Report, FoldsAreOtherImages) {
  FakeRun run(kBinary, 1);
  run.Start(kToml);
  for (int fold = 1; fold <= 4; ++fold) {
    AddCell(run, 1, fold, run.Images(fmt::format("f{}_", fold), 50, 1, kSites));
  }
  run.Finish();
  run.Write();
  const Json report = Build(run);
  const Json& comparison = report["comparisons"][0];
  EXPECT_EQ(comparison["test"], "corrected_t");
  std::vector<double> differences;
  for (const Json& cell : comparison["by_cell"]) differences.push_back(cell["difference"]);
  ASSERT_EQ(differences.size(), 4u);
  // 50 test images against 2 * 100 training images.
  const auto expected =
      stats::PlainInterval(stats::CorrectedResampledT(differences, 0.25), 0.95, -1, 1);
  EXPECT_NEAR(comparison["difference"]["low"], expected.low, 1e-12);
  EXPECT_NEAR(comparison["difference"]["high"], expected.high, 1e-12);
  const Json& pooled = Arm(report, "pooled");
  EXPECT_EQ(pooled["auc"]["method"], "corrected_t");
  EXPECT_EQ(Metric(pooled, "accuracy")["method"], "wilson");  // each patient once
  int decided = 0;
  for (const Json& row : pooled["confusion"]) {
    for (const Json& count : row) decided += count.get<int>();
  }
  EXPECT_EQ(decided, 200);
  const double right = pooled["confusion"][0][0].get<int>() + pooled["confusion"][1][1].get<int>();
  EXPECT_NEAR(Metric(pooled, "accuracy")["value"], right / 200, 1e-12);
}

TEST(Report, ThreeClasses) {
  FakeRun run({"none", "mild", "severe"});
  run.Start(kToml);
  const auto test = run.Images("t", 120, 1, kSites);
  AddCell(run, 1, 1, test);
  run.Finish();
  run.Write();
  const Json report = Build(run);
  EXPECT_TRUE(report["data"]["positive"].is_null());
  EXPECT_EQ(report["protocol"]["primary_metric"], "macro_auc");
  const Json& pooled = Arm(report, "pooled");
  std::vector<float> probability;
  std::vector<int32_t> label;
  for (const FakeImage& image : test) {
    for (const float p : run.Probabilities({1, 1, "pooled", "", 1.6}, image))
      probability.push_back(p);
    label.push_back(image.label);
  }
  const stats::WeightedMacroAuc macro(probability, label, 3, stats::Clusters::Singles(120));
  const double value = macro(std::vector<uint32_t>(120, 1));
  EXPECT_NEAR(pooled["auc"]["value"], value, 1e-12);
  EXPECT_EQ(pooled["auc"]["method"], "bootstrap");
  EXPECT_LT(pooled["auc"]["low"], value);
  EXPECT_GT(pooled["auc"]["high"], value);
  EXPECT_TRUE(pooled["threshold"].is_null());
  EXPECT_TRUE(pooled["roc"].empty());
  std::vector<std::string> keys;
  for (const Json& metric : pooled["metrics"]) keys.push_back(metric["key"]);
  EXPECT_EQ(keys,
            (std::vector<std::string>{"accuracy", "balanced_accuracy", "quadratic_kappa", "brier",
                                      "recall:none", "recall:mild", "recall:severe"}));
  EXPECT_EQ(report["comparisons"][0]["test"], "bootstrap_paired");
  EXPECT_FALSE(report["comparisons"][0]["p_value"].is_null());
  EXPECT_EQ(pooled["confusion"].size(), 3u);
}

TEST(Report, ThreeClassesRepeated) {
  FakeRun run({"none", "mild", "severe"});
  run.Start(kToml);
  const auto test = run.Images("t", 90, 1, kSites);
  for (int r = 1; r <= 2; ++r) AddCell(run, r, 1, test);
  run.Write();
  const Json report = Build(run);
  EXPECT_EQ(Arm(report, "alone")["auc"]["method"], "obuchowski_rockette");
  EXPECT_EQ(report["comparisons"][0]["test"], "obuchowski_rockette");
  const Json kappa = Metric(Arm(report, "alone"), "quadratic_kappa");
  EXPECT_LT(kappa["low"], kappa["value"]);
  EXPECT_LT(kappa["value"], kappa["high"]);
}

TEST(Report, UnfinishedRun) {
  FakeRun run(kBinary, 1);
  run.Start(kToml);
  run.Cell(1, 1, 100, kSites);
  run.Rounds(1, 1, "pooled", "", 2);
  run.journal() += "{\"event\":\"round\",\"repeat\":1,\"fo";
  run.Write(/*with_predictions=*/false);
  const Json report = Build(run);
  EXPECT_THAT(Warnings(report), testing::HasSubstr("not finished"));
  EXPECT_THAT(Warnings(report), testing::HasSubstr("predictions for 0 of 1 cells"));
  ASSERT_EQ(report["arms"].size(), 1u);
  EXPECT_TRUE(report["arms"][0]["auc"]["value"].is_null());
  EXPECT_EQ(report["arms"][0]["by_round"][0]["rounds"].size(), 3u);
  EXPECT_TRUE(report["comparisons"].empty());
  EXPECT_TRUE(WriteReport({.run_folder = run.folder()}).ok());
}

TEST(Report, MissingAndBrokenPredictionsLeaveTheRest) {
  FakeRun run(kBinary, 1);
  run.Start(kToml);
  const auto test = run.Images("t", 60, 1, kSites);
  AddCell(run, 1, 1, test);
  run.Cell(2, 1, 100, kSites);
  run.Predict({2, 1, "pooled", "", 1.6}, "test", test);           // federated is missing
  run.Predict({2, 1, "alone", "Kita", 1.1}, "test", test);        // a site is missing
  run.Row({2, 1, "federated", ""}, "test", test[0], {NAN, NAN});  // and this is no probability
  run.Write();
  const Json report = Build(run);
  EXPECT_THAT(Warnings(report),
              testing::HasSubstr("'federated' has usable predictions for 1 of 2"));
  EXPECT_THAT(Warnings(report), testing::HasSubstr("'alone' has usable predictions for 1 of 2"));
  // Without validation the threshold is one half, and the report says so.
  EXPECT_THAT(Warnings(report), testing::HasSubstr("could not tell a threshold"));
  EXPECT_EQ(Arm(report, "pooled")["auc"]["method"], "obuchowski_rockette");
  EXPECT_EQ(report["comparisons"][0]["test"], "delong_paired");
  ASSERT_EQ(report["comparisons"][0]["by_cell"].size(), 2u);
  EXPECT_TRUE(report["comparisons"][0]["by_cell"][1]["a"].is_null());
  EXPECT_FALSE(report["comparisons"][0]["by_cell"][1]["b"].is_null());
}

TEST(Report, StoppedModelIsSaid) {
  FakeRun run(kBinary, 1);
  run.Start(kToml);
  AddCell(run, 1, 1, run.Images("t", 60, 1, kSites));
  run.Event({{"event", "model_stopped"},
             {"repeat", 1},
             {"fold", 1},
             {"arm", "alone"},
             {"site", "Kita"},
             {"round", 3},
             {"en", "the loss became NaN"},
             {"ja", "損失が数値でなくなった"}});
  run.Write();
  const Json report = Build(run);
  EXPECT_EQ(Arm(report, "alone")["stopped"][0]["site"], "Kita");
  EXPECT_EQ(Arm(report, "alone")["stopped"][0]["why"]["en"], "the loss became NaN");
  EXPECT_EQ(Arm(report, "alone")["stopped"][0]["why"]["ja"], "損失が数値でなくなった");
}

// What was typed may say nothing ("manifest.csv"); the run's own name for the data does.
TEST(Report, TitleIsTheNameOfTheData) {
  FakeRun run(kBinary, 1);
  run.data()["source"] = "manifest.csv";
  run.data()["name"] = "hygd";
  run.Start(kToml);
  AddCell(run, 1, 1, run.Images("t", 60, 1, kSites));
  run.Write();
  const Json report = Build(run);
  EXPECT_EQ(report["title"], "hygd");
  EXPECT_EQ(report["data"]["name"], "hygd");
  EXPECT_EQ(report["data"]["source"], "manifest.csv");
}

TEST(Report, HostileNames) {
  FakeRun run(kBinary, 1);
  run.Start("[data]\nsource = '</script><script>alert(1)</script>'\n");
  auto test = run.Images("</script><img src=x>,\"\n", 40, 1, {"</script>", "Minato"});
  for (FakeImage& image : test) image.file += "\xff\xfe";  // no UTF-8
  for (const char* arm : {"pooled", "federated"}) {
    run.Predict({1, 1, arm, "", 0.1}, "test", test);  // bad models: many mistakes
  }
  run.Finish();
  run.Write();
  std::vector<std::string> asked;
  const ReportOptions options{
      .run_folder = run.folder(),
      .thumbnail_jpeg =
          [&](const std::string& file) {
            asked.push_back(file);
            return asked.size() % 2 == 0 ? absl::StatusOr<std::string>(absl::NotFoundError("gone"))
                                         : absl::StatusOr<std::string>("jpeg");
          },
      .max_mistakes = 5};
  ASSERT_TRUE(WriteReport(options).ok());
  EXPECT_EQ(asked.size(), 10u);

  const std::string html = run.Read("report.html");
  const std::string opening = "<script type=\"application/json\" id=\"manako-report\">";
  const size_t begin = html.find(opening) + opening.size();
  const std::string inside = html.substr(begin, html.find("</script>", begin) - begin);
  const Json in_page = Json::parse(inside, nullptr, false);
  ASSERT_TRUE(in_page.is_object());
  EXPECT_EQ(inside.find('<'), std::string::npos);
  const Json& mistakes = Arm(in_page, "pooled")["mistakes"];
  ASSERT_EQ(mistakes.size(), 5u);
  EXPECT_THAT(mistakes[0]["file"].get<std::string>(),
              testing::HasSubstr("</script><img src=x>,\"\n"));
  EXPECT_THAT(mistakes[0]["file"].get<std::string>(),
              testing::EndsWith("\xef\xbf\xbd\xef\xbf\xbd"));
  EXPECT_EQ(mistakes[0]["thumbnail"], "data:image/jpeg;base64,anBlZw==");
  EXPECT_TRUE(mistakes[1]["thumbnail"].is_null());

  Json metrics = Json::parse(run.Read("metrics.json"), nullptr, false);
  ASSERT_TRUE(metrics.is_object());
  EXPECT_TRUE(Arm(metrics, "pooled")["mistakes"][0]["thumbnail"].is_null());
  Json without = in_page;
  for (Json& arm : without["arms"]) {
    for (Json& mistake : arm["mistakes"]) mistake["thumbnail"] = nullptr;
  }
  EXPECT_EQ(metrics, without);
}

TEST(Report, SameFolderSameBytes) {
  FakeRun run({"none", "mild", "severe"});
  run.Start(kToml);
  AddCell(run, 1, 1, run.Images("t", 60, 1, kSites));
  run.Finish();
  run.Write();
  ASSERT_TRUE(WriteReport({.run_folder = run.folder()}).ok());
  const std::string html = run.Read("report.html"), metrics = run.Read("metrics.json");
  ASSERT_TRUE(WriteReport({.run_folder = run.folder()}).ok());
  EXPECT_EQ(run.Read("report.html"), html);
  EXPECT_EQ(run.Read("metrics.json"), metrics);
}

TEST(Report, Refusals) {
  EXPECT_EQ(BuildReport({.run_folder = "/nowhere"}).status().code(), absl::StatusCode::kNotFound);
  FakeRun run(kBinary, 1);
  run.Start(kToml);
  run.csv() += "1,1,pooled,,test,a,A,,ill\n";
  run.Write();
  const auto report = BuildReport({.run_folder = run.folder()});
  EXPECT_EQ(report.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(report.status().message()),
              testing::HasSubstr("predictions.csv: line 2"));
  run.csv() = "repeat,fold,arm,site,split,file,patient,image_site,label,p_ill,p_well\n";
  run.Write();
  EXPECT_EQ(BuildReport({.run_folder = run.folder()}).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(BuildReport({.run_folder = run.folder(), .margin = 0}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace manako
