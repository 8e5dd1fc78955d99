// predictions.csv of a run folder (docs/run-folder.md), as columns.
#ifndef MANAKO_REPORT_PREDICTIONS_H_
#define MANAKO_REPORT_PREDICTIONS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "report/journal.h"

namespace manako {

// What one model said about the images of one split, in rising order of `image`, so that two models
// that saw the same images have the same `image`. Numbers of images, patients and sites are those
// of RunPredictions.
struct ModelPredictions {
  std::vector<int32_t> image;
  std::vector<int32_t> patient;
  std::vector<int32_t> label;       // index of the true class
  std::vector<int32_t> image_site;  // the site that the image belongs to
  std::vector<float> probability;   // [image * classes + class]
  bool finite = true;               // false: some probability is no number from 0 to 1
  size_t size() const { return image.size(); }
};

struct RunPredictions {
  std::vector<std::string> classes;
  std::vector<std::string> files;  // by image number
  std::vector<std::string> sites;  // by site number
  std::map<ModelName, std::shared_ptr<const ModelPredictions>> validation, test;
  bool torn = false;  // the last line has no end: its writer died
};

// DataLoss, with the line, for another header, a wrong number of fields, a class or split that is
// none, a number that is none, or an image whose class or patient differs between rows. Of rows
// with the same model, split and file (a resumed run) the last one counts.
absl::StatusOr<RunPredictions> ParsePredictions(std::string_view text);

}  // namespace manako

#endif  // MANAKO_REPORT_PREDICTIONS_H_
