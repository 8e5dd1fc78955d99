#include "study/tables.h"

#include <fmt/format.h>

#include <filesystem>
#include <set>
#include <utility>

#include "base/csv.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/status_macros.h"

namespace manako {
namespace {

using nlohmann::json;

// The images of one split (and site, if >= 0) counted by class.
json CountByClass(const Dataset& dataset, const CellPlan& plan, Split split, int site) {
  std::vector<int> counts(dataset.classes.size());
  for (const int label : Select(dataset, plan, split, site).labels)
    ++counts[static_cast<size_t>(label)];
  return counts;
}

// What people call the data: the given folder's name, or of the folder that holds the manifest; an
// .npz has its own.
std::string SourceName(const std::string& source) {
  std::error_code error;
  std::filesystem::path path = std::filesystem::canonical(source, error);
  if (error) path = std::filesystem::path(source).lexically_normal();
  if (path.extension() == ".npz") return path.stem().string();
  return (std::filesystem::is_directory(path, error) ? path : path.parent_path())
      .filename()
      .string();
}

}  // namespace

json DataLoadedEvent(const Dataset& dataset, double seconds) {
  json bad = json::array();
  for (const BadImage& image : dataset.bad) {
    if (bad.size() < 1000) bad.push_back({{"file", image.file}, {"why", image.why}});
  }
  std::set<std::string> patients;
  for (const Image& image : dataset.images) patients.insert(image.patient);
  return {{"event", "data_loaded"},
          {"seconds", seconds},
          {"data",
           {{"source", dataset.source},
            {"name", SourceName(dataset.source)},
            {"classes", dataset.classes},
            {"positive", dataset.positive >= 0 ? json(dataset.positive) : json(nullptr)},
            {"synthetic", dataset.synthetic},
            {"images", dataset.images.size()},
            {"patients", dataset.has_patients ? json(patients.size()) : json(nullptr)},
            {"test_given", dataset.test_given},
            {"duplicates",
             {{"groups", dataset.duplicates.groups},
              {"images", dataset.duplicates.images},
              {"moved", dataset.duplicates.moved},
              {"conflicting", dataset.duplicates.conflicting}}},
            {"bad", {{"count", dataset.bad.size()}, {"listed", bad}}}}}};
}

json CellStartedEvent(const Dataset& dataset, const CellPlan& plan, int repeat, int fold,
                      uint64_t seed) {
  json splits = json::array(), sites = json::array();
  for (const auto& [name, split] : {std::pair{"train", Split::kTrain},
                                    {"validation", Split::kValidation},
                                    {"test", Split::kTest}}) {
    std::set<std::string> patients;
    for (const int image : Select(dataset, plan, split).images)
      patients.insert(dataset.images[static_cast<size_t>(image)].patient);
    splits.push_back({{"name", name},
                      {"per_class", CountByClass(dataset, plan, split, -1)},
                      {"patients", dataset.has_patients ? json(patients.size()) : json(nullptr)}});
  }
  for (size_t i = 0; i < plan.sites.size(); ++i) {
    const int site = static_cast<int>(i);
    sites.push_back({{"name", plan.sites[i]},
                     {"train", CountByClass(dataset, plan, Split::kTrain, site)},
                     {"validation", CountByClass(dataset, plan, Split::kValidation, site)},
                     {"test", CountByClass(dataset, plan, Split::kTest, site)}});
  }
  return {{"event", "cell_started"},      {"repeat", repeat}, {"fold", fold},
          {"seed", std::to_string(seed)}, {"splits", splits}, {"sites", sites}};
}

std::string DatasetDigest(const Dataset& dataset) {
  Sha256Hasher hasher;
  for (const std::string& name : dataset.classes) hasher.Add(name + "\n");
  const ImageStore& store = *dataset.store;
  const size_t bytes = static_cast<size_t>(store.height()) * static_cast<size_t>(store.width()) * 3;
  for (size_t i = 0; i < dataset.images.size(); ++i) {
    const Image& image = dataset.images[i];
    hasher.Add(fmt::format("{}\n{}\n{}\n{}\n{}\n", image.file, image.label, image.group, image.site,
                           static_cast<int>(image.given)));
    hasher.Add(store.Pixels(i), bytes);
  }
  return ToHex(hasher.Finish());
}

struct PredictionsWriter::Impl {
  const Dataset& dataset;
  std::unique_ptr<AtomicFileWriter> writer;
};

PredictionsWriter::PredictionsWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PredictionsWriter::~PredictionsWriter() = default;

absl::StatusOr<std::unique_ptr<PredictionsWriter>> PredictionsWriter::Create(
    const std::string& path, const Dataset& dataset) {
  MANAKO_ASSIGN_OR_RETURN(auto writer, AtomicFileWriter::Create(path));
  std::string head = "repeat,fold,arm,site,split,file,patient,image_site,label";
  for (const std::string& name : dataset.classes) head += "," + CsvField("p_" + name);
  MANAKO_RETURN_IF_ERROR(writer->Append(head + "\n"));
  return std::unique_ptr<PredictionsWriter>(
      new PredictionsWriter(std::unique_ptr<Impl>(new Impl{dataset, std::move(writer)})));
}

absl::Status PredictionsWriter::Add(const ModelKey& key, const char* split, const CellPlan& plan,
                                    const Predictions& predictions) {
  std::string text;
  const std::string model =
      fmt::format("{},{},{},{},{},", key.repeat, key.fold, key.arm, CsvField(key.site), split);
  for (size_t i = 0; i < predictions.images.size(); ++i) {
    const auto index = static_cast<size_t>(predictions.images[i]);
    const Image& image = impl_->dataset.images[index];
    const int site = plan.site[index];
    text += model + CsvField(image.file) + "," + CsvField(image.patient) + "," +
            (site >= 0 ? CsvField(plan.sites[static_cast<size_t>(site)]) : "") + "," +
            CsvField(impl_->dataset.classes[static_cast<size_t>(image.label)]);
    for (int c = 0; c < predictions.classes; ++c) {
      text += fmt::format(",{:.9g}",
                          predictions.probabilities[i * static_cast<size_t>(predictions.classes) +
                                                    static_cast<size_t>(c)]);
    }
    text += "\n";
  }
  return impl_->writer->Append(text);
}

absl::Status PredictionsWriter::Commit() { return impl_->writer->Commit(); }

}  // namespace manako
