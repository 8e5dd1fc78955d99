// Reads an array file block by block, and believes none of its bytes.
#ifndef MANAKO_CORE_CODEC_ARRAY_FILE_READER_H_
#define MANAKO_CORE_CODEC_ARRAY_FILE_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "core/codec/array_block.h"
#include "core/codec/array_file.h"

namespace manako {

// The digests of an array file's bytes, taken by somebody who saw them all go by on their way into
// the file.
struct ArrayFileDigests {
  Sha256Digest content;  // without the last kArrayDigestBytes, which should be this
  Sha256Digest whole;
};

struct ArrayVerifyOptions {
  int threads = 1;
  // The model that the file's changes are against. Needed when a block is coded against it
  // (FailedPrecondition without); with it, statistics have the norm of the change for values too.
  ArrayBase base = {};
  // Not taken again then: block by block, checksums alone say that the file still has those bytes.
  std::optional<ArrayFileDigests> digests = {};
};

// Any number of threads may read at once. Memory: 8 bytes a block, and two blocks for each thread
// that reads. The file is read, not mapped.
class ArrayFileReader {
 public:
  // Reads and checks header and table. NotFound: no such file; DataLoss: damaged, cut or not an
  // array file; FailedPrecondition: not what is expected (which is looked at before anything of the
  // file's size is allocated).
  static absl::StatusOr<std::unique_ptr<ArrayFileReader>> Open(
      const std::string& path, const ArrayFileExpectation& expected = {});
  // Out of memory that outlives the reader.
  static absl::StatusOr<std::unique_ptr<ArrayFileReader>> OpenBytes(
      std::string_view bytes, const ArrayFileExpectation& expected = {});
  ~ArrayFileReader();
  ArrayFileReader(const ArrayFileReader&) = delete;
  ArrayFileReader& operator=(const ArrayFileReader&) = delete;

  const ArrayFileHeader& header() const { return header_; }
  uint64_t bytes() const { return size_; }

  // Block k of a section into `out`, whose size is header().BlockSize(section, k): what is stored,
  // so the change where is_change. `base` is the base's same elements, needed only for blocks that
  // are coded against it (FailedPrecondition without), and may be empty. DataLoss: the block's
  // checksum or content is wrong. The file's digest is not looked at: VerifyAll() does that, once.
  absl::Status ReadBlock(size_t section, uint64_t k, std::span<float> out,
                         std::span<const float> base = {}) const;
  // The same, but always values: base + change in float32 where is_change, for which `base` must be
  // given.
  absl::Status ReadValues(size_t section, uint64_t k, std::span<float> out,
                          std::span<const float> base = {}) const;
  // Values from `first` on, over block borders. For sections that need no base. InvalidArgument
  // outside of the section.
  absl::Status ReadRange(size_t section, uint64_t first, std::span<float> out) const;

  // Reads the whole file once: every block's checksum and content, the file's digest; and measures
  // what it holds. Numbers that are not finite are no error here: the summary tells.
  absl::StatusOr<ArrayFileSummary> VerifyAll(const ArrayVerifyOptions& options = {}) const;

 private:
  ArrayFileReader(int fd, std::string_view memory, uint64_t size, std::string name);
  absl::Status Load(const ArrayFileExpectation& expected);
  absl::Status ReadAt(uint64_t offset, void* out, size_t size) const;
  // A block of float32 as it is in memory, straight to where it is wanted. False: it is stored
  // otherwise, and `out` holds nothing.
  absl::StatusOr<bool> ReadInPlace(const BlockPlace& place, std::span<float> out) const;

  int fd_;
  std::string_view memory_;
  uint64_t size_;
  std::string name_;  // for messages
  ArrayFileHeader header_;
  std::vector<uint64_t> first_block_;  // of each section, in the file's numbering
  std::vector<uint64_t> offsets_;      // of each block, and behind the last
};

// The values of `reader`'s sections as a base. `reader` must outlive what is returned.
ArrayBase BaseOf(const ArrayFileReader& reader);
// One array in memory as the base of every section of that name.
ArrayBase BaseOf(std::string name, std::span<const float> values);

}  // namespace manako

#endif  // MANAKO_CORE_CODEC_ARRAY_FILE_READER_H_
