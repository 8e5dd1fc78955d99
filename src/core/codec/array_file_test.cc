#include "core/codec/array_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/hash.h"
#include "base/random.h"
#include "core/codec/array_file_reader.h"
#include "core/codec/array_file_writer.h"

namespace manako {
namespace {

using testing::HasSubstr;

const std::string kSpec = Sha256Hex("spec"), kBase = Sha256Hex("base");

std::vector<float> Normals(size_t n, uint64_t seed, double scale = 1) {
  Random random(seed, "normals");
  std::vector<float> values(n);
  for (float& v : values) v = static_cast<float>(scale * random.Normal());
  return values;
}

bool SameBits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), 4 * a.size()) == 0);
}

TEST(ArrayFileTest, Float32ComesBackToTheBit) {
  for (const size_t n : {1, 255, 256, 257, 1000, 4096}) {
    std::vector<float> values = Normals(n, n);
    values[0] = NAN;
    ArrayFileHeader header{kSpec, "", 256, {{"model", n}, {"nothing", 0}, {"more", 3}}};
    std::string bytes;
    const std::vector<float> more = {1, -0.0f, INFINITY};
    const auto written =
        WriteArrayBytes(header, std::vector<ArrayPiece>{{values}, {more}}, {}, bytes);
    ASSERT_TRUE(written.ok()) << written.status();
    EXPECT_EQ(written->bytes, bytes.size());
    EXPECT_EQ(written->sha256, Sha256Hex(bytes));
    const auto reader =
        ArrayFileReader::OpenBytes(bytes, {kSpec, "", {{"model", n}, {"nothing", 0}, {"more", 3}}});
    ASSERT_TRUE(reader.ok()) << reader.status();
    std::vector<float> out(n);
    ASSERT_TRUE((*reader)->ReadRange(0, 0, out).ok());
    EXPECT_TRUE(SameBits(values, out));
    const auto read = (*reader)->VerifyAll();
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->sha256, written->sha256);
    EXPECT_EQ(read->sections[0].first_non_finite, 0);
    EXPECT_EQ(read->sections[2].first_non_finite, 2);
  }
}

TEST(ArrayFileTest, AFileOnDisk) {
  std::string folder = (std::filesystem::temp_directory_path() / "array_file-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string path = folder + "/model.mnka";
  const std::vector<float> values = Normals(200000, 1);
  const auto written = WriteArrayFile(path, {kSpec, "", kArrayBlock, {{"model", values.size()}}},
                                      std::vector<ArrayPiece>{{values}});
  ASSERT_TRUE(written.ok()) << written.status();
  EXPECT_EQ(written->sha256, *Sha256HexOfFile(path));
  const auto reader = ArrayFileReader::Open(path);
  ASSERT_TRUE(reader.ok()) << reader.status();
  const auto read = (*reader)->VerifyAll({2, BaseOf("model", values)});
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->sections[0].l2, written->sections[0].l2);
  EXPECT_EQ(read->sections[0].change_l2, 0);
  EXPECT_THAT(std::string(ArrayFileReader::Open(folder + "/none").status().message()),
              HasSubstr("no such file"));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace manako
