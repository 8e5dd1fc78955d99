#include "base/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace manako {
namespace {

// The known answers of the Random123 distribution (kat_vectors, philox4x32 10).
TEST(PhiloxTest, KnownAnswers) {
  using Block = std::array<uint32_t, 4>;
  EXPECT_EQ(Philox4x32({0, 0, 0, 0}, {0, 0}),
            (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomTest, StreamsAreNamed) {
  auto first = [](Random r) { return r.Next64(); };
  const uint64_t base = first(Random(7, "split"));
  EXPECT_EQ(base, first(Random(7, "split")));
  EXPECT_NE(base, first(Random(8, "split")));
  EXPECT_NE(base, first(Random(7, "batch")));
  EXPECT_NE(first(Random(7, "x", 1, 2, 3)), first(Random(7, "x", 2, 1, 3)));
  EXPECT_NE(first(Random(7, "x", 1, 2, 3)), first(Random(7, "x", 1, 3, 2)));
}

TEST(RandomTest, MomentsOfTheDistributions) {
  Random random(1, "moments");
  constexpr int kDraws = 200000;
  double uniform = 0, normal = 0, normal2 = 0, gamma = 0, small_gamma = 0;
  std::vector<int> counts(7);
  for (int i = 0; i < kDraws; ++i) {
    uniform += random.Uniform();
    const double n = random.Normal();
    normal += n;
    normal2 += n * n;
    gamma += random.Gamma(3);
    small_gamma += random.Gamma(0.3);
    ++counts[random.Below(7)];
  }
  EXPECT_NEAR(uniform / kDraws, 0.5, 0.003);
  EXPECT_NEAR(normal / kDraws, 0, 0.01);
  EXPECT_NEAR(normal2 / kDraws, 1, 0.02);
  EXPECT_NEAR(gamma / kDraws, 3, 0.02);
  EXPECT_NEAR(small_gamma / kDraws, 0.3, 0.01);
  for (int count : counts) EXPECT_NEAR(count, kDraws / 7.0, 700);
}

TEST(RandomTest, DirichletSumsToOneEvenWhenTiny) {
  Random random(2, "dirichlet");
  for (double alpha : {1e-4, 0.1, 1.0, 100.0}) {
    const auto shares = random.Dirichlet(alpha, 5);
    EXPECT_NEAR(std::accumulate(shares.begin(), shares.end(), 0.0), 1, 1e-12) << alpha;
  }
}

TEST(RandomTest, ShuffleIsAPermutation) {
  std::vector<int> values(100);
  std::iota(values.begin(), values.end(), 0);
  Random(3, "shuffle").Shuffle(values);
  EXPECT_FALSE(std::is_sorted(values.begin(), values.end()));
  std::sort(values.begin(), values.end());
  for (int i = 0; i < 100; ++i) EXPECT_EQ(values[i], i);
}

TEST(RandomTest, FillGivesWhatCallsGive) {
  for (const size_t before : {0, 1, 3}) {
    for (const size_t size : {0, 1, 63, 64, 65, 200, 1000}) {
      Random one(7, "fill"), many(7, "fill");
      for (size_t i = 0; i < before; ++i) EXPECT_EQ(one(), many());
      std::vector<uint32_t> words(size);
      many.Fill(words);
      for (const uint32_t word : words) ASSERT_EQ(word, one()) << before << " " << size;
      EXPECT_EQ(many(), one());
    }
  }
}

}  // namespace
}  // namespace manako
