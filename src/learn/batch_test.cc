#include "learn/batch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace manako {
namespace {

constexpr Normalisation kPlain{{0, 0, 0}, {1, 1, 1}};

std::vector<uint8_t> Noise(int height, int width) {
  Random random(5, "noise");
  std::vector<uint8_t> pixels(static_cast<size_t>(height * width * 3));
  for (uint8_t& p : pixels) p = static_cast<uint8_t>(random.Below(256));
  return pixels;
}

TEST(PrepareImageTest, NormalisesAsTorchvisionDoes) {
  const std::vector<uint8_t> pixels = {255, 0, 51};
  float out[3];
  PrepareImage(pixels.data(), 1, 1, {}, {}, out);
  EXPECT_NEAR(out[0], (1 - 0.485) / 0.229, 1e-6);
  EXPECT_NEAR(out[1], (0 - 0.456) / 0.224, 1e-6);
  EXPECT_NEAR(out[2], (0.2 - 0.406) / 0.225, 1e-6);
}

TEST(PrepareImageTest, MirrorIsExact) {
  const auto pixels = Noise(5, 7);
  Augmentation mirror;
  mirror.a = -1;
  mirror.moves = true;
  std::vector<float> out(5 * 7 * 3);
  PrepareImage(pixels.data(), 5, 7, mirror, kPlain, out.data());
  for (int y = 0; y < 5; ++y) {
    for (int x = 0; x < 7; ++x) {
      for (int c = 0; c < 3; ++c) {
        EXPECT_FLOAT_EQ(
            out[static_cast<size_t>((y * 7 + x) * 3 + c)],
            static_cast<float>(pixels[static_cast<size_t>((y * 7 + 6 - x) * 3 + c)]) / 255);
      }
    }
  }
}

TEST(PrepareImageTest, QuarterTurnMovesEveryPixel) {
  const auto pixels = Noise(6, 6);
  AugmentConfig config;
  Augmentation turn;
  turn.a = 0, turn.b = -1, turn.c = 1, turn.d = 0, turn.moves = true;
  std::vector<float> out(6 * 6 * 3);
  PrepareImage(pixels.data(), 6, 6, turn, kPlain, out.data());
  // Output (x, y) comes from source (5 - y, x).
  for (int y = 0; y < 6; ++y) {
    for (int x = 0; x < 6; ++x) {
      EXPECT_NEAR(out[static_cast<size_t>((y * 6 + x) * 3)],
                  static_cast<float>(pixels[static_cast<size_t>((x * 6 + 5 - y) * 3)]) / 255, 1e-6);
    }
  }
}

TEST(PrepareImageTest, HalfPixelShiftInterpolatesAndOutsideIsBlack) {
  // Twice as wide a view: the outer half of the output lies outside the image.
  const std::vector<uint8_t> pixels(4 * 4 * 3, 200);
  Augmentation zoom;
  zoom.a = zoom.d = 3;
  zoom.moves = true;
  std::vector<float> out(4 * 4 * 3);
  PrepareImage(pixels.data(), 4, 4, zoom, kPlain, out.data());
  EXPECT_EQ(out[0], 0);
  EXPECT_NEAR(out[(1 * 4 + 1) * 3], 200 / 255.0, 1e-6);  // source (0, 0)
}

TEST(PrepareImageTest, FarOutsideIsSafe) {
  const auto pixels = Noise(9, 3);
  Augmentation far;
  far.a = far.b = far.c = 1e9, far.d = -1e9, far.moves = true;
  std::vector<float> out(9 * 3 * 3);
  PrepareImage(pixels.data(), 9, 3, far, kPlain, out.data());
  for (float v : out) EXPECT_TRUE(v >= 0 && v <= 1);
}

TEST(PrepareImageTest, BrightnessAndContrastAreClamped) {
  const std::vector<uint8_t> pixels = {255, 128, 0};
  Augmentation bright;
  bright.gain = 2;
  bright.offset = 0.1f;
  float out[3];
  PrepareImage(pixels.data(), 1, 1, bright, kPlain, out);
  EXPECT_FLOAT_EQ(out[0], 1);
  EXPECT_NEAR(out[1], 2 * (128 / 255.0 - 0.5) + 0.6, 1e-6);
  EXPECT_FLOAT_EQ(out[2], 0);
}

TEST(DrawAugmentationTest, OneFlagDoesNotChangeTheOtherDraws) {
  AugmentConfig all, no_flip;
  no_flip.flip_horizontal = false;
  for (uint64_t i = 0; i < 50; ++i) {
    const auto a = DrawAugmentation(all, Random(1, "augment", i));
    const auto b = DrawAugmentation(no_flip, Random(1, "augment", i));
    EXPECT_EQ(std::abs(a.a), std::abs(b.a));
    EXPECT_EQ(a.gain, b.gain);
  }
}

TEST(DrawAugmentationTest, NothingSwitchedOnMovesNothing) {
  AugmentConfig none{false, false, 0, 0, 0, 0};
  EXPECT_FALSE(none.Any());
  const auto a = DrawAugmentation(none, Random(1, "augment"));
  EXPECT_FALSE(a.moves);
  EXPECT_EQ(a.gain, 1);
  EXPECT_EQ(a.offset, 0);
}

}  // namespace
}  // namespace manako
