#include "learn/import/tensor_file.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/files.h"
#include "base/status_macros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace manako {
namespace {

using testing::HasSubstr;

const std::string kFolder = MANAKO_SOURCE_DIR "/src/learn/import/testdata/";

absl::Status StatusOf(const std::string& name, const TensorFileLimits& limits = {}) {
  return ReadTensorFile(kFolder + name, limits).status();
}

void ExpectEqual(float actual, const std::string& expected, const std::string& where) {
  const float wanted = std::strtof(expected.c_str(), nullptr);
  if (std::isnan(wanted)) {
    EXPECT_TRUE(std::isnan(actual)) << where;
  } else {
    EXPECT_EQ(actual, wanted) << where;
    EXPECT_EQ(std::signbit(actual), std::signbit(wanted)) << where;
  }
}

// Names, order, shapes and values as PyTorch has them: see testdata/make_fixtures.py.
TEST(TensorFileTest, ReadsWhatPyTorchWrote) {
  const absl::StatusOr<std::string> text = ReadFile(kFolder + "expected.json");
  ASSERT_TRUE(text.ok()) << text.status();
  const nlohmann::json expected = nlohmann::json::parse(*text);
  ASSERT_EQ(expected.size(), 24u);
  for (const auto& [file, wanted] : expected.items()) {
    const auto tensors = ReadTensorFile(kFolder + file);
    ASSERT_TRUE(tensors.ok()) << tensors.status();
    ASSERT_EQ(tensors->size(), wanted.size()) << file;
    for (size_t i = 0; i < wanted.size(); ++i) {
      const NamedTensor& tensor = (*tensors)[i];
      const std::string where = file + ": " + tensor.name;
      EXPECT_EQ(tensor.name, wanted[i]["name"]) << where;
      EXPECT_EQ(tensor.shape, wanted[i]["shape"].get<std::vector<int64_t>>()) << where;
      EXPECT_EQ(tensor.is_integer, wanted[i]["is_integer"].get<bool>()) << where;
      const auto values = wanted[i]["values"].get<std::vector<std::string>>();
      ASSERT_EQ(tensor.values.size(), values.size()) << where;
      for (size_t j = 0; j < values.size(); ++j) ExpectEqual(tensor.values[j], values[j], where);
    }
  }
}

TEST(TensorFileTest, RefusesCodeByName) {
  for (const char* file : {"bad_evil.zip.pt", "bad_evil.legacy.pt"}) {
    const absl::Status status = StatusOf(file);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(status.ToString(), HasSubstr("posix.system"));
    EXPECT_THAT(status.ToString(), HasSubstr(file));
  }
  EXPECT_THAT(StatusOf("bad_module.zip.pt").ToString(),
              HasSubstr("torch.nn.modules.linear.Linear"));
}

TEST(TensorFileTest, TellsTorchScriptFromDamage) {
  const absl::Status status = StatusOf("bad_torchscript.pt");
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.ToString(), HasSubstr("TorchScript"));
}

TEST(TensorFileTest, RefusesWhatIsNoStateDict) {
  for (const std::string format : {".zip.pt", ".legacy.pt"}) {
    EXPECT_THAT(StatusOf("bad_nested" + format).ToString(),
                HasSubstr("entry \"a\" is a dictionary, not a tensor"));
    EXPECT_THAT(StatusOf("bad_number" + format).ToString(),
                HasSubstr("entry \"epoch\" is an integer, not a tensor"));
    EXPECT_THAT(StatusOf("bad_list" + format).ToString(), HasSubstr("holds a list"));
  }
  EXPECT_THAT(StatusOf("bad_deflated.pt").ToString(), HasSubstr("compressed (method 8)"));
  EXPECT_THAT(StatusOf("bad_plain_pickle.pt").ToString(), HasSubstr("neither safetensors"));
  EXPECT_THAT(StatusOf("make_fixtures.py").ToString(), HasSubstr("neither safetensors"));
  EXPECT_EQ(StatusOf("no_such_file").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReadTensorBytes("").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(TensorFileTest, SaysWhereALegacyFileWasCutOff) {
  const absl::StatusOr<std::string> whole = ReadFile(kFolder + "small.legacy.pt");
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_THAT(ReadTensorBytes(whole->substr(0, whole->size() - 1)).status().ToString(),
              HasSubstr("2 elements of 4 bytes, but 7 bytes are left"));
  EXPECT_THAT(ReadTensorBytes(*whole + "x").status().ToString(), HasSubstr("1 bytes follow"));
}

TEST(TensorFileTest, KeepsToTheLimits) {
  for (const char* file : {"small.zip.pt", "small.legacy.pt", "small.safetensors"}) {
    const uint64_t size = std::filesystem::file_size(kFolder + file);
    EXPECT_TRUE(StatusOf(file, {.max_bytes = size, .max_tensors = 2}).ok()) << file;
    EXPECT_EQ(StatusOf(file, {.max_bytes = size - 1}).code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(StatusOf(file, {.max_tensors = 1}).code(), absl::StatusCode::kResourceExhausted);
  }
}

TEST(TensorFileTest, ReadsPublishedWeights) {
  const std::string path = MANAKO_TEST_DATA "/squeezenet1_1/squeezenet1_1.safetensors";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no real data: " << path << " is absent";
  const auto tensors = ReadTensorFile(path);
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  EXPECT_EQ(tensors->size(), 52u);
  size_t values = 0;
  for (const NamedTensor& tensor : *tensors) {
    values += tensor.values.size();
    for (const float value : tensor.values) ASSERT_TRUE(std::isfinite(value)) << tensor.name;
  }
  EXPECT_EQ(values, 1235496u);
}

}  // namespace
}  // namespace manako
