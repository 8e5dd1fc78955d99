// Finds the images of a study, decodes them once into a memory-mapped store, and sets the bad ones
// and the duplicates aside. Everything after this works on indices into `Dataset::images`.
#ifndef MANAKO_DATA_DATASET_H_
#define MANAKO_DATA_DATASET_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/image_store.h"
#include "core/run_config.h"

namespace manako {

enum class Split : uint8_t { kUnset, kTrain, kValidation, kTest };

struct Image {
  std::string file;             // as shown to people: relative to the source, or "<npz>#train/17"
  int label = 0;                // index into Dataset::classes
  int group = 0;                // images that must not be divided: one patient, or exact duplicates
  std::string patient;          // as in the manifest; the file where no patient column was given
  std::string site;             // as in the manifest; else empty
  Split given = Split::kUnset;  // where the source itself says so (train/ and test/, a split
                                // column, npz, --test)
};

struct BadImage {
  std::string file;
  std::string why;
};

struct Dataset {
  std::string source;                // as given
  std::vector<std::string> classes;  // sorted by name (npz: by number)
  int positive = -1;       // index of the positive class when there are two classes, else -1
  bool synthetic = false;  // a phantom folder (it holds SYNTHETIC.txt)
  bool has_patients = false;
  bool test_given = false;
  std::vector<Image> images;  // sorted by `file`; image i's pixels are store->Pixels(i)
  std::shared_ptr<const ImageStore> store;
  std::vector<BadImage> bad;  // skipped, sorted by file
  // Exact duplicates by decoded pixels: all of them share one group, so that no split divides them;
  // where the test set is given and a duplicate stands on both sides, the training copy is dropped
  // (`moved`). `conflicting` counts groups whose members carry different labels; those are dropped
  // altogether and listed among `bad`.
  struct Duplicates {
    int groups = 0, images = 0, moved = 0, conflicting = 0;
  } duplicates;
};

struct DatasetOptions {
  DataConfig config;         // image_size must be > 0
  std::string cache_folder;  // made if needed; files in it are keyed by content and settings
  int threads = 1;
  std::function<void(size_t done, size_t total)>
      progress;  // called from one thread at a time; may be empty
};

// Errors (one line each, with what to do): NotFound (no such path), InvalidArgument (empty folder,
// one class only, missing columns, missing files, duplicate rows, an encoding that is not UTF-8,
// more bad images than max_bad), ResourceExhausted (full disk), PermissionDenied.
absl::StatusOr<Dataset> ReadDataset(const DatasetOptions& options);

}  // namespace manako

#endif  // MANAKO_DATA_DATASET_H_
