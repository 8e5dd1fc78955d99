// Plans against libtorch in float64: outputs, loss, every parameter's gradient and the running
// statistics.
#include "learn/fused/plan.h"

#include <ATen/autocast_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/script.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/temporary_folder.h"
#include "learn/architectures.h"
#include "learn/fused/loop_level.h"
#include "learn/fused/read_graph.h"
#include "learn/instantiate.h"
#include "learn/model.h"

namespace manako::fused {
namespace {

using testing::HasSubstr;

// Of the norm of the difference, relative to the norm.
double LeastTolerance(Precision precision) {
  return precision == Precision::kFloat32 ? 1e-5 : 2e-2;
}

std::vector<Precision> Precisions() {
  if (HasBfloat16()) return {Precision::kFloat32, Precision::kBfloat16};
  return {Precision::kFloat32};
}

double RelativeError(const at::Tensor& got, const at::Tensor& expected) {
  const at::Tensor a = got.to(at::kDouble).flatten(), b = expected.to(at::kDouble).flatten();
  return ((a - b).norm() / (b.norm() + 1e-12)).item<double>();
}

// A file of a described network with random values, and the network that Manako makes of it.
std::unique_ptr<Network> FromDef(const ModuleDef& def, int classes) {
  torch::jit::Module module = InstantiateModule(def);
  const at::NoGradGuard no_grad;
  torch::manual_seed(1);
  for (const auto& p : module.named_parameters()) {
    const at::Tensor& value = p.value;
    if (value.dim() >= 2) {
      value.normal_(0, std::sqrt(2.0 / static_cast<double>(value.numel() / value.size(0))));
    } else {
      value.uniform_(0.5, 1.5);
    }
  }
  for (const auto& b : module.named_buffers()) {
    if (b.value.is_floating_point()) b.value.uniform_(0.5, 1.5);
  }
  const TemporaryFolder folder;
  const std::string path = folder / "network.pt";
  module.save(path);
  auto network = Network::Create({path, classes});
  EXPECT_TRUE(network.ok()) << network.status();
  return *std::move(network);
}

struct Case {
  int64_t n = 3, side = 32;
  int classes = 3;
  std::vector<double> class_weights = {1.0, 0.5, 2.0};
  // How much more than libtorch's own rounding a gradient may be off. In a deep network a single
  // pixel whose maximum, or whose sign, two ways to round see differently moves gradients visibly.
  double margin = 3;
  Shape features = {};  // of one input; empty: images
  Shape input() const {
    if (features.empty()) return {n, 3, side, side};
    Shape shape = {n};
    shape.insert(shape.end(), features.begin(), features.end());
    return shape;
  }
};

FlatArray RandomImages(int64_t n, int64_t side) {
  FlatArray images(n * side * side * 3);
  Random random(7, "images");
  for (float& value : images.values()) value = static_cast<float>(random.Normal());
  return images;
}

at::Tensor AsTensor(FlatArray& images, int64_t n, int64_t side) {
  return at::from_blob(images.data(), {n, side, side, 3}, at::kFloat)
      .permute({0, 3, 1, 2})
      .to(at::kDouble);
}

FlatArray RandomInputs(const Case& c) {
  if (c.features.empty()) return RandomImages(c.n, c.side);
  FlatArray inputs(Elements(c.input()));
  Random random(7, "features");
  for (float& value : inputs.values()) value = static_cast<float>(random.Normal());
  return inputs;
}

at::Tensor AsTensor(FlatArray& inputs, const Case& c) {
  if (c.features.empty()) return AsTensor(inputs, c.n, c.side);
  return at::from_blob(inputs.data(), c.input(), at::kFloat).to(at::kDouble);
}

torch::jit::Module CopyAs(Network& network, at::ScalarType type) {
  const at::NoGradGuard no_grad;  // what is copied stays a leaf
  torch::jit::Module module = network.module().deepcopy();
  const auto convert = [&](const auto& named) {
    if (named.value.is_floating_point())
      at::Tensor(named.value).set_data(named.value.detach().to(type));
  };
  for (const auto& p : module.named_parameters()) convert(p);
  for (const auto& b : module.named_buffers()) convert(b);
  return module;
}

// What libtorch makes of a step in this precision.
struct TorchStep {
  at::Tensor logits, loss;
  std::map<std::string, at::Tensor> gradients, buffers;
};

// (In bfloat16: with autocast, from float32.)
TorchStep StepWithLibtorch(Network& network, const Case& c, FlatArray& images,
                           std::vector<int64_t>& labels, at::ScalarType wanted) {
  const at::ScalarType type = wanted == at::kBFloat16 ? at::kFloat : wanted;
  const bool autocast = wanted == at::kBFloat16;
  torch::jit::Module module = CopyAs(network, type);
  for (const auto& p : module.named_parameters()) {
    p.value.requires_grad_(true);
    p.value.mutable_grad() = at::Tensor();
  }
  TorchStep step;
  at::autocast::set_cpu_enabled(autocast);
  step.logits = module.forward({AsTensor(images, c).to(type)}).toTensor().to(type);
  at::autocast::set_cpu_enabled(false);
  at::autocast::clear_cache();
  step.loss = at::cross_entropy_loss(step.logits, at::from_blob(labels.data(), {c.n}, at::kLong),
                                     torch::tensor(c.class_weights, type));
  step.loss.backward();
  for (const auto& p : module.named_parameters()) step.gradients[p.name] = p.value.grad();
  for (const auto& b : module.named_buffers()) step.buffers[b.name] = b.value;
  return step;
}

// A training step against libtorch in float64. Where rounding grows on its way through the network,
// libtorch's own step in the same precision says how much is to be expected.
void ExpectStepAsLibtorch(Network& network, const Case& c, Precision precision) {
  const double least = LeastTolerance(precision);
  FlatArray images = RandomInputs(c);
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < c.n; ++i) labels.push_back(i % c.classes);

  const auto graph = ReadGraph(network, c.input(), /*training=*/true, !c.features.empty());
  ASSERT_TRUE(graph.ok()) << graph.status();
  const FlatArray before = network.values().Clone();
  const auto plan = Plan::Make(*graph, network.spec()->parameter_extent(), precision);
  ASSERT_TRUE(plan.ok()) << plan.status();

  network.SetTraining(true);
  const TorchStep expected = StepWithLibtorch(network, c, images, labels, at::kDouble);
  const TorchStep rounded = StepWithLibtorch(
      network, c, images, labels, precision == Precision::kFloat32 ? at::kFloat : at::kBFloat16);
  double worst = 0;
  for (const auto& [name, gradient] : expected.gradients) {
    if (gradient.norm().item<double>() > 1e-9)
      worst = std::max(worst, RelativeError(rounded.gradients.at(name), gradient));
  }
  const double tolerance = std::max(least, c.margin * worst);

  FlatArray arena((*plan)->arena_floats());
  for (float& value : arena.values()) value = NAN;  // nothing may be read that was not written
  FlatArray logits(c.n * c.classes);
  PlanRun run;
  run.arena = arena.data();
  run.inputs = images.data();
  run.labels = labels;
  run.class_weights = c.class_weights;
  run.values = network.values().data();
  run.gradients = network.gradients().data();
  run.outputs = logits.data();
  (*plan)->Run(run);

  const double logits_tolerance =
      std::max(least, 3 * RelativeError(rounded.logits, expected.logits));
  EXPECT_LT(RelativeError(at::from_blob(logits.data(), expected.logits.sizes(), at::kFloat),
                          expected.logits),
            logits_tolerance);
  EXPECT_NEAR(run.loss, expected.loss.item<double>(),
              logits_tolerance * std::abs(expected.loss.item<double>()));
  for (const auto& [name, gradient] : expected.gradients) {
    const TensorSpec* const tensor = network.spec()->Find(name);
    ASSERT_NE(tensor, nullptr);
    const at::Tensor got =
        at::from_blob(network.gradients().data() + tensor->offset, tensor->shape, at::kFloat);
    if (gradient.norm().item<double>() < 1e-9) {  // a bias before BatchNorm: 0 but for rounding
      EXPECT_LT(got.norm().item<double>(), 10 * least) << name;
    } else {
      EXPECT_LT(RelativeError(got, gradient), tolerance) << name;
    }
  }
  for (const auto& [name, buffer] : expected.buffers) {
    const TensorSpec* const tensor = network.spec()->Find(name);
    if (tensor == nullptr) continue;
    const at::Tensor got =
        at::from_blob(network.values().data() + tensor->offset, tensor->shape, at::kFloat);
    EXPECT_LT(RelativeError(got, buffer),
              std::max(least, 3 * RelativeError(rounded.buffers.at(name), buffer)))
        << name;
  }
  std::copy_n(before.data(), before.size(), network.values().data());
}

void ExpectInferenceAsLibtorch(Network& network, const Case& c, Precision precision) {
  FlatArray images = RandomInputs(c);
  const auto graph = ReadGraph(network, c.input(), /*training=*/false, !c.features.empty());
  ASSERT_TRUE(graph.ok()) << graph.status();
  const auto plan = Plan::Make(*graph, network.spec()->parameter_extent(), precision);
  ASSERT_TRUE(plan.ok()) << plan.status();
  const at::NoGradGuard no_grad;
  torch::jit::Module oracle = CopyAs(network, at::kDouble);
  const at::Tensor expected = oracle.forward({AsTensor(images, c)}).toTensor();
  FlatArray arena((*plan)->arena_floats());
  for (float& value : arena.values()) value = NAN;
  FlatArray logits(c.n * (*plan)->outputs());
  PlanRun run;
  run.arena = arena.data();
  run.inputs = images.data();
  run.values = network.values().data();
  run.outputs = logits.data();
  for (const bool prepare : {true, false}) {
    run.prepare = prepare;
    std::fill_n(logits.data(), logits.size(), NAN);
    (*plan)->Run(run);
    EXPECT_LT(RelativeError(at::from_blob(logits.data(), expected.sizes(), at::kFloat), expected),
              LeastTolerance(precision))
        << prepare;
  }
}

void ExpectAsLibtorch(const ModuleDef& def, const Case& c = {}) {
  const auto network = FromDef(def, c.classes);
  for (const Precision precision : Precisions()) {
    SCOPED_TRACE(precision == Precision::kFloat32 ? "float32" : "bfloat16");
    ExpectStepAsLibtorch(*network, c, precision);
    ExpectInferenceAsLibtorch(*network, c, precision);
  }
}

// Convolution from the images, `middle`, and what makes logits of it.
ModuleDef Wrap(int channels, int out_channels, const std::function<void(ModuleBuilder&)>& middle) {
  ModuleBuilder net("Net");
  net.Conv("first", {.in = 3, .out = channels, .kernel = 3, .padding = 1, .bias = true});
  middle(net);
  net.AveragePoolTo(2).Flatten().Linear("last", 4 * out_channels, 3, WeightInit::kTorchDefault);
  return net.Build();
}

TEST(PlanTest, Convolutions) {
  struct Geometry {
    int in, out, kernel, stride, padding, groups;
    bool bias;
  };
  for (const Geometry& g :
       {Geometry{16, 24, 3, 1, 1, 1, true}, Geometry{16, 32, 1, 1, 0, 1, false},
        Geometry{16, 16, 5, 2, 2, 16, true}, Geometry{16, 32, 3, 2, 1, 2, false},
        Geometry{16, 16, 7, 2, 3, 1, true}, Geometry{12, 10, 3, 1, 0, 1, true},
        Geometry{16, 8, 1, 2, 0, 1, true}, Geometry{16, 16, 3, 1, 1, 16, false},
        Geometry{16, 16, 2, 2, 0, 1, false}}) {
    SCOPED_TRACE(testing::Message() << g.in << " to " << g.out << " kernel " << g.kernel
                                    << " stride " << g.stride << " groups " << g.groups);
    for (const bool relu : {false, true}) {
      ExpectAsLibtorch(Wrap(g.in, g.out, [&](ModuleBuilder& net) {
        net.Conv("conv", {g.in, g.out, g.kernel, g.stride, g.padding, g.groups, g.bias});
        if (relu) net.Relu();
      }));
    }
  }
}

// Sizes at which Winograd's convolutions are taken where the processor has them: whole tiles of 4x4
// pixels and cut ones, with all that is fused to them.
TEST(PlanTest, ConvolutionsByWinograd) {
  for (const int64_t side : {28, 27, 25}) {
    SCOPED_TRACE(side);
    Case c;
    c.side = side;
    c.n = 4;
    for (const bool bias : {false, true}) {
      ExpectAsLibtorch(
          Wrap(32, 64,
               [&](ModuleBuilder& net) {
                 net.Relu();
                 net.Conv("conv", {.in = 32, .out = 64, .kernel = 3, .padding = 1, .bias = bias});
                 net.Relu();
               }),
          c);
    }
    ExpectAsLibtorch(
        Wrap(
            48, 48,
            [&](ModuleBuilder& net) {
              net.Relu().Line("identity = x");
              net.Conv("one", {.in = 48, .out = 48, .kernel = 3, .padding = 1})
                  .BatchNorm("n1", 48)
                  .Relu();
              net.Conv("two", {.in = 48, .out = 48, .kernel = 3, .padding = 1}).BatchNorm("n2", 48);
              net.Line("x += identity").Relu();
            }),
        c);
  }
  // That they are taken.
  const auto network =
      FromDef(Wrap(32, 32,
                   [](ModuleBuilder& net) {
                     net.Conv("conv", {.in = 32, .out = 32, .kernel = 3, .padding = 1});
                   }),
              3);
  for (const bool training : {false, true}) {
    const auto graph = ReadGraph(*network, {4, 3, 28, 28}, training);
    ASSERT_TRUE(graph.ok()) << graph.status();
    const auto plan = Plan::Make(*graph, network->spec()->parameter_extent(), Precision::kFloat32);
    ASSERT_TRUE(plan.ok()) << plan.status();
    const std::string profile = (*plan)->Profile();
    const bool has = BestLoopLevel() == LoopLevel::kAvx512;
    size_t steps = 0;
    for (size_t at = 0; (at = profile.find("jit_wino_4x3", at)) != std::string::npos; ++at) ++steps;
    EXPECT_EQ(steps, has ? (training ? 3u : 1u) : 0u) << profile;
  }
}

TEST(PlanTest, BatchNorm) {
  ExpectAsLibtorch(Wrap(16, 16, [](ModuleBuilder& net) { net.BatchNorm("norm", 16); }));
  ExpectAsLibtorch(
      Wrap(16, 16, [](ModuleBuilder& net) { net.BatchNorm("norm", 16, 1e-3, 0.01).Relu(); }));
  ExpectAsLibtorch(Wrap(12, 12, [](ModuleBuilder& net) { net.BatchNorm("norm", 12).Relu(); }));
  // Between convolutions, where the output is made again for the second one.
  ExpectAsLibtorch(Wrap(16, 16, [](ModuleBuilder& net) {
    net.BatchNorm("norm", 16)
        .Relu()
        .Conv("conv", {.in = 16, .out = 16, .kernel = 3, .padding = 1})
        .BatchNorm("norm2", 16);
  }));
}

TEST(PlanTest, Residuals) {
  const auto block = [](bool norm, bool relu, bool identity_first) {
    return [=](ModuleBuilder& net) {
      net.Relu()
          .Line("identity = x")
          .Conv("conv", {.in = 16, .out = 16, .kernel = 3, .padding = 1});
      if (norm) net.BatchNorm("norm", 16);
      net.Line(identity_first ? "x = identity + x" : "x += identity");
      if (relu) net.Relu();
    };
  };
  for (const bool norm : {false, true}) {
    for (const bool relu : {false, true}) {
      for (const bool identity_first : {false, true})
        ExpectAsLibtorch(Wrap(16, 16, block(norm, relu, identity_first)));
    }
  }
  // A residual that a later block adds too: inference must not write over it.
  ExpectAsLibtorch(Wrap(16, 16, [](ModuleBuilder& net) {
    net.Relu().Line("a = x").Conv("zero", {.in = 16, .out = 16}).Relu();
    net.Conv("one", {.in = 16, .out = 16, .kernel = 3, .padding = 1})
        .BatchNorm("n1", 16)
        .Line("x += a");
    net.Conv("two", {.in = 16, .out = 16, .kernel = 3, .padding = 1})
        .BatchNorm("n2", 16)
        .Line("x += a")
        .Relu();
  }));
  // Three readers of one tensor, and a tensor added to itself.
  ExpectAsLibtorch(Wrap(16, 16, [](ModuleBuilder& net) {
    net.Line("a = x")
        .Conv("one", {.in = 16, .out = 16, .kernel = 3, .padding = 1})
        .Line("b = x + a");
    net.Line("x = a")
        .Conv("two", {.in = 16, .out = 16, .kernel = 1})
        .Line("x = x + b + a")
        .Line("x = x + x");
  }));
}

TEST(PlanTest, Activations) {
  for (const char* line :
       {"x = torch.relu(x)", "x = torch.hardswish(x)", "x = torch.hardsigmoid(x)",
        "x = torch.sigmoid(x)", "x = torch.hardtanh(x, 0., 6.)", "x = torch.hardswish_(x)"}) {
    SCOPED_TRACE(line);
    for (const int channels : {16, 12}) {
      ExpectAsLibtorch(Wrap(channels, 16, [&](ModuleBuilder& net) {
        net.BatchNorm("norm", channels).Line("x = x * 3.5 if False else x").Line(line);
        net.Conv("conv", {.in = channels, .out = 16, .kernel = 1, .bias = true});
      }));
    }
  }
}

TEST(PlanTest, Pools) {
  for (const PoolOptions& pool :
       {PoolOptions{2, 2, 0}, PoolOptions{3, 2, 1}, PoolOptions{3, 2, 0, true},
        PoolOptions{3, 3, 0}, PoolOptions{3, 1, 1}, PoolOptions{2, 2, 0, true}}) {
    for (const int64_t side : {32, 31}) {
      SCOPED_TRACE(testing::Message() << pool.kernel << " " << pool.stride << " " << pool.padding
                                      << " " << pool.ceil << " side " << side);
      ExpectAsLibtorch(Wrap(16, 16, [&](ModuleBuilder& net) { net.Relu().MaxPool(pool); }),
                       {.side = side});
      ExpectAsLibtorch(Wrap(16, 16, [&](ModuleBuilder& net) { net.MaxPool(pool); }),
                       {.side = side});
      ExpectAsLibtorch(
          Wrap(16, 16, [&](ModuleBuilder& net) { net.BatchNorm("norm", 16).Relu().MaxPool(pool); }),
          {.side = side});
    }
  }
  ExpectAsLibtorch(Wrap(
      16, 16, [&](ModuleBuilder& net) { net.Line("x = torch.avg_pool2d(x, [2, 2], [2, 2])"); }));
  ExpectAsLibtorch(Wrap(16, 16, [&](ModuleBuilder& net) {
    net.Line("x = torch.avg_pool2d(x, [3, 3], [2, 2], [1, 1], False, True)");
  }));
  ExpectAsLibtorch(Wrap(16, 16, [&](ModuleBuilder& net) {
    net.Line("x = torch.avg_pool2d(x, [3, 3], [2, 2], [1, 1], False, False)");
  }));
  ExpectAsLibtorch(Wrap(16, 16, [&](ModuleBuilder& net) { net.AveragePoolTo(5); }));
  ExpectAsLibtorch(
      Wrap(16, 16, [&](ModuleBuilder& net) { net.Line("x = x.mean([2, 3], keepdim=True)"); }));
}

TEST(PlanTest, SqueezeAndExcite) {
  ExpectAsLibtorch(Wrap(16, 16, [&](ModuleBuilder& net) {
    net.Conv("down", {.in = 16, .out = 8, .bias = true, .run = false})
        .Conv("up", {.in = 8, .out = 16, .bias = true, .run = false});
    net.Line("s = torch.relu(self.down.forward(torch.adaptive_avg_pool2d(x, [1, 1])))");
    net.Line("x = torch.hardsigmoid(self.up.forward(s)) * x");
  }));
  ExpectAsLibtorch(Wrap(16, 16, [&](ModuleBuilder& net) { net.Line("x = torch.sigmoid(x) * x"); }));
}

TEST(PlanTest, Concat) {
  for (const int channels : {16, 12}) {
    ExpectAsLibtorch(Wrap(channels, channels + 24, [&](ModuleBuilder& net) {
      net.Conv("one", {.in = channels, .out = 20, .bias = true, .run = false});
      net.Conv("two", {.in = channels, .out = 4, .kernel = 3, .padding = 1, .run = false});
      net.Line("x = torch.cat([self.one.forward(x), torch.relu(self.two.forward(x)), x], 1)");
    }));
  }
}

TEST(PlanTest, LinearLayersAndFlattening) {
  ModuleBuilder net("Net");
  net.Conv("first", {.in = 3, .out = 10, .kernel = 3, .stride = 2, .bias = true}).AveragePoolTo(3);
  net.Line("x = x.reshape(x.size(0), -1)").Linear("a", 90, 40, WeightInit::kTorchDefault).Relu();
  net.Linear("b", 40, 3, WeightInit::kTorchDefault);
  ExpectAsLibtorch(net.Build());
}

// The mask is known from the outputs, and the oracle gets it as a factor.
TEST(PlanTest, Dropout) {
  ModuleBuilder builder("Net");
  builder.Conv("first", {.in = 3, .out = 8, .kernel = 3, .stride = 2, .bias = true})
      .AveragePoolTo(1)
      .Flatten();
  builder.Dropout(0.25).Linear("last", 8, 8, WeightInit::kTorchDefault);
  const auto network = FromDef(builder.Build(), 8);
  const int64_t n = 500;
  FlatArray images = RandomImages(n, 16);
  const auto graph = *ReadGraph(*network, {n, 3, 16, 16}, true);
  const auto plan = *Plan::Make(graph, network->spec()->parameter_extent());
  const TensorSpec& weight = *network->spec()->Find("last.weight");
  const TensorSpec& bias = *network->spec()->Find("last.bias");
  // The identity as the last layer: logits are what dropout gives.
  for (int i = 0; i < 64; ++i)
    network->values().data()[weight.offset + i] = i % 9 == 0 ? 1.0f : 0.0f;
  std::fill_n(network->values().data() + bias.offset, 8, 0.0f);
  FlatArray arena(plan->arena_floats());
  std::vector<int64_t> labels(static_cast<size_t>(n), 1);
  const auto run_with = [&](uint64_t seed) {
    std::vector<float> logits(static_cast<size_t>(n * 8));
    PlanRun run;
    run.arena = arena.data();
    run.inputs = images.data();
    run.labels = labels;
    run.values = network->values().data();
    run.gradients = network->gradients().data();
    run.outputs = logits.data();
    run.dropout_seed = seed;
    plan->Run(run);
    return logits;
  };
  const std::vector<float> first = run_with(1);
  EXPECT_EQ(first, run_with(1));
  EXPECT_NE(first, run_with(2));
  network->SetTraining(false);
  const at::NoGradGuard no_grad;
  FlatArray copy = RandomImages(n, 16);
  const at::Tensor whole = network->Forward(AsTensor(copy, n, 16).to(at::kFloat)).contiguous();
  int dropped = 0;
  for (int64_t i = 0; i < n * 8; ++i) {
    const float value = first[static_cast<size_t>(i)], undropped = whole.data_ptr<float>()[i];
    dropped += value == 0 ? 1 : 0;
    if (value != 0) {
      EXPECT_NEAR(value, undropped / 0.75f, 1e-4f * std::abs(undropped) + 1e-6f);
    }
  }
  EXPECT_NEAR(dropped / 4000.0, 0.25, 0.03);
}

// libtorch keeps code that it has run in another form.
TEST(PlanTest, ReadsWhatLibtorchHasRun) {
  const auto network = *Network::Create({"resnet18", 2});
  const at::NoGradGuard no_grad;
  network->Forward(at::zeros({1, 3, 64, 64}));
  const auto graph = ReadGraph(*network, {2, 3, 64, 64}, true);
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(graph->shapes[static_cast<size_t>(graph->output)], (Shape{2, 2}));
}

TEST(PlanTest, NamesWhatItDoesNotKnow) {
  const auto refused = [](const std::vector<std::string>& lines) {
    const auto network = FromDef(Wrap(8, 8,
                                      [&](ModuleBuilder& net) {
                                        for (const std::string& line : lines) net.Line(line);
                                      }),
                                 3);
    const auto graph = ReadGraph(*network, {2, 3, 32, 32}, true);
    if (!graph.ok()) return std::string(graph.status().message());
    const auto plan = Plan::Make(*graph, network->spec()->parameter_extent());
    return plan.ok() ? std::string() : std::string(plan.status().message());
  };
  EXPECT_THAT(refused({"x = torch.tanh(x)"}), HasSubstr("aten::tanh"));
  EXPECT_THAT(refused({"x = x * 2.0"}), HasSubstr("aten::mul"));
  EXPECT_THAT(refused({"y = torch.flatten(x, 1)", "z = torch.relu_(x)",
                       "x = y.reshape([x.size(0), 8, x.size(2), x.size(3)])"}),
              HasSubstr("changed in place"));
  EXPECT_THAT(
      refused({"w = torch.matmul(self.first.weight.flatten(1), self.first.weight.flatten(1).t())",
               "x = torch.conv2d(x, w.view(8, 8, 1, 1))"}),
      HasSubstr("computed from parameters"));
  EXPECT_EQ(refused({"x = torch.relu(x)"}), "");
}

class NetworksTest : public testing::TestWithParam<std::string> {};

std::unique_ptr<Network> Create(const NetworkOptions& options) {
  auto network = *Network::Create(options);
  network->Initialise(3);
  // Statistics other than 0 and 1.
  for (const TensorSpec& tensor : network->spec()->tensors()) {
    if (tensor.kind != TensorKind::kBuffer) continue;
    Random random(5, tensor.name);
    for (int64_t i = 0; i < tensor.size; ++i)
      network->values().data()[tensor.offset + i] = static_cast<float>(random.Uniform(0.5, 1.5));
  }
  return network;
}

TEST_P(NetworksTest, StepAndInferenceAsLibtorch) {
  const auto network = Create({GetParam(), 3, 0});
  Case c;
  c.n = 4;
  c.side = GetParam() == "cnn3" ? 64 : 96;
  c.margin = 10;
  for (const Precision precision : Precisions()) {
    SCOPED_TRACE(precision == Precision::kFloat32 ? "float32" : "bfloat16");
    ExpectInferenceAsLibtorch(*network, c, precision);
    ExpectStepAsLibtorch(*network, c, precision);
  }
}

// Both parts of networks that are divided: a trunk's features, and a head's training on features,
// of which nobody asks a gradient. The layers begin with all kinds of operations.
TEST(PartsTest, TrunkAndHeadAsLibtorch) {
  for (const auto& [name, layers] : std::map<std::string, std::vector<std::string>>{
           {"cnn3", {"features.3", "classifier", "classifier.1", "classifier.4"}},
           {"resnet18", {"bn1", "layer1", "layer2.1", "layer4", "fc"}},
           {"squeezenet1_1", {"features.3", "features.9", "features.12", "classifier"}},
           {"mobilenet_v3_small", {"features.1", "features.8", "features.12", "classifier"}},
           {"densenet121",
            {"features.denseblock2", "features.denseblock4", "features.norm5", "classifier"}}}) {
    for (const std::string& layer : layers) {
      SCOPED_TRACE(name + " until " + layer);
      NetworkOptions options{name, 3, 0};
      options.layer = layer;
      options.part = NetworkPart::kTrunk;
      const auto trunk = Create(options);
      options.part = NetworkPart::kHead;
      const auto head = Create(options);
      Case c;
      c.n = 4;
      c.side = name == "cnn3" ? 64 : 96;
      c.margin = 10;
      Case behind = c;
      {
        const at::NoGradGuard no_grad;
        const auto shape = trunk->Forward(at::zeros({1, 3, c.side, c.side})).sizes().vec();
        behind.features.assign(shape.begin() + 1, shape.end());
      }
      for (const Precision precision : Precisions()) {
        SCOPED_TRACE(precision == Precision::kFloat32 ? "float32" : "bfloat16");
        ExpectInferenceAsLibtorch(*trunk, c, precision);
        ExpectInferenceAsLibtorch(*head, behind, precision);
        ExpectStepAsLibtorch(*head, behind, precision);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, NetworksTest, testing::ValuesIn(ArchitectureNames()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace manako::fused
