#include "learn/module_split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/script.h>

#include <map>
#include <set>

#include "base/random.h"
#include "learn/architectures.h"
#include "learn/model.h"

namespace manako {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

ModuleDef Describe(const std::string& name) { return FindArchitecture(name)->describe({2, 0.5}); }

std::set<std::string> Names(const ModuleDef& def) {
  std::set<std::string> names;
  for (const auto& [name, fill] : CollectFills(def)) names.insert(name);
  return names;
}

TEST(ModuleSplitTest, LayersThatOneTensorCrossesTo) {
  EXPECT_THAT(CutLayers(Describe("cnn3")), ElementsAre("features.3", "features.6", "classifier",
                                                       "classifier.1", "classifier.4"));
  EXPECT_THAT(CutLayers(Describe("resnet18")),
              ElementsAre("bn1", "layer1", "layer1.1", "layer2", "layer2.1", "layer3", "layer3.1",
                          "layer4", "layer4.1", "fc"));
  EXPECT_THAT(
      CutLayers(Describe("squeezenet1_1")),
      ElementsAre("features.3", "features.4", "features.6", "features.7", "features.9",
                  "features.10", "features.11", "features.12", "classifier", "classifier.1"));
  // Within a block whose input is added to its output.
  EXPECT_THAT(CutLayers(Describe("mobilenet_v3_small")),
              Not(testing::Contains("features.3.block.1")));
  EXPECT_THAT(
      CutLayers(Describe("densenet121")),
      ElementsAre("features.norm0", "features.denseblock1", "features.transition1",
                  "features.transition1.conv", "features.denseblock2", "features.transition2",
                  "features.transition2.conv", "features.denseblock3", "features.transition3",
                  "features.transition3.conv", "features.denseblock4", "features.norm5",
                  "classifier"));
}

// At every cut of every network, in libtorch: head of trunk is the whole, and each tensor is in one
// part.
TEST(ModuleSplitTest, TheTwoPartsAreTheWhole) {
  const at::NoGradGuard no_grad;
  for (const std::string& name : ArchitectureNames()) {
    const ModuleDef def = Describe(name);
    const auto whole = *Network::Create({name, 2, 0.5});
    whole->Initialise(1);
    torch::manual_seed(1);
    const int side = name == "cnn3" ? 32 : 64;
    const at::Tensor images = torch::randn({2, 3, side, side});
    const at::Tensor expected = whole->Forward(images);
    for (const std::string& layer : CutLayers(def)) {
      SCOPED_TRACE(name + " until " + layer);
      const auto parts = SplitModule(def, layer);
      ASSERT_TRUE(parts.has_value());
      std::set<std::string> both = Names(parts->trunk);
      for (const std::string& tensor : Names(parts->head)) EXPECT_TRUE(both.insert(tensor).second);
      EXPECT_EQ(both, Names(def));
      const auto part = [&](NetworkPart which) {
        NetworkOptions options{name, 2, 0.5};
        options.part = which;
        options.layer = layer;
        auto network = *Network::Create(options);
        network->Initialise(1);  // each tensor from a stream of its name
        return network;
      };
      const at::Tensor features = part(NetworkPart::kTrunk)->Forward(images);
      const at::Tensor got = part(NetworkPart::kHead)->Forward(features);
      EXPECT_TRUE(at::equal(got, expected));
      if (def.type == "VGG" || name == "resnet50") break;  // large: one cut of each is enough
    }
  }
}

TEST(ModuleSplitTest, NamesOfOnePlace) {
  const ModuleDef def = Describe("resnet18");
  EXPECT_EQ(Names(SplitModule(def, "layer4.0")->trunk), Names(SplitModule(def, "layer4")->trunk));
  for (const char* wrong :
       {"", "conv1", "layer5", "layer4.", "layer4.0.conv2", "layer4.0.downsample",
        "layer4.0.downsample.0", ".layer4", "fc.weight", "fc.0"}) {
    EXPECT_FALSE(SplitModule(def, wrong).has_value()) << wrong;
  }
}

TEST(ModuleSplitTest, OtherLayersAreOneLineWithThosePossible) {
  NetworkOptions options{"resnet18", 2};
  options.part = NetworkPart::kHead;
  options.layer = "layer4.0.conv2";
  const std::string error(Network::Create(options).status().message());
  EXPECT_EQ(error,
            "resnet18 can be frozen until bn1, layer1, layer1.1, layer2, layer2.1, layer3, "
            "layer3.1, layer4, layer4.1, fc, but not until layer4.0.conv2 (train.freeze)");
  options.architecture = "my.pt";
  EXPECT_THAT(std::string(Network::Create(options).status().message()),
              HasSubstr("not of a file such as my.pt"));
}

}  // namespace
}  // namespace manako
