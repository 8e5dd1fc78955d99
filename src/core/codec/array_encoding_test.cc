#include "core/codec/array_encoding.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/random.h"
#include "core/codec/float_kernels.h"

namespace manako {
namespace {

using Encoding = ArrayEncoding;

std::vector<float> Again(Encoding encoding, const std::vector<float>& values) {
  std::vector<uint8_t> bytes(EncodedSize(encoding, values.size()));
  EncodeValues(encoding, values, bytes.data());
  std::vector<float> decoded(values.size());
  DecodeValues(encoding, bytes.data(), decoded);
  return decoded;
}

std::vector<float> Normals(size_t n, double scale) {
  Random random(7, "normals");
  std::vector<float> values(n);
  for (float& v : values) v = static_cast<float>(scale * random.Normal());
  return values;
}

// testdata/make_rounding.py says how its numbers were made.
TEST(ArrayEncodingTest, RoundsAsTheOraclesDo) {
  std::ifstream file(MANAKO_SOURCE_DIR "/src/core/codec/testdata/rounding.txt");
  std::vector<float> inputs, int8_inputs;
  std::vector<uint16_t> bfloat16, float16;
  std::vector<uint32_t> steps;
  std::vector<int> int8;
  std::string halves;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string kind, word;
    words >> kind;
    std::vector<std::string> rest;
    while (words >> word) rest.push_back(word);
    const auto hex = [&](size_t i) {
      return static_cast<uint32_t>(std::stoul(rest[i], nullptr, 16));
    };
    if (kind == "number") {
      inputs.push_back(std::bit_cast<float>(hex(0)));
      bfloat16.push_back(static_cast<uint16_t>(hex(1)));
      float16.push_back(static_cast<uint16_t>(hex(2)));
    } else if (kind == "halves") {
      halves = rest[0];
    } else if (kind == "steps") {
      for (size_t i = 0; i < rest.size(); ++i) steps.push_back(hex(i));
    } else if (kind == "int8") {
      int8_inputs.push_back(std::bit_cast<float>(hex(0)));
      int8.push_back(std::stoi(rest[1]));
    }
  }
  ASSERT_GT(inputs.size(), 2000u);
  ASSERT_EQ(int8.size(), 600u);

  std::vector<uint16_t> out(inputs.size());
  FloatsToBfloat16(inputs.data(), inputs.size(), out.data());
  for (size_t i = 0; i < out.size(); ++i)
    ASSERT_EQ(out[i], bfloat16[i]) << std::hexfloat << inputs[i];
  FloatsToFloat16(inputs.data(), inputs.size(), out.data());
  for (size_t i = 0; i < out.size(); ++i)
    ASSERT_EQ(out[i], float16[i]) << std::hexfloat << inputs[i];

  std::vector<float> made_steps(steps.size());
  std::vector<int8_t> made(int8.size());
  FloatsToInt8(int8_inputs.data(), int8.size(), made_steps.data(), made.data());
  for (size_t i = 0; i < steps.size(); ++i)
    EXPECT_EQ(std::bit_cast<uint32_t>(made_steps[i]), steps[i]);
  for (size_t i = 0; i < int8.size(); ++i)
    ASSERT_EQ(made[i], int8[i]) << i << ": " << int8_inputs[i];

  std::vector<uint16_t> every(65536);
  for (size_t i = 0; i < every.size(); ++i) every[i] = static_cast<uint16_t>(i);
  std::vector<float> decoded(every.size());
  Float16ToFloats(every.data(), every.size(), decoded.data());
  for (float& value : decoded) value = std::isnan(value) ? 0 : value;
  EXPECT_EQ(Sha256Hex({reinterpret_cast<const char*>(decoded.data()), 4 * decoded.size()}), halves);
}

TEST(ArrayEncodingTest, WhatIsRepresentableComesBackToTheBit) {
  std::vector<uint16_t> every, back;
  for (uint32_t i = 0; i < 65536; ++i) {
    if ((i & 0x7c00) != 0x7c00) every.push_back(static_cast<uint16_t>(i));
  }
  std::vector<float> values(every.size());
  back.resize(every.size());
  Float16ToFloats(every.data(), every.size(), values.data());
  FloatsToFloat16(values.data(), values.size(), back.data());
  EXPECT_EQ(back, every);
  every.clear();
  for (uint32_t i = 0; i < 65536; ++i) {
    if ((i & 0x7f80) != 0x7f80) every.push_back(static_cast<uint16_t>(i));
  }
  values.resize(every.size());
  back.resize(every.size());
  Bfloat16ToFloats(every.data(), every.size(), values.data());
  FloatsToBfloat16(values.data(), values.size(), back.data());
  EXPECT_EQ(back, every);
}

TEST(ArrayEncodingTest, ErrorsAreWithinHalfAStep) {
  for (const double scale : {1e-30, 1e-6, 1.0, 1e4}) {
    for (const size_t n : {1, 7, 255, 256, 257, 1000}) {
      const std::vector<float> values = Normals(n, scale);
      const auto bfloat16 = Again(Encoding::kBfloat16, values);
      const auto float16 = Again(Encoding::kFloat16, values);
      const auto int8 = Again(Encoding::kInt8, values);
      for (size_t i = 0; i < n; ++i) {
        const double value = values[i], size = std::abs(value);
        ASSERT_LE(std::abs(bfloat16[i] - value), std::ldexp(size, -8));
        ASSERT_LE(std::abs(float16[i] - value),
                  std::max(std::ldexp(size, -11), std::ldexp(1.0, -25)));
        double largest = 0;
        for (size_t k = i / 256 * 256; k < std::min(n, i / 256 * 256 + 256); ++k) {
          largest = std::max(largest, std::abs(static_cast<double>(values[k])));
        }
        ASSERT_LE(std::abs(int8[i] - value), largest / 127 * 0.50001);
      }
    }
  }
}

TEST(ArrayEncodingTest, EndsOfTheRange) {
  constexpr float kMax = std::numeric_limits<float>::max(),
                  kTiny = std::numeric_limits<float>::denorm_min();
  // Too large: the largest number, never infinity.
  EXPECT_EQ(Again(Encoding::kFloat16, {kMax, -kMax, 65519}),
            (std::vector<float>{65504, -65504, 65504}));
  EXPECT_EQ(Again(Encoding::kBfloat16, {kMax, -kMax}),
            (std::vector<float>{0x1.fep127f, -0x1.fep127f}));
  for (const float value : Again(Encoding::kInt8, {kMax, -kMax, kMax / 2}))
    EXPECT_TRUE(std::isfinite(value));
  EXPECT_NEAR(Again(Encoding::kInt8, {kMax})[0] / kMax, 1, 1e-6);
  // Too small for a normal step: zero.
  EXPECT_EQ(Again(Encoding::kInt8, {kTiny, -kTiny, 1e-36f}), (std::vector<float>{0, 0, 0}));
  EXPECT_EQ(Again(Encoding::kInt8, {0, -0.0f}), (std::vector<float>{0, 0}));
  EXPECT_EQ(Again(Encoding::kInt8, std::vector<float>(300, 0.7f))[299], 127 * (0.7f / 127));
}

TEST(ArrayEncodingTest, NamesAndSizes) {
  for (const Encoding encoding :
       {Encoding::kFloat32, Encoding::kBfloat16, Encoding::kFloat16, Encoding::kInt8}) {
    EXPECT_EQ(*ParseArrayEncoding(NameOf(encoding)), encoding);
    EXPECT_EQ(EncodedSize(encoding, 0), 0u);
  }
  EXPECT_FALSE(ParseArrayEncoding("float64").ok());
  EXPECT_EQ(EncodedSize(Encoding::kInt8, 257), 257u + 8u);
}

// The sums that are told to the ledger and judged at the server: by hand, and NaN where something
// is not finite.
TEST(FloatKernelsTest, Measures) {
  std::vector<float> values(100), base(100, 1);
  double squares = 0, changes = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(i) - 40;
    squares += values[i] * values[i];
    changes += (values[i] - 1) * (values[i] - 1);
  }
  EXPECT_EQ(SumOfSquares(values.data(), 100), squares);
  EXPECT_EQ(SumOfSquaredChanges(values.data(), base.data(), 100), changes);
  EXPECT_EQ(std::bit_cast<float>(LargestBits(values.data(), 100)), 59);
  values[3] = -INFINITY;
  EXPECT_EQ(LargestBits(values.data(), 100), 0x7f800000u);
  // In float32 these sums are infinite.
  const std::vector<float> large(7, 1e30f);
  EXPECT_NEAR(SumOfSquares(large.data(), 7) / 7e60, 1, 1e-6);
}

}  // namespace
}  // namespace manako
