// A folder of synthetic ultra-widefield fundus photographs, for demonstrations and tests where no
// real image may be.
#ifndef MANAKO_DATA_PHANTOM_PHANTOM_H_
#define MANAKO_DATA_PHANTOM_PHANTOM_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"

namespace manako {

struct PhantomOptions {
  std::string out;      // the folder; made if needed
  int per_class = 973;  // pictures in each of the two classes, 1 to 1,000,000
  uint64_t seed = 7;
  int width = 512, height = 420;  // pixels, each 64 to 4096
  int threads = 1;                // no influence on what is written
};

// Writes
//   SYNTHETIC.txt     says, in English and Japanese, that a program drew the pictures, and with
//   which options; written
//                     first, so that the pictures never stand unmarked
//   normal/normal_000000.jpg ..., detachment/detachment_000000.jpg ...
//   manifest.csv      file,label,patient,detachment_share; written last, so that it marks a
//   finished folder. Some
//                     patients have two rows (plan.h); detachment_share is of the field of view, 0
//                     for normal.
//
// A run that was interrupted goes on where it stopped when it is started again with the same
// options: every file is written whole or not at all, and whole ones are kept. In a finished folder
// of the same options nothing is written.
//
// `progress` (may be empty) is called from one thread at a time, with `done` rising to `total`;
// pictures that were there already count as done.
//
// Errors: InvalidArgument for options out of range; FailedPrecondition when the folder holds
// anything else than (part of) the phantoms of these very options, or another process writes there;
// what base/files.h says when the disk fails.
absl::Status WritePhantoms(const PhantomOptions& options,
                           const std::function<void(int done, int total)>& progress);

}  // namespace manako

#endif  // MANAKO_DATA_PHANTOM_PHANTOM_H_
