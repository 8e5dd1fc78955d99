#include "data/image_cache.h"

#include <gmock/gmock.h>

#include <cstring>

#include "data/file_index.h"
#include "data/image_loader.h"
#include "data/npz_testing.h"
#include "data/testing.h"

namespace manako {
namespace {

using testing::HasSubstr;

class ImageCacheTest : public FolderTest {
 protected:
  // Two good images of side 4 and a bad one between them.
  std::string Make() {
    auto writer = ImageCacheWriter::Create(Path("a.mkc"), key_, 4, 3);
    EXPECT_TRUE(writer.ok()) << writer.status();
    EXPECT_TRUE((*writer)->Put(2, second_.data()).ok());
    EXPECT_TRUE((*writer)->Put(0, first_.data()).ok());
    (*writer)->PutBad(1, "truncated JPEG");
    EXPECT_TRUE((*writer)->Commit().ok());
    return *ReadFile(Path("a.mkc"));
  }
  absl::Status Open() { return ImageCache::Open(Path("a.mkc"), key_, 2).status(); }

  Sha256Digest key_ = Sha256("settings");
  std::vector<uint8_t> first_ = std::vector<uint8_t>(48, 11),
                       second_ = std::vector<uint8_t>(48, 22);
};

TEST_F(ImageCacheTest, GivesBackWhatWasPut) {
  Make();
  const auto cache = ImageCache::Open(Path("a.mkc"), key_, 1);
  ASSERT_TRUE(cache.ok()) << cache.status();
  ASSERT_EQ((*cache)->size(), 3u);
  EXPECT_EQ((*cache)->width(), 4);
  EXPECT_EQ(std::memcmp((*cache)->Pixels(0), first_.data(), 48), 0);
  EXPECT_EQ(std::memcmp((*cache)->Pixels(2), second_.data(), 48), 0);
  EXPECT_EQ((*cache)->image(1).why, "truncated JPEG");
  EXPECT_TRUE((*cache)->image(1).bad);
  EXPECT_EQ((*cache)->image(0).digest, Sha256({reinterpret_cast<const char*>(first_.data()), 48}));
}

TEST_F(ImageCacheTest, LayoutIsAsDocumented) {
  const std::string bytes = Make();
  EXPECT_EQ(bytes.substr(0, 8), "MKCACHE1");
  EXPECT_EQ(bytes.substr(8, 4), LittleEndian(4, 4));
  EXPECT_EQ(bytes.substr(16, 8), LittleEndian(3, 8));
  EXPECT_EQ(bytes.substr(24, 8), LittleEndian(4096 + 3 * 64, 8));
  EXPECT_EQ(bytes.substr(40, 8), LittleEndian(bytes.size(), 8));
  EXPECT_EQ(bytes[4096 + 2 * 64], 22);
  EXPECT_TRUE(bytes.ends_with("truncated JPEG"));
}

TEST_F(ImageCacheTest, EveryFlippedByteThatCountsIsFound) {
  const std::string bytes = Make();
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i >= 88 && i < 4096) continue;  // padding
    const size_t in_slot = i < 4096 + 192 ? (i - 4096) % 64 : 0;
    if (i >= 4096 && i < 4096 + 192 && (in_slot >= 48 || (i - 4096) / 64 == 1))
      continue;  // padding, bad slot
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    Write("a.mkc", damaged);
    ASSERT_FALSE(Open().ok()) << i;
  }
  for (size_t size = 0; size < bytes.size(); size += 13) {
    Write("a.mkc", bytes.substr(0, size));
    ASSERT_FALSE(Open().ok()) << size;
  }
  Mutate(bytes.substr(0, 100) + bytes.substr(4096), [](std::string_view b) {
    (void)ParseCache({reinterpret_cast<const uint8_t*>(b.data()), b.size()});
  });
}

TEST_F(ImageCacheTest, AnotherKeyIsNotOpened) {
  Make();
  key_ = Sha256("other");
  EXPECT_THAT(std::string(MessageOf(Open())), HasSubstr("made for other images or settings"));
}

TEST_F(ImageCacheTest, ADiskTooSmallIsSaidBeforehand) {
  const auto writer = ImageCacheWriter::Create(Path("a.mkc"), key_, 4096, size_t{1} << 30);
  EXPECT_EQ(writer.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(MessageOf(writer.status())),
              HasSubstr("give another folder (data.cache)"));
}

TEST(FileIndexTest, DamageCostsOneLine) {
  FileIndex index;
  const std::string digest(64, 'a');
  index.Put("/x/one\n.png", {1, 2, 3}, digest);
  index.Put("/x/two.png", {4, 5, 6}, digest);
  std::string text = index.ToText();
  EXPECT_NE(FileIndex::Parse(text).Find("/x/one\n.png", {1, 2, 3}), nullptr);
  EXPECT_EQ(FileIndex::Parse(text).Find("/x/one\n.png", {1, 2, 4}), nullptr);
  text[20] = 'b';
  EXPECT_EQ(FileIndex::Parse(text).Find("/x/one\n.png", {1, 2, 3}), nullptr);
  ASSERT_NE(FileIndex::Parse(text).Find("/x/two.png", {4, 5, 6}), nullptr);
  Mutate(text, [](std::string_view damaged) { FileIndex::Parse(damaged); });
}

class ImageLoaderTest : public FolderTest {
 protected:
  ImageLoaderTest() {
    for (int i = 0; i < 9; ++i) {
      const std::string name = "in/" + std::to_string(i) + ".png";
      Write(name, i == 4 ? "no image" : TinyPng(i));
      images_.push_back(
          {.file = name, .path = Path(name), .array = "", .label = "", .patient = "", .site = ""});
    }
  }
  std::shared_ptr<const ImageCache> Load(int threads) {
    decoded_ = 0;
    const auto cache = LoadImages(images_, {.cache_folder = Path("cache"),
                                            .decode = {8, CropMode::kOff},
                                            .threads = threads,
                                            .progress = [&](size_t done, size_t total) {
                                              EXPECT_EQ(total, 9u);
                                              decoded_ = done;
                                            }});
    EXPECT_TRUE(cache.ok()) << cache.status();
    return *cache;
  }
  std::string CacheFile() {
    for (const auto& entry : std::filesystem::directory_iterator(Path("cache"))) {
      if (entry.path().extension() == ".mkc") return entry.path().string();
    }
    return "";
  }
  std::vector<FoundImage> images_;
  size_t decoded_ = 0;
};

TEST_F(ImageLoaderTest, DecodesOnceAndRemembersBadImages) {
  Load(1);
  EXPECT_EQ(decoded_, 9u);
  const auto again = Load(1);
  EXPECT_EQ(decoded_, 0u);
  EXPECT_EQ(again->image(4).why, "not an image (begins with bytes 6e6f2069)");
}

TEST_F(ImageLoaderTest, ThreadsMakeNoDifference) {
  Load(1);
  const std::string one = *ReadFile(CacheFile());
  std::filesystem::remove_all(Path("cache"));
  Load(4);
  EXPECT_EQ(*ReadFile(CacheFile()), one);
}

TEST_F(ImageLoaderTest, ADamagedCacheIsMadeAgain) {
  Load(1);
  std::string bytes = *ReadFile(CacheFile());
  bytes[4100] = static_cast<char>(bytes[4100] ^ 1);
  std::ofstream(CacheFile(), std::ios::binary) << bytes;
  const auto cache = Load(1);
  EXPECT_EQ(decoded_, 9u);
  EXPECT_NE(static_cast<char>(cache->Pixels(0)[4]), bytes[4100]);
}

TEST_F(ImageLoaderTest, OtherSettingsAreAnotherCache) {
  Load(1);
  const auto bigger = LoadImages(
      images_,
      {.cache_folder = Path("cache"), .decode = {9, CropMode::kOff}, .threads = 1, .progress = {}});
  ASSERT_TRUE(bigger.ok()) << bigger.status();
  EXPECT_EQ((*bigger)->width(), 9);
  Load(1);
  EXPECT_EQ(decoded_, 0u);
}

// A folder that several runs share belongs to none of them, so that each cleans it of the dead.
TEST_F(ImageLoaderTest, WhatAKilledRunLeftIsRemoved) {
  Write("cache/1234.mkc.part.abcdef", "half an image");
  Write("cache/files.index.part.ghijkl", "half a line");
  auto living = AtomicFileWriter::Create(Path("cache/5678.mkc"));
  ASSERT_TRUE(living.ok());
  Load(1);
  EXPECT_FALSE(std::filesystem::exists(Path("cache/1234.mkc.part.abcdef")));
  EXPECT_FALSE(std::filesystem::exists(Path("cache/files.index.part.ghijkl")));
  EXPECT_TRUE((*living)->Commit().ok());
}

TEST_F(ImageLoaderTest, AChangedFileIsSeen) {
  Load(1);
  Write("in/3.png", TinyPng(100));
  Load(1);
  EXPECT_EQ(decoded_, 9u);
}

TEST_F(ImageLoaderTest, AnUnchangedFileIsNotReadAgain) {
  Load(1);
  // The index lies about one file: its lie is believed, so the file was not read.
  FileIndex index = FileIndex::Read(Path("cache/files.index"));
  index.Put(images_[0].path, *StampOf(images_[0].path), std::string(64, '0'));
  Write("cache/files.index", index.ToText());
  Load(1);
  EXPECT_EQ(decoded_, 9u);
  Write("cache/files.index", "rubbish");
  Load(1);
  EXPECT_EQ(decoded_, 0u);
}

}  // namespace
}  // namespace manako
