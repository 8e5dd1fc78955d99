// Replays the fuzzer's corpus and the fixtures, damaged in every systematic way, through
// ReadTensorBytes.
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/files.h"
#include "gtest/gtest.h"
#include "learn/import/tensor_file.h"

namespace manako {
namespace {

constexpr size_t kMaxMutatedBytes = 2500;

struct Input {
  std::string name, bytes;
};

std::vector<Input> Inputs(const std::string& folder) {
  std::vector<Input> inputs;
  for (const auto& entry : std::filesystem::directory_iterator(
           std::string(MANAKO_SOURCE_DIR "/src/learn/import/") + folder)) {
    absl::StatusOr<std::string> bytes = ReadFile(entry.path().string());
    EXPECT_TRUE(bytes.ok()) << bytes.status();
    if (bytes.ok()) inputs.push_back({entry.path().filename().string(), *std::move(bytes)});
  }
  std::sort(inputs.begin(), inputs.end(),
            [](const Input& a, const Input& b) { return a.name < b.name; });
  return inputs;
}

// Accepted tensors are whole, and a refusal is one that the contract names.
bool Accepts(const std::string& bytes) {
  const auto tensors = ReadTensorBytes(bytes);
  if (!tensors.ok()) {
    const absl::StatusCode code = tensors.status().code();
    EXPECT_TRUE(code == absl::StatusCode::kInvalidArgument ||
                code == absl::StatusCode::kResourceExhausted ||
                code == absl::StatusCode::kFailedPrecondition)
        << tensors.status();
    return false;
  }
  for (const NamedTensor& tensor : *tensors) {
    size_t count = 1;
    for (const int64_t axis : tensor.shape) count *= static_cast<size_t>(axis);
    EXPECT_EQ(tensor.values.size(), count);
  }
  return true;
}

bool SameTensors(const std::vector<NamedTensor>& a, const std::vector<NamedTensor>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.name == y.name && x.shape == y.shape && x.values == y.values;
  });
}

TEST(TensorFileCorpusTest, ReplaysTheFuzzersCorpus) {
  const std::vector<Input> inputs = Inputs("fuzz_corpus");
  ASSERT_FALSE(inputs.empty());
  for (const Input& input : inputs) Accepts(input.bytes);
}

TEST(TensorFileCorpusTest, EveryTruncationIsRefused) {
  for (const Input& input : Inputs("testdata")) {
    for (size_t size = 0; size < std::min(input.bytes.size(), kMaxMutatedBytes); ++size) {
      ASSERT_FALSE(Accepts(input.bytes.substr(0, size))) << input.name << " cut to " << size;
    }
  }
}

TEST(TensorFileCorpusTest, SurvivesEveryChangedByte) {
  for (const char* folder : {"testdata", "fuzz_corpus"}) {
    for (const Input& input : Inputs(folder)) {
      if (input.bytes.size() > kMaxMutatedBytes) continue;
      for (size_t i = 0; i < input.bytes.size(); ++i) {
        for (const int change : {0xff, 0x01, 0x80}) {
          std::string bytes = input.bytes;
          bytes[i] = static_cast<char>(bytes[i] ^ change);
          Accepts(bytes);
        }
      }
    }
  }
}

// The zip format has checksums: a changed byte is found, or it did not matter.
TEST(TensorFileCorpusTest, AChangedByteOfAZipFileNeverChangesATensor) {
  const std::string path = MANAKO_SOURCE_DIR "/src/learn/import/testdata/small.zip.pt";
  const absl::StatusOr<std::string> whole = ReadFile(path);
  ASSERT_TRUE(whole.ok()) << whole.status();
  const auto wanted = ReadTensorBytes(*whole);
  ASSERT_TRUE(wanted.ok()) << wanted.status();
  for (size_t i = 0; i < whole->size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bytes = *whole;
      bytes[i] = static_cast<char>(bytes[i] ^ 1 << bit);
      const auto tensors = ReadTensorBytes(bytes);
      EXPECT_TRUE(!tensors.ok() || SameTensors(*tensors, *wanted)) << "byte " << i;
    }
  }
}

}  // namespace
}  // namespace manako
