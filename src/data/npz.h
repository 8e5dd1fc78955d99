// Reads NumPy's .npz (a zip of .npy arrays) as MedMNIST uses it: arrays of bytes and of integers.
//
// Sources: PKWARE APPNOTE 6.3.10 (zip, zip64; stored and deflated entries), numpy.lib.format (npy
// versions 1 to 3). Every byte is taken as hostile: offsets, sizes and shapes are checked before
// use, an entry is inflated piece by piece into the caller's buffer and its CRC-32 is checked at
// its end.
#ifndef MANAKO_DATA_NPZ_H_
#define MANAKO_DATA_NPZ_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace manako {

struct NpyHeader {
  std::string dtype;  // NumPy's descr: "|u1", "<i8", ...
  bool fortran_order = false;
  std::vector<int64_t> shape;
  size_t size = 0;  // bytes of the header, magic included

  int64_t elements() const;   // product of the shape
  int64_t item_size() const;  // bytes of an element (1 to 8)
};

// Parses the start of a .npy. InvalidArgument for anything but a plain array of bool, integers or
// floats of at most 8 bytes with at most 2^40 elements.
absl::StatusOr<NpyHeader> ParseNpyHeader(std::string_view bytes);

// InvalidArgument unless it is an array of pictures: uint8, (n, h, w) or (n, h, w, 3), sides from 1
// to 32768, C order.
absl::Status CheckPictures(const NpyHeader& header);

// One array, read from its start to its end.
class NpyReader {
 public:
  virtual ~NpyReader() = default;
  virtual const NpyHeader& header() const = 0;
  // The next `size` bytes of the array's data. DataLoss when the entry ends before (truncated), is
  // damaged (deflate) or, with its last byte, fails its checksum.
  virtual absl::Status Read(void* data, size_t size) = 0;
};

// The directory of a zip. Views the bytes, which must outlive it and its readers.
class NpzFile {
 public:
  // DataLoss when there is no zip directory (truncated, or no zip at all) or when it points outside
  // of the file.
  static absl::StatusOr<NpzFile> Parse(std::span<const uint8_t> bytes);

  std::vector<std::string> names() const;  // of the arrays, without ".npy"
  bool Has(std::string_view name) const { return Find(name) != nullptr; }
  // NotFound; InvalidArgument (encrypted, another compression than deflate, header); DataLoss.
  absl::StatusOr<std::unique_ptr<NpyReader>> Open(std::string_view name) const;
  // A whole array of labels: integers, bool or whole floats, of shape (n,) or (n, 1). Each must be
  // in [0, 65535]. ResourceExhausted above max_labels.
  absl::StatusOr<std::vector<int>> ReadLabels(std::string_view name,
                                              int64_t max_labels = int64_t{1} << 26) const;

 private:
  struct Entry {
    std::string name;
    uint16_t flags, method;
    uint32_t crc;
    uint64_t compressed, size, offset;
  };
  const Entry* Find(std::string_view name) const;
  absl::StatusOr<std::span<const uint8_t>> Data(const Entry& entry) const;

  std::span<const uint8_t> bytes_;
  std::vector<Entry> entries_;
};

}  // namespace manako

#endif  // MANAKO_DATA_NPZ_H_
