// An array file: how models and updates travel and lie on disk. Named arrays of float32 numbers,
// cut into blocks that are encoded, checked and read one by one, so that nobody needs a model in
// memory whole. docs/array-file.md has the format to the byte. Written by array_file_writer.h, read
// by array_file_reader.h.
#ifndef MANAKO_CORE_CODEC_ARRAY_FILE_H_
#define MANAKO_CORE_CODEC_ARRAY_FILE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/codec/array_encoding.h"

namespace manako {

inline constexpr uint32_t kArrayBlock =
    65536;  // elements of a block, unless someone asks for others
inline constexpr uint32_t kMinArrayBlock = 256;      // a block is a power of two from here ...
inline constexpr uint32_t kMaxArrayBlock = 1 << 20;  // ... to here
inline constexpr uint64_t kMaxArrayElements = uint64_t{1} << 40;
inline constexpr size_t kMaxArraySections = 64;
inline constexpr size_t kMaxArrayName = 64;
inline constexpr size_t kArrayDigestBytes = 32;  // at a file's end: the SHA-256 of all before them

// A fuzzer cannot guess checksums: in its build they are not looked at.
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
inline constexpr bool kLookAtChecksums = false;
#else
inline constexpr bool kLookAtChecksums = true;
#endif

// One named array: "model", "control".
struct ArraySection {
  std::string name;  // 1 to 64 of a-z 0-9 _ . -
  uint64_t elements = 0;
  ArrayEncoding encoding = ArrayEncoding::kFloat32;
  // What is stored is the change against the base (value = base + change), not the value. For lossy
  // encodings only: float32 is values always, at most coded against the base's bits.
  bool is_change = false;
};

struct ArrayFileHeader {
  std::string spec_hash;  // of the ModelSpec that the arrays follow: 64 hexadecimal characters
  // Names the model that changes are against, and without which they mean nothing: 64 hexadecimal
  // characters, or empty when nothing in the file depends on one. What is hashed is up to the
  // sender and the receiver.
  std::string base_digest;
  uint32_t block_elements = kArrayBlock;
  std::vector<ArraySection> sections;

  uint64_t Blocks(size_t section) const {
    return (sections[section].elements + block_elements - 1) / block_elements;
  }
  uint64_t TotalBlocks() const;
  // Of block k of a section: block_elements, but for the last.
  size_t BlockSize(size_t section, uint64_t k) const;
  // The section of that name, or -1.
  int Find(std::string_view name) const;
};

// What the header must be, for the receiver to read on.
struct ArrayFileExpectation {
  struct Array {
    std::string name;
    uint64_t elements = 0;
  };
  std::string spec_hash;  // empty: any
  // A file that depends on a base must name this one; a file that depends on none is welcome.
  // Empty: any base.
  std::string base_digest;
  std::vector<Array> arrays;  // exactly these, in this order; empty: any
};

// What is known of a section when it was written or read whole. The writer's and the reader's
// numbers are the same bits.
struct ArrayStatistics {
  double l2 = 0;  // of what is stored: values, or their change
  // Of the change against the base; NaN when no base was given.
  double change_l2 = std::numeric_limits<double>::quiet_NaN();
  float max_abs = 0;              // of what is stored; infinite or NaN when something is not finite
  int64_t first_non_finite = -1;  // index of the first element that is NaN or infinite, or -1
};

struct ArrayFileSummary {
  uint64_t bytes = 0;
  std::string sha256;                     // of the file whole, as sha256sum prints it
  std::vector<ArrayStatistics> sections;  // parallel to the header's
  bool finite() const;
};

// Gives elements first, first + 1, ... of the base's array of that name. Called from several
// threads at once when more than one is asked for.
using ArrayBase =
    std::function<absl::Status(std::string_view section, uint64_t first, std::span<float> out)>;

// The header's bytes, its CRC included. InvalidArgument: a hash that isn't one, a name, a block
// length or a number of elements outside the limits above, a name twice, a change without a base
// digest.
absl::StatusOr<std::string> SerializeHeader(const ArrayFileHeader& header);

// The longest that a header can be.
inline constexpr size_t kMaxArrayHeader = 100 + kMaxArraySections * (12 + kMaxArrayName);

struct ParsedHeader {
  ArrayFileHeader header;
  size_t size = 0;  // in bytes
};
// Out of a file's first bytes: kMaxArrayHeader of them, or all. DataLoss for what SerializeHeader()
// could not have written.
absl::StatusOr<ParsedHeader> ParseHeader(std::span<const uint8_t> bytes);

// FailedPrecondition for the first difference, with what is and what should be.
absl::Status CheckExpectation(const ArrayFileHeader& header, const ArrayFileExpectation& expected);

}  // namespace manako

#endif  // MANAKO_CORE_CODEC_ARRAY_FILE_H_
