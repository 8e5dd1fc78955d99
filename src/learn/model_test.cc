#include "learn/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <thread>

#include "base/random.h"
#include "base/temporary_folder.h"

namespace manako {
namespace {

using testing::HasSubstr;

std::unique_ptr<Network> Make(const std::string& architecture, double dropout = -1) {
  auto network = Network::Create({.architecture = architecture, .classes = 3, .dropout = dropout});
  EXPECT_TRUE(network.ok()) << network.status();
  return *std::move(network);
}

std::string Refusal(const NetworkOptions& options) {
  const auto network = Network::Create(options);
  return network.ok() ? "" : network.status().ToString();
}

at::Tensor Noise(int count, int side) {
  Random random(3, "noise");
  at::Tensor images = at::empty({count, 3, side, side});
  for (int64_t i = 0; i < images.numel(); ++i) {
    images.data_ptr<float>()[i] = static_cast<float>(random.Normal());
  }
  return images;
}

// A step of plain gradient descent on the flat arrays. Returns the loss.
double Step(Network& network, const at::Tensor& images) {
  std::memset(network.gradients().data(), 0,
              static_cast<size_t>(network.gradients().size()) * sizeof(float));
  const at::Tensor labels = at::arange(images.size(0)).remainder(3);
  const at::Tensor loss = at::cross_entropy_loss(network.Forward(images), labels);
  loss.backward();
  for (int64_t i = 0; i < network.gradients().size(); ++i) {
    network.values().data()[i] -= 0.01f * network.gradients().data()[i];
  }
  return loss.item<double>();
}

// Every tensor of the module must lie where the spec says, and so must every gradient.
void ExpectViews(Network& network) {
  network.gradients();  // which are there once they are asked for
  int64_t bound = 0;
  for (const auto& parameter : network.module().named_parameters()) {
    const TensorSpec* const tensor = network.spec()->Find(parameter.name);
    ASSERT_NE(tensor, nullptr) << parameter.name;
    const at::Tensor& value = parameter.value;
    EXPECT_EQ(value.data_ptr<float>(), network.values().data() + tensor->offset) << parameter.name;
    EXPECT_TRUE(value.requires_grad() && value.is_leaf()) << parameter.name;
    ASSERT_TRUE(value.grad().defined()) << parameter.name;
    EXPECT_EQ(value.grad().data_ptr<float>(), network.gradients().data() + tensor->offset)
        << parameter.name;
    ++bound;
  }
  for (const auto& buffer : network.module().named_buffers()) {
    if (!buffer.value.is_floating_point()) continue;
    const TensorSpec* const tensor = network.spec()->Find(buffer.name);
    ASSERT_NE(tensor, nullptr) << buffer.name;
    EXPECT_EQ(buffer.value.data_ptr<float>(), network.values().data() + tensor->offset);
    EXPECT_FALSE(buffer.value.requires_grad());
    ++bound;
  }
  EXPECT_EQ(bound, static_cast<int64_t>(network.spec()->tensors().size()));
}

void ExpectZeroGaps(const ModelSpec& spec, const FlatArray& array) {
  std::vector<bool> used(static_cast<size_t>(array.size()));
  for (const TensorSpec& tensor : spec.tensors()) {
    for (int64_t i = tensor.offset; i < tensor.offset + tensor.size && i < array.size(); ++i) {
      used[static_cast<size_t>(i)] = true;
    }
  }
  for (int64_t i = 0; i < array.size(); ++i) {
    if (used[static_cast<size_t>(i)]) continue;
    EXPECT_EQ(array.data()[i], 0) << "element " << i;
  }
}

TEST(ModelTest, TrainsInTheFlatArrays) {
  const auto network = Make("mobilenet_v3_small");
  network->Initialise(1);
  network->SetTraining(true);
  ExpectViews(*network);
  const FlatArray before = network->values().Clone();
  const float* const values = network->values().data();
  const at::Tensor images = Noise(4, 64);
  for (int i = 0; i < 10; ++i) Step(*network, images);
  EXPECT_EQ(network->values().data(), values);
  ExpectViews(*network);
  ExpectZeroGaps(*network->spec(), network->values());
  ExpectZeroGaps(*network->spec(), network->gradients());
  for (const TensorSpec& tensor : network->spec()->tensors()) {
    EXPECT_FALSE(std::equal(before.data() + tensor.offset,
                            before.data() + tensor.offset + tensor.size,
                            network->values().data() + tensor.offset))
        << tensor.name << " was not trained";
  }
  for (const auto& buffer : network->module().named_buffers()) {
    if (buffer.value.is_floating_point()) continue;
    EXPECT_EQ(buffer.value.item<int64_t>(), 0);
  }
}

TEST(ModelTest, BackwardAddsToGradients) {
  const auto network = Make("cnn3", 0);
  network->Initialise(1);
  const at::Tensor images = Noise(2, 32);
  network->Forward(images).sum().backward();
  const FlatArray once = network->gradients().Clone();
  network->Forward(images).sum().backward();
  for (int64_t i = 0; i < once.size(); ++i) {
    ASSERT_EQ(network->gradients().data()[i], 2 * once.data()[i]);
  }
}

TEST(ModelTest, WritingTheFlatArrayChangesTheModule) {
  const auto network = Make("cnn3");
  const TensorSpec* const bias = network->spec()->Find("classifier.4.bias");
  network->values().data()[bias->offset + 1] = 7;
  const at::Tensor logits = network->Forward(at::zeros({1, 3, 32, 32})).detach();
  EXPECT_EQ(logits.data_ptr<float>()[0], 0);
  EXPECT_EQ(logits.data_ptr<float>()[1], 7);
}

TEST(ModelTest, EveryRunOfAStepGivesTheSameBits) {
  for (const std::string name : {"cnn3", "resnet18", "mobilenet_v3_small"}) {
    const auto network = Make(name);
    network->Initialise(2);
    network->SetTraining(true);
    const FlatArray initial = network->values().Clone();
    const at::Tensor images = Noise(2, 64);
    FlatArray first;
    const auto run = [&] {
      at::manual_seed(5);
      std::copy_n(initial.data(), initial.size(), network->values().data());
      Step(*network, images);
      if (first.empty()) first = network->values().Clone();
      EXPECT_EQ(std::memcmp(first.data(), network->values().data(), first.size() * sizeof(float)),
                0)
          << name;
    };
    for (int i = 0; i < 4; ++i) run();
    std::thread(run).join();
  }
}

// libtorch's default executors replace parts of the graph by nodes of their own after the first
// runs.
TEST(ModelTest, DerivativesStayEagerAutogradsOwn) {
  const auto network = Make("cnn3");
  network->SetTraining(true);
  const at::Tensor images = Noise(2, 64);
  std::string name;
  const auto run = [&] { name = network->Forward(images).grad_fn()->name(); };
  for (int i = 0; i < 4; ++i) {
    run();
    EXPECT_EQ(name, "AddmmBackward0");
  }
  std::thread(run).join();
  EXPECT_EQ(name, "AddmmBackward0");
}

TEST(ModelTest, InitialValuesDependOnSeedAndNameAlone) {
  const auto a = Make("resnet18"), b = Make("resnet18"), c = Make("resnet18");
  a->Initialise(1);
  b->Initialise(9);
  b->Initialise(1);
  c->Initialise(2);
  const size_t bytes = static_cast<size_t>(a->values().size()) * sizeof(float);
  EXPECT_EQ(std::memcmp(a->values().data(), b->values().data(), bytes), 0);
  ExpectZeroGaps(*a->spec(), a->values());
  const TensorSpec* const conv = a->spec()->Find("layer3.0.conv1.weight");
  EXPECT_NE(a->values().data()[conv->offset], c->values().data()[conv->offset]);
  Random random(1, "init/layer3.0.conv1.weight");
  EXPECT_EQ(a->values().data()[conv->offset],
            static_cast<float>(std::sqrt(2.0 / (256 * 9)) * random.Normal()));
  // BatchNorm's statistics start again as well.
  const TensorSpec* const var = a->spec()->Find("bn1.running_var");
  EXPECT_EQ(b->values().data()[var->offset], 1);
}

TEST(ModelTest, DropoutIsTheOptionsOrTheArchitecturesOwn) {
  const at::Tensor images = Noise(2, 64);
  for (const std::string name : {"cnn3", "squeezenet1_1", "mobilenet_v3_small"}) {
    for (const double dropout : {-1.0, 0.0, 0.9}) {
      const auto network = Make(name, dropout);
      network->Initialise(1);
      network->SetTraining(false);
      EXPECT_TRUE(network->Forward(images).equal(network->Forward(images))) << name;
      network->SetTraining(true);
      EXPECT_EQ(network->Forward(images).equal(network->Forward(images)), dropout == 0)
          << name << " " << dropout;
    }
  }
}

TEST(ModelTest, RefusesImpossibleOptions) {
  EXPECT_THAT(
      Refusal({.architecture = "resnet19"}),
      HasSubstr("architecture must be one of cnn3, vgg16, resnet18, resnet50, densenet121, "
                "squeezenet1_1, mobilenet_v3_small or the path of a TorchScript file, but is "
                "resnet19"));
  EXPECT_THAT(Refusal({.architecture = "cnn3", .classes = 1}), HasSubstr("classes must be >= 2"));
  EXPECT_THAT(Refusal({.architecture = "cnn3", .dropout = 1}), HasSubstr("dropout must be < 1"));
}

class ScriptTest : public testing::Test {
 protected:
  // A module with one linear layer for 3 classes on the images' means; `edit` may change it before
  // it is saved.
  std::string Save(const std::function<void(torch::jit::Module&)>& edit,
                   const std::string& forward =
                       "def forward(self, x):\n"
                       "  return torch.linear(torch.mean(x, [2, 3]), self.w, self.b)\n") {
    torch::jit::Module module("Mine");
    module.register_parameter("w", at::arange(9).to(at::kFloat).reshape({3, 3}), false);
    module.register_parameter("b", at::ones({3}), false);
    module.register_attribute("training", c10::BoolType::get(), true);
    edit(module);
    module.define(forward);
    module.save(path_);
    return path_;
  }
  std::string RefusalOf(const std::function<void(torch::jit::Module&)>& edit) {
    return Refusal({.architecture = Save(edit), .classes = 3});
  }
  const TemporaryFolder folder_;
  const std::string path_ = folder_ / "network.pt";
  const std::function<void(torch::jit::Module&)> as_is_ = [](torch::jit::Module&) {};
};

TEST_F(ScriptTest, IsTrainedInTheFlatArrays) {
  const auto network = Make(Save(as_is_));
  ExpectViews(*network);
  EXPECT_EQ(network->values().data()[5], 5);
  EXPECT_EQ(network->Forward(at::ones({1, 3, 8, 8})).detach().data_ptr<float>()[1], 13);
  const at::Tensor images = Noise(6, 8);
  network->SetTraining(true);
  const double first = Step(*network, images);
  double last = first;
  for (int i = 0; i < 10; ++i) last = Step(*network, images);
  EXPECT_LT(last, first);
  ExpectViews(*network);
  network->Initialise(4);
  EXPECT_EQ(network->values().data()[5], 5);
}

TEST_F(ScriptTest, TiedParametersAreOne) {
  Save(
      [](torch::jit::Module& module) {
        module.register_parameter("again", module.attr("b").toTensor(), false);
      },
      "def forward(self, x):\n"
      "  return torch.linear(torch.mean(x, [2, 3]), self.w, self.b) + self.again\n");
  const auto network = Make(path_);
  ASSERT_EQ(network->spec()->tensors().size(), 2u);
  network->Forward(at::ones({1, 3, 8, 8})).sum().backward();
  const TensorSpec* const b = network->spec()->Find("b");
  EXPECT_EQ(network->gradients().data()[b->offset], 2);
  network->values().data()[b->offset] = 10;
  EXPECT_EQ(network->Forward(at::zeros({1, 3, 8, 8})).detach().data_ptr<float>()[0], 20);
  std::string note;
  EXPECT_TRUE(network->Load(path_, &note).ok());
}

TEST_F(ScriptTest, OtherPrecisionsAndFrozenParametersAreTrained) {
  Save([](torch::jit::Module& module) {
    module.setattr("w", at::full({3, 3}, 0.5, at::kDouble));
    module.setattr("b", at::full({3}, 0.25, at::kHalf).requires_grad_(false));
    module.register_buffer("count", at::zeros({}, at::kLong));
  });
  const auto network = Make(path_);
  ExpectViews(*network);
  EXPECT_EQ(network->spec()->tensors().size(), 2u);
  EXPECT_EQ(network->module().attr("count").toTensor().scalar_type(), at::kLong);
  EXPECT_EQ(network->values().data()[0], 0.5f);
  EXPECT_EQ(network->Forward(at::ones({1, 3, 8, 8})).detach().data_ptr<float>()[0], 1.75f);
}

TEST_F(ScriptTest, RefusesWhatCannotBeTrained) {
  EXPECT_THAT(Refusal({.architecture = Save(as_is_), .classes = 2}),
              HasSubstr("gives 3 outputs, but there are 2 classes"));
  Save(as_is_, "def forward(self, x):\n  return x\n");
  EXPECT_THAT(Refusal({.architecture = path_}),
              HasSubstr("must give [2, classes], but gives [2, 3, "));
  Save(as_is_, "def run(self, x):\n  return x\n");
  EXPECT_THAT(Refusal({.architecture = path_}), HasSubstr("has no forward()"));
  Save(as_is_, "def forward(self, x):\n  return torch.linear(x, self.w, self.b).reshape([1, 1])\n");
  EXPECT_THAT(Refusal({.architecture = path_}),
              HasSubstr("does not run on images [2, 3, 224, 224]: mat1"));
  Save(as_is_, "def forward(self, x, y):\n  return x\n");
  EXPECT_THAT(Refusal({.architecture = path_}), HasSubstr("does not run on images"));
  EXPECT_THAT(RefusalOf([](auto& m) { m.setattr("b", at::ones({3}, at::kLong)); }),
              HasSubstr("parameter b holds Long"));
  EXPECT_THAT(RefusalOf([](auto& m) {
                const at::Tensor both = at::zeros({10});
                m.setattr("w", both.narrow(0, 0, 9).reshape({3, 3}));
                m.setattr("b", both.narrow(0, 7, 3));
              }),
              HasSubstr("share a part of their memory"));
}

TEST_F(ScriptTest, RefusesWhatReachesBeyondTheModule) {
  Save(as_is_, "def forward(self, x):\n  torch.save(x, \"" + folder_ / "x" + "\")\n  return x\n");
  EXPECT_THAT(Refusal({.architecture = path_}), HasSubstr("aten::save is not allowed"));
  Save(as_is_,
       "def forward(self, x):\n  if self.training:\n"
       "    x = torch.from_file(\"/etc/passwd\", False, 10)\n  return x\n");
  EXPECT_THAT(Refusal({.architecture = path_}), HasSubstr("aten::from_file is not allowed"));
  Save([](torch::jit::Module& module) {
    module.define("def __getstate__(self):\n  return (self.w, self.b, self.training)\n");
    module.define(
        "def __setstate__(self, state: Tuple[Tensor, Tensor, bool]) -> None:\n"
        "  self.w = state[0]\n  self.b = state[1]\n  self.training = state[2]\n");
  });
  EXPECT_THAT(Refusal({.architecture = path_}), HasSubstr("has a __setstate__"));
}

TEST_F(ScriptTest, RefusesTensorsLargerThanTheirStorage) {
  const auto beyond = [](std::vector<int64_t> sizes, std::vector<int64_t> strides) {
    at::Tensor tensor = at::zeros({3});
    tensor.unsafeGetTensorImpl()->set_sizes_and_strides(sizes, strides);
    return tensor;
  };
  const int64_t huge = int64_t{1} << 62;
  EXPECT_THAT(RefusalOf([&](auto& m) { m.setattr("b", beyond({4}, {1})); }),
              HasSubstr("reaches beyond its storage of 3 elements"));
  EXPECT_THAT(RefusalOf([&](auto& m) { m.setattr("b", beyond({3}, {2})); }),
              HasSubstr("reaches beyond"));
  EXPECT_THAT(RefusalOf([&](auto& m) { m.setattr("b", beyond({huge}, {1})); }),
              HasSubstr("reaches beyond"));
  EXPECT_THAT(RefusalOf([&](auto& m) {
                m.setattr("b", beyond({5, 2}, {huge, 1}));
              }),
              HasSubstr("reaches beyond"));
  EXPECT_THAT(RefusalOf([&](auto& m) {
                m.register_attribute("list", c10::ListType::ofTensors(),
                                     c10::List<at::Tensor>({at::zeros({1}), beyond({4}, {1})}));
              }),
              HasSubstr("reaches beyond"));
}

TEST_F(ScriptTest, DamagedFilesGiveAMessage) {
  Save(as_is_);
  std::ifstream file(path_, std::ios::binary);
  const std::string good((std::istreambuf_iterator<char>(file)), {});
  const std::string bad_path = folder_ / "bad.pt";
  Random random(1, "damage");
  int refused = 0;
  for (int i = 0; i < 200; ++i) {
    std::string bad = good;
    if (i < 20) {
      bad.resize(good.size() * static_cast<size_t>(i) / 20);
    } else {
      for (int k = 0; k < 4; ++k)
        bad[random.Below(bad.size())] ^= static_cast<char>(1 + random.Below(255));
    }
    std::ofstream(bad_path, std::ios::binary) << bad;
    const std::string message = Refusal({.architecture = bad_path, .classes = 3});
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    refused += message.empty() ? 0 : 1;
    EXPECT_TRUE(i >= 20 || !message.empty()) << "cut to " << bad.size() << " bytes";
  }
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace manako
