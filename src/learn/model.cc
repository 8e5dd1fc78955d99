#include "learn/model.h"

#include <fmt/ranges.h>
#include <torch/csrc/jit/python/update_graph_executor_opt.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <tuple>
#include <utility>

#include "base/random.h"
#include "base/status_macros.h"
#include "learn/architectures.h"
#include "learn/instantiate.h"
#include "learn/module_split.h"
#include "learn/script_file.h"

namespace manako {
namespace {

constexpr int kFileImageSize = 224;
// A module that flattens without pooling first runs on images of one size only, and the file
// doesn't say which.
constexpr int kFileImageSizes[] = {224, 64, 128, 256, 299, 512, 32, 28};

// libtorch's default executors watch the first runs and then put operators and derivatives of their
// own in the place of parts of the graph. A training that is resumed would then not do what one
// that went through did at the same step.
void SetExecutor() {
  static std::once_flag once;
  std::call_once(once, [] {
    torch::jit::getProfilingMode() = false;
    torch::jit::getExecutorMode() = false;
  });
}

// Tensors of a module, with what identifies the memory that each is a view of.
struct Slot {
  std::string name;
  at::Tensor tensor;
  TensorKind kind;
  size_t entry = 0;  // index of the spec's entry that it is bound to
};

// Where a tensor's elements lie: [begin, end) in bytes.
std::pair<uintptr_t, uintptr_t> Extent(const at::Tensor& tensor) {
  const auto begin = reinterpret_cast<uintptr_t>(tensor.data_ptr());
  int64_t last = 0;
  for (int64_t d = 0; d < tensor.dim(); ++d) {
    if (tensor.size(d) == 0) return {begin, begin};
    last += (tensor.size(d) - 1) * tensor.stride(d);
  }
  return {begin, begin + static_cast<uintptr_t>(last + 1) * tensor.element_size()};
}

absl::Status CheckNoOverlap(const std::vector<Slot>& slots) {
  std::vector<std::tuple<uintptr_t, uintptr_t, const Slot*>> extents;
  for (const Slot& slot : slots) {
    const auto [begin, end] = Extent(slot.tensor);
    if (begin != end) extents.emplace_back(begin, end, &slot);
  }
  std::sort(extents.begin(), extents.end());
  for (size_t i = 1; i < extents.size(); ++i) {
    const auto& [begin, end, slot] = extents[i];
    const auto& [begin_before, end_before, before] = extents[i - 1];
    if (begin < end_before && slot->entry != before->entry) {
      return InvalidArgument("{} and {} share a part of their memory", before->name, slot->name);
    }
  }
  return absl::OkStatus();
}

// The prefix of the last weight with a row for each class.
std::string FindClassifier(const ModelSpec& spec, int classes) {
  std::string prefix;
  for (const TensorSpec& tensor : spec.tensors()) {
    if (tensor.kind == TensorKind::kParameter && tensor.shape.size() >= 2 &&
        tensor.shape[0] == classes) {
      const size_t dot = tensor.name.rfind('.');
      prefix = dot == std::string::npos ? tensor.name : tensor.name.substr(0, dot);
    }
  }
  return prefix;
}

// The logits of two black images.
absl::StatusOr<at::Tensor> TryForward(Network& network, const std::string& path,
                                      const std::vector<int>& sides) {
  const at::NoGradGuard no_grad;
  std::string first_error;
  for (const int side : sides) {
    try {
      return network.Forward(at::zeros({2, 3, side, side}));
    } catch (const std::exception& error) {
      if (first_error.empty()) first_error = OneLine(error);
    }
  }
  return InvalidArgument("{}: forward() does not run on images [2, 3, {}, {}]: {}", path,
                         sides.front(), sides.front(), first_error);
}

}  // namespace

const std::vector<std::string>& ArchitectureNames() {
  static const auto* const kNames = [] {
    auto* names = new std::vector<std::string>;
    for (const Architecture& architecture : Architectures()) names->push_back(architecture.name);
    return names;
  }();
  return *kNames;
}

int UsualImageSize(const std::string& architecture) {
  const Architecture* const known = FindArchitecture(architecture);
  return known != nullptr ? known->image_size : kFileImageSize;
}

absl::StatusOr<std::unique_ptr<Network>> Network::Create(const NetworkOptions& options) {
  if (options.classes < 2) {
    return InvalidArgument("classes must be >= 2, but is {} (model.classes)", options.classes);
  }
  if (!(options.dropout < 1)) {
    return InvalidArgument("dropout must be < 1, but is {} (model.dropout)", options.dropout);
  }
  const Architecture* const known = FindArchitecture(options.architecture);
  if (known == nullptr && options.part != NetworkPart::kWhole) {
    return InvalidArgument(
        "layers can be frozen (train.freeze) of {}, but not of a file such as {}",
        fmt::join(ArchitectureNames(), ", "), options.architecture);
  }
  if (known == nullptr) {
    absl::StatusOr<ScriptFile> file = ReadScriptFile(options.architecture);
    if (!file.ok() && file.status().code() == absl::StatusCode::kNotFound) {
      return InvalidArgument(
          "architecture must be one of {} or the path of a TorchScript file, but is {}",
          fmt::join(ArchitectureNames(), ", "), options.architecture);
    }
    if (!file.ok()) return file.status();
    return FromModule(std::move(file->module), options.architecture, options.classes,
                      {std::begin(kFileImageSizes), std::end(kFileImageSizes)});
  }

  SetExecutor();
  ModuleDef def =
      known->describe({.classes = options.classes,
                       .dropout = options.dropout < 0 ? known->dropout : options.dropout});
  if (options.part != NetworkPart::kWhole) {
    std::optional<ModuleParts> parts = SplitModule(def, options.layer);
    if (!parts.has_value()) {
      return InvalidArgument("{} can be frozen until {}, but not until {} (train.freeze)",
                             options.architecture, fmt::join(CutLayers(def), ", "), options.layer);
    }
    def = std::move(options.part == NetworkPart::kTrunk ? parts->trunk : parts->head);
  }
  std::unique_ptr<Network> network(new Network);
  try {
    network->module_ = InstantiateModule(def);
    MANAKO_RETURN_IF_ERROR(network->Bind(/*copy_values=*/false));
  } catch (const std::exception& error) {
    return Internal("making a {}: {}", options.architecture, OneLine(error));
  }
  const std::map<std::string, TensorFill> fills = CollectFills(def);
  for (const TensorSpec& tensor : network->spec_->tensors()) {
    network->fills_.push_back(fills.at(tensor.name));
  }
  network->classifier_ = known->classifier;
  return network;
}

absl::StatusOr<std::unique_ptr<Network>> Network::FromModule(torch::jit::Module module,
                                                             const std::string& path, int classes,
                                                             const std::vector<int>& sides) {
  SetExecutor();
  std::unique_ptr<Network> network(new Network);
  try {
    if (!module.find_method("forward").has_value()) {
      return InvalidArgument("{}: the module has no forward()", path);
    }
    network->module_ = std::move(module);
    MANAKO_RETURN_IF_ERROR(Annotate(network->Bind(/*copy_values=*/true), path));
  } catch (const std::exception& error) {
    return InvalidArgument("{}: its tensors cannot be used: {}", path, OneLine(error));
  }
  network->SetTraining(false);
  MANAKO_ASSIGN_OR_RETURN(const at::Tensor logits, TryForward(*network, path, sides));
  if (logits.dim() != 2 || logits.size(0) != 2 || !logits.is_floating_point()) {
    return InvalidArgument("{}: forward() of 2 images must give [2, classes], but gives [{}]", path,
                           fmt::join(logits.sizes(), ", "));
  }
  if (logits.size(1) != classes) {
    return InvalidArgument("{}: the module gives {} outputs, but there are {} classes", path,
                           logits.size(1), classes);
  }
  network->file_values_ = network->values_.Clone();
  network->classifier_ = FindClassifier(*network->spec_, classes);
  return network;
}

absl::Status Network::Bind(bool copy_values) {
  std::vector<Slot> slots;
  for (const auto& parameter : module_.named_parameters()) {
    if (!parameter.value.is_floating_point()) {
      return InvalidArgument("parameter {} holds {}, not numbers of a floating type",
                             parameter.name, c10::toString(parameter.value.scalar_type()));
    }
    slots.push_back({parameter.name, parameter.value, TensorKind::kParameter});
  }
  if (slots.empty()) {
    return InvalidArgument("the module has no parameters to train (was it frozen?)");
  }
  for (const auto& buffer : module_.named_buffers()) {
    if (buffer.value.is_floating_point()) {
      slots.push_back({buffer.name, buffer.value, TensorKind::kBuffer});
    }
  }

  std::vector<ModelSpec::Entry> entries;
  std::map<std::tuple<const void*, std::vector<int64_t>, std::vector<int64_t>>, size_t> known;
  for (Slot& slot : slots) {
    const at::Tensor& tensor = slot.tensor;
    slot.entry = entries.size();
    if (tensor.numel() > 0) {
      const auto [place, is_new] = known.try_emplace(
          {tensor.data_ptr(), tensor.sizes().vec(), tensor.strides().vec()}, entries.size());
      slot.entry = place->second;
      if (!is_new) {
        aliases_.insert(slot.name);
        continue;
      }
    }
    entries.push_back({slot.name, tensor.sizes().vec(), slot.kind});
  }
  if (copy_values) MANAKO_RETURN_IF_ERROR(CheckNoOverlap(slots));

  MANAKO_ASSIGN_OR_RETURN(ModelSpec spec, ModelSpec::Create(entries));
  spec_ = std::make_shared<const ModelSpec>(std::move(spec));
  values_ = FlatArray(spec_->size());
  std::map<std::string, const TensorSpec*> by_name;
  for (const TensorSpec& tensor : spec_->tensors()) by_name[tensor.name] = &tensor;
  const at::NoGradGuard no_grad;
  for (Slot& slot : slots) {
    const TensorSpec& target = *by_name.at(entries[slot.entry].name);
    const at::Tensor view = at::from_blob(values_.data() + target.offset, target.shape, at::kFloat);
    if (copy_values) view.copy_(slot.tensor);
    // Keeps the tensor object, which the module may hold in more than one place, and changes what
    // it shows, its type included.
    slot.tensor.set_data(view);
    slot.tensor.requires_grad_(target.kind == TensorKind::kParameter);
    if (target.kind == TensorKind::kParameter) trained_.emplace_back(slot.tensor, target.offset);
  }
  return absl::OkStatus();
}

FlatArray& Network::gradients() {
  BindGradients();
  return gradients_;
}

void Network::BindGradients() {
  if (!gradients_.empty()) return;
  gradients_ = FlatArray(spec_->parameter_extent());
  for (auto& [tensor, offset] : trained_) {
    // Autograd adds in place to a gradient that is there already.
    tensor.mutable_grad() = at::from_blob(gradients_.data() + offset, tensor.sizes(), at::kFloat);
  }
}

void Network::Initialise(uint64_t seed) {
  if (fills_.empty()) {
    std::copy_n(file_values_.data(), file_values_.size(), values_.data());
    return;
  }
  for (size_t i = 0; i < fills_.size(); ++i) {
    const TensorSpec& tensor = spec_->tensors()[i];
    const TensorFill& fill = fills_[i];
    const std::span<float> values = values_.values().subspan(static_cast<size_t>(tensor.offset),
                                                             static_cast<size_t>(tensor.size));
    Random random(seed, "init/" + tensor.name);
    for (float& value : values) {
      switch (fill.kind) {
        case TensorFill::Kind::kConstant:
          value = static_cast<float>(fill.value);
          break;
        case TensorFill::Kind::kNormal:
          value = static_cast<float>(fill.value * random.Normal());
          break;
        case TensorFill::Kind::kUniform:
          value = static_cast<float>(random.Uniform(-fill.value, fill.value));
          break;
      }
    }
  }
}

void Network::SetTraining(bool training) {
  // Not Module::train(), which aborts on a module without the attribute; a file may have some.
  for (const torch::jit::Module& module : module_.modules()) {
    const auto slot = module.type()->findAttributeSlot("training");
    if (slot.has_value() && module._ivalue()->getSlot(*slot).isBool()) {
      module._ivalue()->setSlot(*slot, training);
    }
  }
  training_ = training;
}

at::Tensor Network::Forward(const at::Tensor& images) {
  if (at::GradMode::is_enabled()) BindGradients();
  const torch::jit::GraphOptimizerEnabledGuard as_written(false);  // the setting is a thread's own
  return module_.forward({images}).toTensor();
}

}  // namespace manako
