#include "learn/import/zip_archive.h"

#include <zlib.h>

#include <string>
#include <vector>

#include "base/status_macros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace manako {
namespace {

using testing::HasSubstr;

template <typename T>
std::string Le(T value) {
  std::string out;
  for (size_t i = 0; i < sizeof(T); ++i) out += static_cast<char>(value >> 8 * i);
  return out;
}
std::string U16(uint64_t value) { return Le(static_cast<uint16_t>(value)); }
std::string U32(uint64_t value) { return Le(static_cast<uint32_t>(value)); }
std::string U64(uint64_t value) { return Le(value); }

struct File {
  std::string name, data;
  int64_t offset = -1;  // what the directory says, when not the truth
};

struct ZipOptions {
  bool zip64 = false;
  uint16_t method = 0, flags = 0;
  int64_t entries = -1;  // what the end record says, when not the truth
};

std::string Zip(const std::vector<File>& files, const ZipOptions& options = {}) {
  std::string out, directory;
  for (const File& file : files) {
    const uint64_t offset = file.offset >= 0 ? static_cast<uint64_t>(file.offset) : out.size();
    const uint64_t size = file.data.size();
    const std::string crc =
        U32(crc32_z(0, reinterpret_cast<const unsigned char*>(file.data.data()), file.data.size()));
    const bool wide = options.zip64;
    const std::string extra =
        wide ? U16(0x7777) + U16(2) + "xx" + U16(1) + U16(24) + U64(size) + U64(size) + U64(offset)
             : "";
    out += "PK\x03\x04" + U16(45) + U16(options.flags) + U16(options.method) + U32(0) + crc +
           U32(size) + U32(size) + U16(file.name.size()) + U16(3) + file.name + "pad" + file.data;
    directory += "PK\x01\x02" + U16(45) + U16(45) + U16(options.flags) + U16(options.method) +
                 U32(0) + crc + U32(wide ? UINT32_MAX : size) + U32(wide ? UINT32_MAX : size) +
                 U16(file.name.size()) + U16(extra.size()) + U16(0) + U16(0) + U16(0) + U32(0) +
                 U32(wide ? UINT32_MAX : offset) + file.name + extra;
  }
  const uint64_t start = out.size();
  const uint64_t entries =
      options.entries >= 0 ? static_cast<uint64_t>(options.entries) : files.size();
  out += directory;
  if (options.zip64) {
    const uint64_t record = out.size();
    out += "PK\x06\x06" + U64(44) + U16(45) + U16(45) + U32(0) + U32(0) + U64(entries) +
           U64(entries) + U64(directory.size()) + U64(start);
    out += "PK\x06\x07" + U32(0) + U64(record) + U32(1);
    return out + "PK\x05\x06" + U32(0) + U16(0xffff) + U16(0xffff) + U32(UINT32_MAX) +
           U32(UINT32_MAX) + U16(0);
  }
  return out + "PK\x05\x06" + U32(0) + U16(entries) + U16(entries) + U32(directory.size()) +
         U32(start) + U16(7) + "comment";
}

std::string Refusal(const std::string& bytes, uint64_t max_entries = 100) {
  const absl::StatusOr<ZipArchive> archive = ZipArchive::Open(bytes, max_entries);
  return archive.ok() ? "OK" : archive.status().ToString();
}

TEST(ZipArchiveTest, ReadsStoredEntriesWithAndWithoutZip64) {
  for (const bool zip64 : {false, true}) {
    const std::string bytes = Zip({{"a/b", "hello"}, {"empty", ""}}, {.zip64 = zip64});
    const absl::StatusOr<ZipArchive> archive = ZipArchive::Open(bytes, 2);
    ASSERT_TRUE(archive.ok()) << archive.status();
    EXPECT_EQ(archive->entries().size(), 2u);
    EXPECT_EQ(archive->Read("a/b").value(), "hello");
    EXPECT_EQ(archive->Read("empty").value(), "");
    EXPECT_EQ(archive->Read("none").status().code(), absl::StatusCode::kNotFound);
    EXPECT_EQ(ZipArchive::Open(bytes, 1).status().code(), absl::StatusCode::kResourceExhausted);
  }
}

TEST(ZipArchiveTest, RefusesAWrongChecksum) {
  std::string bytes = Zip({{"a", "hello"}});
  bytes[bytes.find("hello")] = 'j';
  const absl::StatusOr<ZipArchive> archive = ZipArchive::Open(bytes, 2);
  ASSERT_TRUE(archive.ok()) << archive.status();
  const auto read = archive->Read("a");
  ASSERT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(MessageOf(read.status())), HasSubstr("CRC-32"));
}

TEST(ZipArchiveTest, RefusesCompressedAndEncryptedEntriesWhenTheyAreRead) {
  const std::string deflated = Zip({{"a", "x"}}, {.method = 8});
  EXPECT_THAT(ZipArchive::Open(deflated, 2)->Read("a").status().ToString(), HasSubstr("method 8"));
  const std::string encrypted = Zip({{"a", "x"}}, {.flags = 1});
  EXPECT_THAT(ZipArchive::Open(encrypted, 2)->Read("a").status().ToString(),
              HasSubstr("encrypted"));
}

TEST(ZipArchiveTest, RefusesEntriesThatOverlapOrShareAName) {
  EXPECT_THAT(Refusal(Zip({{"a", "x"}, {"a", "y"}})), HasSubstr("two entries"));
  EXPECT_THAT(Refusal(Zip({{"a", "x"}, {"b", "y", 0}})), HasSubstr("no header"));
  // An entry inside the data of another.
  const std::string inner = Zip({{"in", "zz"}}).substr(0, 30 + 2 + 3 + 2);
  EXPECT_THAT(Refusal(Zip({{"out", inner}, {"in", "zz", 30 + 3 + 3}})), HasSubstr("overlaps"));
}

TEST(ZipArchiveTest, RefusesADirectoryThatIsNotThere) {
  EXPECT_THAT(Refusal(""), HasSubstr("no end record"));
  EXPECT_THAT(Refusal(Zip({{"a", "x"}}, {.entries = 2})), HasSubstr("cannot stand"));
  EXPECT_THAT(Refusal(Zip({{"a", "x"}, {"b", "y"}}, {.entries = 1})), HasSubstr("follow"));
  EXPECT_THAT(Refusal(Zip({{"a", "x", 1}})), HasSubstr("no header"));
  std::string reaching = Zip({{"a", "x"}});
  ++reaching[reaching.size() - 7 -
             10];  // the directory's size, before its offset, a length, "comment"
  EXPECT_THAT(Refusal(reaching), HasSubstr("must end before"));
  const std::string wide = Zip({{"a", "x"}}, {.zip64 = true});
  for (const size_t from_end : {22 + 12, 22 + 20 + 8, 22 + 20 + 16, 22 + 20 + 24}) {
    std::string bytes = wide;
    for (int i = 0; i < 8; ++i) bytes[bytes.size() - from_end + i] = '\xff';
    EXPECT_NE(Refusal(bytes), "OK") << from_end;
  }
}

TEST(ZipArchiveTest, EveryTruncationIsRefused) {
  for (const bool zip64 : {false, true}) {
    const std::string bytes = Zip({{"a/b", "hello"}, {"c", "x"}}, {.zip64 = zip64});
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_NE(Refusal(bytes.substr(0, size)), "OK") << size;
    }
  }
}

}  // namespace
}  // namespace manako
