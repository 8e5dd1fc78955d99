#include <string>

#include "learn/architectures.h"

namespace manako {
namespace {

ConvOptions Conv(int in, int out, int kernel, bool run) {
  return {.in = in,
          .out = out,
          .kernel = kernel,
          .padding = kernel / 2,
          .bias = true,
          .init = WeightInit::kKaimingUniform,
          .run = run};
}

// The 1x1 and the 3x3 half each give `expand` channels.
ModuleDef Fire(int in, int squeeze, int expand) {
  return ModuleBuilder("Fire")
      .Conv("squeeze", Conv(in, squeeze, 1, /*run=*/true))
      .Relu()
      .Conv("expand1x1", Conv(squeeze, expand, 1, /*run=*/false))
      .Conv("expand3x3", Conv(squeeze, expand, 3, /*run=*/false))
      .Line("narrow = torch.relu_(self.expand1x1.forward(x))")
      .Line("wide = torch.relu_(self.expand3x3.forward(x))")
      .Line("x = torch.cat([narrow, wide], 1)")
      .Build();
}

}  // namespace

ModuleDef DescribeSqueezeNet11(const HeadOptions& head) {
  const PoolOptions pool = {.kernel = 3, .stride = 2, .ceil = true};
  ModuleBuilder features("Sequential");
  features.Conv("0", {.in = 3,
                      .out = 64,
                      .kernel = 3,
                      .stride = 2,
                      .bias = true,
                      .init = WeightInit::kKaimingUniform});
  features.Relu().MaxPool(pool);
  features.Child("3", Fire(64, 16, 64)).Child("4", Fire(128, 16, 64)).MaxPool(pool);
  features.Child("6", Fire(128, 32, 128)).Child("7", Fire(256, 32, 128)).MaxPool(pool);
  features.Child("9", Fire(256, 48, 192)).Child("10", Fire(384, 48, 192));
  features.Child("11", Fire(384, 64, 256)).Child("12", Fire(512, 64, 256));
  ModuleBuilder classifier("Sequential");
  classifier.Dropout(head.dropout);
  classifier.Conv(
      "1",
      {.in = 512, .out = head.classes, .kernel = 1, .bias = true, .init = WeightInit::kNormal001});
  classifier.Relu().AveragePoolTo(1);
  return ModuleBuilder("SqueezeNet")
      .Child("features", features.Build())
      .Child("classifier", classifier.Build())
      .Flatten()
      .Build();
}

}  // namespace manako
