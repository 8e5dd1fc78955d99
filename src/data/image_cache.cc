#include "data/image_cache.h"

#include <sys/statvfs.h>
#include <zlib.h>

#include <atomic>
#include <cstring>
#include <filesystem>

#include "base/status_macros.h"
#include "base/thread_pool.h"

namespace manako {
namespace {

constexpr uint64_t kHeaderSize = 4096, kEntrySize = 48;
constexpr std::string_view kMagic = "MKCACHE1";
constexpr uint32_t kMaxSide = 1 << 15;

uint64_t PixelBytes(uint32_t side) { return uint64_t{side} * side * 3; }
uint64_t StrideOf(uint32_t side) { return (PixelBytes(side) + 63) / 64 * 64; }

uint32_t Crc(const void* data, size_t size) {
  return static_cast<uint32_t>(crc32_z(0, static_cast<const Bytef*>(data), size));
}

template <typename T>
T Get(const uint8_t* at) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i)
    value = static_cast<T>(value | static_cast<T>(at[i]) << (8 * i));
  return value;
}

template <typename T>
void Set(char* at, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) at[i] = static_cast<char>(value >> (8 * i) & 0xff);
}

}  // namespace

absl::StatusOr<CacheTable> ParseCache(std::span<const uint8_t> bytes) {
  if (bytes.size() < kHeaderSize || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) {
    return DataLoss("no image cache");
  }
  const uint8_t* header = bytes.data();
  if (Crc(header, 84) != Get<uint32_t>(header + 84)) return DataLoss("damaged header");
  CacheTable table;
  table.side = Get<uint32_t>(header + 8);
  const auto count = Get<uint64_t>(header + 16), table_at = Get<uint64_t>(header + 24);
  const auto text_size = Get<uint64_t>(header + 32), file_size = Get<uint64_t>(header + 40);
  if (table.side == 0 || table.side > kMaxSide) return DataLoss("impossible image size");
  table.stride = StrideOf(table.side);
  // Each product is bounded by the file's size before it is made.
  if (file_size != bytes.size() || count > bytes.size() / table.stride ||
      table_at != kHeaderSize + count * table.stride || table_at > bytes.size() ||
      count * kEntrySize > bytes.size() - table_at ||
      text_size != bytes.size() - table_at - count * kEntrySize) {
    return DataLoss("its parts do not add up to its size (truncated?)");
  }
  if (Crc(header + table_at, bytes.size() - table_at) != Get<uint32_t>(header + 80)) {
    return DataLoss("damaged table");
  }
  std::memcpy(table.key.data(), header + 48, table.key.size());
  const char* text = reinterpret_cast<const char*>(header + table_at + count * kEntrySize);
  table.images.resize(count);
  for (uint64_t i = 0; i < count; ++i) {
    const uint8_t* entry = header + table_at + i * kEntrySize;
    CachedImage& image = table.images[i];
    std::memcpy(image.digest.data(), entry, image.digest.size());
    image.crc = Get<uint32_t>(entry + 32);
    const auto state = Get<uint32_t>(entry + 36), at = Get<uint32_t>(entry + 40),
               size = Get<uint32_t>(entry + 44);
    if (state > 1 || at > text_size || size > text_size - at) return DataLoss("damaged table");
    image.bad = state == 1;
    image.why.assign(text + at, size);
  }
  return table;
}

absl::StatusOr<std::shared_ptr<const ImageCache>> ImageCache::Open(const std::string& path,
                                                                   const Sha256Digest& key,
                                                                   int threads) {
  auto cache = std::make_shared<ImageCache>();
  MANAKO_ASSIGN_OR_RETURN(cache->file_, MappedFile::Open(path));
  auto table = ParseCache(cache->file_->bytes());
  if (!table.ok()) return Annotate(table.status(), path);
  cache->table_ = *std::move(table);
  if (cache->table_.key != key) return DataLoss("{}: made for other images or settings", path);
  std::atomic<bool> damaged = false;
  const auto& images = cache->table_.images;
  ParallelFor(threads, images.size(), [&](size_t i) {
    if (!images[i].bad && Crc(cache->Pixels(i), PixelBytes(cache->table_.side)) != images[i].crc)
      damaged = true;
  });
  if (damaged) return DataLoss("{}: damaged pixels", path);
  return std::shared_ptr<const ImageCache>(std::move(cache));
}

const uint8_t* ImageCache::Pixels(size_t image) const {
  return file_->bytes().data() + kHeaderSize + image * table_.stride;
}

absl::StatusOr<std::unique_ptr<ImageCacheWriter>> ImageCacheWriter::Create(const std::string& path,
                                                                           const Sha256Digest& key,
                                                                           uint32_t side,
                                                                           size_t count) {
  if (side == 0 || side > kMaxSide)
    return InvalidArgument("image_size must be 1 to {}, but is {}", kMaxSide, side);
  std::unique_ptr<ImageCacheWriter> writer(new ImageCacheWriter());
  const std::string folder = std::filesystem::path(path).parent_path().string();
  struct statvfs disk;
  const uint64_t needed = kHeaderSize + count * (StrideOf(side) + kEntrySize);
  if (::statvfs(folder.c_str(), &disk) == 0) {
    const uint64_t room = uint64_t{disk.f_bavail} * disk.f_frsize;
    if (room < needed) {
      return ResourceExhausted(
          "the decoded images take {} MB, but {} has {} MB left: free some, or give another folder "
          "(data.cache)",
          (needed >> 20) + 1, folder, room >> 20);
    }
  }
  writer->table_ = {side, StrideOf(side), key, std::vector<CachedImage>(count)};
  MANAKO_ASSIGN_OR_RETURN(writer->file_, AtomicFileWriter::Create(path));
  return writer;
}

absl::Status ImageCacheWriter::Put(size_t slot, const uint8_t* rgb) {
  const size_t size = PixelBytes(table_.side);
  CachedImage& image = table_.images[slot];
  image.digest = Sha256({reinterpret_cast<const char*>(rgb), size});
  image.crc = Crc(rgb, size);
  return file_->WriteAt(kHeaderSize + slot * table_.stride, rgb, size);
}

void ImageCacheWriter::PutBad(size_t slot, std::string_view why) {
  table_.images[slot].bad = true;
  table_.images[slot].why = why;
}

absl::Status ImageCacheWriter::Commit() {
  const size_t count = table_.images.size();
  std::string tail(count * kEntrySize, '\0'), text;
  for (size_t i = 0; i < count; ++i) {
    const CachedImage& image = table_.images[i];
    char* entry = tail.data() + i * kEntrySize;
    std::memcpy(entry, image.digest.data(), image.digest.size());
    Set<uint32_t>(entry + 32, image.crc);
    Set<uint32_t>(entry + 36, image.bad ? 1 : 0);
    Set<uint32_t>(entry + 40, static_cast<uint32_t>(text.size()));
    Set<uint32_t>(entry + 44, static_cast<uint32_t>(image.why.size()));
    text += image.why;
  }
  tail += text;
  const uint64_t table_at = kHeaderSize + count * table_.stride;
  std::string header(kHeaderSize, '\0');
  std::memcpy(header.data(), kMagic.data(), kMagic.size());
  Set<uint32_t>(header.data() + 8, table_.side);
  Set<uint64_t>(header.data() + 16, count);
  Set<uint64_t>(header.data() + 24, table_at);
  Set<uint64_t>(header.data() + 32, text.size());
  Set<uint64_t>(header.data() + 40, table_at + tail.size());
  std::memcpy(header.data() + 48, table_.key.data(), table_.key.size());
  Set<uint32_t>(header.data() + 80, Crc(tail.data(), tail.size()));
  Set<uint32_t>(header.data() + 84, Crc(header.data(), 84));
  MANAKO_RETURN_IF_ERROR(file_->WriteAt(0, header.data(), header.size()));
  MANAKO_RETURN_IF_ERROR(file_->WriteAt(table_at, tail.data(), tail.size()));
  return file_->Commit();
}

}  // namespace manako
