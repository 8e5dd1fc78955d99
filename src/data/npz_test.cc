#include "data/npz.h"

#include <gmock/gmock.h>

#include "base/files.h"
#include "data/npz_testing.h"
#include "data/testing.h"

namespace manako {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::span<const uint8_t> Bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

std::string ErrorOf(const absl::Status& status) { return std::string(MessageOf(status)); }

// Everything that is done with an .npz, to the end of its arrays.
absl::Status ReadAll(std::string_view bytes) {
  const auto npz = NpzFile::Parse(Bytes(bytes));
  MANAKO_RETURN_IF_ERROR(npz.status());
  for (const std::string& name : npz->names()) {
    MANAKO_ASSIGN_OR_RETURN(auto reader, npz->Open(name));
    if (reader->header().elements() > 1 << 20) continue;
    std::string data(
        static_cast<size_t>(reader->header().elements() * reader->header().item_size()), '\0');
    MANAKO_RETURN_IF_ERROR(reader->Read(data.data(), data.size()));
    (void)npz->ReadLabels(name, 1 << 20);
  }
  return absl::OkStatus();
}

TEST(NpzTest, StoredAndDeflatedEveryVersion) {
  for (const bool compress : {false, true}) {
    for (const int version : {1, 2, 3}) {
      const std::string zip = Zip({{"a.npy", Npy("|u1", "2, 3", "abcdef", version)}}, compress);
      const auto npz = NpzFile::Parse(Bytes(zip));
      ASSERT_TRUE(npz.ok()) << npz.status();
      auto reader = npz->Open("a");
      ASSERT_TRUE(reader.ok()) << reader.status();
      EXPECT_THAT((*reader)->header().shape, ElementsAre(2, 3));
      std::string data(6, '\0');
      ASSERT_TRUE((*reader)->Read(data.data(), 2).ok());
      ASSERT_TRUE((*reader)->Read(data.data() + 2, 4).ok());
      EXPECT_EQ(data, "abcdef");
      EXPECT_FALSE((*reader)->Read(data.data(), 1).ok());
    }
  }
}

TEST(NpzTest, LabelsOfManyTypes) {
  const std::string big_endian("\0\1\0\2", 4);
  const std::string doubles("\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\0", 16);
  const std::string zip = Zip({{"u.npy", Npy("|u1", "2, 1", "\1\2")},
                               {"b.npy", Npy(">i2", "2,", big_endian)},
                               {"f.npy", Npy("<f8", "2,", doubles)},
                               {"n.npy", Npy("|i1", "1,", "\xff")},
                               {"m.npy", Npy("|u1", "1, 2", "\1\1")}});
  const auto npz = NpzFile::Parse(Bytes(zip));
  ASSERT_TRUE(npz.ok()) << npz.status();
  EXPECT_THAT(*npz->ReadLabels("u"), ElementsAre(1, 2));
  EXPECT_THAT(*npz->ReadLabels("b"), ElementsAre(1, 2));
  EXPECT_THAT(*npz->ReadLabels("f"), ElementsAre(1, 0));
  EXPECT_THAT(ErrorOf(npz->ReadLabels("n").status()),
              HasSubstr("n[0] is -1: labels are whole numbers"));
  EXPECT_THAT(ErrorOf(npz->ReadLabels("m").status()),
              HasSubstr("m has shape (1, 2): one class an image"));
  EXPECT_THAT(ErrorOf(npz->ReadLabels("x").status()), HasSubstr("array x is not in the .npz"));
}

TEST(NpzTest, DamageIsFound) {
  const std::string zip = Zip({{"a.npy", Npy("|u1", "6,", "abcdef")}});
  EXPECT_THAT(ErrorOf(ReadAll(zip.substr(0, zip.size() / 2))), HasSubstr("truncated, or no .npz"));
  std::string flipped = zip;
  flipped[zip.find("abcdef")] = 'x';
  EXPECT_THAT(ErrorOf(ReadAll(flipped)), HasSubstr("fails its checksum"));
  EXPECT_THAT(ErrorOf(ReadAll(Zip({{"a.npy", Npy("|u1", "7,", "abcdef")}}))),
              HasSubstr("its shape asks for 7 bytes, but 6 are there"));
  EXPECT_THAT(ErrorOf(ReadAll(Zip({{"a.npy", Npy("|O", "1,", "abc")}}))),
              HasSubstr("type |O is not read"));
  EXPECT_THAT(ErrorOf(ReadAll(Zip({{"a.npy", Npy("<u8", "0, 4294967296, 4294967296", "")}}))),
              HasSubstr("more than 2^40"));
}

TEST(NpzTest, DamagedBytesDoNoHarm) {
  for (const bool compress : {false, true}) {
    const std::string zip = Zip(
        {{"a.npy", Npy("|u1", "2, 2, 3", "abcdefabcdef")}, {"l.npy", Npy("<i8", "1,", "12345678")}},
        compress);
    Mutate(zip, [](std::string_view damaged) { ReadAll(damaged).IgnoreError(); });
  }
  Mutate(Npy("|u1", "2, 3", ""), [](std::string_view damaged) { (void)ParseNpyHeader(damaged); });
}

TEST(NpzTest, ReadsMedMnist) {
  const std::string path = std::string(MANAKO_TEST_DATA) + "/medmnist_breast/breastmnist.npz";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
  const auto mapped = MappedFile::Open(path);
  const auto npz = NpzFile::Parse((*mapped)->bytes());
  ASSERT_TRUE(npz.ok()) << npz.status();
  const auto labels = npz->ReadLabels("train_labels");
  ASSERT_TRUE(labels.ok()) << labels.status();
  EXPECT_EQ(labels->size(), 546u);
  EXPECT_EQ(std::count(labels->begin(), labels->end(), 0), 147);
}

}  // namespace
}  // namespace manako
