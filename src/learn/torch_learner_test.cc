#include "learn/torch_learner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "learn/fused/plan.h"
#include "learn/optimiser.h"
#include "learn/testing.h"

namespace manako {
namespace {

using testing::HasSubstr;

// With both engines.
ParameterSet InitialOf(NetworkPool* pool) {
  return (*pool->InitialParameters(3, "", nullptr))->Clone();
}

class TorchLearnerTest : public testing::TestWithParam<const char*> {
 protected:
  static void SetUpTestSuite() { PrepareLibtorch(1); }

  TorchLearnerTest() : store_(96, 32, 1) {
    pool_ = *NetworkPool::Create({"cnn3", 2, 0.5});
    options_.train.batch = 8;
    options_.train.local_epochs = 1;
    options_.train.learning_rate = 0.02;
    options_.train.optimiser = "sgd";
    options_.train.precision = "float32";
    options_.train.engine = GetParam();
    options_.train.augmentation.flip_horizontal = false;  // left and right are the classes
    options_.rounds = 8;
    options_.seed = 5;
  }
  std::unique_ptr<TorchLearner> Make() {
    return std::make_unique<TorchLearner>(options_, 2, store_.Range(0, 64), store_.Range(64, 80),
                                          store_.Range(64, 96), pool_.get());
  }
  ParameterSet Initial() { return InitialOf(pool_.get()); }

  SquaresStore store_;
  std::shared_ptr<NetworkPool> pool_;
  TorchLearner::Options options_;
};

double Accuracy(const Predictions& p) {
  int right = 0;
  for (size_t i = 0; i < p.labels.size(); ++i)
    right += (p.probabilities[2 * i + 1] > 0.5f) == (p.labels[i] == 1);
  return static_cast<double>(right) / static_cast<double>(p.labels.size());
}

TEST_P(TorchLearnerTest, LearnsWhatCanBeLearnt) {
  for (const char* optimiser : {"sgd", "adam"}) {
    options_.train.optimiser = optimiser;
    options_.train.learning_rate = optimiser == std::string("sgd") ? 0.02 : 0.001;
    auto learner = Make();
    const ParameterSet model = Rounds(*learner, Initial(), 1, 8);
    const auto predictions = *learner->Evaluate(model, ExampleSet::kTest);
    EXPECT_EQ(predictions.labels.size(), 32u);
    EXPECT_GT(Accuracy(predictions), 0.9) << optimiser;
  }
}

TEST_P(TorchLearnerTest, Bfloat16LearnsToo) {
  if (std::string(GetParam()) == "fused" && !fused::HasBfloat16())
    GTEST_SKIP() << "the fused engine has no bfloat16 on this processor (no AVX-512)";
  options_.train.precision = "bfloat16";
  auto learner = Make();
  EXPECT_GT(Accuracy(*learner->Evaluate(Rounds(*learner, Initial(), 1, 8), ExampleSet::kTest)),
            0.9);
}

// With dropout and augmentation: nothing but the options reaches the bits, whatever else trains at
// the same time.
TEST_P(TorchLearnerTest, SameBitsAloneAndAmongOthers) {
  const std::string alone = Rounds(*Make(), Initial(), 1, 2).Digest();
  std::vector<std::string> digests(3);
  std::vector<std::thread> threads;
  for (auto& digest : digests) {
    threads.emplace_back([&] {
      auto learner = Make();
      ParameterSet model = Initial();
      for (int round = 1; round <= 2; ++round) {
        auto update =
            learner->Train({round, std::make_shared<ParameterSet>(std::move(model)), nullptr});
        model = std::move(update->model);
      }
      digest = model.Digest();
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(digests, testing::Each(alone));
  options_.seed = 6;
  EXPECT_NE(Rounds(*Make(), Initial(), 1, 2).Digest(), alone);
}

TEST_P(TorchLearnerTest, SavedStateContinuesToTheBit) {
  auto whole = Make();
  const std::string expected = Rounds(*whole, Initial(), 1, 4).Digest();
  auto first = Make();
  ParameterSet model = Rounds(*first, Initial(), 1, 2);
  auto second = Make();
  ASSERT_TRUE(second->RestoreState(first->SaveState()).ok());
  EXPECT_EQ(Rounds(*second, model.Clone(), 3, 4).Digest(), expected);
  EXPECT_NE(Rounds(*Make(), std::move(model), 3, 4).Digest(), expected) << "momentum must matter";
}

TEST_P(TorchLearnerTest, ExplodingTrainingIsAnError) {
  options_.train.learning_rate = 1e6;
  options_.train.warmup_share = 0;
  auto learner = Make();
  ParameterSet model = Initial();
  absl::Status status;
  for (int round = 1; round <= 8 && status.ok(); ++round) {
    auto update =
        learner->Train({round, std::make_shared<ParameterSet>(std::move(model)), nullptr});
    status = update.status();
    if (update.ok()) model = std::move(update->model);
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(status.message()), HasSubstr("train.learning_rate"));
}

TEST_P(TorchLearnerTest, LocalStepsBoundARound) {
  options_.steps_per_round = 2.5;
  const auto learner = Make();
  const auto update = learner->Train({1, std::make_shared<ParameterSet>(Initial()), nullptr});
  EXPECT_EQ(update->visits, 16);
  EXPECT_EQ(learner->Train({2, std::make_shared<ParameterSet>(Initial()), nullptr})->visits, 24);
  EXPECT_EQ(update->images, 64);
}

TEST_P(TorchLearnerTest, AnotherModelIsRefused) {
  const auto other =
      std::make_shared<ModelSpec>(*ModelSpec::Create({{"v", {2}, TensorKind::kParameter}}));
  EXPECT_FALSE(
      Make()->Train({1, std::make_shared<ParameterSet>(ParameterSet::Zero(other)), nullptr}).ok());
}

TEST_P(TorchLearnerTest, ProbabilitiesSumToOneAndLossIsTheirs) {
  auto learner = Make();
  const auto p = *learner->Evaluate(Initial(), ExampleSet::kValidation);
  double loss = 0;
  for (size_t i = 0; i < p.labels.size(); ++i) {
    EXPECT_NEAR(p.probabilities[2 * i] + p.probabilities[2 * i + 1], 1, 1e-6);
    loss -= std::log(p.probabilities[2 * i + static_cast<size_t>(p.labels[i])]);
  }
  EXPECT_NEAR(p.loss, loss / static_cast<double>(p.labels.size()), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Engines, TorchLearnerTest, testing::Values("torch", "fused"),
                         [](const auto& info) { return info.param; });

double Distance(const ParameterSet& a, const ParameterSet& b) {
  double sum = 0;
  for (size_t i = 0; i < a.values.values().size(); ++i) {
    const double d =
        static_cast<double>(a.values.values()[i]) - static_cast<double>(b.values.values()[i]);
    sum += d * d;
  }
  return std::sqrt(sum);
}

// The same training, but for the order in which sums are made: after some steps the models are
// still together.
TEST(EnginesTest, TrainAlike) {
  PrepareLibtorch(1);
  const SquaresStore store(96, 32, 1);
  for (const char* network : {"cnn3", "resnet18", "mobilenet_v3_small"}) {
    const auto pool = *NetworkPool::Create({network, 2, 0});
    const ParameterSet initial = InitialOf(pool.get());
    std::vector<ParameterSet> trained;
    std::vector<double> losses;
    for (const char* engine : {"torch", "fused"}) {
      TorchLearner::Options options;
      options.train.engine = engine;
      options.train.precision = "float32";
      options.train.optimiser = "sgd";
      options.train.learning_rate = 0.001;
      options.train.batch = 9;  // 64 images: batches of 8 and 9
      options.train.local_epochs = 1;
      options.rounds = 1;
      options.class_weights = {1.0, 2.0};
      TorchLearner learner(options, 2, store.Range(0, 64), store.Range(64, 80), store.Range(64, 96),
                           pool.get());
      auto update = learner.Train({1, std::make_shared<ParameterSet>(initial.Clone()), nullptr});
      ASSERT_TRUE(update.ok()) << update.status();
      losses.push_back(update->metrics["train_loss"]);
      losses.push_back(learner.Evaluate(initial, ExampleSet::kTest)->loss);
      trained.push_back(std::move(update->model));
    }
    // BatchNorm over the few values that 32x32 images leave in the last layers makes much of
    // roundings.
    const bool plain = network == std::string("cnn3");
    EXPECT_NEAR(losses[0], losses[2], (plain ? 1e-5 : 1e-2) * losses[0]) << network;
    EXPECT_NEAR(losses[1], losses[3], 1e-5 * losses[1]) << network;
    EXPECT_LT(Distance(trained[0], trained[1]),
              (plain ? 1e-3 : 0.1) * Distance(trained[0], initial))
        << network;
  }
}

class EngineTest : public testing::TestWithParam<const char*> {
 protected:
  EngineTest() : pool_(*NetworkPool::Create({"cnn3", 2, 0.5})), initial_(InitialOf(pool_.get())) {
    PrepareLibtorch(1);
  }
  static Batch Images(int n) {
    Batch batch;
    Random random(1, "images");
    batch.inputs.resize(static_cast<size_t>(n) * 32 * 32 * 3);
    for (float& value : batch.inputs) value = static_cast<float>(random.Normal());
    for (int i = 0; i < n; ++i) batch.labels.push_back(i % 2);
    return batch;
  }
  EnginePool::Handle Borrow() {
    return *pool_->engines()->Borrow({GetParam(), "float32", "cpu", true});
  }

  std::shared_ptr<NetworkPool> pool_;
  ParameterSet initial_;
};

TEST_P(EngineTest, DropoutIsANewOneInEveryStepAndTheSameForASeed) {
  const auto losses = [&](uint64_t seed) {
    auto engine = Borrow();
    engine->Load(initial_);
    engine->BeginTraining(seed);
    std::vector<double> out;
    for (int step = 0; step < 3; ++step) {
      Batch batch = Images(8);
      std::fill_n(engine->gradients().data(), engine->gradients().size(), 0.0f);
      out.push_back(*engine->Step({&batch, {32, 32}}, {}));
    }
    return out;
  };
  const std::vector<double> first = losses(1);
  EXPECT_NE(first[0], first[1]);
  EXPECT_NE(first[1], first[2]);
  EXPECT_EQ(losses(1), first);
  EXPECT_NE(losses(2), first);
}

TEST_P(EngineTest, TestsTheModelThatItWasGivenLast) {
  auto engine = Borrow();
  ParameterSet other = initial_.Clone();
  for (float& value : other.values.values()) value *= 1.5f;
  const auto logits = [&](const ParameterSet& model) {
    Batch batch = Images(8);
    engine->Load(model);
    return *engine->Outputs({&batch, {32, 32}}, 8);
  };
  const std::vector<float> first = logits(initial_);
  EXPECT_NE(logits(other), first);
  EXPECT_EQ(logits(initial_), first);
  Batch batch = Images(8);
  engine->BeginTraining(1);
  ASSERT_TRUE(engine->Step({&batch, {32, 32}}, {}).ok());  // in the same memory
  EXPECT_EQ(logits(initial_), first);
}

// An image's logits do not depend on how many others are tested with it.
TEST_P(EngineTest, SmallerBatchesGiveTheSame) {
  auto engine = Borrow();
  engine->Load(initial_);
  Batch whole = Images(8), part = Images(8);
  part.inputs.resize(part.inputs.size() / 8 * 5);
  part.labels.resize(5);
  const std::vector<float> all = *engine->Outputs({&whole, {32, 32}}, 8),
                           some = *engine->Outputs({&part, {32, 32}}, 8);
  ASSERT_EQ(some.size(), 10u);
  for (size_t i = 0; i < some.size(); ++i) EXPECT_NEAR(some[i], all[i], 1e-5f);
}

INSTANTIATE_TEST_SUITE_P(Engines, EngineTest, testing::Values("torch", "fused"),
                         [](const auto& info) { return info.param; });

// Roundings grow with the steps. The yardstick is how far two orders of summing of libtorch's own
// come apart.
TEST(EnginesTest, FiftyStepsStayTogether) {
  PrepareLibtorch(1);
  const SquaresStore store(96, 32, 1);
  const Examples examples = store.Range(0, 96);
  for (const char* network : {"cnn3", "squeezenet1_1"}) {
    const auto pool = *NetworkPool::Create({network, 2, 0});
    const ParameterSet initial = InitialOf(pool.get());
    const auto extent = static_cast<size_t>(pool->spec()->parameter_extent());
    const auto curve = [&](const EngineOptions& options) {
      auto engine = *pool->engines()->Borrow(options);
      engine->Load(initial);
      engine->BeginTraining(1);
      TrainConfig config;
      Optimiser optimiser(config, static_cast<int64_t>(extent));
      BatchPlan plan;
      plan.epochs = 9;
      plan.batches_per_epoch = 6;
      plan.limit = 50;
      const PixelSource source(&store, {});
      BatchLoader loader(examples, plan, source, 0);
      std::vector<double> losses;
      for (Batch batch; loader.Next(batch);) {
        losses.push_back(*engine->Step({&batch, {32, 32}}, {}));
        optimiser.Step(1e-4, engine->values().values().subspan(0, extent),
                       engine->gradients().values());
      }
      return losses;
    };
    const auto apart = [](const std::vector<double>& a, const std::vector<double>& b) {
      double sum = 0;
      for (size_t i = 0; i < a.size(); ++i) sum += std::abs(a[i] - b[i]);
      return sum / static_cast<double>(a.size());
    };
    const std::vector<double> torch = curve({"torch", "float32", "cpu", true});
    const std::vector<double> other = curve({"torch", "float32", "cpu", false});
    const std::vector<double> own = curve({"fused", "float32", "cpu", true});
    ASSERT_EQ(own.size(), 50u);
    EXPECT_NE(torch.front(), torch.back());
    EXPECT_LT(apart(own, torch), 3 * apart(other, torch) + 1e-6) << network;
    if (!fused::HasBfloat16()) continue;
    // In bfloat16 the yardstick is libtorch's autocast.
    const std::vector<double> autocast = curve({"torch", "bfloat16", "cpu", true});
    const std::vector<double> half = curve({"fused", "bfloat16", "cpu", true});
    EXPECT_NE(half, own);
    EXPECT_LT(apart(half, torch), 2 * apart(autocast, torch)) << network;
  }
}

TEST(EnginesTest, AutoTakesTheFusedEngineWhereItCan) {
  const auto pool = *NetworkPool::Create({"cnn3", 2, 0.5});
  TrainConfig train;
  train.precision = "float32";
  std::string why;
  EXPECT_EQ(*ResolveEngine(pool.get(), train, 64, &why), "fused");
  EXPECT_THAT(why, HasSubstr("oneDNN"));
  train.engine = "torch";
  EXPECT_EQ(*ResolveEngine(pool.get(), train, 64, &why), "torch");
  train.engine = "auto";
  train.precision = "bfloat16";
  EXPECT_EQ(*ResolveEngine(pool.get(), train, 64, &why), fused::HasBfloat16() ? "fused" : "torch");
  train.device = "cuda";
  EXPECT_EQ(*ResolveEngine(pool.get(), train, 64, &why), "torch");
  EXPECT_THAT(why, HasSubstr("train.device"));
  train.engine = "fused";
  EXPECT_EQ(ResolveEngine(pool.get(), train, 64, &why).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace manako
