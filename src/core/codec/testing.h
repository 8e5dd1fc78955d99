// Numbers and small files for the tests of this folder.
#ifndef MANAKO_CORE_CODEC_TESTING_H_
#define MANAKO_CORE_CODEC_TESTING_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/random.h"
#include "core/codec/array_file_reader.h"
#include "core/codec/array_file_writer.h"

namespace manako {

inline const std::string kTestSpec = Sha256Hex("spec"), kTestBase = Sha256Hex("base");

inline std::vector<float> Normals(size_t n, uint64_t seed, double scale = 1) {
  Random random(seed, "normals");
  std::vector<float> values(n);
  for (float& v : values) v = static_cast<float>(scale * random.Normal());
  return values;
}

// b + scale * normal numbers.
inline std::vector<float> Near(const std::vector<float>& b, uint64_t seed, double scale) {
  std::vector<float> values = Normals(b.size(), seed, scale);
  for (size_t i = 0; i < values.size(); ++i) values[i] += b[i];
  return values;
}

inline bool SameBits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), 4 * a.size()) == 0);
}

struct WrittenFile {
  std::string bytes;
  ArrayFileSummary summary;
};

inline WrittenFile WriteOrDie(const ArrayFileHeader& header, const std::vector<ArrayPiece>& arrays,
                              ArrayWriteOptions options = {}) {
  WrittenFile file;
  const auto summary = WriteArrayBytes(header, arrays, options, file.bytes);
  EXPECT_TRUE(summary.ok()) << summary.status();
  if (summary.ok()) file.summary = *summary;
  return file;
}

// The values of one section.
inline absl::StatusOr<std::vector<float>> ReadAll(const std::string& bytes, size_t section,
                                                  std::span<const float> base = {}) {
  auto reader = ArrayFileReader::OpenBytes(bytes);
  if (!reader.ok()) return reader.status();
  const ArrayFileHeader& header = (*reader)->header();
  std::vector<float> values(header.sections[section].elements);
  for (uint64_t k = 0; k < header.Blocks(section); ++k) {
    const size_t first = k * header.block_elements, n = header.BlockSize(section, k);
    const absl::Status status =
        (*reader)->ReadValues(section, k, std::span<float>(values).subspan(first, n),
                              base.empty() ? base : base.subspan(first, n));
    if (!status.ok()) return status;
  }
  return values;
}

// A file of some 2,300 bytes that has everything: every encoding, values and changes, every method
// of storing, an empty array. `base` is what its arrays model and move are coded against.
struct SmallFile {
  std::string bytes;
  std::vector<float> base;
  ArrayBase Base() const {
    return [this](std::string_view, uint64_t first, std::span<float> out) {
      std::copy_n(base.begin() + static_cast<ptrdiff_t>(first), out.size(), out.begin());
      return absl::OkStatus();
    };
  }
};

inline SmallFile MakeSmallFile() {
  SmallFile file;
  file.base = Normals(300, 1);
  const std::vector<float> model = Near(file.base, 2, 1e-3), noise = Normals(100, 3);
  std::vector<float> zeros(300, 0.0f), wide(120);
  // Whole numbers of many sizes: no plane of them can be made smaller.
  Random random(4, "bits");
  for (float& value : wide) value = static_cast<float>(random());
  file.bytes = WriteOrDie({kTestSpec,
                           kTestBase,
                           256,
                           {{"model", 300},
                            {"nothing", 0},
                            {"wide", 120},
                            {"zeros", 300, ArrayEncoding::kBfloat16},
                            {"halves", 100, ArrayEncoding::kFloat16},
                            {"move", 300, ArrayEncoding::kInt8, true}}},
                          {{model, file.base}, {wide}, {zeros}, {noise}, {model, file.base}})
                   .bytes;
  return file;
}

}  // namespace manako

#endif  // MANAKO_CORE_CODEC_TESTING_H_
