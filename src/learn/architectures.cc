#include "learn/architectures.h"

namespace manako {

const std::vector<Architecture>& Architectures() {
  static const auto* const kArchitectures = new std::vector<Architecture>{
      {"cnn3", 64, 0.1, "classifier.4", DescribeCnn3},
      {"vgg16", 224, 0.5, "classifier.6", DescribeVgg16},
      {"resnet18", 224, 0, "fc", DescribeResNet18},
      {"resnet50", 224, 0, "fc", DescribeResNet50},
      {"densenet121", 224, 0, "classifier", DescribeDenseNet121},
      {"squeezenet1_1", 224, 0.5, "classifier.1", DescribeSqueezeNet11},
      {"mobilenet_v3_small", 224, 0.2, "classifier.3", DescribeMobileNetV3Small}};
  return *kArchitectures;
}

const Architecture* FindArchitecture(const std::string& name) {
  for (const Architecture& architecture : Architectures()) {
    if (architecture.name == name) return &architecture;
  }
  return nullptr;
}

}  // namespace manako
