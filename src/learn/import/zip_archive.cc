#include "learn/import/zip_archive.h"

#include <zlib.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "learn/import/byte_reader.h"
#include "learn/import/checks.h"
#include "learn/import/zip_directory.h"

namespace manako {
namespace {

constexpr uint32_t kCentralSignature = 0x02014b50;
constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint16_t kZip64Extra = 0x0001;
constexpr uint16_t kEncryptedFlag = 0x0001;
constexpr uint64_t kCentralBytes = 46;  // of a record without name, extra field and comment

// A 32-bit field of all ones has its value in the ZIP64 extra field.
bool Deferred(uint64_t value) { return value == 0xffffffff; }

bool ReadZip64Extra(std::string_view extra, ZipArchive::Entry& entry) {
  if (!Deferred(entry.size) && !Deferred(entry.compressed_size) && !Deferred(entry.header_offset)) {
    return true;
  }
  ByteReader fields(extra);
  uint16_t id = 0, size = 0;
  std::string_view body;
  while (fields.Take(id) && fields.Take(size) && fields.Take(size, body)) {
    if (id != kZip64Extra) continue;
    ByteReader wide(body);
    // Only the deferred ones are there, in this order (4.5.3).
    return (!Deferred(entry.size) || wide.Take(entry.size)) &&
           (!Deferred(entry.compressed_size) || wide.Take(entry.compressed_size)) &&
           (!Deferred(entry.header_offset) || wide.Take(entry.header_offset));
  }
  return false;
}

// One record of the central directory.
bool ReadCentral(ByteReader& reader, std::string_view& name, ZipArchive::Entry& entry) {
  uint32_t signature = 0, compressed_size = 0, size = 0, header_offset = 0;
  uint16_t name_bytes = 0, extra_bytes = 0, comment_bytes = 0;
  std::string_view skipped, extra;
  if (!reader.Take(signature) || signature != kCentralSignature || !reader.Take(4, skipped) ||
      !reader.Take(entry.flags) || !reader.Take(entry.method) || !reader.Take(4, skipped) ||
      !reader.Take(entry.crc) || !reader.Take(compressed_size) || !reader.Take(size) ||
      !reader.Take(name_bytes) || !reader.Take(extra_bytes) || !reader.Take(comment_bytes) ||
      !reader.Take(8, skipped) || !reader.Take(header_offset) || !reader.Take(name_bytes, name) ||
      !reader.Take(extra_bytes, extra) || !reader.Take(comment_bytes, skipped)) {
    return false;
  }
  entry.compressed_size = compressed_size;
  entry.size = size;
  entry.header_offset = header_offset;
  return ReadZip64Extra(extra, entry);
}

// Finds where the data begins. `files` are the bytes before the central directory.
absl::Status ReadLocal(std::string_view files, std::string_view name, ZipArchive::Entry& entry) {
  uint32_t signature = 0;
  uint16_t name_bytes = 0, extra_bytes = 0;
  std::string_view skipped, local_name;
  ByteReader reader(files, std::min<uint64_t>(entry.header_offset, files.size()));
  if (!reader.Take(signature) || signature != kLocalSignature || !reader.Take(22, skipped) ||
      !reader.Take(name_bytes) || !reader.Take(extra_bytes) ||
      !reader.Take(name_bytes, local_name) || local_name != name ||
      !reader.Take(extra_bytes, skipped)) {
    return InvalidArgument("zip: entry {} has no header at byte {}, where the directory points",
                           Quoted(name), entry.header_offset);
  }
  entry.data_offset = reader.position();
  if (entry.compressed_size > reader.remaining()) {
    return InvalidArgument("zip: entry {} is said to have {} bytes, but {} are left after byte {}",
                           Quoted(name), entry.compressed_size, reader.remaining(),
                           entry.data_offset);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ZipArchive> ZipArchive::Open(std::string_view bytes, uint64_t max_entries) {
  MANAKO_ASSIGN_OR_RETURN(const ZipDirectory directory, FindZipDirectory(bytes));
  if (directory.entries > max_entries) {
    return ResourceExhausted("zip: {} entries, but {} is the limit", directory.entries,
                             max_entries);
  }
  if (directory.entries > directory.size / kCentralBytes) {
    return InvalidArgument("zip: {} entries cannot stand in a directory of {} bytes",
                           directory.entries, directory.size);
  }
  ZipArchive archive(bytes);
  const std::string_view files = bytes.substr(0, directory.offset);
  ByteReader reader(bytes.substr(directory.offset, directory.size));
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (uint64_t i = 0; i < directory.entries; ++i) {
    std::string_view name;
    Entry entry;
    if (!ReadCentral(reader, name, entry)) {
      return InvalidArgument("zip: record {} of the directory is damaged", i);
    }
    MANAKO_RETURN_IF_ERROR(ReadLocal(files, name, entry));
    ranges.emplace_back(entry.header_offset, entry.data_offset + entry.compressed_size);
    if (!archive.entries_.emplace(name, entry).second) {
      return InvalidArgument("zip: two entries are called {}", Quoted(name));
    }
  }
  if (reader.remaining() != 0) {
    return InvalidArgument("zip: {} bytes follow the {} records of the directory",
                           reader.remaining(), directory.entries);
  }
  std::sort(ranges.begin(), ranges.end());
  for (size_t i = 1; i < ranges.size(); ++i) {
    if (ranges[i].first < ranges[i - 1].second) {
      return InvalidArgument("zip: the entry at byte {} overlaps the one before it",
                             ranges[i].first);
    }
  }
  return archive;
}

absl::StatusOr<std::string_view> ZipArchive::Read(std::string_view name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) return NotFound("zip: there is no entry {}", Quoted(name));
  const Entry& entry = found->second;
  if ((entry.flags & kEncryptedFlag) != 0) {
    return InvalidArgument("zip: entry {} is encrypted", Quoted(name));
  }
  if (entry.method != 0 || entry.compressed_size != entry.size) {
    return InvalidArgument(
        "zip: entry {} is compressed (method {}), which torch.save never does; "
        "write the file again with torch.save",
        Quoted(name), entry.method);
  }
  const std::string_view data = bytes_.substr(entry.data_offset, entry.size);
// A fuzzer cannot guess a checksum, and without it reaches the code behind.
#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
  const uint32_t crc = static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const unsigned char*>(data.data()), data.size()));
  if (crc != entry.crc) {
    return InvalidArgument("zip: entry {} is damaged: its CRC-32 is {:08x}, but should be {:08x}",
                           Quoted(name), crc, entry.crc);
  }
#endif
  return data;
}

}  // namespace manako
