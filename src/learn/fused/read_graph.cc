#include "learn/fused/read_graph.h"

#include <torch/csrc/jit/ir/ir.h>
#include <torch/script.h>

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/status_macros.h"
#include "learn/model.h"
#include "learn/script_file.h"

namespace manako::fused {
namespace {

using torch::jit::Block;
using torch::jit::Node;

constexpr int kMaxSteps = 1'000'000;  // of the code that is followed: a file's loop may never end

// Thrown inside this file only.
struct Refusal {
  std::string what;
};

[[noreturn]] void Refuse(std::string what) { throw Refusal{std::move(what)}; }

// What a value of the code is known to be.
struct Item {
  Item() = default;
  explicit Item(c10::IValue value, bool state = false)
      : known(std::move(value)), from_state(state) {}
  c10::IValue known;        // a number, a list, a module, a parameter
  bool from_state = false;  // computed from a tensor of the module, which changes during training
  int cell = -1;            // >= 0: a tensor that depends on the images
  std::vector<Item> list;   // of such tensors
  bool depends() const { return cell >= 0 || !list.empty(); }
};

class Reader {
 public:
  Reader(Network& network, bool training) : network_(network) { graph_.training = training; }

  Graph Read(const torch::jit::Module& module, const Shape& images) {
    const Item result =
        Call(module.get_method("forward").function(), {Item(module._ivalue()), NewTensor(images)});
    graph_.input = 0;
    graph_.output = Tensor(result);
    return std::move(graph_);
  }

 private:
  // Values that are views of each other, or the same one changed in place, share a cell or are
  // linked by `views`.
  struct Cell {
    int tensor;
    int family;  // cells of one family show the same memory
    bool stale = false;
  };

  Item NewTensor(const Shape& shape, int family = -1) {
    graph_.shapes.push_back(shape);
    cells_.push_back({static_cast<int>(graph_.shapes.size()) - 1,
                      family < 0 ? static_cast<int>(cells_.size()) : family});
    Item item;
    item.cell = static_cast<int>(cells_.size()) - 1;
    return item;
  }
  int Tensor(const Item& item) {
    if (item.cell < 0) Refuse("a tensor that does not depend on the images");
    const Cell& cell = cells_[static_cast<size_t>(item.cell)];
    if (cell.stale) Refuse("a view of a tensor that was changed in place");
    return cell.tensor;
  }
  const Shape& ShapeOf(const Item& item) {
    return graph_.shapes[static_cast<size_t>(Tensor(item))];
  }

  Item& Get(const torch::jit::Value* value) {
    const auto found = env_.find(value);
    if (found == env_.end())
      Refuse("a value of " + std::string(value->node()->kind().toQualString()));
    return found->second;
  }
  Item& In(const Node* node, size_t i) { return Get(node->input(i)); }
  const c10::IValue& Known(const Node* node, size_t i) {
    const Item& item = In(node, i);
    if (item.depends())
      Refuse(std::string(node->kind().toQualString()) +
             " with an argument that depends on the images");
    return item.known;
  }
  int64_t Int(const Node* node, size_t i) { return Known(node, i).toInt(); }
  double Number(const Node* node, size_t i) { return Known(node, i).toScalar().toDouble(); }
  bool Bool(const Node* node, size_t i) { return Known(node, i).toBool(); }
  // One or two numbers, of rows and columns; `otherwise` for none.
  Pair Two(const Node* node, size_t i, Pair otherwise) {
    const c10::IValue& value = Known(node, i);
    if (value.isInt()) return {value.toInt(), value.toInt()};
    if (value.isString())
      Refuse(std::string(node->kind().toQualString()) + " with padding by name");
    const std::vector<int64_t> list = value.toIntVector();
    if (list.empty()) return otherwise;
    return {list.front(), list.back()};
  }

  void Tick() {
    if (++steps_ > kMaxSteps) Refuse("more than a million steps of code");
  }

  void Run(const Block* block) {
    for (const Node* node : block->nodes()) {
      Tick();
      RunNode(node);
    }
  }

  // Follows a function's code as it was written.
  Item Call(torch::jit::Function& function, const std::vector<Item>& arguments) {
    const torch::jit::GraphFunction* const with_graph = torch::jit::tryToGraphFunction(function);
    if (with_graph == nullptr) Refuse("the function " + function.name());
    const std::shared_ptr<torch::jit::Graph> code = with_graph->graph();
    if (code->inputs().size() != arguments.size())
      Refuse(function.name() + "() with further arguments");
    if (!running_.insert(code.get()).second) Refuse("a function that calls itself");
    for (size_t i = 0; i < arguments.size(); ++i) env_[code->inputs()[i]] = arguments[i];
    Run(code->block());
    running_.erase(code.get());
    return Get(code->outputs().at(0));
  }

  void RunNode(const Node* node) {
    const std::string kind = node->kind().toQualString();
    if (kind == "prim::CallMethod" || kind == "prim::CallFunction") {
      std::vector<Item> arguments;
      const bool method = kind == "prim::CallMethod";
      for (size_t i = method ? 0 : 1; i < node->inputs().size(); ++i)
        arguments.push_back(In(node, i));
      torch::jit::Function* const callee =
          method ? &Known(node, 0).toObject()->type()->getMethod(node->s(c10::attr::name))
                 : node->input(0)->type()->expectRef<c10::FunctionType>().function();
      env_[node->output()] = Call(*callee, arguments);
      return;
    }
    if (kind == "prim::Constant") {
      if (node->output()->type()->kind() == c10::TypeKind::FunctionType)
        return;  // CallFunction asks its type
      const auto value = torch::jit::toIValue(node->output());
      if (!value.has_value()) Refuse("a constant of another kind");
      env_[node->output()] = Item(*value);
      return;
    }
    if (kind == "prim::GetAttr") {
      c10::IValue value = Known(node, 0).toObject()->getAttr(node->s(c10::attr::name));
      const bool state = value.isTensor();
      env_[node->output()] = Item(std::move(value), state);
      return;
    }
    if (kind == "prim::SetAttr") {
      // Counters of batches are the only state that changes, and nothing reads them (see Fold).
      const c10::IValue& value = Known(node, 1);
      if (!value.isTensor() || value.toTensor().is_floating_point())
        Refuse("an assignment to an attribute");
      return;
    }
    if (kind == "prim::If") {
      const Block* chosen = node->blocks()[Bool(node, 0) ? 0 : 1];
      Run(chosen);
      for (size_t i = 0; i < node->outputs().size(); ++i)
        env_[node->output(i)] = Get(chosen->outputs()[i]);
      return;
    }
    if (kind == "prim::Loop") return RunLoop(node);
    if (kind == "prim::ListConstruct" || kind == "prim::TupleConstruct") {
      bool depends = false;
      for (const auto* input : node->inputs()) depends = depends || Get(input).depends();
      if (depends || kind == "prim::TupleConstruct") {
        Item item;
        for (const auto* input : node->inputs()) item.list.push_back(Get(input));
        env_[node->output()] = std::move(item);
        return;
      }
      c10::impl::GenericList list(
          node->output()->type()->expectRef<c10::ListType>().getElementType());
      bool from_state = false;
      for (const auto* input : node->inputs()) {
        list.push_back(Get(input).known);
        from_state = from_state || Get(input).from_state;
      }
      env_[node->output()] = Item(c10::IValue(std::move(list)), from_state);
      return;
    }
    if (kind == "prim::ListUnpack" || kind == "prim::TupleUnpack") {
      const Item item = In(node, 0);
      if (!item.list.empty()) {
        for (size_t i = 0; i < node->outputs().size(); ++i) env_[node->output(i)] = item.list.at(i);
        return;
      }
    }
    if (kind == "aten::warn" || kind == "prim::Print") return;
    bool depends = false;
    for (const auto* input : node->inputs()) depends = depends || Get(input).depends();
    if (depends) return Emit(node, kind);
    Fold(node, kind);
  }

  void RunLoop(const Node* node) {
    const int64_t trips = Int(node, 0);
    bool go_on = Bool(node, 1);
    const Block* body = node->blocks()[0];
    std::vector<Item> carried;
    for (size_t i = 2; i < node->inputs().size(); ++i) carried.push_back(In(node, i));
    for (int64_t trip = 0; trip < trips && go_on; ++trip) {
      Tick();
      env_[body->inputs()[0]] = Item(c10::IValue(trip));
      for (size_t i = 0; i < carried.size(); ++i) env_[body->inputs()[i + 1]] = carried[i];
      Run(body);
      const Item& condition = Get(body->outputs()[0]);
      if (condition.depends()) Refuse("a loop that depends on the images");
      go_on = condition.known.toBool();
      for (size_t i = 0; i < carried.size(); ++i) carried[i] = Get(body->outputs()[i + 1]);
    }
    for (size_t i = 0; i < carried.size(); ++i) env_[node->output(i)] = carried[i];
  }

  // Works out what does not depend on the images.
  void Fold(const Node* node, const std::string& kind) {
    bool from_state = false;
    for (const auto* input : node->inputs()) from_state = from_state || Get(input).from_state;
    const auto* schema = node->maybeSchema();
    if (schema != nullptr && schema->is_mutable() && from_state) {
      // num_batches_tracked.add_(1)
      const c10::IValue& target = Known(node, 0);
      if (!target.isTensor() || target.toTensor().is_floating_point())
        Refuse(kind + " on the module's own tensors");
      env_[node->output()] = In(node, 0);
      return;
    }
    torch::jit::Stack stack;
    for (const auto* input : node->inputs()) stack.push_back(Get(input).known);
    const at::NoGradGuard no_grad;
    node->getOperation()(stack);
    for (size_t i = 0; i < node->outputs().size(); ++i) {
      const c10::IValue& value = stack.at(stack.size() - node->outputs().size() + i);
      const bool is_test = kind == "aten::__is__" || kind == "aten::__isnot__";
      if (from_state && !value.isTensor() && !is_test && kind != "aten::size" &&
          kind != "aten::dim") {
        Refuse(kind + ", which reads a number from the module's tensors");
      }
      env_[node->output(i)] = Item(value, from_state && value.isTensor());
    }
  }

  // The place of a parameter or buffer in the flat array.
  int64_t Offset(const c10::IValue& value, int64_t elements, const char* what) {
    if (value.isNone()) return kNone;
    const at::Tensor tensor = value.toTensor();
    if (tensor.numel() != elements) Refuse(std::string(what) + " of other channels than there are");
    const FlatArray& values = network_.values();
    const float* data = tensor.scalar_type() == at::kFloat ? tensor.data_ptr<float>() : nullptr;
    if (data == nullptr || !tensor.is_contiguous() || data < values.data() ||
        data + tensor.numel() > values.data() + values.size()) {
      Refuse(std::string(what) + " that is computed from parameters");
    }
    return data - values.data();
  }

  Op& Add(OpKind kind, std::vector<int> inputs) {
    graph_.ops.push_back({});
    Op& op = graph_.ops.back();
    op.kind = kind;
    op.inputs = std::move(inputs);
    return op;
  }
  void SetOutput(const Node* node, Op& op, const Shape& shape) {
    const Item item = NewTensor(shape);
    op.output = cells_.back().tensor;
    env_[node->output()] = item;
  }
  // As SetOutput, for an operation that may be one in place: then whoever holds the tensor sees the
  // result.
  void SetOutputOrReplace(const Node* node, const std::string& kind, Op& op, const Shape& shape) {
    if (kind.back() != '_') return SetOutput(node, op, shape);
    const Item target = In(node, 0);
    if (ShapeOf(target) != shape) Refuse(kind + " that changes a shape");
    graph_.shapes.push_back(shape);
    op.output = static_cast<int>(graph_.shapes.size()) - 1;
    Cell& cell = cells_[static_cast<size_t>(target.cell)];
    cell.tensor = op.output;
    for (Cell& other : cells_) {
      if (&other != &cell && other.family == cell.family) other.stale = true;
    }
    env_[node->output()] = target;
  }
  const Shape& Image(const Node* node, size_t i) {
    const Shape& shape = ShapeOf(In(node, i));
    if (shape.size() != 4)
      Refuse(std::string(node->kind().toQualString()) + " of a tensor " + ToString(shape));
    return shape;
  }

  static int64_t Extent(int64_t in, int64_t kernel, int64_t stride, int64_t padding,
                        int64_t dilation, bool ceil) {
    const int64_t room = in + 2 * padding - dilation * (kernel - 1) - 1;
    if (room < 0 || stride < 1) Refuse("a window that is larger than its image");
    int64_t out = (room + (ceil ? stride - 1 : 0)) / stride + 1;
    if (ceil && (out - 1) * stride >= in + padding) --out;  // a window must begin inside
    return out;
  }

  void Emit(const Node* node, std::string kind) {
    if (kind == "aten::size") {
      const Shape& shape = ShapeOf(In(node, 0));
      if (node->inputs().size() == 1) {
        env_[node->output()] = Item(c10::IValue(shape));
        return;
      }
      const int64_t d = Int(node, 1), dims = static_cast<int64_t>(shape.size());
      env_[node->output()] = Item(c10::IValue(shape.at(static_cast<size_t>(d < 0 ? d + dims : d))));
      return;
    }
    if (kind == "aten::dim") {
      env_[node->output()] = Item(c10::IValue(static_cast<int64_t>(ShapeOf(In(node, 0)).size())));
      return;
    }
    if (kind == "aten::contiguous") {
      env_[node->output()] = In(node, 0);
      return;
    }
    static const auto* const kUnary =
        new std::map<std::string, OpKind>{{"aten::relu", OpKind::kRelu},
                                          {"aten::relu_", OpKind::kRelu},
                                          {"aten::relu6", OpKind::kRelu6},
                                          {"aten::relu6_", OpKind::kRelu6},
                                          {"aten::hardtanh", OpKind::kRelu6},
                                          {"aten::hardtanh_", OpKind::kRelu6},
                                          {"aten::hardswish", OpKind::kHardSwish},
                                          {"aten::hardswish_", OpKind::kHardSwish},
                                          {"aten::hardsigmoid", OpKind::kHardSigmoid},
                                          {"aten::hardsigmoid_", OpKind::kHardSigmoid},
                                          {"aten::sigmoid", OpKind::kSigmoid},
                                          {"aten::sigmoid_", OpKind::kSigmoid}};
    if (const auto unary = kUnary->find(kind); unary != kUnary->end()) {
      if (kind.starts_with("aten::hardtanh") && (Number(node, 1) != 0 || Number(node, 2) != 6))
        Refuse("hardtanh other than 0 to 6");
      Op& op = Add(unary->second, {Tensor(In(node, 0))});
      return SetOutputOrReplace(node, kind, op, Shape(ShapeOf(In(node, 0))));
    }
    if (kind == "aten::conv2d" || kind == "aten::_convolution" || kind == "aten::convolution")
      return Convolution(node, kind);
    if (kind == "aten::batch_norm") return BatchNorm(node);
    if (kind == "aten::max_pool2d" || kind == "aten::avg_pool2d")
      return Pool(node, kind == "aten::max_pool2d");
    if (kind == "aten::adaptive_avg_pool2d") {
      const Shape in = Image(node, 0);
      const Pair side = Two(node, 1, {1, 1});
      if (side[0] < 1 || side[1] < 1) Refuse("an adaptive pool to nothing");
      Op& op = Add(OpKind::kAdaptiveAverage, {Tensor(In(node, 0))});
      return SetOutput(node, op, {in[0], in[1], side[0], side[1]});
    }
    if (kind == "aten::mean") return Mean(node);
    if (kind == "aten::linear" || kind == "aten::addmm") return Linear(node, kind == "aten::addmm");
    if (kind == "aten::add" || kind == "aten::add_") return Sum(node, kind);
    if (kind == "aten::mul" || kind == "aten::mul_") return Product(node, kind);
    if (kind == "aten::cat" || kind == "aten::concat") return Concat(node);
    if (kind == "aten::flatten" || kind == "aten::view" || kind == "aten::reshape")
      return Flatten(node, kind);
    if (kind == "aten::dropout" || kind == "aten::dropout_") return Dropout(node, kind);
    Refuse("the operation " + kind);
  }

  void Convolution(const Node* node, const std::string& kind) {
    const Shape in = Image(node, 0);
    const c10::IValue &weight = Known(node, 1), &bias = Known(node, 2);
    if (!weight.isTensor() || weight.toTensor().dim() != 4)
      Refuse("a convolution that is not of two dimensions");
    const bool plain = kind == "aten::conv2d";
    if (!plain && Bool(node, 6)) Refuse("a transposed convolution");
    const auto sizes = weight.toTensor().sizes();
    Op op;
    op.kind = OpKind::kConvolution;
    op.inputs = {Tensor(In(node, 0))};
    op.weight = Offset(weight, weight.toTensor().numel(), "a convolution");
    op.bias = Offset(bias, sizes[0], "a convolution");
    op.kernel = {sizes[2], sizes[3]};
    op.stride = Two(node, 3, {1, 1});
    op.padding = Two(node, 4, {0, 0});
    op.dilation = Two(node, 5, {1, 1});
    op.groups = Int(node, plain ? 6 : 8);
    Shape out = {in[0], sizes[0], 0, 0};
    for (size_t d = 0; d < 2; ++d)
      out[2 + d] =
          Extent(in[2 + d], op.kernel[d], op.stride[d], op.padding[d], op.dilation[d], false);
    if (op.groups < 1 || sizes[1] * op.groups != in[1])
      Refuse("a convolution of other channels than there are");
    graph_.ops.push_back(std::move(op));
    SetOutput(node, graph_.ops.back(), out);
  }

  void BatchNorm(const Node* node) {
    const Shape in = Image(node, 0);
    Op op;
    op.kind = OpKind::kBatchNorm;
    op.inputs = {Tensor(In(node, 0))};
    op.weight = Offset(Known(node, 1), in[1], "a batch_norm");
    op.bias = Offset(Known(node, 2), in[1], "a batch_norm");
    op.mean = Offset(Known(node, 3), in[1], "a batch_norm");
    op.variance = Offset(Known(node, 4), in[1], "a batch_norm");
    op.batch_statistics = Bool(node, 5);
    op.momentum = Number(node, 6);
    op.epsilon = Number(node, 7);
    if (!op.batch_statistics && (op.mean == kNone || op.variance == kNone))
      Refuse("a batch_norm without statistics");
    graph_.ops.push_back(std::move(op));
    SetOutput(node, graph_.ops.back(), in);
  }

  void Pool(const Node* node, bool max) {
    const Shape in = Image(node, 0);
    Op& op = Add(max ? OpKind::kMaxPool : OpKind::kAveragePool, {Tensor(In(node, 0))});
    op.kernel = Two(node, 1, {1, 1});
    op.stride = Two(node, 2, op.kernel);
    op.padding = Two(node, 3, {0, 0});
    const bool ceil = Bool(node, max ? 5 : 4);
    if (max) {
      if (Two(node, 4, {1, 1}) != Pair{1, 1}) Refuse("a max pool with dilation");
    } else {
      op.count_padding = Bool(node, 5);
      if (!Known(node, 6).isNone()) Refuse("an average pool with a divisor");
      if (ceil) Refuse("an average pool with ceil_mode");
    }
    Shape out = in;
    for (size_t d = 0; d < 2; ++d)
      out[2 + d] = Extent(in[2 + d], op.kernel[d], op.stride[d], op.padding[d], 1, ceil);
    SetOutput(node, op, out);
  }

  void Mean(const Node* node) {
    const Shape in = Image(node, 0);
    std::vector<int64_t> dims = Known(node, 1).toIntVector();
    for (int64_t& d : dims) d = d < 0 ? d + 4 : d;
    if (dims != std::vector<int64_t>{2, 3} && dims != std::vector<int64_t>{3, 2})
      Refuse("a mean over other dimensions than the image's");
    Op& op = Add(OpKind::kAdaptiveAverage, {Tensor(In(node, 0))});
    SetOutput(node, op, {in[0], in[1], 1, 1});
    if (Bool(node, 2)) return;
    Op& flat = Add(OpKind::kFlatten, {cells_.back().tensor});
    SetOutput(node, flat, {in[0], in[1]});
  }

  void Linear(const Node* node, bool addmm) {
    const size_t x = addmm ? 1 : 0, w = addmm ? 2 : 1, b = addmm ? 0 : 2;
    const Shape in = ShapeOf(In(node, x));
    if (in.size() != 2) Refuse("a linear layer on a tensor " + ToString(in));
    c10::IValue weight = Known(node, w);
    if (!weight.isTensor() || weight.toTensor().dim() != 2)
      Refuse("a linear layer without a matrix");
    if (addmm) {
      if (Number(node, 3) != 1 || Number(node, 4) != 1) Refuse("addmm with factors");
      weight = weight.toTensor().t();
    }
    const auto sizes = weight.toTensor().sizes();
    if (sizes[1] != in[1]) Refuse("a linear layer of other features than there are");
    const int64_t out = sizes[0];
    Op op;
    op.kind = OpKind::kLinear;
    op.inputs = {Tensor(In(node, x))};
    op.weight = Offset(weight, out * in[1], "a linear layer");
    op.bias = Offset(Known(node, b), out, "a linear layer");
    graph_.ops.push_back(std::move(op));
    SetOutput(node, graph_.ops.back(), {in[0], out});
  }

  void Sum(const Node* node, const std::string& kind) {
    if (!In(node, 1).depends()) Refuse(kind + " of a constant");
    if (node->inputs().size() > 2 && Number(node, 2) != 1) Refuse(kind + " with a factor");
    const Shape shape = ShapeOf(In(node, 0));
    if (ShapeOf(In(node, 1)) != shape) Refuse(kind + " of different shapes");
    Op& op = Add(OpKind::kAdd, {Tensor(In(node, 0)), Tensor(In(node, 1))});
    SetOutputOrReplace(node, kind, op, shape);
  }

  void Product(const Node* node, const std::string& kind) {
    if (!In(node, 0).depends() || !In(node, 1).depends()) Refuse(kind + " by a constant");
    int a = Tensor(In(node, 0)), b = Tensor(In(node, 1));
    Shape small = ShapeOf(In(node, 0)), large = ShapeOf(In(node, 1));
    if (Elements(small) > Elements(large)) {
      std::swap(a, b);
      std::swap(small, large);
    }
    const bool by_channel = large.size() == 4 && small == Shape{large[0], large[1], 1, 1};
    if (small != large && !by_channel)
      Refuse(kind + " of shapes " + ToString(small) + " and " + ToString(large));
    Op& op = Add(OpKind::kMultiply, {a, b});
    SetOutputOrReplace(node, kind, op, large);
  }

  void Concat(const Node* node) {
    const Item list = In(node, 0);
    std::vector<int> inputs;
    Shape shape;
    for (const Item& item : list.list) {
      const Shape& own = ShapeOf(item);
      if (own.size() != 4) Refuse("cat of a tensor " + ToString(own));
      if (shape.empty()) {
        shape = own;
      } else {
        if (own[0] != shape[0] || own[2] != shape[2] || own[3] != shape[3])
          Refuse("cat of different shapes");
        shape[1] += own[1];
      }
      inputs.push_back(Tensor(item));
    }
    if (Int(node, 1) != 1 && Int(node, 1) != -3) Refuse("cat of others than channels");
    Op& op = Add(OpKind::kConcat, std::move(inputs));
    SetOutput(node, op, shape);
  }

  void Flatten(const Node* node, const std::string& kind) {
    const Item from = In(node, 0);
    const Shape in = ShapeOf(from);
    Shape out;
    if (kind == "aten::flatten") {
      const int64_t dims = static_cast<int64_t>(in.size());
      const int64_t begin = Int(node, 1),
                    end = Int(node, 2) < 0 ? Int(node, 2) + dims : Int(node, 2);
      if (begin != 1 || end != dims - 1)
        Refuse("flatten of others than all but the first dimension");
      out = {in[0], Elements(in) / in[0]};
    } else {
      out = Known(node, 1).toIntVector();
      int64_t rest = Elements(in);
      for (const int64_t extent : out) rest /= extent > 0 ? extent : 1;
      for (int64_t& extent : out) extent = extent < 0 ? rest : extent;
    }
    if (out == in) {
      env_[node->output()] = from;
      return;
    }
    if (out != Shape{in[0], Elements(in) / in[0]}) Refuse(kind + " to " + ToString(out));
    Op& op = Add(OpKind::kFlatten, {Tensor(from)});
    const Item item = NewTensor(out, cells_[static_cast<size_t>(from.cell)].family);
    op.output = cells_.back().tensor;
    env_[node->output()] = item;
  }

  void Dropout(const Node* node, const std::string& kind) {
    const double probability = Number(node, 1);
    if (!Bool(node, 2) || probability == 0) {
      env_[node->output()] = In(node, 0);
      return;
    }
    if (!(probability > 0 && probability < 1)) Refuse("dropout of everything");
    Op& op = Add(OpKind::kDropout, {Tensor(In(node, 0))});
    op.probability = probability;
    SetOutputOrReplace(node, kind, op, Shape(ShapeOf(In(node, 0))));
  }

  Network& network_;
  Graph graph_;
  std::vector<Cell> cells_;
  std::unordered_map<const torch::jit::Value*, Item> env_;
  std::set<const torch::jit::Graph*> running_;
  int steps_ = 0;
};

}  // namespace

absl::StatusOr<Graph> ReadGraph(Network& network, const Shape& input, bool training,
                                bool features) {
  try {
    network.SetTraining(training);
    Graph graph = Reader(network, training).Read(network.module(), input);
    graph.features = features;
    return graph;
  } catch (const Refusal& refusal) {
    return absl::UnimplementedError(refusal.what);
  } catch (const std::exception& error) {
    return absl::UnimplementedError(OneLine(error));
  }
}

}  // namespace manako::fused
