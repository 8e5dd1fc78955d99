// The built-in networks against torchvision's, whose names, outputs and gradients are in
// testdata/torchvision.txt.
#include "learn/architectures.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "learn/model.h"

namespace manako {
namespace {

struct TensorRow {
  std::string name, kind;
  std::vector<int64_t> shape;
  double mean = 0, std = 0, max = 0, norm = 0;
};

struct Expected {
  int classes = 0;
  double loss = 0;
  std::vector<double> eval, train;
  std::vector<TensorRow> tensors;
};

std::vector<double> Numbers(std::istream& line) {
  std::vector<double> numbers;
  for (double value; line >> value;) numbers.push_back(value);
  return numbers;
}

std::map<std::string, Expected> ReadFixture() {
  std::ifstream file(MANAKO_SOURCE_DIR "/src/learn/testdata/torchvision.txt");
  std::map<std::string, Expected> networks;
  Expected* now = nullptr;
  for (std::string text; std::getline(file, text);) {
    std::istringstream line(text);
    std::string what;
    line >> what;
    if (what == "network") {
      std::string name;
      line >> name;
      now = &networks[name];
      line >> now->classes;
    } else if (what == "eval") {
      now->eval = Numbers(line);
    } else if (what == "train") {
      now->train = Numbers(line);
    } else if (what == "loss") {
      line >> now->loss;
    } else if (what == "tensor") {
      TensorRow row;
      std::string shape;
      line >> row.name >> row.kind >> shape >> row.mean >> row.std >> row.max >> row.norm;
      std::istringstream extents(shape);
      for (std::string extent; shape != "-" && std::getline(extents, extent, ',');) {
        row.shape.push_back(std::stoll(extent));
      }
      now->tensors.push_back(row);
    }
  }
  return networks;
}

// The formula of make_torchvision.py.
std::vector<float> Formula(uint64_t stream, int64_t count, double scale, double shift) {
  std::vector<float> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) {
    auto x = static_cast<uint32_t>(i * 2654435761u + stream * 40503u);
    x ^= x >> 15;
    x *= 0x2C1B3C6Du;
    x ^= x >> 12;
    x *= 0x297A2D39u;
    x ^= x >> 15;
    values[i] = static_cast<float>(shift + scale * ((x >> 8) / 16777216.0 - 0.5));
  }
  return values;
}

std::vector<float> FormulaFor(const TensorRow& row, size_t stream) {
  int64_t count = 1;
  for (const int64_t extent : row.shape) count *= extent;
  if (row.name.ends_with("running_var")) return Formula(stream, count, 0.5, 1);
  if (row.name.ends_with("running_mean") || row.name.ends_with("bias")) {
    return Formula(stream, count, 0.2, 0);
  }
  if (row.shape.size() == 1) return Formula(stream, count, 0.2, 1);
  return Formula(stream, count, std::sqrt(24.0 / static_cast<double>(count / row.shape[0])), 0);
}

double Norm(const float* values, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(values[i]) * values[i];
  return std::sqrt(sum);
}

void ExpectClose(const at::Tensor& logits, const std::vector<double>& expected) {
  const at::Tensor flat = logits.detach().flatten().contiguous();
  ASSERT_EQ(flat.numel(), static_cast<int64_t>(expected.size()));
  double largest = 0;
  for (const double value : expected) largest = std::max(largest, std::abs(value));
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(flat.data_ptr<float>()[i], expected[i], 1e-4 * largest) << "logit " << i;
  }
}

class ArchitectureTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    static const auto* const kFixture = new std::map<std::string, Expected>(ReadFixture());
    ASSERT_TRUE(kFixture->contains(GetParam()));
    expected_ = &kFixture->at(GetParam());
    auto network =
        Network::Create({.architecture = GetParam(), .classes = expected_->classes, .dropout = 0});
    ASSERT_TRUE(network.ok()) << network.status();
    network_ = *std::move(network);
  }
  const Expected* expected_ = nullptr;
  std::unique_ptr<Network> network_;
};

TEST_P(ArchitectureTest, HasTorchvisionsStateDict) {
  std::vector<const TensorRow*> rows;  // in the spec's order: parameters, then buffers
  std::vector<std::string> counters;
  for (const std::string kind : {"parameter", "buffer"}) {
    for (const TensorRow& row : expected_->tensors) {
      if (row.kind == kind) rows.push_back(&row);
    }
  }
  for (const TensorRow& row : expected_->tensors) {
    if (row.kind == "counter") counters.push_back(row.name);
  }
  const std::vector<TensorSpec>& tensors = network_->spec()->tensors();
  ASSERT_EQ(tensors.size(), rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(tensors[i].name, rows[i]->name);
    EXPECT_EQ(tensors[i].shape, rows[i]->shape) << rows[i]->name;
    EXPECT_EQ(tensors[i].kind == TensorKind::kParameter, rows[i]->kind == "parameter");
  }
  std::vector<std::string> integers;
  for (const auto& buffer : network_->module().named_buffers()) {
    if (!buffer.value.is_floating_point()) integers.push_back(buffer.name);
  }
  EXPECT_EQ(integers, counters);
}

TEST_P(ArchitectureTest, DrawsFromTorchvisionsDistributions) {
  network_->Initialise(5);
  for (const TensorRow& row : expected_->tensors) {
    const TensorSpec* const tensor = network_->spec()->Find(row.name);
    if (tensor == nullptr) continue;
    const float* const values = network_->values().data() + tensor->offset;
    const auto n = static_cast<double>(tensor->size);
    double sum = 0, squares = 0, largest = 0;
    for (int64_t i = 0; i < tensor->size; ++i) {
      sum += values[i];
      squares += static_cast<double>(values[i]) * values[i];
      largest = std::max(largest, std::abs(static_cast<double>(values[i])));
    }
    const double mean = sum / n, std = std::sqrt(std::max(0.0, squares / n - mean * mean));
    if (row.std < 1e-9) {  // a constant
      EXPECT_EQ(largest, row.max) << row.name;
      EXPECT_NEAR(mean, row.mean, 1e-6) << row.name;
      continue;
    }
    // Both are estimates from n draws; six of their difference's standard errors (a normal's, the
    // wider of the two).
    EXPECT_NEAR(mean, row.mean, 6 * row.std * std::sqrt(2 / n)) << row.name;
    EXPECT_NEAR(std, row.std, 6 * row.std / std::sqrt(n)) << row.name;
    // A uniform's largest value is close to its bound of sqrt(3) standard deviations; a normal's is
    // further out.
    if (n < 1000) continue;
    EXPECT_EQ(largest < 1.9 * std, row.max < 1.9 * row.std) << row.name;
  }
}

TEST_P(ArchitectureTest, ComputesWhatTorchvisionComputes) {
  for (size_t i = 0; i < expected_->tensors.size(); ++i) {
    const TensorSpec* const tensor = network_->spec()->Find(expected_->tensors[i].name);
    if (tensor == nullptr) continue;
    const std::vector<float> values = FormulaFor(expected_->tensors[i], i);
    ASSERT_EQ(static_cast<int64_t>(values.size()), tensor->size);
    std::copy(values.begin(), values.end(), network_->values().data() + tensor->offset);
  }
  std::vector<float> pixels = Formula(1000003, 4 * 3 * 72 * 72, 4, 0);
  const at::Tensor images = at::from_blob(pixels.data(), {4, 3, 72, 72});
  network_->SetTraining(false);
  {
    const at::NoGradGuard no_grad;
    ExpectClose(network_->Forward(images), expected_->eval);
  }
  network_->SetTraining(true);
  const at::Tensor logits = network_->Forward(images);
  ExpectClose(logits, expected_->train);
  const at::Tensor labels = at::arange(4).remainder(expected_->classes);
  const at::Tensor loss = at::cross_entropy_loss(logits, labels);
  EXPECT_NEAR(loss.item<double>(), expected_->loss, 1e-4 * expected_->loss);
  loss.backward();
  for (const TensorRow& row : expected_->tensors) {
    const TensorSpec* const tensor = network_->spec()->Find(row.name);
    if (tensor == nullptr) continue;
    FlatArray& array = row.kind == "parameter" ? network_->gradients() : network_->values();
    // The absolute part is for gradients that are 0 but for rounding. Through some fifty
    // normalisations, the last ones over 4 x 3 x 3 values, another processor's rounding grows to
    // 0.7%.
    const bool deep = GetParam() == "resnet50" || GetParam() == "densenet121";
    EXPECT_NEAR(Norm(array.data() + tensor->offset, tensor->size), row.norm,
                (deep ? 2e-2 : 1e-4) * row.norm + 1e-6)
        << row.name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ArchitectureTest, testing::ValuesIn(ArchitectureNames()),
                         [](const auto& info) { return info.param; });

TEST(ArchitecturesTest, KnowsUsualImageSizes) {
  EXPECT_EQ(UsualImageSize("cnn3"), 64);
  EXPECT_EQ(UsualImageSize("vgg16"), 224);
  EXPECT_EQ(UsualImageSize("mine.pt"), 224);
}

}  // namespace
}  // namespace manako
