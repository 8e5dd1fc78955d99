#include <string>
#include <vector>

#include "learn/architectures.h"

namespace manako {
namespace {

ConvOptions Conv(int in, int out, int kernel, int stride = 1) {
  return {.in = in,
          .out = out,
          .kernel = kernel,
          .stride = stride,
          .padding = kernel / 2,
          .init = WeightInit::kKaimingNormalFanOut};
}

struct BlockOptions {
  bool bottleneck = false;
  int in = 0;     // channels that come in
  int width = 0;  // channels of the 3x3 convolutions
  int stride = 1;
  int out() const { return bottleneck ? 4 * width : width; }
};

ModuleDef Block(const BlockOptions& options) {
  const int in = options.in, width = options.width, stride = options.stride, out = options.out();
  ModuleBuilder block(options.bottleneck ? "Bottleneck" : "BasicBlock");
  block.Line("identity = x");
  if (options.bottleneck) {
    block.Conv("conv1", Conv(in, width, 1)).BatchNorm("bn1", width).Relu();
    block.Conv("conv2", Conv(width, width, 3, stride)).BatchNorm("bn2", width).Relu();
    block.Conv("conv3", Conv(width, out, 1)).BatchNorm("bn3", out);
  } else {
    block.Conv("conv1", Conv(in, width, 3, stride)).BatchNorm("bn1", width).Relu();
    block.Conv("conv2", Conv(width, width, 3)).BatchNorm("bn2", width);
  }
  if (stride != 1 || in != out) {
    block.ChildOnly("downsample", ModuleBuilder("Sequential")
                                      .Conv("0", Conv(in, out, 1, stride))
                                      .BatchNorm("1", out)
                                      .Build());
    block.Line("identity = self.downsample.forward(identity)");
  }
  return block.Line("x += identity").Relu().Build();
}

ModuleDef ResNet(const std::vector<int>& depths, bool bottleneck, int classes) {
  ModuleBuilder net("ResNet");
  net.Conv("conv1", {.in = 3,
                     .out = 64,
                     .kernel = 7,
                     .stride = 2,
                     .padding = 3,
                     .init = WeightInit::kKaimingNormalFanOut});
  net.BatchNorm("bn1", 64).Relu().MaxPool({.kernel = 3, .stride = 2, .padding = 1});
  int channels = 64;
  for (size_t stage = 0; stage < depths.size(); ++stage) {
    ModuleBuilder layer("Sequential");
    for (int i = 0; i < depths[stage]; ++i) {
      const BlockOptions options = {.bottleneck = bottleneck,
                                    .in = channels,
                                    .width = 64 << stage,
                                    .stride = stage > 0 && i == 0 ? 2 : 1};
      layer.Child(std::to_string(i), Block(options));
      channels = options.out();
    }
    net.Child("layer" + std::to_string(stage + 1), layer.Build());
  }
  return net.AveragePoolTo(1)
      .Flatten()
      .Linear("fc", channels, classes, WeightInit::kTorchDefault)
      .Build();
}

}  // namespace

ModuleDef DescribeResNet18(const HeadOptions& head) {
  return ResNet({2, 2, 2, 2}, /*bottleneck=*/false, head.classes);
}

ModuleDef DescribeResNet50(const HeadOptions& head) {
  return ResNet({3, 4, 6, 3}, /*bottleneck=*/true, head.classes);
}

}  // namespace manako
