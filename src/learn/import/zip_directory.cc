#include "learn/import/zip_directory.h"

#include <algorithm>
#include <optional>

#include "base/status_macros.h"
#include "learn/import/byte_reader.h"

namespace manako {
namespace {

constexpr uint32_t kEndSignature = 0x06054b50;
constexpr uint32_t kEnd64Signature = 0x06064b50;
constexpr uint32_t kLocator64Signature = 0x07064b50;
constexpr size_t kEndBytes = 22;
constexpr size_t kLocator64Bytes = 20;
constexpr size_t kMaxCommentBytes = 0xffff;

template <typename T>
T At(std::string_view bytes, size_t position) {
  T value = 0;
  ByteReader(bytes, position).Take(value);
  return value;
}

// The last place whose comment reaches exactly to the end of the file.
std::optional<size_t> FindEnd(std::string_view bytes) {
  if (bytes.size() < kEndBytes) return std::nullopt;
  const size_t last = bytes.size() - kEndBytes;
  const size_t first = last - std::min(last, kMaxCommentBytes);
  for (size_t at = last + 1; at-- > first;) {
    if (At<uint32_t>(bytes, at) == kEndSignature && At<uint16_t>(bytes, at + 20) == last - at) {
      return at;
    }
  }
  return std::nullopt;
}

// The ZIP64 record that belongs to the end record at `end`, if there is one.
absl::StatusOr<std::optional<ZipDirectory>> FindDirectory64(std::string_view bytes, size_t end) {
  if (end < kLocator64Bytes || At<uint32_t>(bytes, end - kLocator64Bytes) != kLocator64Signature) {
    return std::optional<ZipDirectory>();
  }
  ByteReader locator(bytes, end - kLocator64Bytes + 4);
  uint32_t disk = 0, disks = 0, signature = 0, disk_here = 0, disk_directory = 0;
  uint64_t at = 0, record_bytes = 0, entries_here = 0;
  uint16_t version_made = 0, version_needed = 0;
  ZipDirectory found;
  const bool located = locator.Take(disk) && locator.Take(at) && locator.Take(disks);
  if (!located || at > end) return InvalidArgument("zip: the ZIP64 record is not in the file");
  ByteReader record(bytes.substr(0, end), at);
  const bool read = record.Take(signature) && record.Take(record_bytes) &&
                    record.Take(version_made) && record.Take(version_needed) &&
                    record.Take(disk_here) && record.Take(disk_directory) &&
                    record.Take(entries_here) && record.Take(found.entries) &&
                    record.Take(found.size) && record.Take(found.offset);
  if (!read || signature != kEnd64Signature) {
    return InvalidArgument("zip: no ZIP64 record at byte {}, where its locator points", at);
  }
  if (disk != 0 || disk_here != 0 || disk_directory != 0 || entries_here != found.entries) {
    return InvalidArgument("zip: the archive is spread over several files");
  }
  return std::optional(found);
}

}  // namespace

absl::StatusOr<ZipDirectory> FindZipDirectory(std::string_view bytes) {
  const std::optional<size_t> end = FindEnd(bytes);
  if (!end.has_value()) {
    return InvalidArgument("zip: no end record; the file of {} bytes may have been cut off",
                           bytes.size());
  }
  ByteReader record(bytes, *end + 4);
  uint16_t disk = 0, disk_directory = 0, entries_here = 0, entries = 0;
  uint32_t size = 0, offset = 0;
  const bool read = record.Take(disk) && record.Take(disk_directory) && record.Take(entries_here) &&
                    record.Take(entries) && record.Take(size) && record.Take(offset);
  if (!read || disk != disk_directory || entries_here != entries) {
    return InvalidArgument("zip: the end record at byte {} is damaged", *end);
  }
  ZipDirectory directory = {.entries = entries, .offset = offset, .size = size};
  MANAKO_ASSIGN_OR_RETURN(const std::optional<ZipDirectory> wide, FindDirectory64(bytes, *end));
  // All ones in a field of the short record means: see the ZIP64 one.
  if (wide.has_value()) {
    if (entries == 0xffff) directory.entries = wide->entries;
    if (size == 0xffffffff) directory.size = wide->size;
    if (offset == 0xffffffff) directory.offset = wide->offset;
  }
  if (directory.offset > *end || directory.size > *end - directory.offset) {
    return InvalidArgument(
        "zip: the directory is said to lie at byte {} with {} bytes, but it "
        "must end before byte {}",
        directory.offset, directory.size, *end);
  }
  return directory;
}

}  // namespace manako
