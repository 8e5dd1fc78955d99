#include "learn/import/torch_state_dict.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include "base/status_macros.h"
#include "learn/import/checks.h"

namespace manako {
namespace {

using Kind = PickleValue::Kind;

constexpr std::string_view kRebuildTensor = "torch._utils._rebuild_tensor";
constexpr std::string_view kRebuildTensorV2 = "torch._utils._rebuild_tensor_v2";
constexpr std::string_view kRebuildParameter = "torch._utils._rebuild_parameter";
constexpr std::string_view kRebuildParameterWithState =
    "torch._utils._rebuild_parameter_with_state";

constexpr std::string_view kGlobals[] = {
    "collections.OrderedDict",  kRebuildTensor,       kRebuildTensorV2,      kRebuildParameter,
    kRebuildParameterWithState, "torch.FloatStorage", "torch.DoubleStorage", "torch.HalfStorage",
    "torch.BFloat16Storage",    "torch.LongStorage",  "torch.IntStorage",    "torch.ShortStorage",
    "torch.CharStorage",        "torch.ByteStorage",  "torch.BoolStorage",
};

constexpr std::string_view kDataParallelPrefix = "module.";

// A key is looked up for every tensor that shares the storage, so its length would multiply the
// work. torch writes decimal numbers.
constexpr size_t kMaxKeyBytes = 64;

std::optional<ScalarType> StorageType(std::string_view global) {
  static constexpr std::pair<std::string_view, ScalarType> kTypes[] = {
      {"torch.FloatStorage", ScalarType::kFloat32},
      {"torch.DoubleStorage", ScalarType::kFloat64},
      {"torch.HalfStorage", ScalarType::kFloat16},
      {"torch.BFloat16Storage", ScalarType::kBFloat16},
      {"torch.LongStorage", ScalarType::kInt64},
      {"torch.IntStorage", ScalarType::kInt32},
      {"torch.ShortStorage", ScalarType::kInt16},
      {"torch.CharStorage", ScalarType::kInt8},
      {"torch.ByteStorage", ScalarType::kUInt8},
      {"torch.BoolStorage", ScalarType::kBool},
  };
  for (const auto& [name, type] : kTypes) {
    if (name == global) return type;
  }
  return std::nullopt;
}

bool IsCount(const PickleValue& value) { return value.kind == Kind::kInt && value.integer >= 0; }

// A tuple of integers that are not negative.
bool ReadSizes(const Pickle& pickle, const PickleValue& value, std::vector<int64_t>& sizes) {
  if (value.kind != Kind::kTuple || pickle.items(value).size() > kMaxTensorAxes) return false;
  for (const PickleId id : pickle.items(value)) {
    if (!IsCount(pickle.at(id))) return false;
    sizes.push_back(pickle.at(id).integer);
  }
  return true;
}

// (view_key, offset, elements), or None, which means all of it. Only the legacy format has views.
bool ReadView(const Pickle& pickle, const PickleValue& view, TorchStorage& storage) {
  if (view.kind == Kind::kNone) return true;
  const std::span<const PickleId> items = pickle.items(view);
  if (view.kind != Kind::kTuple || items.size() != 3 || !IsCount(pickle.at(items[1])) ||
      !IsCount(pickle.at(items[2]))) {
    return false;
  }
  storage.view_offset = static_cast<uint64_t>(pickle.at(items[1]).integer);
  storage.view_elements = static_cast<uint64_t>(pickle.at(items[2]).integer);
  return storage.view_offset <= storage.elements &&
         storage.view_elements <= storage.elements - storage.view_offset;
}

// The arguments of a call to `function`, or nothing when the value is no such call.
std::optional<std::span<const PickleId>> ArgumentsOf(const Pickle& pickle, const PickleValue& value,
                                                     std::string_view function) {
  if (value.kind != Kind::kCall) return std::nullopt;
  const std::span<const PickleId> call = pickle.items(value);
  if (pickle.at(call[0]).text != function) return std::nullopt;
  return pickle.items(pickle.at(call[1]));
}

// The tensor in a Parameter; the value itself when it is none.
const PickleValue& WithoutParameter(const Pickle& pickle, const PickleValue& value) {
  for (const std::string_view function : {kRebuildParameter, kRebuildParameterWithState}) {
    const auto arguments = ArgumentsOf(pickle, value, function);
    if (arguments.has_value() && !arguments->empty()) return pickle.at(arguments->front());
  }
  return value;
}

absl::StatusOr<TorchTensor> ReadTensor(const Pickle& pickle, std::string_view name,
                                       const PickleValue& value) {
  const PickleValue& rebuilt = WithoutParameter(pickle, value);
  auto arguments = ArgumentsOf(pickle, rebuilt, kRebuildTensorV2);
  if (!arguments.has_value()) arguments = ArgumentsOf(pickle, rebuilt, kRebuildTensor);
  if (!arguments.has_value()) {
    return InvalidArgument("state dict: entry {} is {}, not a tensor", Quoted(name),
                           Describe(rebuilt.kind));
  }
  // v2 adds requires_grad, hooks and metadata, which do not matter here.
  if (arguments->size() < 4 || arguments->size() > 7) {
    return InvalidArgument("state dict: tensor {} is rebuilt from {} arguments", Quoted(name),
                           arguments->size());
  }
  TorchTensor tensor = {.name = name};
  MANAKO_ASSIGN_OR_RETURN(tensor.storage, ReadTorchStorage(pickle, pickle.at((*arguments)[0])));
  const PickleValue& offset = pickle.at((*arguments)[1]);
  tensor.offset = offset.integer;
  if (!IsCount(offset) || !ReadSizes(pickle, pickle.at((*arguments)[2]), tensor.shape) ||
      !ReadSizes(pickle, pickle.at((*arguments)[3]), tensor.strides) ||
      tensor.shape.size() != tensor.strides.size()) {
    return InvalidArgument(
        "state dict: tensor {} has an offset, a shape or strides that are not "
        "integers >= 0, at most {} of them",
        Quoted(name), kMaxTensorAxes);
  }
  return tensor;
}

absl::StatusOr<const PickleValue*> FindStateDict(const Pickle& pickle) {
  const PickleValue& root = pickle.root();
  if (root.kind != Kind::kDict) {
    return InvalidArgument("the file holds {}, not a state dict (save model.state_dict())",
                           Describe(root.kind));
  }
  const std::span<const PickleId> items = pickle.items(root);
  for (const std::string_view wanted : {"state_dict", "model"}) {
    for (size_t i = 0; i < items.size(); i += 2) {
      const PickleValue& key = pickle.at(items[i]);
      const PickleValue& value = pickle.at(items[i + 1]);
      if (key.kind == Kind::kString && key.text == wanted && value.kind == Kind::kDict) {
        return &value;
      }
    }
  }
  return &root;
}

}  // namespace

std::span<const std::string_view> TorchGlobals() { return kGlobals; }

absl::StatusOr<TorchStorage> ReadTorchStorage(const Pickle& pickle, const PickleValue& value) {
  if (value.kind != Kind::kPersistent) {
    return InvalidArgument("state dict: {} stands where a storage should", Describe(value.kind));
  }
  const PickleValue& id = pickle.at(pickle.items(value)[0]);
  const std::span<const PickleId> items = pickle.items(id);
  if (id.kind != Kind::kTuple || items.empty() || pickle.at(items[0]).text != "storage") {
    return InvalidArgument(
        "state dict: a persistent id is not a storage's (save "
        "model.state_dict(), not the model)");
  }
  TorchStorage storage;
  std::optional<ScalarType> type;
  if (items.size() == 5 || items.size() == 6) type = StorageType(pickle.at(items[1]).text);
  if (!type.has_value() || pickle.at(items[2]).kind != Kind::kString ||
      pickle.at(items[2]).text.size() > kMaxKeyBytes || !IsCount(pickle.at(items[4]))) {
    return InvalidArgument("state dict: a storage's type, key or size is damaged");
  }
  storage.type = *type;
  storage.key = pickle.at(items[2]).text;
  storage.elements = storage.view_elements = static_cast<uint64_t>(pickle.at(items[4]).integer);
  if (items.size() == 6 && !ReadView(pickle, pickle.at(items[5]), storage)) {
    return InvalidArgument("state dict: the view of storage {} is damaged", Quoted(storage.key));
  }
  return storage;
}

absl::StatusOr<std::vector<TorchTensor>> FindTorchTensors(const Pickle& pickle, int max_tensors) {
  MANAKO_ASSIGN_OR_RETURN(const PickleValue* state_dict, FindStateDict(pickle));
  const std::span<const PickleId> items = pickle.items(*state_dict);
  if (items.size() / 2 > static_cast<size_t>(std::max(max_tensors, 0))) {
    return ResourceExhausted("state dict: {} entries, but {} is the limit", items.size() / 2,
                             max_tensors);
  }
  std::vector<TorchTensor> tensors;
  std::set<std::string_view> names;
  for (size_t i = 0; i < items.size(); i += 2) {
    const PickleValue& key = pickle.at(items[i]);
    if (key.kind != Kind::kString) {
      return InvalidArgument("state dict: entry {} has {} for a name", i / 2, Describe(key.kind));
    }
    MANAKO_RETURN_IF_ERROR(CheckTensorName(key.text));
    if (!names.insert(key.text).second) {
      return InvalidArgument("state dict: two entries are called {}", Quoted(key.text));
    }
    MANAKO_ASSIGN_OR_RETURN(TorchTensor tensor,
                            ReadTensor(pickle, key.text, pickle.at(items[i + 1])));
    tensors.push_back(std::move(tensor));
  }
  // Only if all have it: DataParallel wraps the whole model, and a model may have a part called
  // "module" of its own.
  const bool parallel = std::all_of(tensors.begin(), tensors.end(), [](const TorchTensor& tensor) {
    return tensor.name.starts_with(kDataParallelPrefix) &&
           tensor.name.size() > kDataParallelPrefix.size();
  });
  if (parallel) {
    for (TorchTensor& tensor : tensors) tensor.name.remove_prefix(kDataParallelPrefix.size());
  }
  return tensors;
}

}  // namespace manako
