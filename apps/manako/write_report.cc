#include "apps/manako/write_report.h"

#include <fmt/format.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/status_macros.h"
#include "data/dataset.h"
#include "data/thumbnail.h"
#include "report/report.h"
#include "study/study.h"

namespace manako {
namespace {

using nlohmann::json;

// The images of a run by name, read on first use from its cache.
class Thumbnails {
 public:
  Thumbnails(std::string folder, RunConfig config)
      : folder_(std::move(folder)), config_(std::move(config)) {}

  absl::StatusOr<std::string> Jpeg(const std::string& file) {
    if (!read_) {
      read_ = true;
      DatasetOptions options;
      options.config = config_.data;
      options.cache_folder = config_.data.cache.empty() ? folder_ + "/cache" : config_.data.cache;
      dataset_ = ReadDataset(options);
      if (dataset_.ok()) {
        for (size_t i = 0; i < dataset_->images.size(); ++i) index_[dataset_->images[i].file] = i;
      }
    }
    MANAKO_RETURN_IF_ERROR(dataset_.status());
    const auto found = index_.find(file);
    if (found == index_.end()) return NotFound("{} is no image of this run", file);
    return ThumbnailJpeg(*dataset_->store, found->second, 96);
  }

 private:
  std::string folder_;
  RunConfig config_;
  bool read_ = false;
  absl::StatusOr<Dataset> dataset_ = absl::UnknownError("");
  std::map<std::string, size_t> index_;
};

std::string Estimate(const json& estimate) {
  const auto number = [&](const char* key) {
    const json& value = estimate.at(key);
    return value.is_number() ? fmt::format("{:.3f}", value.get<double>()) : std::string("-");
  };
  return fmt::format("{} ({} to {})", number("value"), number("low"), number("high"));
}

// As the report has it: two models that have both learnt nothing are equal, too.
void PrintCaution(const json& arms) {
  std::vector<std::string> names;
  for (const json& arm : arms) {
    const json& low = arm.at("auc").at("low");
    if (!low.is_number() || low.get<double>() <= 0.5)
      names.push_back(arm.at("name").get<std::string>());
  }
  if (names.empty()) return;
  fmt::print(
      "Caution: the AUC is not shown to be above chance (0.5) for {}: differences from it say "
      "nothing about the way of training.\n",
      fmt::join(names, ", "));
}

}  // namespace

absl::Status WriteRunReport(const std::string& run_folder, bool quiet) {
  ReportOptions options;
  options.run_folder = run_folder;
  auto config = ReadRunConfig(run_folder);
  if (!config.ok())
    return config.status().code() == absl::StatusCode::kNotFound
               ? NotFound("{} holds no run", run_folder)
               : config.status();
  options.thumbnails = config->study.thumbnails;
  options.margin = config->study.margin;
  const auto thumbnails = std::make_shared<Thumbnails>(run_folder, *config);
  options.thumbnail_jpeg = [thumbnails](const std::string& file) { return thumbnails->Jpeg(file); };
  MANAKO_RETURN_IF_ERROR(WriteReport(options));
  if (quiet) return absl::OkStatus();

  MANAKO_ASSIGN_OR_RETURN(const std::string text, ReadFile(run_folder + "/metrics.json"));
  const json metrics = json::parse(text, nullptr, false);
  if (!metrics.is_object()) return Internal("{}/metrics.json cannot be read back", run_folder);
  for (const json& arm : metrics.at("arms")) {
    fmt::print("{:<10} AUC {}\n", arm.at("name").get<std::string>(), Estimate(arm.at("auc")));
  }
  PrintCaution(metrics.at("arms"));
  for (const json& comparison : metrics.at("comparisons")) {
    fmt::print("{} - {}: {}", comparison.at("a").get<std::string>(),
               comparison.at("b").get<std::string>(), Estimate(comparison.at("difference")));
    if (const json& equivalence = comparison.at("equivalence"); equivalence.is_object()) {
      fmt::print(", {} within {}", equivalence.at("verdict").get<std::string>(),
                 equivalence.at("margin").get<double>());
    }
    fmt::print("\n");
  }
  fmt::print("Report: {}/report.html\n", run_folder);
  return absl::OkStatus();
}

}  // namespace manako
