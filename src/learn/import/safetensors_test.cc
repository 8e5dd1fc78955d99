#include "learn/import/safetensors.h"

#include <string>

#include "base/status_macros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace manako {
namespace {

using testing::HasSubstr;

std::string File(const std::string& header, size_t data_bytes) {
  std::string out;
  for (int i = 0; i < 8; ++i) out += static_cast<char>(header.size() >> 8 * i);
  return out + header + std::string(data_bytes, '\0');
}

std::string Refusal(const std::string& header, size_t data_bytes, TensorFileLimits limits = {}) {
  const auto tensors = ReadSafetensors(File(header, data_bytes), limits);
  return tensors.ok() ? "OK" : tensors.status().ToString();
}

std::string Tensor(const std::string& name, const std::string& dtype, const std::string& shape,
                   const std::string& offsets) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":{}}})", name, dtype, shape,
                     offsets);
}

TEST(SafetensorsTest, KeepsTheHeadersOrderAndShapes) {
  const std::string header = "{" + Tensor("z", "F32", "[1,2]", "[2,10]") + "," +
                             Tensor("a", "F16", "[]", "[0,2]") + "," +
                             Tensor("none", "I64", "[0,3]", "[10,10]") + "}  ";
  std::string bytes = File(header, 0);
  bytes += std::string("\x00\x3e", 2) + std::string("\x00\x00\x80\x3f\x00\x00\x00\x40", 8);
  const auto tensors = ReadSafetensors(bytes, {});
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  ASSERT_EQ(tensors->size(), 3u);
  EXPECT_EQ((*tensors)[0].name, "z");
  EXPECT_EQ((*tensors)[0].shape, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ((*tensors)[0].values, (std::vector<float>{1, 2}));
  EXPECT_EQ((*tensors)[1].name, "a");
  EXPECT_TRUE((*tensors)[1].shape.empty());
  EXPECT_EQ((*tensors)[1].values, std::vector<float>{1.5f});
  EXPECT_FALSE((*tensors)[1].is_integer);
  EXPECT_TRUE((*tensors)[2].values.empty());
  EXPECT_TRUE((*tensors)[2].is_integer);
}

TEST(SafetensorsTest, RefusesWhatDoesNotCoverTheData) {
  const auto two = [](const std::string& first, const std::string& second) {
    return "{" + Tensor("a", "U8", "[4]", first) + "," + Tensor("b", "U8", "[4]", second) + "}";
  };
  EXPECT_EQ(Refusal(two("[0,4]", "[4,8]"), 8), "OK");
  EXPECT_EQ(Refusal(two("[4,8]", "[0,4]"), 8), "OK");
  EXPECT_THAT(Refusal(two("[0,4]", "[3,7]"), 8), HasSubstr("begins at byte 3"));
  EXPECT_THAT(Refusal(two("[0,4]", "[5,9]"), 9), HasSubstr("begins at byte 5"));
  EXPECT_THAT(Refusal(two("[0,4]", "[4,8]"), 9), HasSubstr("has 9 bytes"));
  EXPECT_THAT(Refusal(two("[0,4]", "[4,8]"), 7), HasSubstr("has 7 bytes"));
  EXPECT_THAT(Refusal(two("[4,0]", "[4,8]"), 8), HasSubstr("bytes 4 to 0"));
}

TEST(SafetensorsTest, RefusesSizesThatDoNotMultiplyToTheBytes) {
  const auto one = [](const std::string& dtype, const std::string& shape) {
    return "{" + Tensor("a", dtype, shape, "[0,8]") + "}";
  };
  EXPECT_EQ(Refusal(one("F32", "[2]"), 8), "OK");
  EXPECT_THAT(Refusal(one("F32", "[3]"), 8), HasSubstr("3 numbers of 4 bytes"));
  EXPECT_THAT(Refusal(one("F64", "[2]"), 8), HasSubstr("2 numbers of 8 bytes"));
  // (2^61 + 1) * 8 is 8 modulo 2^64, and 2^32 * 2^32 is 0.
  EXPECT_THAT(Refusal(one("F64", "[2305843009213693953]"), 8), HasSubstr("numbers of 8 bytes"));
  EXPECT_THAT(Refusal(one("F32", "[4294967296,4294967296,2]"), 8), HasSubstr("2^62"));
  EXPECT_THAT(Refusal(one("F32", "[-2]"), 8), HasSubstr("-2"));
  EXPECT_THAT(Refusal(one("F32", "[18446744073709551615]"), 8), HasSubstr("18446744073709551615"));
  EXPECT_THAT(Refusal(one("F32", "[2.0]"), 8), HasSubstr("2.0"));
  EXPECT_THAT(Refusal(one("F8_E4M3", "[8]"), 8), HasSubstr("F8_E4M3"));
}

TEST(SafetensorsTest, RefusesHeadersThatAreNotOne) {
  EXPECT_THAT(Refusal("{", 0), HasSubstr("JSON error"));
  EXPECT_THAT(Refusal("[]", 0), HasSubstr("array"));
  EXPECT_THAT(Refusal("{}x", 0), HasSubstr("JSON error"));
  EXPECT_THAT(Refusal(R"({"a":1})", 0), HasSubstr("number 1"));
  EXPECT_THAT(Refusal(R"({"a":{}})", 0), HasSubstr("lacks"));
  EXPECT_THAT(Refusal(R"({"a":{"dtype":"F32","shape":[],"data_offsets":[0]}})", 0),
              HasSubstr("lacks"));
  EXPECT_THAT(Refusal(R"({"a":{"dtype":"F32","shape":[],"data_offsets":[0,4,4]}})", 4),
              HasSubstr("number 4"));
  EXPECT_THAT(Refusal(R"({"a":{"shape":[[1]]}})", 0), HasSubstr("array"));
  EXPECT_THAT(Refusal(R"({"a":{"dtype":"F32","dtype":"F32"}})", 0), HasSubstr("twice"));
  EXPECT_THAT(Refusal(R"({"a":{"evil":1}})", 0), HasSubstr("evil"));
  EXPECT_THAT(Refusal("{" + Tensor("a", "U8", "[0]", "[0,0]") + "," +
                          Tensor("a", "U8", "[0]", "[0,0]") + "}",
                      0),
              HasSubstr("second"));
  EXPECT_THAT(Refusal(R"({"__metadata__":{"a":{"b":1}}})", 0), HasSubstr("object"));
  EXPECT_THAT(Refusal("{" + Tensor("a\\u0007", "U8", "[0]", "[0,0]") + "}", 0),
              HasSubstr("control character"));
  EXPECT_NE(Refusal(std::string(1 << 20, '['), 0), "OK");
  EXPECT_NE(Refusal(R"({"__metadata__":)" + std::string(1 << 20, '{'), 0), "OK");
  EXPECT_EQ(Refusal(R"({"__metadata__":{"a":"b"}})", 0), "OK");
}

TEST(SafetensorsTest, CountsAgainstTheLimits) {
  const std::string header =
      "{" + Tensor("a", "U8", "[4]", "[0,4]") + "," + Tensor("b", "U8", "[4]", "[4,8]") + "}";
  EXPECT_THAT(Refusal(header, 8, {.max_tensors = 1}), HasSubstr("RESOURCE_EXHAUSTED"));
  EXPECT_EQ(Refusal(header, 8, {.max_bytes = 32, .max_tensors = 2}), "OK");
  EXPECT_THAT(Refusal(header, 8, {.max_bytes = 31}), HasSubstr("RESOURCE_EXHAUSTED"));
}

}  // namespace
}  // namespace manako
