// Frozen layers: that they never change, and that training on their features is training the
// network behind them.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/script.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "base/temporary_folder.h"
#include "learn/feature_cache.h"
#include "learn/frozen_network.h"
#include "learn/fused/plan.h"
#include "learn/model.h"
#include "learn/testing.h"
#include "learn/torch_learner.h"

namespace manako {
namespace {

using testing::HasSubstr;

constexpr int kSide = 64;

bool SameBits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

// The images of another store, in the order of `images`.
class Reordered : public ImageStore {
 public:
  Reordered(const ImageStore* all, std::vector<size_t> images)
      : all_(all), images_(std::move(images)) {}
  int height() const override { return all_->height(); }
  int width() const override { return all_->width(); }
  size_t size() const override { return images_.size(); }
  const uint8_t* Pixels(size_t image) const override { return all_->Pixels(images_[image]); }

 private:
  const ImageStore* all_;
  std::vector<size_t> images_;
};

class FrozenTest : public testing::TestWithParam<const char*> {
 protected:
  FrozenTest() : store_(48, kSide, 1) {
    PrepareLibtorch(1);
    options_.train.engine = GetParam();
    options_.train.precision = "float32";
    options_.train.batch = 8;
    options_.train.learning_rate = 0.002;
    options_.train.local_epochs = 1;
    options_.train.augmentation.flip_horizontal = false;  // left and right are the classes
    options_.train.feature_variants = 3;
    options_.rounds = 6;
    options_.seed = 5;
  }
  void Use(const std::string& network, const std::string& layer, double dropout = 0) {
    const NetworkOptions options{network, 2, dropout, kSide};
    pool_ = *NetworkPool::Create(options);
    frozen_ = *FrozenNetwork::Create(options, layer);
    initial_ = *pool_->InitialParameters(3, "", nullptr);
  }
  std::shared_ptr<FeatureCache> Cache(int workers = 1) {
    return CacheOf(&store_, Numbers(0, 32), Numbers(32, 48), workers);
  }
  std::shared_ptr<FeatureCache> CacheOf(const ImageStore* store, const std::vector<int>& train,
                                        const std::vector<int>& test, int workers = 1) {
    return std::make_shared<FeatureCache>(
        FeatureCache::Options{options_.train, {}, folder_.path(), 9, workers}, frozen_, store,
        train, test);
  }
  static std::vector<int> Numbers(int begin, int end) {
    std::vector<int> numbers;
    for (int i = begin; i < end; ++i) numbers.push_back(i);
    return numbers;
  }
  std::unique_ptr<TorchLearner> Make(int workers = 1) {
    options_.features = Cache(workers);
    return std::make_unique<TorchLearner>(options_, 2, store_.Range(0, 32), store_.Range(32, 40),
                                          store_.Range(32, 48), pool_.get());
  }
  ParameterSet Rounds(TorchLearner& learner, ParameterSet model, int first, int last) {
    return manako::Rounds(learner, std::move(model), first, last, &losses_);
  }

  const TemporaryFolder folder_;
  SquaresStore store_;
  std::shared_ptr<NetworkPool> pool_;
  std::shared_ptr<FrozenNetwork> frozen_;
  std::shared_ptr<const ParameterSet> initial_;
  TorchLearner::Options options_;
  std::vector<double> losses_;
};

TEST_P(FrozenTest, FrozenValuesStayToTheBitAndTheOthersDoNot) {
  for (const char* optimiser : {"sgd", "adam", "adamw"}) {
    options_.train.optimiser = optimiser;
    options_.train.weight_decay = 0.1;
    Use("resnet18", "layer4");
    ParameterSet start = initial_->Clone();
    start.Tensor(*start.spec->Find("conv1.weight"))[0] = -0.0f;
    const ParameterSet model = Rounds(*Make(), start.Clone(), 1, 2);
    for (const TensorSpec& tensor : model.spec->tensors()) {
      const bool trained = tensor.name.starts_with("layer4") || tensor.name.starts_with("fc");
      EXPECT_EQ(SameBits(model.Tensor(tensor), start.Tensor(tensor)), !trained)
          << optimiser << ": " << tensor.name;
    }
  }
}

// Float32 to 1e-5, with BatchNorm whose statistics are not 0 and 1.
TEST_P(FrozenTest, FeaturesAndTheRestAreTheWholeNetwork) {
  for (const auto& [network, layer] :
       {std::pair("cnn3", "classifier"), std::pair("resnet18", "layer3"),
        std::pair("resnet18", "fc"), std::pair("squeezenet1_1", "features.10"),
        std::pair("mobilenet_v3_small", "features.9")}) {
    SCOPED_TRACE(std::string(network) + " until " + layer);
    Use(network, layer);
    ParameterSet model = initial_->Clone();
    for (const TensorSpec& tensor : model.spec->tensors()) {
      if (tensor.kind != TensorKind::kBuffer) continue;
      Random random(5, tensor.name);
      for (float& value : model.Tensor(tensor))
        value = static_cast<float>(random.Uniform(0.5, 1.5));
    }
    const auto learner = Make();
    const Predictions parts = *learner->Evaluate(model, ExampleSet::kTest);
    const Predictions whole = *Predict(pool_.get(), model, store_.Range(32, 48), 2, 8,
                                       EngineOptions::Of(options_.train), {});
    ASSERT_EQ(parts.probabilities.size(), 32u);
    for (size_t i = 0; i < parts.probabilities.size(); ++i)
      EXPECT_NEAR(parts.probabilities[i], whole.probabilities[i], 1e-5);
    EXPECT_NEAR(parts.loss, whole.loss, 1e-5 * whole.loss);
  }
}

// A step of SGD on all tensors that are not frozen, in libtorch and float64, on a module whose
// frozen modules are in inference mode.
std::vector<double> LossesByLibtorch(const ParameterSet& initial, NetworkPool* pool,
                                     const FrozenNetwork& frozen, const Examples& examples,
                                     const TorchLearner::Options& options, int rounds) {
  NetworkPool::Handle network = *pool->Borrow();
  std::ranges::copy(initial.values.values(), network->values().data());
  torch::jit::Module module;
  std::set<std::string> trained;
  for (const TensorSpec& tensor : frozen.head()->spec()->tensors()) trained.insert(tensor.name);
  {
    const at::NoGradGuard no_grad;  // what is copied stays a leaf
    module = network->module().deepcopy();
    for (const auto& p : module.named_parameters())
      at::Tensor(p.value).set_data(p.value.detach().to(at::kDouble));
    for (const auto& b : module.named_buffers()) {
      if (b.value.is_floating_point())
        at::Tensor(b.value).set_data(b.value.detach().to(at::kDouble));
    }
  }
  for (const auto& p : module.named_parameters()) {
    p.value.mutable_grad() = at::Tensor();
    p.value.requires_grad_(trained.contains(p.name));
  }
  for (const auto& part : module.named_modules()) {
    const bool in_head = std::any_of(trained.begin(), trained.end(), [&](const std::string& name) {
      return name.starts_with(part.name + ".");
    });
    torch::jit::Module(part.value).setattr("training", part.name.empty() || in_head);
  }
  const PixelSource source(examples.store, {});
  std::vector<double> losses;
  for (int round = 1; round <= rounds; ++round) {
    BatchPlan plan;
    plan.batches_per_epoch = 4;
    plan.limit = 1;
    plan.seed = DeriveSeed(options.seed, "round", static_cast<uint64_t>(round));
    BatchLoader loader(examples, plan, source, 0);
    Batch batch;
    loader.Next(batch);
    const auto n = static_cast<int64_t>(batch.labels.size());
    const at::Tensor images = at::from_blob(batch.inputs.data(), {n, kSide, kSide, 3}, at::kFloat)
                                  .permute({0, 3, 1, 2})
                                  .to(at::kDouble);
    const at::Tensor loss = at::cross_entropy_loss(
        module.forward({images}).toTensor(), at::from_blob(batch.labels.data(), {n}, at::kLong));
    loss.backward();
    losses.push_back(loss.item<double>());
    const at::NoGradGuard no_grad;
    for (const auto& p : module.named_parameters()) {
      if (!trained.contains(p.name)) continue;
      at::Tensor(p.value).sub_(p.value.grad(), options.train.learning_rate);
      p.value.mutable_grad() = at::Tensor();
    }
  }
  return losses;
}

TEST_P(FrozenTest, TrainsAsTheNetworkWithFrozenLayersInLibtorch) {
  options_.train.optimiser = "sgd";
  options_.train.momentum = 0;
  options_.train.weight_decay = 0;
  options_.train.schedule = "constant";
  options_.train.warmup_share = 0;
  options_.train.augment = false;
  options_.steps_per_round = 1;
  options_.rounds = 12;
  for (const auto& [network, layer] :
       {std::pair("cnn3", "features.6"), std::pair("resnet18", "layer3"),
        std::pair("squeezenet1_1", "features.12")}) {
    SCOPED_TRACE(std::string(network) + " until " + layer);
    Use(network, layer);
    losses_.clear();
    Rounds(*Make(), initial_->Clone(), 1, 12);
    const std::vector<double> expected =
        LossesByLibtorch(*initial_, pool_.get(), *frozen_, store_.Range(0, 32), options_, 12);
    ASSERT_EQ(losses_.size(), expected.size());
    EXPECT_GT(std::abs(expected.front() - expected.back()), 1e-3) << "nothing was learnt";
    // BatchNorm over a few values makes much of roundings.
    const double tolerance = network == std::string("resnet18") ? 3e-3 : 2e-4;
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR(losses_[i], expected[i], tolerance * expected[i]) << "step " << i + 1;
  }
}

TEST_P(FrozenTest, SavedStateContinuesToTheBit) {
  Use("cnn3", "classifier", 0.5);
  const std::string expected = Rounds(*Make(), initial_->Clone(), 1, 4).Digest();
  const auto first = Make();
  ParameterSet model = Rounds(*first, initial_->Clone(), 1, 2);
  const auto second = Make();
  ASSERT_TRUE(second->RestoreState(first->SaveState()).ok());
  EXPECT_EQ(Rounds(*second, model.Clone(), 3, 4).Digest(), expected);
  EXPECT_NE(Rounds(*Make(), std::move(model), 3, 4).Digest(), expected) << "momentum must matter";
}

TEST_P(FrozenTest, FeaturesDependOnTheImageAlone) {
  Use("squeezenet1_1", "features.9");
  options_.train.feature_variants = 11;  // more than are computed together
  const auto one = *Cache(1)->Of(*initial_), three = *Cache(3)->Of(*initial_);
  // Where a site has fewer images, in another order.
  const Reordered few(&store_, {40, 7, 31, 0});
  const auto own = *CacheOf(&few, {2, 1, 1}, {0})->Of(*initial_);
  const auto floats = static_cast<size_t>(one->shape().elements());
  const auto same = [&](const float* a, const float* b) {
    return SameBits({a, floats}, {b, floats});
  };
  for (int v = 0; v < 11; ++v) {
    for (size_t image = 0; image < 32; ++image)
      EXPECT_TRUE(same(one->Variant(image, v), three->Variant(image, v)));
    EXPECT_TRUE(same(one->Variant(31, v), own->Variant(2, v)));
    EXPECT_TRUE(same(one->Variant(7, v), own->Variant(1, v)));
    for (int other = 0; other < v; ++other)
      EXPECT_FALSE(same(one->Variant(7, v), one->Variant(7, other)));
  }
  EXPECT_TRUE(same(one->AsIs(40), own->AsIs(0)));
}

TEST_P(FrozenTest, WorkersDoNotReachTheBits) {
  Use("mobilenet_v3_small", "features.9", 0.2);
  const std::string one = Rounds(*Make(1), initial_->Clone(), 1, 2).Digest();
  EXPECT_EQ(Rounds(*Make(4), initial_->Clone(), 1, 2).Digest(), one);
  options_.seed = 6;
  EXPECT_NE(Rounds(*Make(1), initial_->Clone(), 1, 2).Digest(), one);
}

TEST_P(FrozenTest, AnotherTrunkHasOtherFeatures) {
  Use("cnn3", "classifier");
  const auto cache = Cache();
  const auto first = *cache->Of(*initial_);
  ParameterSet head = initial_->Clone();
  head.Tensor(*head.spec->Find("classifier.4.bias"))[0] += 1;
  EXPECT_EQ(*cache->Of(head), first) << "the head has no part in them";
  ParameterSet trunk = initial_->Clone();
  trunk.Tensor(*trunk.spec->Find("features.0.bias"))[0] += 1;
  const auto second = *cache->Of(trunk);
  EXPECT_NE(second, first);
  const auto floats = static_cast<size_t>(first->shape().elements());
  EXPECT_FALSE(SameBits({first->AsIs(40), floats}, {second->AsIs(40), floats}));
}

// Each visit draws its variant anew; without augmentation there is one, the image as it is.
TEST_P(FrozenTest, VisitsDrawVariants) {
  Use("cnn3", "classifier");
  const auto features = *Cache()->Of(*initial_);
  const auto floats = static_cast<size_t>(features->shape().elements());
  std::vector<float> input(floats);
  const FeatureSource source(features, /*training=*/true);
  std::vector<int> drawn(3, 0);
  for (uint64_t epoch = 0; epoch < 60; ++epoch) {
    source.Write(4, {1, epoch, 2}, input.data());
    for (int v = 0; v < 3; ++v)
      drawn[static_cast<size_t>(v)] += SameBits(input, {features->Variant(4, v), floats}) ? 1 : 0;
  }
  EXPECT_THAT(drawn, testing::Each(testing::Gt(8)));
  EXPECT_EQ(drawn[0] + drawn[1] + drawn[2], 60);
  options_.train.augment = false;
  const auto cache = Cache();
  EXPECT_EQ(cache->variants(), 1);
  const auto plain = *cache->Of(*initial_);
  FeatureSource(plain, /*training=*/true).Write(4, {1, 0, 2}, input.data());
  EXPECT_TRUE(SameBits(input, {plain->AsIs(4), floats}));
}

TEST_P(FrozenTest, Bfloat16LearnsToo) {
  if (std::string(GetParam()) == "fused" && !fused::HasBfloat16())
    GTEST_SKIP() << "the fused engine has no bfloat16 on this processor (no AVX-512)";
  options_.train.precision = "bfloat16";
  Use("squeezenet1_1", "features.10");
  Rounds(*Make(), initial_->Clone(), 1, 6);
  EXPECT_LT(losses_.back(), losses_.front());
}

INSTANTIATE_TEST_SUITE_P(Engines, FrozenTest, testing::Values("torch", "fused"),
                         [](const auto& info) { return info.param; });

class ManyImages : public ImageStore {
 public:
  int height() const override { return kSide; }
  int width() const override { return kSide; }
  size_t size() const override { return 1'000'000; }
  const uint8_t* Pixels(size_t) const override { return nullptr; }
};

TEST(FeatureCacheTest, WhatDoesNotFitIsOneLine) {
  const NetworkOptions options{"cnn3", 2, 0, kSide};
  const auto pool = *NetworkPool::Create(options);
  const TemporaryFolder folder;
  const ManyImages store;
  FeatureCache::Options cache;
  cache.train.engine = "torch";
  cache.train.feature_variants = 1000;
  cache.folder = folder.path();
  std::vector<int> images(1'000'000);
  for (size_t i = 0; i < images.size(); ++i) images[i] = static_cast<int>(i);
  FeatureCache features(cache, *FrozenNetwork::Create(options, "features.3"), &store, images, {});
  const absl::Status status = features.Of(**pool->InitialParameters(1, "", nullptr)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("lower train.feature_variants"));
  EXPECT_THAT(std::string(status.message()), HasSubstr(folder.path()));
  EXPECT_EQ(std::string(status.message()).find('\n'), std::string::npos);
}

TEST(FrozenNetworkTest, ImagesThatAreTooSmallAreOneLine) {
  const auto status = FrozenNetwork::Create({"vgg16", 2, 0, 16}, "classifier.3").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("16 x 16 pixels"));
  EXPECT_EQ(std::string(status.message()).find('\n'), std::string::npos);
}

}  // namespace
}  // namespace manako
