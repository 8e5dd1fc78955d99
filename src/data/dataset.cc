#include "data/dataset.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "base/status_macros.h"
#include "core/classes.h"
#include "data/discover.h"
#include "data/duplicates.h"
#include "data/image_loader.h"

namespace manako {
namespace {

absl::StatusOr<int> FindPositive(const std::vector<std::string>& classes,
                                 const std::string& wanted) {
  const bool known = std::find(classes.begin(), classes.end(), wanted) != classes.end();
  if (!wanted.empty() && !known) {
    return InvalidArgument("data.positive is \"{}\", but the classes are: {}", wanted,
                           fmt::join(classes, ", "));
  }
  return PositiveClass(classes, wanted);
}

// Fills images and bad from what was found and how it was decoded. Returns the cache slot of each
// image.
std::vector<size_t> TakeGoodImages(const Found& found, const ImageCache& cache, Dataset* dataset) {
  std::map<std::string, int> labels;
  for (const std::string& name : dataset->classes)
    labels.emplace(name, static_cast<int>(labels.size()));
  std::vector<size_t> slots;
  for (size_t slot = 0; slot < found.images.size(); ++slot) {
    const FoundImage& from = found.images[slot];
    if (cache.image(slot).bad) {
      dataset->bad.push_back({from.file, cache.image(slot).why});
      continue;
    }
    Image image;
    image.file = from.file;
    image.label = labels.at(from.label);
    image.patient = from.patient.empty() ? from.file : from.patient;
    image.site = from.site;
    image.given = from.given;
    dataset->images.push_back(std::move(image));
    slots.push_back(slot);
  }
  return slots;
}

absl::Status CheckBadShare(const Dataset& dataset, size_t found, double max_bad) {
  const size_t bad = dataset.bad.size();
  if (bad == 0 || static_cast<double>(bad) <= max_bad * static_cast<double>(found))
    return absl::OkStatus();
  std::string list;
  for (size_t i = 0; i < std::min<size_t>(bad, 3); ++i) {
    list += fmt::format("{}{}: {}", i > 0 ? "; " : "", dataset.bad[i].file, dataset.bad[i].why);
  }
  return InvalidArgument(
      "{} of {} images cannot be read, more than data.max_bad = {} allows ({}{})", bad, found,
      max_bad, list, bad > 3 ? "; ..." : "");
}

absl::Status CheckEveryClassHasImages(const Dataset& dataset) {
  std::vector<int> counts(dataset.classes.size());
  for (const Image& image : dataset.images) ++counts[static_cast<size_t>(image.label)];
  for (size_t c = 0; c < counts.size(); ++c) {
    if (counts[c] > 0) continue;
    return InvalidArgument(
        "no image of class \"{}\" is left: all are unreadable or have twins with another label",
        dataset.classes[c]);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Dataset> ReadDataset(const DatasetOptions& options) {
  const DataConfig& config = options.config;
  if (config.image_size < 1 || config.image_size > 4096) {
    return InvalidArgument("data.image_size must be 1 to 4096, but is {}", config.image_size);
  }
  if (!(config.max_bad >= 0 && config.max_bad <= 1)) {
    return InvalidArgument("data.max_bad must be 0 to 1, but is {}", config.max_bad);
  }
  MANAKO_ASSIGN_OR_RETURN(const CropMode crop, ParseCropMode(config.crop));
  MANAKO_ASSIGN_OR_RETURN(Found found, Discover(config));
  Dataset dataset;
  dataset.source = config.path;
  dataset.classes = found.classes;
  dataset.synthetic = found.synthetic;
  dataset.has_patients = found.has_patients;
  dataset.test_given = found.test_given;
  MANAKO_ASSIGN_OR_RETURN(dataset.positive, FindPositive(dataset.classes, config.positive));
  MANAKO_ASSIGN_OR_RETURN(const auto cache,
                          LoadImages(found.images, {.cache_folder = options.cache_folder,
                                                    .decode = {config.image_size, crop},
                                                    .threads = options.threads,
                                                    .progress = options.progress}));
  std::vector<size_t> slots = TakeGoodImages(found, *cache, &dataset);
  MANAKO_RETURN_IF_ERROR(CheckBadShare(dataset, found.images.size(), config.max_bad));
  std::move(found.left_out.begin(), found.left_out.end(), std::back_inserter(dataset.bad));

  const auto digests = [&] {
    std::vector<Sha256Digest> list;
    for (size_t slot : slots) list.push_back(cache->image(slot).digest);
    return list;
  };
  std::vector<size_t> kept;
  for (size_t i : SetDuplicatesAside(digests(), &dataset)) kept.push_back(slots[i]);
  slots = std::move(kept);
  AssignGroups(digests(), &dataset);
  MANAKO_RETURN_IF_ERROR(CheckEveryClassHasImages(dataset));
  std::sort(dataset.bad.begin(), dataset.bad.end(), [](const BadImage& a, const BadImage& b) {
    return std::tie(a.file, a.why) < std::tie(b.file, b.why);
  });
  dataset.store = std::make_shared<CacheSelection>(cache, std::move(slots));
  return dataset;
}

}  // namespace manako
