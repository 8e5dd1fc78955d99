#include <string>
#include <vector>

#include "learn/architectures.h"

namespace manako {
namespace {

enum class Activation { kNone, kRelu, kHardSwish };

// One row of table 2 of the paper.
struct Bottleneck {
  int in, kernel, expanded, out;
  bool squeeze_excite;
  Activation activation;
  int stride;
};

constexpr Activation kRelu = Activation::kRelu, kHardSwish = Activation::kHardSwish;
constexpr Bottleneck kBottlenecks[] = {
    {16, 3, 16, 16, true, kRelu, 2},       {16, 3, 72, 24, false, kRelu, 2},
    {24, 3, 88, 24, false, kRelu, 1},      {24, 5, 96, 40, true, kHardSwish, 2},
    {40, 5, 240, 40, true, kHardSwish, 1}, {40, 5, 240, 40, true, kHardSwish, 1},
    {40, 5, 120, 48, true, kHardSwish, 1}, {48, 5, 144, 48, true, kHardSwish, 1},
    {48, 5, 288, 96, true, kHardSwish, 2}, {96, 5, 576, 96, true, kHardSwish, 1},
    {96, 5, 576, 96, true, kHardSwish, 1}};

// Convolution without bias, BatchNorm, activation.
ModuleDef ConvNorm(ConvOptions conv, Activation activation) {
  conv.padding = conv.kernel / 2;
  conv.init = WeightInit::kKaimingNormalFanOut;
  ModuleBuilder layer("Conv2dNormActivation");
  layer.Conv("0", conv).BatchNorm("1", conv.out, /*eps=*/0.001, /*momentum=*/0.01);
  if (activation == kRelu) layer.Relu();
  if (activation == kHardSwish) layer.HardSwish();
  return layer.Build();
}

// Rounds to the nearest multiple of 8, but not down by more than a tenth (torchvision's
// _make_divisible).
int RoundToEight(int channels) {
  const int rounded = (channels + 4) / 8 * 8;
  if (rounded < 8) return 8;
  return 10 * rounded < 9 * channels ? rounded + 8 : rounded;
}

ModuleDef SqueezeExcite(int channels) {
  const int squeezed = RoundToEight(channels / 4);
  const auto conv = [](int in, int out) {
    return ConvOptions{
        .in = in, .out = out, .bias = true, .init = WeightInit::kKaimingNormalFanOut, .run = false};
  };
  return ModuleBuilder("SqueezeExcitation")
      .Conv("fc1", conv(channels, squeezed))
      .Conv("fc2", conv(squeezed, channels))
      .Line("scale = torch.adaptive_avg_pool2d(x, [1, 1])")
      .Line("scale = torch.relu(self.fc1.forward(scale))")
      .Line("x = torch.hardsigmoid(self.fc2.forward(scale)) * x")
      .Build();
}

ModuleDef InvertedResidual(const Bottleneck& row) {
  ModuleBuilder block("Sequential");
  int index = 0;
  const auto add = [&](ModuleDef layer) { block.Child(std::to_string(index++), std::move(layer)); };
  if (row.expanded != row.in) {
    add(ConvNorm({.in = row.in, .out = row.expanded}, row.activation));
  }
  add(ConvNorm({.in = row.expanded,
                .out = row.expanded,
                .kernel = row.kernel,
                .stride = row.stride,
                .groups = row.expanded},
               row.activation));
  if (row.squeeze_excite) add(SqueezeExcite(row.expanded));
  add(ConvNorm({.in = row.expanded, .out = row.out}, Activation::kNone));

  ModuleBuilder residual("InvertedResidual");
  const bool skip = row.stride == 1 && row.in == row.out;
  if (skip) residual.Line("identity = x");
  residual.Child("block", block.Build());
  if (skip) residual.Line("x += identity");
  return residual.Build();
}

}  // namespace

ModuleDef DescribeMobileNetV3Small(const HeadOptions& head) {
  ModuleBuilder features("Sequential");
  int index = 0;
  const auto add = [&](ModuleDef layer) {
    features.Child(std::to_string(index++), std::move(layer));
  };
  add(ConvNorm({.in = 3, .out = 16, .kernel = 3, .stride = 2}, kHardSwish));
  for (const Bottleneck& row : kBottlenecks) add(InvertedResidual(row));
  add(ConvNorm({.in = 96, .out = 576}, kHardSwish));
  constexpr WeightInit kInit = WeightInit::kNormal001;
  return ModuleBuilder("MobileNetV3")
      .Child("features", features.Build())
      .AveragePoolTo(1)
      .Flatten()
      .Child("classifier", ModuleBuilder("Sequential")
                               .Linear("0", 576, 1024, kInit)
                               .HardSwish()
                               .Dropout(head.dropout, /*in_place=*/true)
                               .Linear("3", 1024, head.classes, kInit)
                               .Build())
      .Build();
}

}  // namespace manako
