// A small picture of an image of a store, for the report.
#ifndef MANAKO_DATA_THUMBNAIL_H_
#define MANAKO_DATA_THUMBNAIL_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "core/image_store.h"

namespace manako {

// JPEG bytes of image `image`, scaled down to `side` pixels where it is larger.
absl::StatusOr<std::string> ThumbnailJpeg(const ImageStore& store, size_t image, int side);

}  // namespace manako

#endif  // MANAKO_DATA_THUMBNAIL_H_
