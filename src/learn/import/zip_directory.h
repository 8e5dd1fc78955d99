// Where a zip file's table of contents lies: the records at the file's end.
#ifndef MANAKO_LEARN_IMPORT_ZIP_DIRECTORY_H_
#define MANAKO_LEARN_IMPORT_ZIP_DIRECTORY_H_

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"

namespace manako {

// The central directory: `entries` records in bytes [offset, offset + size) of the file, which are
// in bounds.
struct ZipDirectory {
  uint64_t entries = 0, offset = 0, size = 0;
};

// Reads the end-of-central-directory record, and the ZIP64 one where the first defers to it
// (APPNOTE.TXT 4.3.14 to 4.3.16). InvalidArgument when there is none, it points outside the file,
// or the archive spans several disks.
absl::StatusOr<ZipDirectory> FindZipDirectory(std::string_view bytes);

}  // namespace manako

#endif  // MANAKO_LEARN_IMPORT_ZIP_DIRECTORY_H_
