#include "data/file_index.h"

#include <sys/stat.h>
#include <zlib.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

#include "base/files.h"
#include "base/status_macros.h"
#include "data/utf8.h"

namespace manako {
namespace {

constexpr uint64_t kMaxIndexBytes = uint64_t{1} << 30;

std::string KeyOf(const std::string& file) {
  std::error_code error;
  const auto absolute = std::filesystem::absolute(file, error);
  return ToDisplay(error ? file : absolute.lexically_normal().string());
}

uint32_t Crc(std::string_view text) {
  return static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(text.data()), text.size()));
}

// Takes the number before the next space off `text`.
template <typename T>
bool TakeNumber(std::string_view* text, T* value, int base = 10) {
  const char* end = text->data() + text->size();
  const auto [next, error] = std::from_chars(text->data(), end, *value, base);
  if (error != std::errc() || next == end || *next != ' ') return false;
  text->remove_prefix(static_cast<size_t>(next - text->data()) + 1);
  return true;
}

}  // namespace

absl::StatusOr<FileStamp> StampOf(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) {
    const std::string text = fmt::format("cannot read: {}", std::strerror(errno));
    if (errno == ENOENT) return absl::NotFoundError(text);
    if (errno == EACCES) return absl::PermissionDeniedError(text);
    return absl::UnavailableError(text);
  }
  if (!S_ISREG(info.st_mode)) return InvalidArgument("not a regular file");
  const auto nanoseconds = [](const timespec& t) {
    return int64_t{t.tv_sec} * 1000000000 + t.tv_nsec;
  };
  return FileStamp{info.st_size, nanoseconds(info.st_mtim), nanoseconds(info.st_ctim)};
}

FileIndex FileIndex::Read(const std::string& path) {
  const auto text = ReadFile(path, kMaxIndexBytes);
  return text.ok() ? Parse(*text) : FileIndex();
}

FileIndex FileIndex::Parse(std::string_view text) {
  FileIndex index;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    uint32_t crc = 0;
    Entry entry;
    if (!TakeNumber(&line, &crc, 16) || crc != Crc(line)) continue;
    if (line.size() < 65 || line[64] != ' ') continue;
    entry.sha256 = line.substr(0, 64);
    line.remove_prefix(65);
    if (!TakeNumber(&line, &entry.stamp.size) || !TakeNumber(&line, &entry.stamp.modified_ns) ||
        !TakeNumber(&line, &entry.stamp.changed_ns)) {
      continue;
    }
    index.entries_[std::string(line)] = std::move(entry);
  }
  return index;
}

const std::string* FileIndex::Find(const std::string& file, const FileStamp& stamp) const {
  const auto at = entries_.find(KeyOf(file));
  return at != entries_.end() && at->second.stamp == stamp ? &at->second.sha256 : nullptr;
}

void FileIndex::Put(const std::string& file, const FileStamp& stamp, const std::string& sha256) {
  entries_[KeyOf(file)] = {stamp, sha256};
  changed_ = true;
}

std::string FileIndex::ToText() const {
  std::string text;
  for (const auto& [path, entry] : entries_) {
    const std::string line = fmt::format("{} {} {} {} {}", entry.sha256, entry.stamp.size,
                                         entry.stamp.modified_ns, entry.stamp.changed_ns, path);
    text += fmt::format("{:08x} {}\n", Crc(line), line);
  }
  return text;
}

}  // namespace manako
