// cnn3 and VGG: plain chains of convolutions, then linear layers.
#include <string>
#include <vector>

#include "learn/architectures.h"

namespace manako {
namespace {

constexpr int kPool = 0;

// 3x3 convolutions with the given numbers of channels; kPool stands for a 2x2 max pool. Numbered as
// in an nn.Sequential in which ReLU and pool are layers too.
ModuleDef Features(const std::vector<int>& layers, WeightInit init) {
  ModuleBuilder features("Sequential");
  int index = 0, channels = 3;
  for (const int out : layers) {
    if (out == kPool) {
      features.MaxPool({.kernel = 2, .stride = 2});
      index += 1;
    } else {
      features.Conv(
          std::to_string(index),
          {.in = channels, .out = out, .kernel = 3, .padding = 1, .bias = true, .init = init});
      features.Relu();
      channels = out;
      index += 2;
    }
  }
  return features.Build();
}

}  // namespace

ModuleDef DescribeCnn3(const HeadOptions& head) {
  constexpr WeightInit kInit = WeightInit::kTorchDefault;
  return ModuleBuilder("Cnn3")
      .Child("features", Features({32, kPool, 64, kPool, 64, kPool}, kInit))
      .AveragePoolTo(4)
      .Child("classifier", ModuleBuilder("Sequential")
                               .Flatten()
                               .Linear("1", 64 * 4 * 4, 64, kInit)
                               .Relu()
                               .Dropout(head.dropout)
                               .Linear("4", 64, head.classes, kInit)
                               .Build())
      .Build();
}

ModuleDef DescribeVgg16(const HeadOptions& head) {
  constexpr WeightInit kInit = WeightInit::kNormal001;
  return ModuleBuilder("VGG")
      .Child("features", Features({64, 64, kPool, 128, 128, kPool, 256, 256, 256, kPool, 512, 512,
                                   512, kPool, 512, 512, 512, kPool},
                                  WeightInit::kKaimingNormalFanOut))
      .AveragePoolTo(7)
      .Flatten()
      .Child("classifier", ModuleBuilder("Sequential")
                               .Linear("0", 512 * 7 * 7, 4096, kInit)
                               .Relu()
                               .Dropout(head.dropout)
                               .Linear("3", 4096, 4096, kInit)
                               .Relu()
                               .Dropout(head.dropout)
                               .Linear("6", 4096, head.classes, kInit)
                               .Build())
      .Build();
}

}  // namespace manako
