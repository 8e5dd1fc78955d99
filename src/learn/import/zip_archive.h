// Reads the zip archives that torch.save writes: entries that are stored as they are, ZIP64 or not.
// Source: PKWARE, APPNOTE.TXT 6.3.10, sections 4.3 (structure) and 4.5.3 (ZIP64 extra field).
#ifndef MANAKO_LEARN_IMPORT_ZIP_ARCHIVE_H_
#define MANAKO_LEARN_IMPORT_ZIP_ARCHIVE_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace manako {

// A file's table of contents, and views of its entries. The bytes must outlive both.
class ZipArchive {
 public:
  // As the central directory has it.
  struct Entry {
    uint16_t flags = 0, method = 0;
    uint32_t crc = 0;
    uint64_t compressed_size = 0, size = 0;
    uint64_t header_offset = 0;  // of the local header
    uint64_t data_offset = 0;
  };

  // Reads the central directory, and every local header it points to. No two entries may have the
  // same name or share a byte, so reading all entries reads no byte twice. InvalidArgument: not a
  // zip file, or damaged; ResourceExhausted: more than max_entries.
  static absl::StatusOr<ZipArchive> Open(std::string_view bytes, uint64_t max_entries);

  // The content of an entry, its CRC-32 checked. NotFound; InvalidArgument when it is compressed,
  // encrypted or damaged.
  absl::StatusOr<std::string_view> Read(std::string_view name) const;

  const std::map<std::string_view, Entry>& entries() const { return entries_; }

 private:
  explicit ZipArchive(std::string_view bytes) : bytes_(bytes) {}

  std::string_view bytes_;
  std::map<std::string_view, Entry> entries_;
};

}  // namespace manako

#endif  // MANAKO_LEARN_IMPORT_ZIP_ARCHIVE_H_
