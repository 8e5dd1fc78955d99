#include "core/parameter_set.h"

#include <gtest/gtest.h>

#include <cmath>

namespace manako {
namespace {

std::shared_ptr<const ModelSpec> Spec() {
  return std::make_shared<ModelSpec>(*ModelSpec::Create(
      {{"w", {2, 3}, TensorKind::kParameter}, {"mean", {3}, TensorKind::kBuffer}}));
}

TEST(ParameterSetTest, ArraysAreAlignedZeroedAndIndependent) {
  ParameterSet a = ParameterSet::Zero(Spec());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(a.values.data()) % 64, 0u);
  for (float v : a.values.values()) EXPECT_EQ(v, 0);
  ParameterSet b = a.Clone();
  b.Tensor(*b.spec->Find("mean"))[2] = 1;
  EXPECT_EQ(a.Tensor(*a.spec->Find("mean"))[2], 0);
}

TEST(ParameterSetTest, DigestSeesEveryBit) {
  ParameterSet a = ParameterSet::Zero(Spec());
  const std::string zero = a.Digest();
  a.values.data()[5] = -0.0f;
  EXPECT_NE(a.Digest(), zero);
  a.values.data()[5] = 0.0f;
  EXPECT_EQ(a.Digest(), zero);
}

TEST(ParameterSetTest, NonFiniteValuesAreNamed) {
  ParameterSet a = ParameterSet::Zero(Spec());
  EXPECT_TRUE(a.CheckFinite().ok());
  a.Tensor(*a.spec->Find("mean"))[1] = NAN;
  EXPECT_NE(std::string(a.CheckFinite().message()).find("mean"), std::string::npos);
}

TEST(FlatArrayTest, DiscardedItIsZero) {
  for (const int64_t size : {0, 5, 1023, 5000, 4 << 20}) {
    FlatArray array(size);
    for (float& value : array.values()) value = 1;
    array.Discard();
    for (const float value : array.values()) ASSERT_EQ(value, 0) << size;
    for (float& value : array.values()) value = 2;
  }
}

}  // namespace
}  // namespace manako
