#include "learn/import/convert.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "gtest/gtest.h"

namespace manako {
namespace {

template <typename T>
std::vector<float> Convert(ScalarType type, const std::vector<T>& values) {
  std::vector<float> out(values.size());
  ConvertToFloat(type, reinterpret_cast<const char*>(values.data()), sizeof(T), out.size(),
                 out.data());
  return out;
}

float FromHalf(uint16_t bits) {
  return Convert(ScalarType::kFloat16, std::vector<uint16_t>{bits}).front();
}

// An independent definition: sign * 2^(e-15) * 1.f, or sign * 2^-14 * 0.f.
TEST(ConvertTest, EveryFloat16HasItsValue) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = FromHalf(static_cast<uint16_t>(bits));
    const int exponent = static_cast<int>(bits >> 10 & 31);
    const int fraction = static_cast<int>(bits & 1023);
    ASSERT_EQ(std::signbit(value), bits >= 0x8000) << bits;
    if (exponent == 31) {
      ASSERT_EQ(std::isnan(value), fraction != 0) << bits;
      ASSERT_EQ(std::isinf(value), fraction == 0) << bits;
    } else {
      const double magnitude =
          exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
      ASSERT_EQ(std::fabs(value), static_cast<float>(magnitude)) << bits;
    }
  }
}

TEST(ConvertTest, BFloat16IsTheUpperHalfOfAFloat) {
  const std::vector<uint16_t> bits = {0x3f80, 0xc020, 0x7f80, 0x0001};
  const std::vector<float> values = Convert(ScalarType::kBFloat16, bits);
  EXPECT_EQ(values[0], 1.0f);
  EXPECT_EQ(values[1], -2.5f);
  EXPECT_TRUE(std::isinf(values[2]));
  EXPECT_EQ(values[3], 0x1p-133f);
}

TEST(ConvertTest, Float64RoundsToNearestEvenAndOverflowsToInfinity) {
  const std::vector<double> wide = {1 + 0x1p-24, 1 + 3 * 0x1p-24, 1e300, -1e300, 0.1};
  const std::vector<float> values = Convert(ScalarType::kFloat64, wide);
  EXPECT_EQ(values[0], 1.0f);
  EXPECT_EQ(values[1], 1 + 0x1p-22f);
  EXPECT_EQ(values[2], std::numeric_limits<float>::infinity());
  EXPECT_EQ(values[3], -std::numeric_limits<float>::infinity());
  EXPECT_EQ(values[4], 0.1f);
}

TEST(ConvertTest, IntegersKeepTheirSignAndBoolsAreZeroOrOne) {
  EXPECT_EQ(Convert(ScalarType::kInt8, std::vector<int8_t>{-128})[0], -128.0f);
  EXPECT_EQ(Convert(ScalarType::kUInt8, std::vector<uint8_t>{255})[0], 255.0f);
  EXPECT_EQ(Convert(ScalarType::kInt16, std::vector<int16_t>{-2})[0], -2.0f);
  EXPECT_EQ(Convert(ScalarType::kUInt16, std::vector<uint16_t>{65535})[0], 65535.0f);
  EXPECT_EQ(Convert(ScalarType::kInt32, std::vector<int32_t>{-3})[0], -3.0f);
  EXPECT_EQ(Convert(ScalarType::kUInt32, std::vector<uint32_t>{1u << 31})[0], 0x1p31f);
  EXPECT_EQ(Convert(ScalarType::kInt64, std::vector<int64_t>{INT64_MIN})[0], -0x1p63f);
  EXPECT_EQ(Convert(ScalarType::kUInt64, std::vector<uint64_t>{UINT64_MAX})[0], 0x1p64f);
  EXPECT_EQ(Convert(ScalarType::kBool, std::vector<uint8_t>{0, 1, 255}),
            (std::vector<float>{0, 1, 1}));
}

TEST(ConvertTest, StridesInBytesNeedNoAlignment) {
  char bytes[17] = {};
  for (int i = 0; i < 2; ++i) {
    const float value = 1.5f + i;
    std::memcpy(bytes + 1 + 7 * i, &value, sizeof(value));
  }
  float out[2] = {};
  ConvertToFloat(ScalarType::kFloat32, bytes + 1, 7, 2, out);
  EXPECT_EQ(out[0], 1.5f);
  EXPECT_EQ(out[1], 2.5f);
}

}  // namespace
}  // namespace manako
