// Decodes what Discover() found into the image cache, or finds it there.
#ifndef MANAKO_DATA_IMAGE_LOADER_H_
#define MANAKO_DATA_IMAGE_LOADER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/decode.h"
#include "data/discover.h"
#include "data/image_cache.h"

namespace manako {

struct LoadOptions {
  std::string cache_folder;
  DecodeOptions decode;
  int threads = 1;
  std::function<void(size_t done, size_t total)>
      progress;  // while decoding; from one thread at a time
};

// The cache of these images: slot i is images[i]. The file is <cache_folder>/<key>.mkc; digests of
// the source files are remembered in <cache_folder>/files.index. Where the cache is there and
// whole, no image is opened; where the index knows all files, none is even read. An image that
// cannot be read is a bad slot with its reason, not an error; an .npz that cannot is one. The
// result does not depend on the number of threads; at most `threads` images are in memory at a time
// (of an .npz: 64 more, as they are stored).
// Errors: DataLoss (an .npz), ResourceExhausted (disk), PermissionDenied (the cache's folder).
absl::StatusOr<std::shared_ptr<const ImageCache>> LoadImages(const std::vector<FoundImage>& images,
                                                             const LoadOptions& options);

}  // namespace manako

#endif  // MANAKO_DATA_IMAGE_LOADER_H_
