// Finds the images that a data source names, before any of them is opened.
#ifndef MANAKO_DATA_DISCOVER_H_
#define MANAKO_DATA_DISCOVER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/run_config.h"
#include "data/dataset.h"

namespace manako {

// Where an image is: a file, or row `row` of array `array` of the .npz `path`.
struct FoundImage {
  std::string file;   // as in Image
  std::string path;   // any bytes, as the system wants them
  std::string array;  // empty: `path` is the image file
  int64_t row = 0;
  std::string label;    // class name
  std::string patient;  // empty where no patient column was given
  std::string site;
  Split given = Split::kUnset;
};

struct Found {
  std::vector<FoundImage> images;  // sorted by `file`
  std::vector<std::string>
      classes;  // of the images; sorted by name, or by number where all come from .npz
  bool synthetic = false, has_patients = false, test_given = false;
  std::vector<BadImage> left_out;  // manifest rows that repeat a file with the same label
};

// Finds the images of config.path and, as test set, of config.test. What a path is:
//   - a folder with train/ and test/ (or val/): class folders in each of them. Names in any case;
//   training, testing,
//     valid and validation too.
//   - another folder: its subfolders are the classes, with images at any depth.
//   - *.npz: train_images, train_labels, val_*, test_* as MedMNIST has them; classes are the
//   label's numbers.
//   - any other file: a CSV manifest (csv.h) with the columns that `config` names; relative paths
//   start at its folder.
// Hidden files and well-known non-images (.txt, .csv, Thumbs.db, ...) are passed over; links to
// folders are followed, but not in circles. A manifest row that repeats a file is left out when it
// says the same as the first.
//
// Errors as listed at ReadDataset(), with data.path or data.test in the message.
absl::StatusOr<Found> Discover(const DataConfig& config);

// All images that the paths hold, without classes, in the order of the paths: below a folder those
// at any depth, sorted, with what is passed over as above; a file as it is. `file` begins with the
// path as given. NotFound: a path that is not there; InvalidArgument: no image at all.
absl::StatusOr<std::vector<FoundImage>> FindImages(const std::vector<std::string>& paths);

// The parts, one for each kind of source. They fill everything but `classes`; images are in any
// order.
absl::StatusOr<Found> DiscoverFolder(const std::string& folder);
absl::StatusOr<Found> DiscoverManifest(const std::string& file, const DataConfig& config,
                                       bool is_test);
absl::StatusOr<Found> DiscoverNpz(const std::string& file);

// train, validation or test from the names people use, in any case; kUnset for anything else.
Split SplitFromName(std::string_view name);

}  // namespace manako

#endif  // MANAKO_DATA_DISCOVER_H_
