// Files: trained values into a network, and a network with its card out and in again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/random.h"
#include "base/temporary_folder.h"
#include "learn/model.h"

namespace manako {
namespace {

using testing::HasSubstr;

const std::string kSqueezeNet = MANAKO_TEST_DATA "/squeezenet1_1/squeezenet1_1.safetensors";

std::unique_ptr<Network> Make(const std::string& architecture, int classes) {
  auto network = Network::Create({.architecture = architecture, .classes = classes});
  EXPECT_TRUE(network.ok()) << network.status();
  (*network)->Initialise(1);
  return *std::move(network);
}

struct RawTensor {
  std::vector<int64_t> shape;
  std::vector<float> values;
  std::string type = "F32";
};
using Tensors = std::map<std::string, RawTensor>;

Tensors TensorsOf(Network& network) {
  Tensors tensors;
  for (const TensorSpec& tensor : network.spec()->tensors()) {
    const float* const begin = network.values().data() + tensor.offset;
    tensors[tensor.name] = {tensor.shape, {begin, begin + tensor.size}};
  }
  return tensors;
}

absl::Status Load(Network& network, const Tensors& tensors) {
  nlohmann::json header;
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    const size_t bytes = tensor.values.size() * sizeof(float);
    header[name] = {{"dtype", tensor.type},
                    {"shape", tensor.shape},
                    {"data_offsets", {data.size(), data.size() + bytes}}};
    data.append(reinterpret_cast<const char*>(tensor.values.data()), bytes);
  }
  const std::string text = header.dump();
  const uint64_t size = text.size();
  std::string file(reinterpret_cast<const char*>(&size), sizeof size);
  const TemporaryFolder folder;
  const std::string path = folder / "load.safetensors";
  EXPECT_TRUE(WriteFileAtomically(path, file + text + data).ok());
  return network.Load(path, nullptr);
}

bool Same(const float* a, const float* b, int64_t size) {
  return std::memcmp(a, b, static_cast<size_t>(size) * sizeof(float)) == 0;
}

TEST(LoadTest, SqueezeNetFromSafetensors) {
  if (!std::filesystem::exists(kSqueezeNet)) GTEST_SKIP() << "needs " << kSqueezeNet;
  std::string note = "?";
  const auto whole = Make("squeezenet1_1", 1000);
  const absl::Status status = whole->Load(kSqueezeNet, &note);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(note, "");

  const auto two = Make("squeezenet1_1", 2);
  const FlatArray initial = two->values().Clone();
  ASSERT_TRUE(two->Load(kSqueezeNet, &note).ok());
  EXPECT_THAT(note,
              HasSubstr("has 1000 classes and the network 2: the last layer (classifier.1) keeps"));
  for (const TensorSpec& tensor : two->spec()->tensors()) {
    const float* const now = two->values().data() + tensor.offset;
    const bool kept = tensor.name.starts_with("classifier.1.");
    EXPECT_EQ(Same(now, initial.data() + tensor.offset, tensor.size), kept) << tensor.name;
    if (kept) continue;
    const TensorSpec* const other = whole->spec()->Find(tensor.name);
    EXPECT_TRUE(Same(now, whole->values().data() + other->offset, tensor.size)) << tensor.name;
  }
}

TEST(LoadTest, CountsAndNamesWhatDoesNotFit) {
  const auto source = Make("cnn3", 2);
  source->Initialise(2);
  const auto network = Make("cnn3", 2);
  const FlatArray before = network->values().Clone();
  const auto problem = [&](const std::function<void(Tensors&)>& edit) {
    Tensors tensors = TensorsOf(*source);
    edit(tensors);
    const absl::Status status = Load(*network, tensors);
    EXPECT_TRUE(Same(before.data(), network->values().data(), before.size())) << "changed";
    return status.ToString();
  };
  EXPECT_THAT(problem([](Tensors& t) { t.erase("features.3.bias"); }),
              HasSubstr("in 1 tensors: features.3.bias is missing"));
  EXPECT_THAT(problem([](Tensors& t) {
                t["more"] = {{1}, {1.0f}};
              }),
              HasSubstr("more is not in the network"));
  EXPECT_THAT(problem([](Tensors& t) {
                t["features.0.bias"].shape = {2, 16};
              }),
              HasSubstr("features.0.bias is [2, 16] and not [32]"));
  EXPECT_THAT(problem([](Tensors& t) {
                t["features.0.bias"].values[3] = std::numeric_limits<float>::quiet_NaN();
              }),
              HasSubstr("features.0.bias holds NaN or infinity"));
  EXPECT_THAT(problem([](Tensors& t) { t["features.0.bias"].type = "I32"; }),
              HasSubstr("features.0.bias holds integers"));
  // Another layer's class count is no classifier's.
  EXPECT_THAT(problem([](Tensors& t) {
                t["features.0.bias"] = {{1}, {1.0f}};
              }),
              HasSubstr("features.0.bias is [1] and not [32]"));
  EXPECT_THAT(problem([](Tensors& t) {
                t.clear();
                t["x"] = {{1}, {1.0f}};
              }),
              HasSubstr("in 11 tensors: x is not in the network; features.0.weight is missing"));
  EXPECT_FALSE(network->Load("none", nullptr).ok());
}

TEST(LoadTest, CountersMayBeThere) {
  const auto source = Make("resnet18", 2), network = Make("resnet18", 2);
  source->Initialise(2);
  Tensors tensors = TensorsOf(*source);
  tensors["bn1.num_batches_tracked"] = {{}, {0.0f}, "I32"};
  const absl::Status status = Load(*network, tensors);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_TRUE(Same(source->values().data(), network->values().data(), source->values().size()));
}

TEST(LoadTest, DenseNetsOldNames) {
  const auto source = Make("densenet121", 2), network = Make("densenet121", 2);
  source->Initialise(2);
  Tensors old;
  int renamed = 0;
  for (const auto& [name, tensor] : TensorsOf(*source)) {
    std::string old_name = name;
    for (const std::string layer : {".norm1.", ".norm2.", ".conv1.", ".conv2."}) {
      const size_t at = name.find(layer);
      if (at == std::string::npos || name.find("denselayer") == std::string::npos) continue;
      old_name.insert(at + 5, ".");
      ++renamed;
    }
    old[old_name] = tensor;
  }
  ASSERT_EQ(renamed, 58 * 10);
  const absl::Status status = Load(*network, old);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_TRUE(Same(source->values().data(), network->values().data(), source->values().size()));
}

ModelCard Card() {
  return {.architecture = "resnet18",
          .classes = {"normal", "pneumonia \"viral\""},
          .image_size = 64,
          .crop = "centre",
          .mean = {0.485, 0.456, 0.406},
          .std = {0.229, 0.224, 0.225},
          .origin = "a test",
          .digest = "wrong"};
}

TEST(SaveTest, LoadsWhatWasSavedAndCanBeTrainedOn) {
  const TemporaryFolder folder;
  const std::string path = folder / "model.pt", again = folder / "again.pt";
  const auto network = Make("resnet18", 2);
  const at::Tensor images = at::rand({4, 3, 64, 64});
  const auto step = [&](Network& n) {
    n.SetTraining(true);
    const at::Tensor loss = at::cross_entropy_loss(n.Forward(images), at::arange(4).remainder(2));
    loss.backward();
    for (int64_t i = 0; i < n.gradients().size(); ++i) {
      n.values().data()[i] -= 0.01f * n.gradients().data()[i];
    }
  };
  step(*network);
  ASSERT_TRUE(SaveModel(*network, Card(), path).ok());
  ASSERT_TRUE(SaveModel(*network, Card(), again).ok());
  EXPECT_EQ(*ReadFile(path), *ReadFile(again));

  const auto size = static_cast<double>(std::filesystem::file_size(path));
  EXPECT_LT(size, 4.0 * static_cast<double>(network->spec()->size()) + 200000);

  auto loaded = LoadModel(path);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->card.classes, Card().classes);
  EXPECT_EQ(loaded->card.architecture, "resnet18");
  EXPECT_EQ(loaded->card.image_size, 64);
  EXPECT_EQ(loaded->card.crop, "centre");
  EXPECT_EQ(loaded->card.std, Card().std);
  EXPECT_EQ(loaded->card.digest.size(), 64u);
  ASSERT_TRUE(loaded->network->spec()->CheckSame(*network->spec()).ok());
  EXPECT_TRUE(
      Same(network->values().data(), loaded->network->values().data(), network->values().size()));

  // Both are trained on in the same way, the one saved and the one loaded; and saving left it in
  // training mode.
  const bool in_training = network->module().attr("training").toBool();
  EXPECT_TRUE(in_training);
  std::memset(network->gradients().data(), 0, static_cast<size_t>(network->gradients().size()) * 4);
  step(*network);
  step(*loaded->network);
  EXPECT_TRUE(
      Same(network->values().data(), loaded->network->values().data(), network->values().size()));
}

TEST(SaveTest, TwoProcessesWorthOfNetworksGiveTheSameBytes) {
  const TemporaryFolder folder;
  const std::string a = folder / "a.pt", b = folder / "b.pt";
  for (const std::string name : {"squeezenet1_1", "mobilenet_v3_small"}) {
    ASSERT_TRUE(SaveModel(*Make(name, 2), Card(), a).ok());
    const auto other = Make(name, 2);
    other->Forward(at::zeros({2, 3, 64, 64})).sum().backward();
    ASSERT_TRUE(SaveModel(*other, Card(), b).ok());
    EXPECT_TRUE(*ReadFile(a) == *ReadFile(b)) << name;
  }
}

TEST(SaveTest, SaysWhyItCouldNotWrite) {
  const auto network = Make("cnn3", 2);
  EXPECT_THAT(SaveModel(*network, Card(), "/proc/none/model.pt").ToString(),
              HasSubstr("/proc/none"));
}

TEST(SaveTest, RefusesFilesWithoutAMeaningfulCard) {
  const TemporaryFolder folder;
  const std::string path = folder / "card.pt";
  const auto network = Make("cnn3", 2);
  const auto refusal = [&](const std::string& card) {
    network->module().save(path, {{"manako.json", card}});
    return LoadModel(path).status().ToString();
  };
  network->module().save(path);
  EXPECT_THAT(LoadModel(path).status().ToString(), HasSubstr("was not saved by Manako"));
  EXPECT_THAT(refusal("{"), HasSubstr("is no JSON object"));
  EXPECT_THAT(refusal("{}"), HasSubstr("manako_model in manako.json must be 1"));

  ASSERT_TRUE(SaveModel(*network, Card(), path).ok());
  auto good = LoadModel(path);
  ASSERT_TRUE(good.ok()) << good.status();
  nlohmann::json card = {{"manako_model", 1},
                         {"architecture", "cnn3"},
                         {"classes", {"a", "b"}},
                         {"image_size", 64},
                         {"crop", ""},
                         {"mean", {0, 0, 0}},
                         {"std", {1, 1, 1}},
                         {"origin", ""},
                         {"digest", good->card.digest}};
  EXPECT_EQ(refusal(card.dump()), "OK");
  const auto with = [&](const char* name, const nlohmann::json& value) {
    nlohmann::json changed = card;
    changed[name] = value;
    return refusal(changed.dump());
  };
  EXPECT_THAT(with("classes", {"a"}), HasSubstr("classes in manako.json must be"));
  EXPECT_THAT(with("classes", {"a", 1}), HasSubstr("classes in manako.json must be"));
  EXPECT_THAT(with("classes", {"a", "b", "c"}), HasSubstr("gives 2 outputs, but there are 3"));
  EXPECT_THAT(with("image_size", 0), HasSubstr("image_size in"));
  EXPECT_THAT(with("image_size", 1e300), HasSubstr("image_size in"));
  EXPECT_THAT(with("mean", {1, 2}), HasSubstr("mean in"));
  EXPECT_THAT(with("std", {1, 0, 1}), HasSubstr("std in"));
  EXPECT_THAT(with("crop", 3), HasSubstr("crop in"));
  EXPECT_THAT(with("digest", "0"), HasSubstr("DATA_LOSS"));
}

// The output of a command; empty when it fails.
std::string OutputOf(const std::string& command) {
  std::FILE* const pipe = popen(command.c_str(), "r");
  std::string output;
  char buffer[4096];
  for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) output.append(buffer, n);
  return pclose(pipe) == 0 ? output : "";
}

TEST(SaveTest, OpensInPython) {
  const std::string python = "/usr/bin/python3 ";
  if (OutputOf(python + "-c 'import torch; print(1)' 2>/dev/null").empty()) {
    GTEST_SKIP() << "needs /usr/bin/python3 with torch";
  }
  const TemporaryFolder folder;
  const std::string path = folder / "python.pt", script = folder / "open.py";
  for (const std::string& name : ArchitectureNames()) {
    if (name == "vgg16") continue;  // half a gigabyte
    const auto network = Make(name, 2);
    ModelCard card = Card();
    card.architecture = name;
    network->SetTraining(true);
    ASSERT_TRUE(SaveModel(*network, card, path).ok());
    network->SetTraining(false);
    // Trains a step in Python, too: the parameters must be ordinary ones there.
    ASSERT_TRUE(WriteFileAtomically(script, R"(
import json, sys, torch
torch.set_num_threads(1)
extra = {"manako.json": ""}
net = torch.jit.load(sys.argv[1], _extra_files=extra)
assert not net.training
x = (torch.arange(2 * 3 * 64 * 64) % 97).float().reshape(2, 3, 64, 64) / 97
with torch.no_grad():
    logits = [v.item() for v in net(x).flatten()]
parameters = list(net.parameters())
assert all(p.requires_grad and p.is_leaf and p.grad is None for p in parameters)
assert all(p.untyped_storage().nbytes() == 4 * p.numel() if hasattr(p, "untyped_storage")
           else p.storage().size() == p.numel() for p in parameters)
optimiser = torch.optim.SGD(parameters, lr=0.1)
net.train()
net(torch.cat([x, -x])).square().sum().backward()
optimiser.step()
card = json.loads(extra["manako.json"])
print(json.dumps({"logits": logits, "classes": card["classes"], "architecture": card["architecture"]}))
)")
                    .ok());
    const std::string output = OutputOf(python + script + " " + path);
    const auto result = nlohmann::json::parse(output, nullptr, false);
    ASSERT_TRUE(result.is_object()) << name << ": " << output;
    EXPECT_EQ(result["classes"], Card().classes);
    EXPECT_EQ(result["architecture"], name);
    const at::Tensor x =
        at::arange(2 * 3 * 64 * 64).remainder(97).to(at::kFloat).reshape({2, 3, 64, 64}) / 97;
    const at::Tensor logits = network->Forward(x).detach().flatten();
    ASSERT_EQ(result["logits"].size(), 4u);
    for (size_t i = 0; i < 4; ++i) {
      const double here = logits.data_ptr<float>()[i];
      EXPECT_NEAR(result["logits"][i].get<double>(), here, 1e-4 * std::abs(here) + 1e-6) << name;
    }
  }
}

}  // namespace
}  // namespace manako
