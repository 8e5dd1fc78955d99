#include "data/image_loader.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>

#include "base/files.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "data/file_index.h"
#include "data/npz.h"
#include "data/utf8.h"

namespace manako {
namespace {

constexpr uint64_t kMaxFileBytes = uint64_t{1} << 30;

// The digest of every source file, from the index where it knows them. A file that cannot be read
// stands with its error, so that it gets another key once it can.
std::map<std::string, std::string> DigestFiles(const std::vector<FoundImage>& images,
                                               const LoadOptions& options) {
  const std::string index_path = options.cache_folder + "/files.index";
  FileIndex index = FileIndex::Read(index_path);
  struct Unknown {
    std::string path, digest;
    FileStamp stamp;
    bool known = false;
  };
  std::map<std::string, std::string> digests;
  std::vector<Unknown> unknown;
  for (const FoundImage& image : images) {
    const auto [at, is_new] = digests.emplace(image.path, "");
    if (!is_new) continue;
    const auto stamp = StampOf(image.path);
    if (!stamp.ok()) {
      at->second = fmt::format("error: {}", MessageOf(stamp.status()));
    } else if (const std::string* known = index.Find(image.path, *stamp)) {
      at->second = *known;
    } else {
      unknown.push_back({.path = image.path, .digest = "", .stamp = *stamp});
    }
  }
  ParallelFor(options.threads, unknown.size(), [&](size_t i) {
    auto digest = Sha256HexOfFile(unknown[i].path);
    unknown[i].known = digest.ok();
    unknown[i].digest =
        digest.ok() ? *digest : fmt::format("error: {}", MessageOf(digest.status()));
  });
  for (const Unknown& file : unknown) {
    digests[file.path] = file.digest;
    if (file.known) index.Put(file.path, file.stamp, file.digest);
  }
  // Without the index the next run is slower, nothing else.
  if (index.changed()) WriteFileAtomically(index_path, index.ToText()).IgnoreError();
  return digests;
}

Sha256Digest KeyOf(const std::vector<FoundImage>& images, const LoadOptions& options) {
  const std::map<std::string, std::string> digests = DigestFiles(images, options);
  Sha256Hasher hasher;
  hasher.Add(fmt::format("manako images\ndecoder {}\nsize {}\ncrop {}\n", kDecoderVersion,
                         options.decode.size, static_cast<int>(options.decode.crop)));
  for (const FoundImage& image : images) {
    hasher.Add(fmt::format("{}#{}/{}\n", digests.at(image.path), image.array, image.row));
  }
  return hasher.Finish();
}

// What the threads that fill a cache share.
class Filler {
 public:
  Filler(const std::vector<FoundImage>& images, const LoadOptions& options,
         ImageCacheWriter* writer)
      : images_(images), options_(options), writer_(writer) {}

  void DecodeFile(size_t slot) {
    if (failed_) return;
    // A pipe would keep its reader waiting for ever.
    const auto stamp = StampOf(images_[slot].path);
    const absl::StatusOr<std::string> bytes =
        stamp.ok() ? ReadFile(images_[slot].path, kMaxFileBytes) : stamp.status();
    std::vector<uint8_t> rgb(PictureBytes());
    const absl::Status status =
        bytes.ok() ? DecodeImage(*bytes, options_.decode, rgb.data()) : bytes.status();
    if (status.ok()) {
      Put(slot, rgb);
    } else {
      writer_->PutBad(slot, ToDisplay(MessageOf(status)));
      Step();
    }
  }

  // Reads one array of an .npz from start to end, a few rows at a time, and fills the slots of its
  // rows.
  absl::Status DecodeArray(const NpzFile& npz, const std::string& array,
                           const std::map<int64_t, size_t>& slots) {
    MANAKO_ASSIGN_OR_RETURN(auto reader, npz.Open(array));
    const std::vector<int64_t>& shape = reader->header().shape;
    MANAKO_RETURN_IF_ERROR(CheckPictures(reader->header()));
    if (slots.rbegin()->first >= shape[0])
      return DataLoss("{} was changed while it was read", array);
    const int channels = shape.size() == 4 ? 3 : 1;
    const auto pixels = static_cast<size_t>(shape[1] * shape[2]);
    const size_t picture = pixels * static_cast<size_t>(channels);
    // Discover() has bounded the sides, so a picture has at most 3 GB; a piece of several stays
    // below 64 MB.
    const int64_t piece_rows =
        std::clamp<int64_t>((int64_t{64} << 20) / static_cast<int64_t>(picture), 1, 64);
    MANAKO_RETURN_IF_ERROR(CheckPicture(picture));
    std::vector<uint8_t> piece;
    for (int64_t row = 0; row < shape[0]; row += piece_rows) {
      const auto rows = static_cast<size_t>(std::min(piece_rows, shape[0] - row));
      piece.resize(rows * picture);
      MANAKO_RETURN_IF_ERROR(reader->Read(piece.data(), piece.size()));
      ParallelFor(options_.threads, rows, [&](size_t i) {
        const auto slot = slots.find(row + static_cast<int64_t>(i));
        if (slot == slots.end() || failed_) return;
        RgbImage image{static_cast<int>(shape[2]), static_cast<int>(shape[1]),
                       std::vector<uint8_t>(pixels * 3)};
        const uint8_t* from = piece.data() + i * picture;
        for (size_t k = 0; k < image.pixels.size(); ++k)
          image.pixels[k] = from[channels == 3 ? k : k / 3];
        std::vector<uint8_t> rgb(PictureBytes());
        FitImage(image, options_.decode, rgb.data());
        Put(slot->second, rgb);
      });
    }
    return absl::OkStatus();
  }

  const absl::Status& status() const { return status_; }

 private:
  static absl::Status CheckPicture(size_t bytes) {
    if (bytes <= kMaxDecodedBytes) return absl::OkStatus();
    return ResourceExhausted("its images take {} MB each", bytes >> 20);
  }
  size_t PictureBytes() const {
    return static_cast<size_t>(options_.decode.size) * options_.decode.size * 3;
  }

  void Put(size_t slot, const std::vector<uint8_t>& rgb) {
    if (const absl::Status status = writer_->Put(slot, rgb.data()); !status.ok()) {
      std::lock_guard lock(mutex_);
      if (status_.ok()) status_ = status;
      failed_ = true;
      return;
    }
    Step();
  }

  void Step() {
    std::lock_guard lock(mutex_);
    ++done_;
    if (options_.progress) options_.progress(done_, images_.size());
  }

  const std::vector<FoundImage>& images_;
  const LoadOptions& options_;
  ImageCacheWriter* writer_;
  std::mutex mutex_;
  size_t done_ = 0;
  absl::Status status_;  // the first error of the disk
  std::atomic<bool> failed_ = false;
};

absl::Status Fill(const std::vector<FoundImage>& images, const LoadOptions& options,
                  ImageCacheWriter* writer) {
  Filler filler(images, options, writer);
  std::vector<size_t> files;
  std::map<std::string, std::map<std::string, std::map<int64_t, size_t>>>
      arrays;  // path, array, row -> slot
  for (size_t slot = 0; slot < images.size(); ++slot) {
    const FoundImage& image = images[slot];
    if (image.array.empty()) {
      files.push_back(slot);
    } else {
      arrays[image.path][image.array][image.row] = slot;
    }
  }
  ParallelFor(options.threads, files.size(), [&](size_t i) { filler.DecodeFile(files[i]); });
  for (const auto& [path, by_array] : arrays) {
    MANAKO_ASSIGN_OR_RETURN(auto mapped, MappedFile::Open(path));
    const auto npz = NpzFile::Parse(mapped->bytes());
    if (!npz.ok()) return Annotate(npz.status(), ToDisplay(path));
    for (const auto& [array, slots] : by_array) {
      const absl::Status status = filler.DecodeArray(*npz, array, slots);
      if (!status.ok()) return Annotate(status, ToDisplay(path));
    }
  }
  return filler.status();
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ImageCache>> LoadImages(const std::vector<FoundImage>& images,
                                                             const LoadOptions& options) {
  MANAKO_RETURN_IF_ERROR(MakeFolders(options.cache_folder));
  RemoveUnfinishedFiles(options.cache_folder);
  const Sha256Digest key = KeyOf(images, options);
  const std::string path = fmt::format("{}/{}.mkc", options.cache_folder, ToHex(key));
  // Absent or damaged: made again.
  if (auto cache = ImageCache::Open(path, key, options.threads); cache.ok()) return cache;
  {
    MANAKO_ASSIGN_OR_RETURN(
        auto writer, ImageCacheWriter::Create(path, key, static_cast<uint32_t>(options.decode.size),
                                              images.size()));
    MANAKO_RETURN_IF_ERROR(Fill(images, options, writer.get()));
    MANAKO_RETURN_IF_ERROR(writer->Commit());
  }
  return ImageCache::Open(path, key, options.threads);
}

}  // namespace manako
