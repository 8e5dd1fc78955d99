// A network as plain data: its modules, their tensors and their code, before libtorch sees any of
// it.
#ifndef MANAKO_LEARN_MODULE_DEF_H_
#define MANAKO_LEARN_MODULE_DEF_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace manako {

// How a tensor's first values are drawn.
struct TensorFill {
  enum class Kind : uint8_t { kConstant, kNormal, kUniform };
  Kind kind = Kind::kConstant;
  double value = 0;  // the constant; the normal's standard deviation; the bound b of U(-b, b)
};

struct TensorDef {
  // A counter is a scalar int64 buffer: it exists so that the names equal torchvision's, and no
  // more.
  enum class Role : uint8_t { kParameter, kBuffer, kCounter };
  std::string name;
  std::vector<int64_t> shape;
  Role role = Role::kParameter;
  TensorFill fill;
};

// One module. Every module also gets the attribute "training".
struct ModuleDef {
  std::string type;  // the class's name, as torchvision calls it
  std::vector<TensorDef> tensors;
  std::vector<std::pair<std::string, ModuleDef>> children;
  // The body of forward(self, x: Tensor) -> Tensor in TorchScript, one statement on each line,
  // without indentation; it reads and reassigns x, which is then returned.
  std::vector<std::string> forward;
};

// Fills by full name ("layer1.0.conv1.weight") of all tensors but counters.
std::map<std::string, TensorFill> CollectFills(const ModuleDef& def);

// How a layer's weights are drawn, with PyTorch's names. The fans are PyTorch's: of a weight
// [out, in / groups, k, k], fan_in = in / groups * k * k and fan_out = out * k * k.
// Source: He et al., "Delving Deep into Rectifiers", ICCV 2015, section 2.2.
enum class WeightInit : uint8_t {
  kTorchDefault,          // kaiming_uniform_(a=sqrt(5)): U(-b, b), b = 1/sqrt(fan_in); the bias too
  kKaimingNormalFanIn,    // N(0, sqrt(2 / fan_in)); bias 0, here and below
  kKaimingNormalFanOut,   // N(0, sqrt(2 / fan_out))
  kKaimingUniform,        // U(-b, b), b = sqrt(6 / fan_in)
  kNormal001,             // N(0, 0.01)
  kTorchDefaultZeroBias,  // kTorchDefault's weight
};

struct ConvOptions {
  int in = 0, out = 0;
  int kernel = 1, stride = 1, padding = 0, groups = 1;
  bool bias = false;
  WeightInit init = WeightInit::kTorchDefault;
  bool run = true;  // false: the layer is only put there, and some Line() calls it as Call(name)
};

struct PoolOptions {
  int kernel = 2, stride = 2, padding = 0;
  bool ceil = false;  // the output's size is rounded up
};

// Puts a module together in the order in which it runs, which is also the order of its tensors.
// Layers with tensors become children under the given name ("conv1", or "0" as in nn.Sequential);
// layers without any become a line of code.
class ModuleBuilder {
 public:
  explicit ModuleBuilder(std::string type);

  ModuleBuilder& Conv(const std::string& name, const ConvOptions& options);
  ModuleBuilder& BatchNorm(const std::string& name, int channels, double eps = 1e-5,
                           double momentum = 0.1);
  ModuleBuilder& Linear(const std::string& name, int in, int out, WeightInit init);
  ModuleBuilder& Child(const std::string& name, ModuleDef child);
  // A child that some Line() calls as Call(name), instead of running on x here.
  ModuleBuilder& ChildOnly(const std::string& name, ModuleDef child);
  ModuleBuilder& Line(std::string code);
  ModuleBuilder& Relu() { return Line("x = torch.relu_(x)"); }
  ModuleBuilder& HardSwish() { return Line("x = torch.hardswish_(x)"); }
  ModuleBuilder& Flatten() { return Line("x = torch.flatten(x, 1)"); }
  ModuleBuilder& MaxPool(const PoolOptions& options);
  ModuleBuilder& AveragePoolTo(int side);
  ModuleBuilder& Dropout(double probability, bool in_place = false);
  ModuleDef Build() { return std::move(def_); }

  // The child's forward in code: self.conv1.forward, or getattr(self, "0").forward.
  static std::string Call(const std::string& name);

 private:
  ModuleDef def_;
};

}  // namespace manako

#endif  // MANAKO_LEARN_MODULE_DEF_H_
