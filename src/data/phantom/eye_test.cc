#include "data/phantom/eye.h"

#include <gtest/gtest.h>

namespace manako::phantom {
namespace {

TEST(StreamOf, DependsOnSeedIndexClassAndLayerOnly) {
  const auto first = [](const PhantomEye& eye, Layer layer) {
    return StreamOf(eye, layer).Next64();
  };
  const PhantomEye eye = {.seed = 7, .index = 5, .detachment = false, .patient = 3};
  const uint64_t number = first(eye, Layer::kVessels);
  EXPECT_EQ(first(eye, Layer::kVessels), number);
  EXPECT_NE(first(eye, Layer::kFundus), number);
  PhantomEye other = eye;
  other.seed = 8;
  EXPECT_NE(first(other, Layer::kVessels), number);
  other = eye;
  other.index = 6;
  EXPECT_NE(first(other, Layer::kVessels), number);
  other = eye;
  other.detachment = true;
  EXPECT_NE(first(other, Layer::kVessels), number);
  other = eye;
  other.patient = 4;
  other.width = 99;
  EXPECT_EQ(first(other, Layer::kVessels), number);
}

TEST(TraitsOf, AreSharedByBothEyesOfAPatientOnly) {
  const PhantomEye right = {.seed = 7, .index = 5, .patient = 3, .right_eye = true};
  const PhantomEye left = {.seed = 7, .index = 9, .detachment = true, .patient = 3};
  EXPECT_EQ(TraitsOf(right).pigment, TraitsOf(left).pigment);
  PhantomEye other = right;
  other.patient = 4;
  EXPECT_NE(TraitsOf(right).pigment, TraitsOf(other).pigment);
  other = right;
  other.seed = 8;
  EXPECT_NE(TraitsOf(right).pigment, TraitsOf(other).pigment);
}

TEST(FrameOf, PutsTheMaculaOnTheTemporalSideOfTheDisc) {
  for (int i = 0; i < 50; ++i) {
    PhantomEye eye = {.seed = 7, .index = i};
    EXPECT_GT(FrameOf(eye).macula.x, FrameOf(eye).disc.x);
    eye.right_eye = true;
    EXPECT_LT(FrameOf(eye).macula.x, FrameOf(eye).disc.x);
    EXPECT_LT(FrameOf(eye).Eccentricity(FrameOf(eye).disc), 0.7);
  }
}

}  // namespace
}  // namespace manako::phantom
