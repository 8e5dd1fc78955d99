#include "core/checkpoint.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "base/temporary_folder.h"

namespace manako {
namespace {

Checkpoint Sample() {
  Checkpoint checkpoint;
  checkpoint.values = {{"round", 3}, {"name", "眼"}};
  FlatArray a(5), empty(0);
  a.data()[4] = 1.5f;
  checkpoint.arrays.push_back({"model", std::move(a)});
  checkpoint.arrays.push_back({"none", std::move(empty)});
  return checkpoint;
}

TEST(CheckpointTest, RoundTrip) {
  const TemporaryFolder folder;
  const std::string path = folder / "checkpoint";
  ASSERT_TRUE(SaveCheckpoint(Sample(), path).ok());
  const auto read = LoadCheckpoint(path);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->values, Sample().values);
  EXPECT_EQ(FindArray(read->arrays, "model")->data()[4], 1.5f);
  EXPECT_EQ(FindArray(read->arrays, "none")->size(), 0);
  EXPECT_EQ(FindArray(read->arrays, "other"), nullptr);
}

TEST(CheckpointTest, EveryDamageIsFound) {
  const TemporaryFolder folder;
  const std::string path = folder / "checkpoint";
  ASSERT_TRUE(SaveCheckpoint(Sample(), path).ok());
  const std::string good = *ReadFile(path);
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x40);
    ASSERT_TRUE(WriteFileAtomically(path, bad).ok());
    EXPECT_EQ(LoadCheckpoint(path).status().code(), absl::StatusCode::kDataLoss) << i;
    ASSERT_TRUE(WriteFileAtomically(path, good.substr(0, i)).ok());
    EXPECT_EQ(LoadCheckpoint(path).status().code(), absl::StatusCode::kDataLoss) << i;
  }
  EXPECT_EQ(LoadCheckpoint(path + ".none").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace manako
