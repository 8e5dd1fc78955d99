#include <string>
#include <vector>

#include "learn/architectures.h"

namespace manako {
namespace {

constexpr int kGrowth = 32;

ConvOptions Conv(int in, int out, int kernel, int stride = 1) {
  return {.in = in,
          .out = out,
          .kernel = kernel,
          .stride = stride,
          .padding = kernel / 2,
          .init = WeightInit::kKaimingNormalFanIn};
}

ModuleDef DenseLayer(int in) {
  constexpr int kBottleneck = 4 * kGrowth;
  ModuleBuilder layer("_DenseLayer");
  layer.BatchNorm("norm1", in).Relu().Conv("conv1", Conv(in, kBottleneck, 1));
  layer.BatchNorm("norm2", kBottleneck).Relu().Conv("conv2", Conv(kBottleneck, kGrowth, 3));
  return layer.Build();
}

}  // namespace

ModuleDef DescribeDenseNet121(const HeadOptions& head) {
  const std::vector<int> depths = {6, 12, 24, 16};
  ModuleBuilder features("Sequential");
  features.Conv("conv0", Conv(3, 64, 7, 2)).BatchNorm("norm0", 64).Relu();
  features.MaxPool({.kernel = 3, .stride = 2, .padding = 1});
  int channels = 64;
  for (size_t stage = 0; stage < depths.size(); ++stage) {
    const std::string number = std::to_string(stage + 1);
    ModuleBuilder block("_DenseBlock");
    for (int i = 0; i < depths[stage]; ++i) {
      const std::string name = "denselayer" + std::to_string(i + 1);
      block.ChildOnly(name, DenseLayer(channels));
      block.Line("x = torch.cat([x, " + ModuleBuilder::Call(name) + "(x)], 1)");
      channels += kGrowth;
    }
    features.Child("denseblock" + number, block.Build());
    if (stage + 1 == depths.size()) break;
    features.Child("transition" + number, ModuleBuilder("_Transition")
                                              .BatchNorm("norm", channels)
                                              .Relu()
                                              .Conv("conv", Conv(channels, channels / 2, 1))
                                              .Line("x = torch.avg_pool2d(x, [2, 2], [2, 2])")
                                              .Build());
    channels /= 2;
  }
  features.BatchNorm("norm5", channels);
  return ModuleBuilder("DenseNet")
      .Child("features", features.Build())
      .Relu()
      .AveragePoolTo(1)
      .Flatten()
      .Linear("classifier", channels, head.classes, WeightInit::kTorchDefaultZeroBias)
      .Build();
}

}  // namespace manako
