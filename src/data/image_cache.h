// The file of decoded images that all training reads, mapped into memory.
//
// Layout, all numbers little-endian, offsets in bytes from the start of the file:
//
//      0  8   magic "MKCACHE1"
//      8  4   side of the images in pixels, S
//     12  4   zero
//     16  8   number of images, n
//     24  8   offset of the table: 4096 + n * stride, stride = S * S * 3 rounded up to a multiple
//     of 64 32  8   size of the text 40  8   size of the file: table + n * 48 + text 48 32   key:
//     SHA-256 of the settings and of what is in the images (see image_loader.cc) 80  4   CRC-32 of
//     table and text 84  4   CRC-32 of bytes 0 to 83 88 4008 zero
//   4096      images: image i at 4096 + i * stride, S rows of S pixels of red, green, blue. Of a
//   bad image: zeros
//  table      for each image 48 bytes:
//                0 32  SHA-256 of the S * S * 3 bytes; of a bad image: zeros
//               32  4  CRC-32 of the S * S * 3 bytes
//               36  4  0: good, 1: bad
//               40  4  offset of the reason in the text (bad images)
//               44  4  size of the reason
//   text      the reasons, UTF-8, one behind the other
//
// The file is written beside its place and renamed, so it is whole or absent; the checksums find
// what the disk did later.
#ifndef MANAKO_DATA_IMAGE_CACHE_H_
#define MANAKO_DATA_IMAGE_CACHE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/files.h"
#include "base/hash.h"
#include "core/image_store.h"

namespace manako {

struct CachedImage {
  Sha256Digest digest{};  // of the pixels
  uint32_t crc = 0;
  bool bad = false;
  std::string why;  // of a bad image
};

struct CacheTable {
  uint32_t side = 0;
  uint64_t stride = 0;
  Sha256Digest key{};
  std::vector<CachedImage> images;
};

// Reads header, table and text. DataLoss when anything is not as above (the pixels are not looked
// at).
absl::StatusOr<CacheTable> ParseCache(std::span<const uint8_t> bytes);

// A cache file, open. Images that are bad have zeros as pixels.
class ImageCache : public ImageStore {
 public:
  // Maps the file and checks everything, on `threads` threads. NotFound; DataLoss: damaged, or made
  // for another key.
  static absl::StatusOr<std::shared_ptr<const ImageCache>> Open(const std::string& path,
                                                                const Sha256Digest& key,
                                                                int threads);
  int height() const override { return static_cast<int>(table_.side); }
  int width() const override { return static_cast<int>(table_.side); }
  size_t size() const override { return table_.images.size(); }
  const uint8_t* Pixels(size_t image) const override;
  const CachedImage& image(size_t i) const { return table_.images[i]; }

 private:
  std::unique_ptr<MappedFile> file_;
  CacheTable table_;
};

// Some images of a cache, in another order: image i is slot slots[i].
class CacheSelection : public ImageStore {
 public:
  CacheSelection(std::shared_ptr<const ImageCache> cache, std::vector<size_t> slots)
      : cache_(std::move(cache)), slots_(std::move(slots)) {}
  int height() const override { return cache_->height(); }
  int width() const override { return cache_->width(); }
  size_t size() const override { return slots_.size(); }
  const uint8_t* Pixels(size_t image) const override { return cache_->Pixels(slots_[image]); }

 private:
  std::shared_ptr<const ImageCache> cache_;
  std::vector<size_t> slots_;
};

// Writes a cache file. Every slot is given once, from any thread; then Commit(). Without it nothing
// is left behind.
class ImageCacheWriter {
 public:
  // ResourceExhausted when the disk has too little room for all of it.
  static absl::StatusOr<std::unique_ptr<ImageCacheWriter>> Create(const std::string& path,
                                                                  const Sha256Digest& key,
                                                                  uint32_t side, size_t count);
  absl::Status Put(size_t slot, const uint8_t* rgb);
  void PutBad(size_t slot, std::string_view why);
  absl::Status Commit();

 private:
  ImageCacheWriter() = default;
  std::unique_ptr<AtomicFileWriter> file_;
  CacheTable table_;
};

}  // namespace manako

#endif  // MANAKO_DATA_IMAGE_CACHE_H_
