// Files that are damaged by chance, and files that lie with all their checksums right.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <filesystem>
#include <string>
#include <vector>

#include "base/crc32c.h"
#include "base/files.h"
#include "base/temporary_folder.h"
#include "core/codec/array_block.h"
#include "core/codec/testing.h"

namespace manako {
namespace {

using testing::HasSubstr;

// Opens and reads everything. Any error must be one that the contract names.
absl::Status Verify(const std::string& bytes, const ArrayBase& base) {
  const auto reader = ArrayFileReader::OpenBytes(bytes);
  absl::Status status = reader.status();
  if (reader.ok()) status = (*reader)->VerifyAll({1, base}).status();
  EXPECT_TRUE(status.ok() || absl::IsDataLoss(status) || absl::IsFailedPrecondition(status))
      << status;
  return status;
}

TEST(ArrayFileDamageTest, TheSmallFileHasEverything) {
  const SmallFile file = MakeSmallFile();
  EXPECT_TRUE(Verify(file.bytes, file.Base()).ok());
  EXPECT_LT(file.bytes.size(), 4000u);
  std::vector<bool> methods(3);
  const auto parsed =
      ParseHeader({reinterpret_cast<const uint8_t*>(file.bytes.data()), file.bytes.size()});
  const uint64_t blocks = parsed->header.TotalBlocks();
  size_t at = parsed->size;
  for (uint64_t k = 0; k < blocks; ++k) {
    uint32_t length, method;
    std::memcpy(&length, file.bytes.data() + at, 4);
    std::memcpy(&method, file.bytes.data() + at + 8, 4);
    methods[method] = true;
    at += kBlockHeader + length;
  }
  EXPECT_EQ(methods, std::vector<bool>(3, true));
}

TEST(ArrayFileDamageTest, EveryFlippedBitIsFound) {
  SmallFile file = MakeSmallFile();
  const ArrayBase base = file.Base();
  for (size_t bit = 0; bit < 8 * file.bytes.size(); ++bit) {
    char& byte = file.bytes[bit / 8];
    byte = static_cast<char>(byte ^ 1 << bit % 8);
    ASSERT_FALSE(Verify(file.bytes, base).ok()) << "bit " << bit;
    byte = static_cast<char>(byte ^ 1 << bit % 8);
  }
  EXPECT_TRUE(Verify(file.bytes, base).ok());
}

// Without the file's digest too: aggregation reads block by block.
TEST(ArrayFileDamageTest, ABlockFindsItsOwnDamage) {
  const std::vector<float> values = Normals(300, 1);
  std::string bytes = WriteOrDie({kTestSpec, "", 256, {{"a", 300}}}, {{values}}).bytes;
  const auto reader = *ArrayFileReader::OpenBytes(bytes);
  const auto all = [&] {
    std::vector<float> out(300);
    return reader->ReadRange(0, 0, out);
  };
  ASSERT_TRUE(all().ok());
  const size_t begin = SerializeHeader(reader->header())->size(), end = bytes.size() - 36 - 2 * 4;
  for (size_t bit = 8 * begin; bit < 8 * end; ++bit) {
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
    ASSERT_TRUE(absl::IsDataLoss(all())) << "bit " << bit;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
  }
}

// Who took the digests as the bytes went by finds what has become of the file all the same.
TEST(ArrayFileDamageTest, DigestsFromTheWayHideNoDamage) {
  SmallFile file = MakeSmallFile();
  ArrayVerifyOptions options{1, file.Base()};
  const auto whole = ArrayFileReader::OpenBytes(file.bytes).value()->VerifyAll(options);
  ASSERT_TRUE(whole.ok()) << whole.status();
  const std::string_view content =
      std::string_view(file.bytes).substr(0, file.bytes.size() - kArrayDigestBytes);
  options.digests = {Sha256(content), Sha256(file.bytes)};
  const auto verify = [&]() -> absl::StatusOr<ArrayFileSummary> {
    const auto reader = ArrayFileReader::OpenBytes(file.bytes);
    if (!reader.ok()) return reader.status();
    return (*reader)->VerifyAll(options);
  };
  const auto same = verify();
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(same->sha256, whole->sha256);
  EXPECT_EQ(same->sections[0].change_l2, whole->sections[0].change_l2);
  for (size_t bit = 0; bit < 8 * file.bytes.size(); ++bit) {
    char& byte = file.bytes[bit / 8];
    byte = static_cast<char>(byte ^ 1 << bit % 8);
    ASSERT_FALSE(verify().ok()) << "bit " << bit;
    byte = static_cast<char>(byte ^ 1 << bit % 8);
  }
  options.digests->content[0] ^= 1;
  EXPECT_TRUE(absl::IsDataLoss(verify().status()));
}

// Blocks of plain float32 are read from a file straight into place.
TEST(ArrayFileDamageTest, ABlockOnDiskFindsItsOwnDamage) {
  const TemporaryFolder folder;
  const std::string path = folder / "model";
  const std::vector<float> values = Normals(600, 1);
  const std::string bytes =
      WriteOrDie({kTestSpec, "", 256, {{"a", 600}}}, {{values}}, {1, false}).bytes;
  const size_t first_block =
      ParseHeader({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()})->size;
  std::vector<float> out(256);
  const auto read = [&](const std::string& content) {
    EXPECT_TRUE(WriteFileAtomically(path, content).ok());
    return ArrayFileReader::Open(path).value()->ReadBlock(0, 0, out);
  };
  EXPECT_TRUE(read(bytes).ok());
  EXPECT_TRUE(SameBits(out, std::span(values).first(256)));
  for (size_t at = first_block; at < first_block + kBlockHeader + 8; ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    EXPECT_TRUE(absl::IsDataLoss(read(damaged))) << "byte " << at;
  }
}

TEST(ArrayFileDamageTest, EveryCutAndEveryAddedOrMissingByteIsFound) {
  const SmallFile file = MakeSmallFile();
  const ArrayBase base = file.Base();
  for (size_t size = 0; size < file.bytes.size(); ++size) {
    ASSERT_FALSE(Verify(file.bytes.substr(0, size), base).ok()) << "cut to " << size;
  }
  for (size_t at = 0; at < file.bytes.size(); ++at) {
    std::string bytes = file.bytes;
    bytes.erase(at, 1);
    ASSERT_FALSE(Verify(bytes, base).ok()) << "without byte " << at;
    bytes = file.bytes;
    bytes.insert(at, 1, bytes[at]);
    ASSERT_FALSE(Verify(bytes, base).ok()) << "with one more byte at " << at;
  }
  for (int byte = 0; byte < 256; ++byte) {
    ASSERT_FALSE(Verify(file.bytes + static_cast<char>(byte), base).ok())
        << "with byte " << byte << " appended";
  }
  EXPECT_FALSE(Verify(file.bytes + file.bytes, base).ok());
}

// One array of 300 elements in two blocks, taken apart so that each part can lie.
struct Parts {
  std::string header;
  std::vector<std::string> blocks;
  std::vector<uint32_t> table;
};

Parts TakeApart(const std::string& bytes) {
  const auto parsed = ParseHeader({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  Parts parts;
  parts.header = bytes.substr(0, parsed->size);
  size_t at = parsed->size;
  for (uint64_t k = 0; k < parsed->header.TotalBlocks(); ++k) {
    uint32_t length;
    std::memcpy(&length, bytes.data() + at, 4);
    parts.blocks.push_back(bytes.substr(at, kBlockHeader + length));
    parts.table.push_back(kBlockHeader + length);
    at += kBlockHeader + length;
  }
  return parts;
}

void Put32(std::string& bytes, size_t at, uint32_t value) {
  std::memcpy(bytes.data() + at, &value, 4);
}

// With every checksum right for what now stands there.
std::string Seal(Parts parts) {
  Put32(parts.header, parts.header.size() - 4,
        Crc32c(parts.header.data(), parts.header.size() - 4));
  std::string bytes = parts.header;
  for (std::string& block : parts.blocks) {
    if (block.size() >= kBlockHeader) {
      const uint32_t crc = Crc32c(block.data(), 12);
      Put32(block, 12, Crc32c(block.data() + kBlockHeader, block.size() - kBlockHeader, crc));
    }
    bytes += block;
  }
  std::string table(reinterpret_cast<const char*>(parts.table.data()), 4 * parts.table.size());
  const uint32_t crc = Crc32c(table);
  bytes += table;
  bytes.append(reinterpret_cast<const char*>(&crc), 4);
  const Sha256Digest digest = Sha256(bytes);
  bytes.append(reinterpret_cast<const char*>(digest.data()), digest.size());
  return bytes;
}

class LyingFileTest : public testing::Test {
 protected:
  static Parts Make(ArrayEncoding encoding, std::span<const float> values) {
    return TakeApart(
        WriteOrDie({kTestSpec, "", 256, {{"a", values.size(), encoding}}}, {{values}}).bytes);
  }
  static std::string Text(const Parts& parts) {
    return std::string(Verify(Seal(parts), {}).message());
  }

  std::vector<float> noise_ = [] {
    Random random(7, "bits");
    std::vector<float> values(300);
    for (float& value : values) value = std::bit_cast<float>(random() & 0xbfffffffu);
    return values;
  }();
  std::vector<float> zeros_ = std::vector<float>(300, 0.0f);
  Parts plain_ = Make(ArrayEncoding::kFloat32, noise_);
  Parts packed_ = Make(ArrayEncoding::kFloat32, zeros_);
};

constexpr size_t kBlockElementsAt = 80, kSectionsAt = 84, kFirstSectionAt = 88;

TEST_F(LyingFileTest, Headers) {
  EXPECT_EQ(Text(plain_), "");
  EXPECT_EQ(Text(packed_), "");
  const auto with = [&](size_t at, uint32_t value) {
    Parts parts = plain_;
    Put32(parts.header, at, value);
    return Text(parts);
  };
  EXPECT_THAT(with(0, 7), HasSubstr("is not an array file"));
  EXPECT_THAT(with(8, 2), HasSubstr("version 2; this program reads version 1"));
  for (const uint32_t size : {0u, 91u, 1000000u, 0xffffffffu})
    EXPECT_THAT(with(12, size), HasSubstr("header"));
  for (const uint32_t block : {0u, 1u, 300u, 0x80000000u}) {
    EXPECT_THAT(with(kBlockElementsAt, block), HasSubstr("block_elements"));
  }
  EXPECT_THAT(with(kSectionsAt, 0), HasSubstr("longer than its list"));
  for (const uint32_t sections : {2u, 0xffffffffu})
    EXPECT_THAT(with(kSectionsAt, sections), HasSubstr("list of arrays"));
  // More elements than the file has blocks for, up to what would not fit any memory.
  for (const uint32_t elements : {513u, 100000u, 0xffffffffu}) {
    EXPECT_THAT(with(kFirstSectionAt, elements), HasSubstr("blocks")) << elements;
  }
  EXPECT_THAT(with(kFirstSectionAt + 4, 0xff), HasSubstr("blocks need"));
  EXPECT_THAT(with(kFirstSectionAt + 4, 0xffffffff), HasSubstr("more than 2^40"));
  EXPECT_THAT(with(kFirstSectionAt, 256), HasSubstr("table"));
  EXPECT_THAT(with(kFirstSectionAt, 299), HasSubstr("cannot have"));
  EXPECT_THAT(with(kFirstSectionAt, 301), HasSubstr("length of its elements"));
  EXPECT_THAT(with(kFirstSectionAt + 8, 0x00010004),
              HasSubstr("list of arrays is wrong"));  // encoding 4
  EXPECT_THAT(with(kFirstSectionAt + 8, 0x00010200),
              HasSubstr("list of arrays is wrong"));  // is_change 2
  EXPECT_THAT(with(kFirstSectionAt + 8, 0x01010000),
              HasSubstr("list of arrays is wrong"));  // reserved
  EXPECT_THAT(with(kFirstSectionAt + 8, 0x00ff0000),
              HasSubstr("list of arrays is wrong"));  // name's length
  EXPECT_THAT(with(kFirstSectionAt + 8, 0x00000000), HasSubstr("longer than its list"));
  EXPECT_THAT(with(kFirstSectionAt + 8, 0x00010001), HasSubstr("cannot have"));  // another encoding
  EXPECT_THAT(with(kFirstSectionAt + 8, 0x00010101), HasSubstr("against what"));
  Parts named = plain_;
  named.header[kFirstSectionAt + 12] = '/';
  EXPECT_THAT(Text(named), HasSubstr("name"));
}

TEST_F(LyingFileTest, Tables) {
  const auto with = [&](uint32_t first, uint32_t second) {
    Parts parts = plain_;
    parts.table = {first, second};
    return Text(parts);
  };
  const uint32_t a = plain_.table[0], b = plain_.table[1];
  EXPECT_EQ(with(a, b), "");
  for (const uint32_t length : {0u, 16u, a + 1, 0xffffffffu})
    EXPECT_THAT(with(length, b), HasSubstr("cannot have"));
  EXPECT_THAT(with(a, b + 1), HasSubstr("cannot have"));
  EXPECT_THAT(with(a - 1, b), HasSubstr("but the table begins at"));
  Parts more = plain_;
  more.table.push_back(b);
  EXPECT_THAT(Text(more), HasSubstr("table"));
  // Blocks of the right lengths in the wrong places.
  Parts swapped = TakeApart(
      WriteOrDie({kTestSpec, "", 256, {{"a", 512}}}, {{Normals(512, 1)}}, {1, false}).bytes);
  std::swap(swapped.blocks[0], swapped.blocks[1]);
  EXPECT_THAT(Text(swapped), HasSubstr("states another number"));
}

// Lengths that add up, but are not those that were written: found when the file is opened.
TEST_F(LyingFileTest, TheTableHasAChecksum) {
  std::string bytes = Seal(packed_);
  const size_t table_at = bytes.size() - 36 - 2 * 4;
  Put32(bytes, table_at, packed_.table[0] - 1);
  Put32(bytes, table_at + 4, packed_.table[1] + 1);
  EXPECT_THAT(std::string(ArrayFileReader::OpenBytes(bytes).status().message()),
              HasSubstr("checksum of the table"));
}

TEST_F(LyingFileTest, ABlockHasNothingBehindItsPlanes) {
  Parts parts = packed_;
  parts.blocks[0] += 'x';
  Put32(parts.blocks[0], 0, static_cast<uint32_t>(parts.blocks[0].size() - kBlockHeader));
  ++parts.table[0];
  EXPECT_THAT(Text(parts), HasSubstr("longer than its planes"));
}

TEST_F(LyingFileTest, Blocks) {
  const auto with = [&](const Parts& from, size_t at, uint32_t value) {
    Parts parts = from;
    Put32(parts.blocks[0], at, value);
    return Text(parts);
  };
  EXPECT_THAT(with(plain_, 0, 1023), HasSubstr("another length than the table"));
  EXPECT_THAT(with(plain_, 4, 1), HasSubstr("states another number"));
  EXPECT_THAT(with(plain_, 8, 3), HasSubstr("unknown method"));
  EXPECT_THAT(with(plain_, 8, 0x100), HasSubstr("unknown method"));
  EXPECT_THAT(with(plain_, 8, 2), HasSubstr("coded against the base"));
  EXPECT_THAT(with(plain_, 8, 1), HasSubstr("plane"));
  EXPECT_THAT(with(packed_, 8, 0), HasSubstr("length of its elements"));
  Parts halves = Make(ArrayEncoding::kBfloat16, zeros_);
  Put32(halves.blocks[0], 8, 2);
  EXPECT_THAT(std::string(Verify(Seal(halves), BaseOf("a", zeros_)).message()),
              HasSubstr("only float32"));
  // Planes: lengths that overrun, underrun, overflow.
  for (const uint32_t length : {0u, 0x80000000u, 0x7fffffffu, 0xffffffffu, 256u, 0x80000100u}) {
    EXPECT_THAT(with(packed_, kBlockHeader, length), HasSubstr("plane")) << length;
  }
}

// A frame that expands to more, or less, than its plane, and one that says nothing of its size:
// found before it is expanded.
TEST_F(LyingFileTest, Frames) {
  uint32_t word;
  std::memcpy(&word, packed_.blocks[0].data() + kBlockHeader, 4);
  ASSERT_EQ(word & 0x80000000u, 0x80000000u);
  const size_t frame_at = kBlockHeader + 16;
  // zstd, RFC 8878: 4 bytes magic, then a descriptor whose upper bits say how long the size field
  // is. 256 bytes of content are stated in two bytes, less 256.
  ASSERT_EQ(static_cast<uint8_t>(packed_.blocks[0][frame_at + 4]) >> 6, 1);
  for (const int change : {1, 255}) {
    Parts parts = packed_;
    parts.blocks[0][frame_at + 5] = static_cast<char>(change);
    EXPECT_THAT(Text(parts), HasSubstr("has not the length of its elements"));
  }
  Parts parts = packed_;
  parts.blocks[0][frame_at + 4] = 0x00;
  EXPECT_THAT(Text(parts), HasSubstr("plane"));
  // And everything else that may stand in it is refused or has the right length.
  for (size_t at = frame_at; at < packed_.blocks[0].size(); ++at) {
    for (const int change : {0x01, 0x10, 0x80, 0xff}) {
      Parts damaged = packed_;
      damaged.blocks[0][at] = static_cast<char>(damaged.blocks[0][at] ^ change);
      (void)Verify(Seal(damaged), {});
    }
  }
}

TEST(ArrayFileCorpusTest, ReplaysTheFuzzersCorpus) {
  int files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(MANAKO_SOURCE_DIR "/src/core/codec/fuzz_corpus")) {
    const auto bytes = ReadFile(entry.path().string());
    ASSERT_TRUE(bytes.ok());
    (void)Verify(*bytes, [](std::string_view, uint64_t, std::span<float> out) {
      std::fill(out.begin(), out.end(), 0.0f);
      return absl::OkStatus();
    });
    ++files;
  }
  EXPECT_GT(files, 0);
}

}  // namespace
}  // namespace manako
