#include "core/label_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status_macros.h"

namespace manako {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<std::string> kClasses = {"normal", "glaucoma"};

TEST(LabelMapTest, TheMappingFirstThenTheRunsOwnNames) {
  const LabelMap mapping = {{"正常", {"normal"}},
                            {"OAG", {"open_angle", "glaucoma"}},
                            {"unusable", {}},
                            {"normal", {"glaucoma"}}};
  const std::vector<SiteLabel> labels = {
      {"正常", 3}, {"OAG", 1}, {"unusable", 9}, {"glaucoma", 2}, {"normal", 1}};
  EXPECT_THAT(*MapLabels(mapping, kClasses, labels), ElementsAre(0, 1, -1, 1, 1));
  EXPECT_THAT(
      *MapLabels({{"normal", {"healthy"}}}, kClasses, std::vector<SiteLabel>{{"normal", 4}}),
      ElementsAre(0));
}

TEST(LabelMapTest, AnUnknownLabelIsNamedWithItsImages) {
  const auto unknown =
      MapLabels({}, kClasses, std::vector<SiteLabel>{{"normal", 1}, {"cataract", 17}});
  EXPECT_EQ(unknown.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(
      std::string(MessageOf(unknown.status())),
      HasSubstr(
          "17 images are labelled cataract, which is no class of the run (normal, glaucoma)"));
  const auto elsewhere =
      MapLabels({{"cataract", {"a", "b"}}}, kClasses, std::vector<SiteLabel>{{"cataract", 17}});
  EXPECT_THAT(std::string(MessageOf(elsewhere.status())),
              HasSubstr("[labels] says a or b, which is none"));
}

}  // namespace
}  // namespace manako
