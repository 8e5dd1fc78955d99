// Decoded images, ready to be made into batches.
#ifndef MANAKO_CORE_IMAGE_STORE_H_
#define MANAKO_CORE_IMAGE_STORE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace manako {

// Images of one size as 8-bit RGB, row by row, three bytes a pixel. Read-only and safe to read from
// several threads.
class ImageStore {
 public:
  virtual ~ImageStore() = default;
  virtual int height() const = 0;
  virtual int width() const = 0;
  virtual size_t size() const = 0;
  // height() * width() * 3 bytes, valid as long as the store.
  virtual const uint8_t* Pixels(size_t image) const = 0;
};

// Some images of a store with their labels: what a learner trains on or is tested on. The store
// must outlive it.
struct Examples {
  const ImageStore* store = nullptr;
  std::vector<int> images;  // indices into the store
  std::vector<int> labels;  // class of each, parallel to `images`
  size_t size() const { return images.size(); }
};

}  // namespace manako

#endif  // MANAKO_CORE_IMAGE_STORE_H_
