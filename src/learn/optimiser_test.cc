#include "learn/optimiser.h"

#include <gtest/gtest.h>

#include <vector>

namespace manako {
namespace {

// Five steps from (1, -2, 0.5) with gradients (0.1 (k + 1), -0.3, 0.02 k^2) + 0.1 p, k = 0..4.
std::vector<float> FiveSteps(const TrainConfig& config, double rate) {
  Optimiser optimiser(config, 3);
  std::vector<float> p = {1, -2, 0.5};
  for (int k = 0; k < 5; ++k) {
    std::vector<float> g = {0.1f * static_cast<float>(k + 1), -0.3f,
                            0.02f * static_cast<float>(k * k)};
    for (size_t i = 0; i < 3; ++i) g[i] += 0.1f * p[i];
    optimiser.Step(rate, p, g);
    EXPECT_EQ(g, (std::vector<float>{0, 0, 0}));
  }
  return p;
}

TrainConfig Config(const char* optimiser, double momentum, bool nesterov, double decay) {
  TrainConfig config;
  config.optimiser = optimiser;
  config.momentum = momentum;
  config.nesterov = nesterov;
  config.weight_decay = decay;
  return config;
}

void ExpectNear(const std::vector<float>& got, const std::vector<float>& want) {
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], 2e-6) << i;
}

// The expected numbers are torch.optim's (PyTorch 1.13) for the same steps.
TEST(OptimiserTest, AgreesWithPyTorch) {
  ExpectNear(FiveSteps(Config("sgd", 0, false, 0), 0.1),
             {0.802975118f, -1.75495028f, 0.415893644f});
  ExpectNear(FiveSteps(Config("sgd", 0.9, false, 0.01), 0.1),
             {0.547631264f, -1.33408129f, 0.335537046f});
  ExpectNear(FiveSteps(Config("sgd", 0.9, true, 0.01), 0.1),
             {0.400733531f, -1.16333079f, 0.268280298f});
  ExpectNear(FiveSteps(Config("adam", 0, false, 0.01), 0.05),
             {0.751534998f, -1.75024509f, 0.259627908f});
  ExpectNear(FiveSteps(Config("adamw", 0, false, 0.1), 0.05),
             {0.729516685f, -1.70326281f, 0.25072971f});
}

TEST(OptimiserTest, SavedStateContinuesToTheBit) {
  for (const char* kind : {"sgd", "adam", "adamw"}) {
    const TrainConfig config = Config(kind, 0.9, false, 0.01);
    Optimiser a(config, 2), b(config, 2);
    std::vector<float> p = {1, 2}, g = {0.5, -0.25};
    a.Step(0.1, p, g);
    ASSERT_TRUE(b.Restore(a.Save()).ok());
    std::vector<float> q = p, h = {0.1f, 0.2f};
    g = h;
    a.Step(0.1, p, g);
    b.Step(0.1, q, h);
    EXPECT_EQ(p, q) << kind;
    EXPECT_FALSE(Optimiser(config, 3).Restore(a.Save()).ok());
  }
}

}  // namespace
}  // namespace manako
