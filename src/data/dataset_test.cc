#include "data/dataset.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cstring>
#include <set>

#include "data/npz_testing.h"
#include "data/testing.h"

namespace manako {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;

class DatasetTest : public FolderTest {
 protected:
  DatasetTest() {
    config_.path = Path("in");
    config_.image_size = 8;
  }
  absl::StatusOr<Dataset> Read() {
    return ReadDataset(
        {.config = config_, .cache_folder = Path("cache"), .threads = 2, .progress = {}});
  }
  Dataset ReadOk() {
    auto dataset = Read();
    EXPECT_TRUE(dataset.ok()) << dataset.status();
    return dataset.ok() ? *std::move(dataset) : Dataset();
  }
  std::string Error() {
    const auto dataset = Read();
    const std::string text = dataset.ok() ? "ok" : std::string(MessageOf(dataset.status()));
    EXPECT_EQ(text.find('\n'), std::string::npos) << "one line: " << text;
    return text;
  }
  // `count` different images as in/<folder>/<first>.png and on.
  void Fill(const std::string& folder, int first, int count) {
    for (int i = first; i < first + count; ++i)
      Write("in/" + folder + "/" + std::to_string(i) + ".png", TinyPng(i));
  }
  void Manifest(const std::string& text) {
    Write("in/m.csv", text);
    config_.path = Path("in/m.csv");
  }
  DataConfig config_;
};

TEST_F(DatasetTest, ClassFolders) {
  Fill("normal", 0, 3);
  Fill("glaucoma/deep/er", 10, 2);
  Write("in/normal/notes.txt", "x");
  Write("in/normal/Thumbs.db", "x");
  Write("in/normal/.hidden.png", "x");
  Write("in/normal/PNG", TinyPng(5));  // known by its content
  fs::create_directory_symlink(Path("in"), Path("in/normal/circle"));
  const Dataset dataset = ReadOk();
  EXPECT_THAT(dataset.classes, ElementsAre("glaucoma", "normal"));
  EXPECT_EQ(dataset.positive, 0);
  EXPECT_TRUE(dataset.bad.empty());
  EXPECT_FALSE(dataset.has_patients || dataset.test_given || dataset.synthetic);
  std::vector<std::string> files;
  for (const Image& image : dataset.images) files.push_back(image.file);
  EXPECT_TRUE(std::is_sorted(files.begin(), files.end()));
  ASSERT_EQ(files.size(), 6u);
  EXPECT_EQ(files[0], "glaucoma/deep/er/10.png");
  EXPECT_EQ(dataset.images[0].label, 0);
  EXPECT_EQ(dataset.store->size(), dataset.images.size());
}

TEST_F(DatasetTest, PixelsBelongToTheirImages) {
  for (int i = 0; i < 6; ++i) {
    Write(fmt::format("in/{}/{}.png", i % 2 ? "a" : "b", i),
          Encode(cv::Mat(8, 8, CV_8UC3, cv::Scalar(0, 0, 10 * i)), ".png"));
  }
  Write("in/a/0bad.png", "rubbish");
  config_.max_bad = 0.5;
  const Dataset dataset = ReadOk();
  ASSERT_EQ(dataset.images.size(), 6u);
  for (size_t i = 0; i < 6; ++i) {
    const int number = dataset.images[i].file[2] - '0';
    EXPECT_EQ(dataset.store->Pixels(i)[0], 10 * number) << dataset.images[i].file;
  }
}

TEST_F(DatasetTest, TrainAndTestFolders) {
  Fill("Train/a", 0, 2), Fill("Train/b", 10, 2), Fill("val/a", 20, 1), Fill("test/b", 30, 1);
  Fill("other", 40, 1);
  const Dataset dataset = ReadOk();
  EXPECT_TRUE(dataset.test_given);
  ASSERT_EQ(dataset.images.size(), 6u);
  EXPECT_EQ(dataset.images[0].given, Split::kTrain);
  EXPECT_EQ(dataset.images[4].given, Split::kTest);
  EXPECT_EQ(dataset.images[5].given, Split::kValidation);
}

TEST_F(DatasetTest, TestGivenApart) {
  Fill("main/a", 0, 2), Fill("main/b", 10, 2), Fill("other/a", 20, 1), Fill("other/b", 30, 1);
  config_.path = Path("in/main"), config_.test = Path("in/other");
  const Dataset dataset = ReadOk();
  EXPECT_TRUE(dataset.test_given);
  EXPECT_EQ(dataset.images.back().file, "test:b/30.png");
  EXPECT_EQ(dataset.images.back().given, Split::kTest);
  Fill("other/c", 40, 1);
  EXPECT_THAT(Error(), HasSubstr("class \"c\" is in the test set only (test:c/40.png)"));
  Fill("main2/train/a", 0, 2), Fill("main2/train/b", 10, 2), Fill("main2/test/b", 15, 2);
  config_.path = Path("in/main2");
  EXPECT_THAT(Error(), HasSubstr("data.test is given, but"));
}

TEST_F(DatasetTest, WrongSources) {
  EXPECT_THAT(Error(), HasSubstr("does not exist (data.path)"));
  fs::create_directories(Path("in"));
  EXPECT_THAT(Error(), HasSubstr("has no class folders"));
  fs::create_directories(Path("in/a"));
  EXPECT_THAT(Error(), HasSubstr("holds no images"));
  Fill("a", 0, 2);
  EXPECT_THAT(Error(), HasSubstr("has one class only (\"a\"): at least two are needed"));
  config_.image_size = 0;
  EXPECT_THAT(Error(), HasSubstr("data.image_size must be 1 to 4096, but is 0"));
  config_.image_size = 8, config_.crop = "maybe";
  EXPECT_THAT(Error(), HasSubstr("data.crop must be auto, on or off, but is \"maybe\""));
  config_.crop = "auto", config_.path = Path("in/a/0.png");
  EXPECT_THAT(Error(), HasSubstr("is no folder, CSV manifest or .npz"));
}

TEST_F(DatasetTest, BadImagesAreListedUpToAShare) {
  Fill("a", 0, 20), Fill("b", 50, 20);
  const std::string whole = Encode(Gradient(64, 64), ".jpg");
  Write("in/a/cut.jpg", whole.substr(0, whole.size() / 2));
  Write("in/b/word.png", "hello");
  config_.max_bad = 0.05;
  const Dataset dataset = ReadOk();
  ASSERT_EQ(dataset.bad.size(), 2u);
  EXPECT_EQ(dataset.bad[0].file + ": " + dataset.bad[0].why, "a/cut.jpg: truncated JPEG");
  EXPECT_THAT(dataset.bad[1].why, HasSubstr("not an image"));
  EXPECT_EQ(dataset.images.size(), 40u);
  config_.max_bad = 0.04;
  EXPECT_THAT(
      Error(),
      HasSubstr("2 of 42 images cannot be read, more than data.max_bad = 0.04 allows (a/cut.jpg: "
                "truncated JPEG; b/word.png: not an image"));
}

// Opening a pipe that nobody writes to would wait for ever.
TEST_F(DatasetTest, PipesAndDanglingLinksAreBadImages) {
  Fill("a", 0, 30);
  Fill("b", 100, 30);
  ASSERT_EQ(mkfifo(Path("in/a/pipe.png").c_str(), 0600), 0);
  fs::create_symlink("nowhere", Path("in/b/link.png"));
  const Dataset dataset = ReadOk();
  ASSERT_EQ(dataset.bad.size(), 2u);
  EXPECT_EQ(dataset.bad[0].file, "a/pipe.png");
  EXPECT_THAT(dataset.bad[0].why, HasSubstr("not a regular file"));
  EXPECT_EQ(dataset.bad[1].file, "b/link.png");
}

TEST_F(DatasetTest, OddFileNames) {
  Fill("a", 0, 2), Fill("b", 10, 2);
  Write("in/a/\xff\n.png", TinyPng(90));
  const Dataset dataset = ReadOk();
  ASSERT_EQ(dataset.images.size(), 5u);
  EXPECT_EQ(dataset.images[0].file, "a/%FF%0A.png");
}

TEST_F(DatasetTest, PositiveClass) {
  Fill("Healthy", 0, 2), Fill("zebra", 10, 2);
  EXPECT_EQ(ReadOk().positive, 1);
  config_.positive = "Healthy";
  EXPECT_EQ(ReadOk().positive, 0);
  config_.positive = "ill";
  EXPECT_EQ(Error(), "data.positive is \"ill\", but the classes are: Healthy, zebra");
  config_.positive = "";
  Fill("third", 20, 2);
  EXPECT_EQ(ReadOk().positive, -1);
}

TEST_F(DatasetTest, ManifestColumnsAndPaths) {
  Fill("x", 0, 4);
  config_.group_column = "patient", config_.site_column = "hospital", config_.split_column = "part";
  Manifest("file,label,patient,hospital,part\nx/0.png,a,p1,h1,train\n./x/1.png,b,p2,h2,Test\n" +
           Path("in/x/2.png") + ",b,p1,h1,training\n");
  const Dataset dataset = ReadOk();
  ASSERT_EQ(dataset.images.size(), 3u);
  EXPECT_TRUE(dataset.has_patients && dataset.test_given);
  EXPECT_EQ(dataset.images[1].file, "x/0.png");
  EXPECT_EQ(dataset.images[1].site, "h1");
  EXPECT_EQ(dataset.images[0].group, dataset.images[1].group);
  EXPECT_NE(dataset.images[0].group, dataset.images[2].group);
  EXPECT_EQ(dataset.images[2].given, Split::kTest);
}

TEST_F(DatasetTest, ManifestErrors) {
  Fill("x", 0, 9);
  Manifest("path,class\nx/0.png,a\n");
  EXPECT_THAT(Error(), HasSubstr("has no column \"file\" (data.file_column); it has: path, class"));
  Manifest("file,label\nx/0.png,a\ny/1.png,b\ny/2.png,b\ny/3.png,b\ny/4.png,b\n");
  EXPECT_THAT(Error(),
              HasSubstr("names 4 files that do not exist (y/1.png, y/2.png, y/3.png, ...)"));
  Manifest("file,label\nx/0.png,a\nx/1.png,b\nx/../x/0.png,b\n");
  EXPECT_THAT(
      Error(),
      HasSubstr("lines 2 and 4 both name x/0.png, but \"label\" is a on one and b on the other"));
  Manifest("file,label\nx/0.png,a\nx/1.png,\n");
  EXPECT_THAT(Error(), HasSubstr("line 3: column \"label\" is empty"));
  Manifest("file,label\nx/0.png,a\nx/1.png,caf\xe9\n");
  EXPECT_THAT(Error(), HasSubstr("line 3: byte 0xe9 is no UTF-8"));
  config_.split_column = "s";
  Manifest("file,label,s\nx/0.png,a,sometimes\n");
  EXPECT_THAT(Error(), HasSubstr("line 2: split \"sometimes\" must be train, validation or test"));
  config_.group_column = "p";
  Manifest("file,label,s,p\nx/0.png,a,train,7\nx/1.png,b,train,8\nx/2.png,b,test,7\n");
  EXPECT_THAT(Error(), HasSubstr("1 patients have images in two of training, validation and test "
                                 "(patient 7: x/0.png and x/2.png)"));
}

TEST_F(DatasetTest, RepeatedRowsAreReadOnce) {
  Fill("x", 0, 3);
  Manifest("file,label\nx/0.png,a\nx/1.png,b\nx/0.png,a\n");
  const Dataset dataset = ReadOk();
  EXPECT_EQ(dataset.images.size(), 2u);
  ASSERT_EQ(dataset.bad.size(), 1u);
  EXPECT_EQ(dataset.bad[0].why, "line 4 of the manifest repeats line 2 (read once)");
}

TEST_F(DatasetTest, DuplicatesShareAGroupOrGo) {
  Fill("train/a", 0, 4), Fill("train/b", 10, 4), Fill("test/a", 20, 2), Fill("test/b", 30, 2);
  Write("in/train/a/twin.png", TinyPng(0));  // beside 0.png: one group
  Write("in/train/b/leak.bmp",
        Encode(cv::imdecode(
                   cv::Mat(1, static_cast<int>(TinyPng(30).size()), CV_8U, TinyPng(30).data()), 1),
               ".bmp"));
  Write("in/train/b/odd.png", TinyPng(1));  // also in a: dropped with its twin
  const Dataset dataset = ReadOk();
  EXPECT_EQ(dataset.duplicates.groups, 3);
  EXPECT_EQ(dataset.duplicates.images, 6);
  EXPECT_EQ(dataset.duplicates.moved, 1);
  EXPECT_EQ(dataset.duplicates.conflicting, 1);
  ASSERT_EQ(dataset.bad.size(), 2u);
  EXPECT_EQ(dataset.bad[0].file, "train/a/1.png");
  EXPECT_EQ(dataset.bad[0].why, "same pixels as train/b/odd.png, which has another label (b)");
  std::map<std::string, int> group;
  for (const Image& image : dataset.images) group[image.file] = image.group;
  EXPECT_FALSE(group.contains("train/b/leak.bmp"));
  EXPECT_TRUE(group.contains("test/b/30.png"));
  EXPECT_EQ(group.at("train/a/0.png"), group.at("train/a/twin.png"));
  EXPECT_EQ(dataset.images.size(), 12u);
}

TEST_F(DatasetTest, Npz) {
  std::string pixels;
  for (int i = 0; i < 12 * 4; ++i) pixels.push_back(static_cast<char>(60 + i));
  const auto pack = [&](const std::string& labels, const std::string& shape) {
    Write("in/set.npz", Zip({{"train_images.npy", Npy("|u1", "6, " + shape, pixels.substr(0, 24))},
                             {"train_labels.npy", Npy("|u1", "6, 1", labels)},
                             {"test_images.npy", Npy("|u1", "2, " + shape, pixels.substr(24, 8))},
                             {"test_labels.npy", Npy("|u1", "2,", std::string("\0\12", 2))}},
                            true));
  };
  config_.path = Path("in/set.npz");
  pack(std::string("\0\12\2\0\12\2", 6), "2, 2");
  const Dataset dataset = ReadOk();
  EXPECT_THAT(dataset.classes, ElementsAre("0", "2", "10"));
  ASSERT_EQ(dataset.images.size(), 8u);
  EXPECT_EQ(dataset.images[0].file, "set.npz#test/0");
  EXPECT_TRUE(dataset.test_given);
  EXPECT_EQ(dataset.store->Pixels(0)[0], 60 + 24);
  pack("\1\1\1", "2, 2");
  EXPECT_THAT(Error(), HasSubstr("its shape asks for 6 bytes, but 3 are there"));
  pack(std::string("\0\1\2\0\1\2", 6), "4");
  EXPECT_THAT(Error(), HasSubstr("train_images: |u1 of shape (6, 4): uint8 of shape (n, h, w)"));
  Write("in/set.npz", Zip({{"x.npy", Npy("|u1", "1,", "a")}}));
  EXPECT_THAT(Error(), HasSubstr("has no array train_images (it has: x)"));
  Write("in/set.npz", "PK");
  EXPECT_THAT(Error(), HasSubstr("truncated, or no .npz"));
}

TEST_F(DatasetTest, PhantomFoldersSaySo) {
  Fill("a", 0, 2), Fill("b", 10, 2);
  Write("in/SYNTHETIC.txt", "");
  EXPECT_TRUE(ReadOk().synthetic);
}

TEST_F(DatasetTest, ReadsRealData) {
  const std::string data = MANAKO_TEST_DATA;
  if (!fs::exists(data + "/hygd256/manifest.csv")) GTEST_SKIP() << "no real data in " << data;
  config_.image_size = 32;
  config_.path = data + "/hygd256/manifest.csv";
  config_.group_column = "patient_group";
  const Dataset fundus = ReadOk();
  EXPECT_EQ(fundus.images.size(), 354u);
  EXPECT_EQ(fundus.classes[static_cast<size_t>(fundus.positive)], "glaucoma");
  std::set<int> groups;
  for (const Image& image : fundus.images) groups.insert(image.group);
  EXPECT_EQ(groups.size(), 141u);

  config_.path = data + "/cxr224";
  config_.group_column = "";
  EXPECT_EQ(ReadOk().images.size(), 600u);

  config_.path = data + "/medmnist_breast/breastmnist.npz";
  const Dataset breast = ReadOk();
  EXPECT_THAT(breast.classes, ElementsAre("0", "1"));
  const int counted = static_cast<int>(breast.images.size()) + breast.duplicates.moved +
                      static_cast<int>(breast.bad.size());
  EXPECT_EQ(counted, 546 + 78 + 156);
}

}  // namespace
}  // namespace manako
