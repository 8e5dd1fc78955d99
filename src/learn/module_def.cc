#include "learn/module_def.h"

#include <fmt/format.h>

#include <cmath>

namespace manako {
namespace {

using Role = TensorDef::Role;
using Kind = TensorFill::Kind;

constexpr TensorFill kZero = {Kind::kConstant, 0};
constexpr TensorFill kOne = {Kind::kConstant, 1};

TensorFill WeightFill(WeightInit init, double fan_in, double fan_out) {
  switch (init) {
    case WeightInit::kTorchDefault:
    case WeightInit::kTorchDefaultZeroBias:
      return {Kind::kUniform, 1 / std::sqrt(fan_in)};
    case WeightInit::kKaimingNormalFanIn:
      return {Kind::kNormal, std::sqrt(2 / fan_in)};
    case WeightInit::kKaimingNormalFanOut:
      return {Kind::kNormal, std::sqrt(2 / fan_out)};
    case WeightInit::kKaimingUniform:
      return {Kind::kUniform, std::sqrt(6 / fan_in)};
    case WeightInit::kNormal001:
      return {Kind::kNormal, 0.01};
  }
  return kZero;
}

TensorFill BiasFill(WeightInit init, double fan_in) {
  if (init != WeightInit::kTorchDefault) return kZero;
  return {Kind::kUniform, 1 / std::sqrt(fan_in)};
}

void Collect(const ModuleDef& def, const std::string& prefix,
             std::map<std::string, TensorFill>& fills) {
  for (const TensorDef& tensor : def.tensors) {
    if (tensor.role != Role::kCounter) fills[prefix + tensor.name] = tensor.fill;
  }
  for (const auto& [name, child] : def.children) Collect(child, prefix + name + ".", fills);
}

}  // namespace

std::map<std::string, TensorFill> CollectFills(const ModuleDef& def) {
  std::map<std::string, TensorFill> fills;
  Collect(def, "", fills);
  return fills;
}

ModuleBuilder::ModuleBuilder(std::string type) { def_.type = std::move(type); }

ModuleBuilder& ModuleBuilder::Conv(const std::string& name, const ConvOptions& options) {
  const int per_group = options.in / options.groups;
  const double field = static_cast<double>(options.kernel) * options.kernel;
  const double fan_in = per_group * field;
  ModuleDef conv;
  conv.type = "Conv2d";
  conv.tensors.push_back({"weight",
                          {options.out, per_group, options.kernel, options.kernel},
                          Role::kParameter,
                          WeightFill(options.init, fan_in, options.out * field)});
  if (options.bias) {
    conv.tensors.push_back(
        {"bias", {options.out}, Role::kParameter, BiasFill(options.init, fan_in)});
  }
  conv.forward.push_back(fmt::format(
      "x = torch.conv2d(x, self.weight, {0}, [{1}, {1}], [{2}, {2}], [1, 1], {3})",
      options.bias ? "self.bias" : "None", options.stride, options.padding, options.groups));
  if (!options.run) return ChildOnly(name, std::move(conv));
  return Child(name, std::move(conv));
}

ModuleBuilder& ModuleBuilder::BatchNorm(const std::string& name, int channels, double eps,
                                        double momentum) {
  ModuleDef norm;
  norm.type = "BatchNorm2d";
  norm.tensors = {{"weight", {channels}, Role::kParameter, kOne},
                  {"bias", {channels}, Role::kParameter, kZero},
                  {"running_mean", {channels}, Role::kBuffer, kZero},
                  {"running_var", {channels}, Role::kBuffer, kOne},
                  {"num_batches_tracked", {}, Role::kCounter, kZero}};
  norm.forward.push_back(fmt::format(
      "x = torch.batch_norm(x, self.weight, self.bias, self.running_mean, self.running_var, "
      "self.training, {}, {}, True)",
      momentum, eps));
  return Child(name, std::move(norm));
}

ModuleBuilder& ModuleBuilder::Linear(const std::string& name, int in, int out, WeightInit init) {
  ModuleDef linear;
  linear.type = "Linear";
  linear.tensors = {{"weight", {out, in}, Role::kParameter, WeightFill(init, in, out)},
                    {"bias", {out}, Role::kParameter, BiasFill(init, in)}};
  linear.forward.push_back("x = torch.linear(x, self.weight, self.bias)");
  return Child(name, std::move(linear));
}

ModuleBuilder& ModuleBuilder::Child(const std::string& name, ModuleDef child) {
  ChildOnly(name, std::move(child));
  return Line(fmt::format("x = {}(x)", Call(name)));
}

ModuleBuilder& ModuleBuilder::ChildOnly(const std::string& name, ModuleDef child) {
  def_.children.emplace_back(name, std::move(child));
  return *this;
}

ModuleBuilder& ModuleBuilder::Line(std::string code) {
  def_.forward.push_back(std::move(code));
  return *this;
}

ModuleBuilder& ModuleBuilder::MaxPool(const PoolOptions& options) {
  return Line(fmt::format(
      "x = torch.max_pool2d(x, [{0}, {0}], [{1}, {1}], [{2}, {2}], [1, 1], {3})", options.kernel,
      options.stride, options.padding, options.ceil ? "True" : "False"));
}

ModuleBuilder& ModuleBuilder::AveragePoolTo(int side) {
  return Line(fmt::format("x = torch.adaptive_avg_pool2d(x, [{0}, {0}])", side));
}

ModuleBuilder& ModuleBuilder::Dropout(double probability, bool in_place) {
  // A probability of 0 leaves the line out: torch.dropout would draw numbers and change nothing.
  if (probability == 0) return *this;
  return Line(fmt::format("x = torch.{}(x, {}, self.training)", in_place ? "dropout_" : "dropout",
                          probability));
}

std::string ModuleBuilder::Call(const std::string& name) {
  const bool is_index = name.find_first_not_of("0123456789") == std::string::npos;
  return is_index ? fmt::format("getattr(self, \"{}\").forward", name)
                  : "self." + name + ".forward";
}

}  // namespace manako
