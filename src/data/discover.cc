#include "data/discover.h"

#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <set>

#include "base/files.h"
#include "base/status_macros.h"
#include "data/npz.h"
#include "data/utf8.h"

namespace manako {
namespace {

bool IsNpz(const std::string& path) { return ToLowerAscii(path).ends_with(".npz"); }

absl::StatusOr<Found> DiscoverOne(const std::string& path, const DataConfig& config, bool is_test) {
  const std::string_view key = is_test ? "data.test" : "data.path";
  if (path.empty()) {
    return InvalidArgument("{} is empty: give a folder, a CSV manifest or an .npz file", key);
  }
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == EACCES) {
      return absl::PermissionDeniedError(
          fmt::format("{} may not be read ({})", ToDisplay(path), key));
    }
    return NotFound("{} does not exist ({})", ToDisplay(path), key);
  }
  absl::StatusOr<Found> found = S_ISDIR(info.st_mode) ? DiscoverFolder(path)
                                : IsNpz(path)         ? DiscoverNpz(path)
                                                      : DiscoverManifest(path, config, is_test);
  if (!found.ok()) return found;
  if (found->images.empty()) {
    return InvalidArgument("{} holds no images ({})", ToDisplay(path), key);
  }
  return found;
}

// A test set that is given apart takes its own test part, where it has one, else all of it.
void KeepTestPart(Found* test) {
  if (test->test_given) {
    std::erase_if(test->images,
                  [](const FoundImage& image) { return image.given != Split::kTest; });
  }
  for (FoundImage& image : test->images) {
    image.given = Split::kTest;
    image.file = "test:" + image.file;
  }
}

absl::Status CheckClasses(const Found& found, const std::string& path) {
  std::set<std::string> trained;
  for (const FoundImage& image : found.images) {
    if (image.given != Split::kTest) trained.insert(image.label);
  }
  for (const FoundImage& image : found.images) {
    if (!trained.contains(image.label)) {
      return InvalidArgument(
          "class \"{}\" is in the test set only ({}): name the classes alike in both", image.label,
          image.file);
    }
  }
  if (found.classes.size() == 1) {
    return InvalidArgument("{} has one class only (\"{}\"): at least two are needed",
                           ToDisplay(path), found.classes[0]);
  }
  return absl::OkStatus();
}

// A patient whose images the source itself puts on two sides would be learnt from and tested on.
absl::Status CheckPatients(const Found& found) {
  std::map<std::string, const FoundImage*> first;
  std::map<std::string, const FoundImage*> divided;
  for (const FoundImage& image : found.images) {
    if (image.patient.empty()) continue;
    const auto [at, is_new] = first.emplace(image.patient, &image);
    if (!is_new && at->second->given != image.given) divided.emplace(image.patient, &image);
  }
  if (divided.empty()) return absl::OkStatus();
  const auto& [patient, image] = *divided.begin();
  return InvalidArgument(
      "{} patients have images in two of training, validation and test (patient {}: {} and {}): "
      "keep each "
      "patient on one side, or give different people different ids",
      divided.size(), patient, first[patient]->file, image->file);
}

}  // namespace

Split SplitFromName(std::string_view name) {
  const std::string lower = ToLowerAscii(name);
  if (lower == "train" || lower == "training") return Split::kTrain;
  if (lower == "val" || lower == "valid" || lower == "validation") return Split::kValidation;
  if (lower == "test" || lower == "testing") return Split::kTest;
  return Split::kUnset;
}

absl::StatusOr<Found> Discover(const DataConfig& config) {
  MANAKO_ASSIGN_OR_RETURN(Found found, DiscoverOne(config.path, config, false));
  std::error_code ignored;
  if (std::filesystem::is_directory(config.path, ignored) || IsNpz(config.path)) {
    // Ignoring such a column would divide patients between training and test without a word.
    for (const auto& [key, column] : {std::pair{"group_column", config.group_column},
                                      {"site_column", config.site_column},
                                      {"split_column", config.split_column}}) {
      if (!column.empty()) {
        return InvalidArgument(
            "data.{} is {}, but {} has no columns: give a CSV manifest with file, label and {}",
            key, column, ToDisplay(config.path), column);
      }
    }
  }
  if (!config.test.empty()) {
    if (found.test_given) {
      return InvalidArgument(
          "data.test is given, but {} has a test set of its own: leave one of them out",
          ToDisplay(config.path));
    }
    MANAKO_ASSIGN_OR_RETURN(Found test, DiscoverOne(config.test, config, true));
    KeepTestPart(&test);
    std::move(test.images.begin(), test.images.end(), std::back_inserter(found.images));
    for (BadImage& bad : test.left_out) found.left_out.push_back({"test:" + bad.file, bad.why});
    found.test_given = true;
    found.has_patients = found.has_patients || test.has_patients;
    found.synthetic = found.synthetic || test.synthetic;
  }
  std::sort(found.images.begin(), found.images.end(),
            [](const FoundImage& a, const FoundImage& b) { return a.file < b.file; });

  std::set<std::string> names;
  bool numbers = true;
  for (const FoundImage& image : found.images) {
    names.insert(image.label);
    numbers = numbers && !image.array.empty();
  }
  found.classes.assign(names.begin(), names.end());
  if (numbers) {
    std::sort(found.classes.begin(), found.classes.end(),
              [](const std::string& a, const std::string& b) {
                return a.size() != b.size() ? a.size() < b.size() : a < b;
              });
  }
  MANAKO_RETURN_IF_ERROR(CheckClasses(found, config.path));
  MANAKO_RETURN_IF_ERROR(CheckPatients(found));
  return found;
}

absl::StatusOr<Found> DiscoverNpz(const std::string& file) {
  const std::string name = std::filesystem::path(file).filename().string();
  MANAKO_ASSIGN_OR_RETURN(auto mapped, MappedFile::Open(file));
  const auto npz = NpzFile::Parse(mapped->bytes());
  if (!npz.ok()) return Annotate(npz.status(), ToDisplay(file));
  if (!npz->Has("train_images")) {
    return InvalidArgument("{} has no array train_images (it has: {}): MedMNIST's names are read",
                           ToDisplay(file), fmt::join(npz->names(), ", "));
  }
  Found found;
  for (const auto& [part, split] : {std::pair<std::string, Split>{"train", Split::kTrain},
                                    {"val", Split::kValidation},
                                    {"test", Split::kTest}}) {
    const std::string array = part + "_images";
    if (!npz->Has(array)) continue;
    const auto images = npz->Open(array);
    if (!images.ok()) return Annotate(images.status(), ToDisplay(file));
    const NpyHeader& header = (*images)->header();
    const auto& shape = header.shape;
    if (absl::Status status = CheckPictures(header); !status.ok()) {
      return Annotate(status, fmt::format("{}: {}", ToDisplay(file), array));
    }
    const auto labels = npz->ReadLabels(part + "_labels");
    if (!labels.ok()) return Annotate(labels.status(), ToDisplay(file));
    if (static_cast<int64_t>(labels->size()) != shape[0]) {
      return InvalidArgument("{}: {} images in {}, but {} labels in {}_labels", ToDisplay(file),
                             shape[0], array, labels->size(), part);
    }
    for (int64_t row = 0; row < shape[0]; ++row) {
      found.images.push_back({.file = fmt::format("{}#{}/{}", ToDisplay(name), part, row),
                              .path = file,
                              .array = array,
                              .row = row,
                              .label = std::to_string((*labels)[static_cast<size_t>(row)]),
                              .patient = "",
                              .site = "",
                              .given = split});
    }
    found.test_given = found.test_given || (split == Split::kTest && shape[0] > 0);
  }
  return found;
}

}  // namespace manako
