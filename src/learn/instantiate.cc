#include "learn/instantiate.h"

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace manako {
namespace {

class Instantiator {
 public:
  torch::jit::Module Make(const ModuleDef& def) {
    std::vector<torch::jit::Module> children;
    for (const auto& [name, child] : def.children) children.push_back(Make(child));

    const std::string code = Code(def);
    // Two modules may share a class when their attributes have the same names and types.
    std::string key = def.type + "\n" + code;
    for (const TensorDef& tensor : def.tensors) {
      key += tensor.name + (tensor.role == TensorDef::Role::kParameter ? " p\n" : " b\n");
    }
    for (size_t i = 0; i < children.size(); ++i) {
      key += def.children[i].first + " " + children[i].type()->name()->qualifiedName() + "\n";
    }
    const auto known = classes_.find(key);
    torch::jit::Module module =
        known != classes_.end()
            ? torch::jit::Module(unit_, known->second)
            : torch::jit::Module("__torch__." + def.type, unit_, /*shouldMangle=*/true);

    for (const TensorDef& tensor : def.tensors) AddTensor(module, tensor);
    module.register_attribute("training", c10::BoolType::get(), false);
    for (size_t i = 0; i < children.size(); ++i) {
      module.register_module(def.children[i].first, children[i]);
    }
    if (known == classes_.end()) {
      module.define(code);
      classes_.emplace(key, module.type());
    }
    return module;
  }

 private:
  static std::string Code(const ModuleDef& def) {
    std::string code = "def forward(self, x: Tensor) -> Tensor:\n";
    for (const std::string& line : def.forward) code += "  " + line + "\n";
    return code + "  return x\n";
  }

  static void AddTensor(torch::jit::Module& module, const TensorDef& tensor) {
    switch (tensor.role) {
      case TensorDef::Role::kParameter:
        // at::empty leaves the pages untouched, so that a large network is not held twice.
        module.register_parameter(tensor.name, at::empty(tensor.shape, at::kFloat),
                                  /*is_buffer=*/false);
        break;
      case TensorDef::Role::kBuffer:
        module.register_buffer(tensor.name, at::empty(tensor.shape, at::kFloat));
        break;
      case TensorDef::Role::kCounter:
        module.register_buffer(tensor.name, at::zeros(tensor.shape, at::kLong));
        break;
    }
  }

  std::shared_ptr<torch::jit::CompilationUnit> unit_ =
      std::make_shared<torch::jit::CompilationUnit>();
  std::map<std::string, c10::ClassTypePtr> classes_;
};

}  // namespace

torch::jit::Module InstantiateModule(const ModuleDef& def) { return Instantiator().Make(def); }

}  // namespace manako
