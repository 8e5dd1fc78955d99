#include "core/model_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace manako {
namespace {

using testing::HasSubstr;

ModelSpec Make(std::vector<ModelSpec::Entry> entries) { return *ModelSpec::Create(entries); }

std::string Text(const absl::Status& status) { return std::string(status.message()); }

TEST(ModelSpecTest, ParametersStandBeforeBuffersAtAlignedOffsets) {
  const ModelSpec spec = Make({{"w", {3, 5}, TensorKind::kParameter},
                               {"mean", {5}, TensorKind::kBuffer},
                               {"b", {17}, TensorKind::kParameter}});
  ASSERT_EQ(spec.tensors().size(), 3u);
  EXPECT_EQ(spec.tensors()[1].name, "b");
  EXPECT_EQ(spec.tensors()[1].offset, 16);
  EXPECT_EQ(spec.tensors()[2].name, "mean");
  EXPECT_EQ(spec.parameter_extent(), 48);
  EXPECT_EQ(spec.parameter_count(), 32);
  EXPECT_EQ(spec.size(), 64);
  EXPECT_EQ(spec.Find("b")->size, 17);
  EXPECT_EQ(spec.Find("c"), nullptr);
}

TEST(ModelSpecTest, DifferenceIsNamed) {
  const ModelSpec a =
      Make({{"w", {3}, TensorKind::kParameter}, {"fc", {2, 3}, TensorKind::kParameter}});
  const ModelSpec b =
      Make({{"w", {3}, TensorKind::kParameter}, {"fc", {3, 3}, TensorKind::kParameter}});
  const ModelSpec c = Make({{"w", {3}, TensorKind::kParameter}});
  const ModelSpec d = Make({{"w", {3}, TensorKind::kBuffer}});
  EXPECT_TRUE(a.CheckSame(a).ok());
  EXPECT_THAT(Text(a.CheckSame(b)), HasSubstr("fc [2, 3] here, fc [3, 3] there"));
  EXPECT_THAT(Text(a.CheckSame(c)), HasSubstr("fc is only here"));
  EXPECT_FALSE(c.CheckSame(d).ok());
}

TEST(ModelSpecTest, ImpossibleSpecsAreRefused) {
  const auto create = [](std::vector<ModelSpec::Entry> e) { return ModelSpec::Create(e).status(); };
  EXPECT_THAT(Text(create({{"w", {1}, TensorKind::kParameter}, {"w", {1}, TensorKind::kBuffer}})),
              HasSubstr("two tensors named w"));
  EXPECT_FALSE(create({{"w", {-1}, TensorKind::kParameter}}).ok());
  EXPECT_FALSE(create({{"w", {int64_t{1} << 40, int64_t{1} << 40}, TensorKind::kParameter}}).ok());
}

}  // namespace
}  // namespace manako
