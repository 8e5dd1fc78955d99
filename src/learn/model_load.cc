// Network::Load: a trained network's values into this one.
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <regex>
#include <utility>

#include "base/status_macros.h"
#include "learn/import/tensor_file.h"
#include "learn/model.h"
#include "learn/script_file.h"

namespace manako {
namespace {

constexpr size_t kListed = 5;  // problems that a message names

absl::StatusOr<std::vector<NamedTensor>> ReadScriptTensors(const std::string& path) {
  MANAKO_ASSIGN_OR_RETURN(const ScriptFile file, ReadScriptFile(path));
  std::vector<NamedTensor> tensors;
  const auto add = [&](const std::string& name, const at::Tensor& tensor) {
    NamedTensor named = {.name = name, .shape = tensor.sizes().vec(), .values = {}};
    named.is_integer = !tensor.is_floating_point();
    const at::Tensor values = tensor.detach().to(at::kFloat).contiguous();
    named.values.assign(values.data_ptr<float>(), values.data_ptr<float>() + values.numel());
    tensors.push_back(std::move(named));
  };
  try {
    for (const auto& parameter : file.module.named_parameters())
      add(parameter.name, parameter.value);
    for (const auto& buffer : file.module.named_buffers()) add(buffer.name, buffer.value);
  } catch (const std::exception& error) {
    return InvalidArgument("{}: {}", path, OneLine(error));
  }
  return tensors;
}

// "denselayer1.norm.1.weight", as published weights of DenseNet have it, is
// denselayer1.norm1.weight now.
std::string ModernName(const std::string& name) {
  static const auto* const kOld =
      new std::regex(R"((.*denselayer\d+\.(?:norm|conv))\.([12]\.[a-z_]+))");
  std::smatch match;
  if (name.size() > 200 || !std::regex_match(name, match, *kOld)) return name;
  return match[1].str() + match[2].str();
}

bool IsCounter(const NamedTensor& tensor) {
  const std::string suffix = "num_batches_tracked";
  return tensor.is_integer && tensor.name.size() >= suffix.size() &&
         tensor.name.compare(tensor.name.size() - suffix.size(), suffix.size(), suffix) == 0;
}

// Equal but for the number of classes, which is the first extent.
bool DiffersInClasses(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
  return a.size() == b.size() && !a.empty() && a[0] != b[0] &&
         std::equal(a.begin() + 1, a.end(), b.begin() + 1);
}

}  // namespace

absl::Status Network::Load(const std::string& path, std::string* note) {
  MANAKO_ASSIGN_OR_RETURN(const std::vector<NamedTensor> tensors,
                          IsScriptFile(path) ? ReadScriptTensors(path) : ReadTensorFile(path));
  std::vector<std::string> problems;
  std::map<std::string, const NamedTensor*> by_name;
  for (const NamedTensor& tensor : tensors) {
    const std::string name =
        spec_->Find(tensor.name) != nullptr ? tensor.name : ModernName(tensor.name);
    if (spec_->Find(name) == nullptr) {
      if (!IsCounter(tensor) && !aliases_.contains(name)) {
        problems.push_back(fmt::format("{} is not in the network", name));
      }
    } else if (!by_name.emplace(name, &tensor).second) {
      problems.push_back(fmt::format("{} is there twice", name));
    }
  }

  int64_t classes_here = 0, classes_there = 0;
  std::vector<std::pair<const TensorSpec*, const NamedTensor*>> pairs;
  for (const TensorSpec& target : spec_->tensors()) {
    const auto found = by_name.find(target.name);
    if (found == by_name.end()) {
      problems.push_back(fmt::format("{} is missing", target.name));
      continue;
    }
    const NamedTensor& source = *found->second;
    const bool of_classifier = !classifier_.empty() && target.name.starts_with(classifier_ + ".");
    if (of_classifier && DiffersInClasses(source.shape, target.shape)) {
      classes_here = target.shape[0];
      classes_there = source.shape[0];
    } else if (source.shape != target.shape ||
               source.values.size() != static_cast<size_t>(target.size)) {
      problems.push_back(fmt::format("{} is [{}] and not [{}]", target.name,
                                     fmt::join(source.shape, ", "), fmt::join(target.shape, ", ")));
    } else if (source.is_integer) {
      problems.push_back(fmt::format("{} holds integers", target.name));
    } else if (!std::all_of(source.values.begin(), source.values.end(),
                            [](float value) { return std::isfinite(value); })) {
      problems.push_back(fmt::format("{} holds NaN or infinity", target.name));
    } else {
      pairs.emplace_back(&target, &source);
    }
  }
  if (!problems.empty()) {
    const size_t count = problems.size();
    problems.resize(std::min(count, kListed));
    return InvalidArgument("{} does not fit the network in {} tensors: {}{}", path, count,
                           fmt::join(problems, "; "), count > kListed ? "; ..." : "");
  }

  for (const auto& [target, source] : pairs) {
    std::copy(source->values.begin(), source->values.end(), values_.data() + target->offset);
  }
  if (note != nullptr) {
    *note = classes_there == 0 ? ""
                               : fmt::format(
                                     "{} has {} classes and the network {}: the last layer ({}) "
                                     "keeps its random values",
                                     path, classes_there, classes_here, classifier_);
  }
  return absl::OkStatus();
}

}  // namespace manako
