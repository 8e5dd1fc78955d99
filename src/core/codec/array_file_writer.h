// Writes an array file in one go, block after block.
#ifndef MANAKO_CORE_CODEC_ARRAY_FILE_WRITER_H_
#define MANAKO_CORE_CODEC_ARRAY_FILE_WRITER_H_

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "core/codec/array_block.h"
#include "core/codec/array_file.h"
#include "core/codec/array_summary.h"

namespace manako {

// Takes the file's bytes in order.
using ByteSink = std::function<absl::Status(std::string_view bytes)>;

struct ArrayWriteOptions {
  int threads = 1;
  // Try zstd on blocks that a sample says it makes smaller by an eighth or more. The sampling costs
  // little; compressing halves the rate, which pays on a line slower than about 1 Gbit/s
  // (bench/README.md).
  bool compress = true;
};

// One thread uses a writer (the threads that the options ask for are its own). The bytes do not
// depend on their number, nor on how the arrays are cut into pieces. Memory: some blocks for each
// thread.
class ArrayFileWriter {
 public:
  // Writes the header. Errors: SerializeHeader()'s and the sink's.
  static absl::StatusOr<std::unique_ptr<ArrayFileWriter>> Create(ArrayFileHeader header,
                                                                 ArrayWriteOptions options,
                                                                 ByteSink sink);

  // The next elements: of the first section until it is full, then of the next. A piece is any
  // number of whole blocks, or goes to its section's end; it lies in one section. InvalidArgument:
  // another length (also of base or residual), no base for a change, a residual for a lossless
  // section; for a lossy section a number that is not finite, with section and index. After an
  // error the writer is of no use, and new_residual holds a mixture when it is residual itself.
  absl::Status Append(const ArrayPiece& piece);

  // Writes table and digest. FailedPrecondition when elements are missing.
  absl::StatusOr<ArrayFileSummary> Finish();

 private:
  ArrayFileWriter(ArrayFileHeader header, ArrayWriteOptions options, ByteSink sink);
  absl::Status Write(std::string_view bytes);

  ArrayFileHeader header_;
  ArrayWriteOptions options_;
  ByteSink sink_;
  Sha256Hasher hasher_;
  std::vector<uint32_t> table_;  // stored bytes of each block
  std::vector<ArraySums> sums_;  // of each section
  size_t section_ = 0;
  uint64_t done_ = 0;  // elements of section_
  uint64_t bytes_ = 0;
  std::vector<BlockEncoder> encoders_;
};

// One piece for each section, into a file that appears under its name when it is whole and on the
// disk.
absl::StatusOr<ArrayFileSummary> WriteArrayFile(const std::string& path, ArrayFileHeader header,
                                                std::span<const ArrayPiece> arrays,
                                                ArrayWriteOptions options = {});
// The same into memory.
absl::StatusOr<ArrayFileSummary> WriteArrayBytes(ArrayFileHeader header,
                                                 std::span<const ArrayPiece> arrays,
                                                 ArrayWriteOptions options, std::string& bytes);

}  // namespace manako

#endif  // MANAKO_CORE_CODEC_ARRAY_FILE_WRITER_H_
