#include "learn/fused/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/status_macros.h"
#include "learn/fused/convolution.h"
#include "learn/fused/kernels.h"
#include "learn/fused/loop_level.h"
#include "learn/fused/nodes.h"
#include "learn/fused/steps.h"

namespace manako::fused {
namespace {

// The block of channels that oneDNN prefers for convolutions on this processor.
int64_t PreferredBlock() {
  static const int64_t block = [] {
    using dnnl::memory;
    const auto any = [](memory::dims dims) {
      return memory::desc(dims, memory::data_type::f32, memory::format_tag::any);
    };
    const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    const dnnl::convolution_forward::desc wanted(
        dnnl::prop_kind::forward_training, dnnl::algorithm::convolution_direct,
        any({2, 64, 32, 32}), any({64, 64, 3, 3}), any({2, 64, 32, 32}), {1, 1}, {1, 1}, {1, 1});
    const dnnl::convolution_forward::primitive_desc description(wanted, engine);
    const memory::desc blocked({2, 64, 32, 32}, memory::data_type::f32,
                               memory::format_tag::nChw16c);
    return description.dst_desc() == blocked ? 16 : 8;
  }();
  return block;
}

// What one channel-wise operation keeps for its backward: arrays of padded() floats in one buffer.
struct ChannelArrays {
  Place place;
  int64_t padded = 0;
  float* Get(const Frame& frame, int64_t which) const { return frame[place] + which * padded; }
};
enum ChannelArray { kMean, kInverse, kScale, kShift, kSumD, kSumDx, kVariance, kChannelArrays };

// Plans with images of T: float or Bfloat16. Vectors (what follows a flatten), weights and
// gradients of weights are floats always.
template <typename T>
class Planner : public Plan {
 public:
  Planner(const Graph& graph, int64_t trained)
      : graph_(graph), trained_(trained), block_(kWide ? PreferredBlock() : 16) {}

  absl::Status Build();

  int64_t arena_floats() const override { return steps_.arena_floats(); }
  int64_t batch() const override { return n_; }
  int64_t outputs() const override { return outputs_; }
  void Run(PlanRun& run) override { steps_.Run(run); }
  std::string Profile() const override { return steps_.Profile(); }

 private:
  static constexpr bool kWide = sizeof(T) == sizeof(float);
  static constexpr auto kType =
      kWide ? dnnl::memory::data_type::f32 : dnnl::memory::data_type::bf16;
  struct Addend {
    Place place;
    bool shared;  // somebody else reads it too: it must not be overwritten
  };

  absl::Status Check() const;
  const Shape& ShapeOf(int tensor) const { return graph_.shapes[static_cast<size_t>(tensor)]; }
  Layout LayoutOf(int tensor) const {
    const Shape& s = ShapeOf(tensor);
    return {s[0], s[1], s.size() == 4 ? s[2] : 1, s.size() == 4 ? s[3] : 1, block_};
  }
  bool IsImage(int tensor) const { return ShapeOf(tensor).size() == 4; }
  // The images themselves, which are planes of three channels; features are as any other tensor.
  bool IsPlanes(int tensor) const { return tensor == graph_.input && !graph_.features; }
  // Elements in memory: images are padded, vectors are plain.
  int64_t Size(int tensor) const {
    return IsImage(tensor) ? LayoutOf(tensor).elements() : Elements(ShapeOf(tensor));
  }
  Place NewImage(int64_t elements) {
    return steps_.NewBuffer((elements * static_cast<int64_t>(sizeof(T)) + 3) / 4);
  }
  Place NewTensor(int tensor) {
    return IsImage(tensor) ? NewImage(Size(tensor)) : steps_.NewBuffer(Size(tensor));
  }
  // A step on a tensor that may be an image or a vector: body(frame, element of the tensor's type).
  template <typename Body>
  void AddFor(int tensor, std::string name, const std::vector<Place>& uses, Body body) {
    if (IsImage(tensor)) {
      steps_.Add(std::move(name), uses, [body](const Frame& frame) { body(frame, T{}); });
    } else {
      steps_.Add(std::move(name), uses, [body](const Frame& frame) { body(frame, 0.0f); });
    }
  }
  Place& At(int tensor) { return places_[static_cast<size_t>(tensor)]; }
  std::string Name(const Node& node) const {
    return fmt::format("{} {}", OpName(node.op.kind), ToString(ShapeOf(node.op.output)));
  }

  void Input();
  void Output();
  void Forward(Node& node, size_t index);
  void ForwardConvolution(const Node& node, size_t index);
  void ForwardNorm(const Node& node, size_t index);
  void ForwardActivation(const Node& node);
  void ForwardPool(const Node& node, size_t index);
  void ForwardLinear(const Node& node);
  void ForwardSum(const Node& node);
  void ForwardProduct(const Node& node);
  void ForwardConcat(const Node& node);
  void ForwardFlatten(const Node& node);
  void ForwardDropout(const Node& node, size_t index);
  void FoldNorm(const Node& node, Place& weight, Place& bias);
  bool MayOverwrite(int tensor, size_t index) const;
  void Loss();

  void Backward(const Node& node, size_t index);
  void BackwardConvolution(const Node& node, size_t index);
  // The gradient of a convolution's bias from `d`, the gradient of `tensor`.
  void SumBias(const Node& node, const Place& output, bool write, int tensor, const Place& d);
  void BackwardNorm(const Node& node, size_t index);
  void BackwardActivation(const Node& node);
  void BackwardPool(const Node& node, size_t index);
  void BackwardLinear(const Node& node);
  void BackwardProduct(const Node& node);
  void BackwardConcat(const Node& node);
  void BackwardFlatten(const Node& node);
  void BackwardDropout(const Node& node, size_t index);

  std::vector<Addend>& Gradients(int tensor) { return gradients_[static_cast<size_t>(tensor)]; }
  // Nobody asks for the gradients of the input, nor of what is computed of it without parameters.
  bool HasGradient(int tensor) const { return has_gradient_[static_cast<size_t>(tensor)]; }
  void AddGradient(int tensor, const Place& place, bool shared = false) {
    if (HasGradient(tensor)) Gradients(tensor).push_back({place, shared});
  }
  void AddSum(int tensor, const Place& a, const Place& b, const Place& sum);
  // All addends of a gradient in one buffer that may be overwritten.
  Place TakeGradient(int tensor);
  // At most two addends.
  std::vector<Addend> TakeTwo(int tensor);
  // What the forward wrote, or wrote and can make again.
  Place Again(int tensor);
  // A convolution's forward in training.
  void AddConvolution(const Node& node, size_t index, const Place& to);

  const Graph graph_;
  const int64_t trained_;
  const int64_t block_;
  int64_t n_ = 0, outputs_ = 0;
  Steps steps_;
  std::vector<Node> nodes_;
  std::vector<int> maker_;          // of each tensor, the node that writes it
  std::vector<bool> has_gradient_;  // of each tensor
  std::vector<Place> places_;       // of each tensor
  std::vector<Place> again_;        // of tensors that were made again
  std::vector<std::vector<Addend>> gradients_;
  std::vector<Place> kept_;               // of each node: a pool's winners, a dropout's mask
  std::vector<ChannelArrays> channels_;   // of each node that is a BatchNorm
  std::deque<Convolution> convolutions_;  // by node in convolution_of_
  std::vector<Convolution*> convolution_of_;
};

template <typename T>
absl::Status Planner<T>::Check() const {
  std::set<int64_t> seen;
  for (const Node& node : nodes_) {
    for (const int64_t offset :
         {node.op.weight, node.op.bias, node.folded ? node.norm.weight : kNone,
          node.folded ? node.norm.bias : kNone}) {
      if (offset == kNone) continue;
      if (!seen.insert(offset).second)
        return absl::UnimplementedError("parameters that are used twice");
      if (offset >= trained_) return absl::UnimplementedError("weights that are not trained");
    }
    for (const int input : node.op.inputs) {
      if (IsPlanes(input) && node.op.kind != OpKind::kConvolution) {
        return absl::UnimplementedError(
            fmt::format("{} of the images themselves", OpName(node.op.kind)));
      }
    }
    const bool by_image =
        node.op.kind == OpKind::kConcat || node.op.kind == OpKind::kAdaptiveAverage;
    if (by_image && !IsImage(node.op.output))
      return absl::UnimplementedError(fmt::format("{} of vectors", OpName(node.op.kind)));
    if (node.op.kind == OpKind::kMaxPool && node.op.kernel[0] * node.op.kernel[1] > 256) {
      return absl::UnimplementedError("a max pool over more than 256 pixels");
    }
  }
  if ((graph_.training && IsImage(graph_.output)) || graph_.output == graph_.input)
    return absl::UnimplementedError("an output that is no vector");
  return absl::OkStatus();
}

template <typename T>
absl::Status Planner<T>::Build() {
  n_ = ShapeOf(graph_.input)[0];
  nodes_ = GroupNodes(graph_);
  MANAKO_RETURN_IF_ERROR(Check());
  outputs_ = Elements(ShapeOf(graph_.output)) / n_;
  places_.resize(graph_.shapes.size());
  again_.resize(graph_.shapes.size());
  gradients_.resize(graph_.shapes.size());
  maker_.assign(graph_.shapes.size(), -1);
  kept_.resize(nodes_.size());
  channels_.resize(nodes_.size());
  convolution_of_.assign(nodes_.size(), nullptr);
  has_gradient_.assign(graph_.shapes.size(), false);
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    const auto output = static_cast<size_t>(node.op.output);
    maker_[output] = static_cast<int>(i);
    has_gradient_[output] = node.op.weight != kNone || node.op.bias != kNone ||
                            std::any_of(node.op.inputs.begin(), node.op.inputs.end(),
                                        [&](int input) { return HasGradient(input); }) ||
                            (node.residual >= 0 && HasGradient(node.residual));
  }

  Input();
  for (size_t i = 0; i < nodes_.size(); ++i) Forward(nodes_[i], i);
  if (graph_.training) {
    Loss();
    for (size_t i = nodes_.size(); i-- > 0;) Backward(nodes_[i], i);
  } else {
    Output();
  }
  steps_.PlanMemory();
  return absl::OkStatus();
}

template <typename T>
void Planner<T>::Input() {
  const int x = graph_.input;
  const Layout layout = LayoutOf(x);
  const int64_t elements = Elements(ShapeOf(x));
  const Place to = At(x) = IsPlanes(x) ? NewImage(elements) : NewTensor(x);
  if (IsPlanes(x)) {
    steps_.Add("images", {to}, [layout, to](const Frame& frame) {
      ToPlanes(frame.run.inputs, layout.n, layout.pixels(), frame.As<T>(to));
    });
  } else if (IsImage(x)) {
    steps_.Add("features", {to}, [layout, to](const Frame& frame) {
      FromPlain<T>(layout, frame.run.inputs, frame.As<T>(to));
    });
  } else {
    steps_.Add("features", {to}, [elements, to](const Frame& frame) {
      std::copy_n(frame.run.inputs, elements, frame[to]);
    });
  }
}

template <typename T>
void Planner<T>::Output() {
  const int y = graph_.output;
  const Place from = At(y);
  steps_.Add("outputs", {from},
             [=, image = IsImage(y), layout = LayoutOf(y),
              elements = Elements(ShapeOf(y))](const Frame& frame) {
               if (frame.run.outputs == nullptr) return;
               if (image) {
                 ToPlain<T>(layout, frame.As<T>(from), frame.run.outputs);
               } else {
                 std::copy_n(frame[from], elements, frame.run.outputs);
               }
             });
}

template <typename T>
void Planner<T>::Forward(Node& node, size_t index) {
  switch (node.op.kind) {
    case OpKind::kConvolution:
      return ForwardConvolution(node, index);
    case OpKind::kBatchNorm:
      return ForwardNorm(node, index);
    case OpKind::kRelu:
    case OpKind::kRelu6:
    case OpKind::kHardSwish:
    case OpKind::kHardSigmoid:
    case OpKind::kSigmoid:
      return ForwardActivation(node);
    case OpKind::kMaxPool:
    case OpKind::kAveragePool:
    case OpKind::kAdaptiveAverage:
      return ForwardPool(node, index);
    case OpKind::kLinear:
      return ForwardLinear(node);
    case OpKind::kAdd:
      return ForwardSum(node);
    case OpKind::kMultiply:
      return ForwardProduct(node);
    case OpKind::kConcat:
      return ForwardConcat(node);
    case OpKind::kFlatten:
      return ForwardFlatten(node);
    case OpKind::kDropout:
      return ForwardDropout(node, index);
  }
}

// Whether nobody reads the tensor after this node, so that its buffer can take the node's result.
template <typename T>
bool Planner<T>::MayOverwrite(int tensor, size_t index) const {
  if (graph_.training || tensor == graph_.input || tensor == graph_.output) return false;
  for (size_t i = index; i < nodes_.size(); ++i) {
    const auto& inputs = nodes_[i].op.inputs;
    if (std::find(inputs.begin(), inputs.end(), tensor) != inputs.end()) return false;
    if (i > index && nodes_[i].residual == tensor) return false;
  }
  // A flattened tensor may share its buffer.
  for (const Node& node : nodes_) {
    if (node.op.kind == OpKind::kFlatten &&
        (node.op.inputs[0] == tensor || node.op.output == tensor))
      return false;
  }
  return true;
}

template <typename T>
void Planner<T>::FoldNorm(const Node& node, Place& weight, Place& bias) {
  const Shape& out = ShapeOf(node.op.output);
  const int64_t channels = out[1];
  const int64_t field =
      ShapeOf(node.op.inputs[0])[1] / node.op.groups * node.op.kernel[0] * node.op.kernel[1];
  const Place plain_weight = weight, plain_bias = bias;
  weight = steps_.NewBuffer(channels * field);
  bias = steps_.NewBuffer(channels);
  const Op norm = node.norm;
  steps_.set_preparing(true);
  steps_.Add(
      "fold " + Name(node), {weight, bias},
      [=, to_weight = weight, to_bias = bias](const Frame& frame) {
        const float* const values = frame.run.values;
        for (int64_t c = 0; c < channels; ++c) {
          const double inverse =
              1 / std::sqrt(static_cast<double>(values[norm.variance + c]) + norm.epsilon);
          const double scale =
              inverse * (norm.weight == kNone ? 1.0 : static_cast<double>(values[norm.weight + c]));
          const double own = plain_bias ? static_cast<double>(frame[plain_bias][c]) : 0.0;
          const double beta = norm.bias == kNone ? 0.0 : static_cast<double>(values[norm.bias + c]);
          frame[to_bias][c] =
              static_cast<float>(beta + (own - static_cast<double>(values[norm.mean + c])) * scale);
          const float* from = frame[plain_weight] + c * field;
          float* to = frame[to_weight] + c * field;
          const auto factor = static_cast<float>(scale);
          for (int64_t i = 0; i < field; ++i) to[i] = from[i] * factor;
        }
      });
  steps_.set_preparing(false);
}

template <typename T>
void Planner<T>::AddConvolution(const Node& node, size_t index, const Place& to) {
  Convolution::Forward forward;
  forward.x = At(node.op.inputs[0]);
  forward.y = to;
  forward.weight = Place::Values(node.op.weight);
  forward.bias = Place::Values(node.op.bias);
  forward.training = true;
  forward.relu = node.relu;
  convolution_of_[index]->AddForward(steps_, forward);
}

template <typename T>
void Planner<T>::ForwardConvolution(const Node& node, size_t index) {
  const int x = node.op.inputs[0], y = node.op.output;
  convolutions_.emplace_back(node.op, LayoutOf(x), LayoutOf(y), kType, IsPlanes(x), Name(node));
  Convolution& convolution = convolutions_.back();
  convolution_of_[index] = &convolution;
  if (graph_.training) {
    At(y) = NewTensor(y);
    return AddConvolution(node, index, At(y));
  }
  Convolution::Forward forward;
  forward.x = At(x);
  forward.weight = Place::Values(node.op.weight);
  forward.bias = Place::Values(node.op.bias);
  if (node.folded) FoldNorm(node, forward.weight, forward.bias);
  const bool in_place = node.residual >= 0 && MayOverwrite(node.residual, index);
  forward.sum = in_place;
  forward.relu = node.relu && (node.residual < 0 || in_place);
  At(y) = forward.y = in_place ? At(node.residual) : NewTensor(y);
  convolution.AddForward(steps_, forward);
  if (node.residual < 0 || in_place) return;
  steps_.Add("add " + Name(node), {At(y), At(node.residual)},
             [=, n = Size(y), to = At(y), residual = At(node.residual),
              relu = node.relu](const Frame& frame) {
               T* const sum = frame.As<T>(to);
               fused::Add<T>(n, sum, frame.As<T>(residual), sum);
               if (relu) Activate<T>(OpKind::kRelu, n, sum, sum);
             });
}

template <typename T>
void Planner<T>::ForwardNorm(const Node& node, size_t index) {
  const Op op = node.op;
  const int x = op.inputs[0], y = op.output;
  const Layout layout = LayoutOf(x);
  const ChannelArrays arrays = {steps_.NewBuffer(kChannelArrays * layout.padded()),
                                layout.padded()};
  channels_[index] = arrays;
  const bool batch = op.batch_statistics;
  const auto statistics = [=, from = At(x)](const Frame& frame) {
    float *mean = arrays.Get(frame, kMean), *variance = arrays.Get(frame, kVariance);
    float* const values = frame.run.values;
    if (batch) {
      Moments(layout, frame.As<T>(from), mean, variance);
    } else {
      std::fill_n(mean, layout.padded(), 0.0f);
      std::fill_n(variance, layout.padded(), 0.0f);
      std::copy_n(values + op.mean, layout.channels, mean);
      std::copy_n(values + op.variance, layout.channels, variance);
    }
    if (batch && op.mean != kNone && op.variance != kNone) {
      const double count = static_cast<double>(layout.n * layout.pixels()),
                   unbiased = count / (count - 1);
      const double keep = 1 - op.momentum;
      for (int64_t c = 0; c < layout.channels; ++c) {
        float &running_mean = values[op.mean + c], &running_variance = values[op.variance + c];
        running_mean = static_cast<float>(keep * static_cast<double>(running_mean) +
                                          op.momentum * static_cast<double>(mean[c]));
        running_variance =
            static_cast<float>(keep * static_cast<double>(running_variance) +
                               op.momentum * unbiased * static_cast<double>(variance[c]));
      }
    }
    for (int64_t c = 0; c < layout.padded(); ++c) {
      const bool real = c < layout.channels;
      const double inverse = 1 / std::sqrt(static_cast<double>(variance[c]) + op.epsilon);
      const double gamma = !real                ? 0.0
                           : op.weight == kNone ? 1.0
                                                : static_cast<double>(values[op.weight + c]);
      const double beta =
          !real || op.bias == kNone ? 0.0 : static_cast<double>(values[op.bias + c]);
      arrays.Get(frame, kInverse)[c] = static_cast<float>(inverse);
      arrays.Get(frame, kScale)[c] = static_cast<float>(gamma * inverse);
      arrays.Get(frame, kShift)[c] =
          static_cast<float>(beta - static_cast<double>(mean[c]) * gamma * inverse);
    }
  };
  if (batch) {
    steps_.Add("statistics " + Name(node), {At(x), arrays.place}, statistics);
  } else {
    steps_.set_preparing(!graph_.training);
    steps_.Add("statistics " + Name(node), {arrays.place},
               [statistics](const Frame& frame) { statistics(frame); });
    steps_.set_preparing(false);
  }
  At(y) = NewTensor(y);
  const Place residual = node.residual >= 0 ? At(node.residual) : Place{};
  steps_.Add("normalise " + Name(node), {At(x), arrays.place, residual, At(y)},
             [=, relu = node.relu, from = At(x), to = At(y)](const Frame& frame) {
               ScaleShift<T>(layout, frame.As<T>(from), arrays.Get(frame, kScale),
                             arrays.Get(frame, kShift), frame.As<T>(residual), relu,
                             frame.As<T>(to));
             });
}

template <typename T>
void Planner<T>::ForwardActivation(const Node& node) {
  const int x = node.op.inputs[0], y = node.op.output;
  At(y) = NewTensor(y);
  const bool clear = IsImage(y) && LayoutOf(y).channels != LayoutOf(y).padded();
  AddFor(y, Name(node), {At(x), At(y)},
         [=, kind = node.op.kind, n = Size(y), layout = LayoutOf(y), from = At(x), to = At(y)](
             const Frame& frame, auto element) {
           using E = decltype(element);
           Activate<E>(kind, n, frame.As<E>(from), frame.As<E>(to));
           if (clear) ClearPadding<E>(layout, frame.As<E>(to));
         });
}

template <typename T>
void Planner<T>::ForwardPool(const Node& node, size_t index) {
  const int x = node.op.inputs[0], y = node.op.output;
  At(y) = NewTensor(y);
  const Layout in = LayoutOf(x), out = LayoutOf(y);
  const Window window = {node.op.kernel, node.op.stride, node.op.padding};
  const Place from = At(x), to = At(y);
  if (node.op.kind == OpKind::kMaxPool) {
    if (graph_.training) kept_[index] = steps_.NewBuffer((out.elements() + 3) / 4);
    steps_.Add(Name(node), {from, to, kept_[index]},
               [=, winner = kept_[index]](const Frame& frame) {
                 MaxPool<T>(in, out, window, frame.As<T>(from), frame.As<T>(to),
                            frame.As<uint8_t>(winner));
               });
  } else if (node.op.kind == OpKind::kAveragePool) {
    steps_.Add(Name(node), {from, to}, [=, count = node.op.count_padding](const Frame& frame) {
      AveragePool<T>(in, out, window, count, frame.As<T>(from), frame.As<T>(to));
    });
  } else {
    steps_.Add(Name(node), {from, to}, [=](const Frame& frame) {
      AdaptiveAverage<T>(in, out, frame.As<T>(from), frame.As<T>(to));
    });
  }
}

// y = x weight^T + bias, row-major.
template <typename T>
void Planner<T>::ForwardLinear(const Node& node) {
  const int x = node.op.inputs[0], y = node.op.output;
  At(y) = NewTensor(y);
  const int64_t n = n_, in = ShapeOf(x)[1], out = ShapeOf(y)[1];
  const Place weight = Place::Values(node.op.weight), bias = Place::Values(node.op.bias);
  steps_.Add(Name(node), {At(x), At(y)},
             [=, relu = node.relu, from = At(x), to = At(y)](const Frame& frame) {
               float* const rows = frame[to];
               if (bias) {
                 for (int64_t i = 0; i < n; ++i) std::copy_n(frame[bias], out, rows + i * out);
               }
               const dnnl::status status =
                   dnnl::sgemm('N', 'T', n, out, in, 1.0f, frame[from], in, frame[weight], in,
                               bias ? 1.0f : 0.0f, rows, out);
               if (status != dnnl::status::success) throw dnnl::error(dnnl_out_of_memory, "sgemm");
               if (relu) Activate<float>(OpKind::kRelu, n * out, rows, rows);
             });
}

template <typename T>
void Planner<T>::ForwardSum(const Node& node) {
  const int y = node.op.output;
  At(y) = NewTensor(y);
  const Place a = At(node.op.inputs[0]), b = At(node.op.inputs[1]);
  AddFor(y, Name(node), {a, b, At(y)},
         [=, n = Size(y), to = At(y)](const Frame& frame, auto element) {
           using E = decltype(element);
           fused::Add<E>(n, frame.As<E>(a), frame.As<E>(b), frame.As<E>(to));
         });
}

template <typename T>
void Planner<T>::ForwardProduct(const Node& node) {
  const int a = node.op.inputs[0], b = node.op.inputs[1], y = node.op.output;
  At(y) = NewTensor(y);
  const bool by_channel = ShapeOf(a) != ShapeOf(b);
  AddFor(y, Name(node), {At(a), At(b), At(y)},
         [=, layout = LayoutOf(y), n = Size(y), factor = At(a), x = At(b), to = At(y)](
             const Frame& frame, auto element) {
           using E = decltype(element);
           if (by_channel) {
             MultiplyChannels<E>(layout, frame.As<E>(factor), frame.As<E>(x), frame.As<E>(to));
           } else {
             Multiply<E>(n, frame.As<E>(factor), frame.As<E>(x), frame.As<E>(to));
           }
         });
}

template <typename T>
void Planner<T>::ForwardConcat(const Node& node) {
  const int y = node.op.output;
  At(y) = NewTensor(y);
  const Layout whole = LayoutOf(y);
  std::vector<Place> uses = {At(y)};
  std::vector<std::pair<Layout, Place>> parts;
  for (const int input : node.op.inputs) {
    parts.emplace_back(LayoutOf(input), At(input));
    uses.push_back(At(input));
  }
  steps_.Add(Name(node), uses, [=, to = At(y)](const Frame& frame) {
    int64_t first = 0;
    for (const auto& [layout, place] : parts) {
      CopyChannels<T>(layout, whole, first, /*to_whole=*/true, frame.As<T>(place), frame.As<T>(to));
      first += layout.channels;
    }
    if (whole.channels != whole.padded()) ClearPadding<T>(whole, frame.As<T>(to));
  });
}

template <typename T>
void Planner<T>::ForwardFlatten(const Node& node) {
  const int x = node.op.inputs[0], y = node.op.output;
  const Layout layout = LayoutOf(x);
  if (!IsImage(x) || (kWide && layout.pixels() == 1 && layout.channels == layout.padded())) {
    At(y) = At(x);
    return;
  }
  At(y) = NewTensor(y);
  steps_.Add(Name(node), {At(x), At(y)}, [=, from = At(x), to = At(y)](const Frame& frame) {
    ToPlain<T>(layout, frame.As<T>(from), frame[to]);
  });
}

template <typename T>
void Planner<T>::ForwardDropout(const Node& node, size_t index) {
  const int x = node.op.inputs[0], y = node.op.output;
  At(y) = NewTensor(y);
  kept_[index] = steps_.NewBuffer((Size(y) + 3) / 4);
  // Layers are told apart by their place among the network's dropouts.
  int64_t layer = 0;
  for (size_t i = 0; i < index; ++i) layer += nodes_[i].op.kind == OpKind::kDropout ? 1 : 0;
  AddFor(y, Name(node), {At(x), At(y), kept_[index]},
         [=, n = Size(y), p = node.op.probability, from = At(x), to = At(y), kept = kept_[index]](
             const Frame& frame, auto element) {
           using E = decltype(element);
           Dropout<E>(Random(frame.run.dropout_seed, "dropout", static_cast<uint64_t>(layer)), p, n,
                      frame.As<E>(from), frame.As<uint8_t>(kept), frame.As<E>(to));
         });
}

template <typename T>
void Planner<T>::Loss() {
  const Place logits = At(graph_.output), gradient = steps_.NewBuffer(n_ * outputs_);
  steps_.Add("loss", {logits, gradient}, [=, n = n_, classes = outputs_](const Frame& frame) {
    frame.run.loss = CrossEntropy(frame.run.labels, classes, frame.run.class_weights, frame[logits],
                                  frame[gradient]);
    if (frame.run.outputs != nullptr) std::copy_n(frame[logits], n * classes, frame.run.outputs);
  });
  AddGradient(graph_.output, gradient);
}

template <typename T>
void Planner<T>::Backward(const Node& node, size_t index) {
  if (Gradients(node.op.output).empty()) return;  // nothing of the loss depends on it
  switch (node.op.kind) {
    case OpKind::kConvolution:
      return BackwardConvolution(node, index);
    case OpKind::kBatchNorm:
      return BackwardNorm(node, index);
    case OpKind::kRelu:
    case OpKind::kRelu6:
    case OpKind::kHardSwish:
    case OpKind::kHardSigmoid:
    case OpKind::kSigmoid:
      return BackwardActivation(node);
    case OpKind::kMaxPool:
    case OpKind::kAveragePool:
    case OpKind::kAdaptiveAverage:
      return BackwardPool(node, index);
    case OpKind::kLinear:
      return BackwardLinear(node);
    case OpKind::kAdd:
      for (const Addend& addend : TakeTwo(node.op.output)) {
        for (const int input : node.op.inputs) AddGradient(input, addend.place, /*shared=*/true);
      }
      return;
    case OpKind::kMultiply:
      return BackwardProduct(node);
    case OpKind::kConcat:
      return BackwardConcat(node);
    case OpKind::kFlatten:
      return BackwardFlatten(node);
    case OpKind::kDropout:
      return BackwardDropout(node, index);
  }
}

template <typename T>
void Planner<T>::AddSum(int tensor, const Place& a, const Place& b, const Place& sum) {
  AddFor(tensor, "add gradients", {a, b, sum},
         [=, n = Size(tensor)](const Frame& frame, auto element) {
           using E = decltype(element);
           fused::Add<E>(n, frame.As<E>(a), frame.As<E>(b), frame.As<E>(sum));
         });
}

template <typename T>
std::vector<typename Planner<T>::Addend> Planner<T>::TakeTwo(int tensor) {
  std::vector<Addend> addends = std::move(Gradients(tensor));
  Gradients(tensor).clear();
  while (addends.size() > 2) {
    const Addend a = addends.back();
    addends.pop_back();
    Addend& b = addends.back();
    const Place sum = !a.shared ? a.place : !b.shared ? b.place : NewTensor(tensor);
    AddSum(tensor, a.place, b.place, sum);
    b = {sum, false};
  }
  return addends;
}

template <typename T>
Place Planner<T>::TakeGradient(int tensor) {
  const std::vector<Addend> addends = TakeTwo(tensor);
  const Addend& a = addends.front();
  if (addends.size() == 2) {
    const Addend& b = addends.back();
    const Place sum = !a.shared ? a.place : !b.shared ? b.place : NewTensor(tensor);
    AddSum(tensor, a.place, b.place, sum);
    return sum;
  }
  if (!a.shared) return a.place;
  const Place copy = NewTensor(tensor);
  AddFor(tensor, "copy gradient", {a.place, copy},
         [=, n = Size(tensor), from = a.place](const Frame& frame, auto element) {
           using E = decltype(element);
           std::copy_n(frame.As<E>(from), n, frame.As<E>(copy));
         });
  return copy;
}

// Two things are made again instead of kept, as room costs more than a pass: BatchNorm's output,
// whose input is kept anyway, and in float32 what a convolution makes of the images, which is large
// and cheap.
template <typename T>
Place Planner<T>::Again(int tensor) {
  const int maker = maker_[static_cast<size_t>(tensor)];
  if (maker < 0) return At(tensor);
  const Node& node = nodes_[static_cast<size_t>(maker)];
  Place& again = again_[static_cast<size_t>(tensor)];
  if (again) return again;
  if (kWide && node.op.kind == OpKind::kConvolution && IsPlanes(node.op.inputs[0])) {
    again = NewTensor(tensor);
    AddConvolution(node, static_cast<size_t>(maker), again);
    return again;
  }
  if (node.op.kind != OpKind::kBatchNorm || node.residual >= 0) return At(tensor);
  const Place from = Again(node.op.inputs[0]);
  again = NewTensor(tensor);
  const ChannelArrays arrays = channels_[static_cast<size_t>(maker)];
  steps_.Add("normalise again " + Name(node), {from, arrays.place, again},
             [=, layout = LayoutOf(tensor), relu = node.relu, to = again](const Frame& frame) {
               ScaleShift<T>(layout, frame.As<T>(from), arrays.Get(frame, kScale),
                             arrays.Get(frame, kShift), nullptr, relu, frame.As<T>(to));
             });
  return again;
}

template <typename T>
void Planner<T>::SumBias(const Node& node, const Place& output, bool write, int tensor,
                         const Place& d) {
  steps_.Add("backward bias " + Name(node), {output, d},
             [=, layout = LayoutOf(tensor), bias = node.op.bias](const Frame& frame) {
               ChannelSums<T>(layout, frame.As<T>(output), write, frame.As<T>(d),
                              frame.run.gradients + bias);
             });
}

template <typename T>
void Planner<T>::BackwardConvolution(const Node& node, size_t index) {
  const int x = node.op.inputs[0], y = node.op.output;
  const bool mask = node.relu && !node.masked_by_pool;
  const bool only_read = !mask && Gradients(y).size() == 1;
  const Place dy = only_read ? Gradients(y).front().place : TakeGradient(y);
  // A pool that masks the gradient has summed it too.
  if (node.op.bias != kNone && !node.masked_by_pool) {
    SumBias(node, mask ? Again(y) : Place{}, /*write=*/mask, y, dy);
  } else if (mask) {
    const Place output = Again(y);
    steps_.Add("mask " + Name(node), {output, dy}, [=, n = Size(y)](const Frame& frame) {
      MaskByOutput<T>(n, frame.As<T>(output), frame.As<T>(dy));
    });
  }
  Convolution& convolution = *convolution_of_[index];
  convolution.AddBackwardWeights(steps_, Again(x), dy);
  if (!HasGradient(x)) return;
  const Place dx = NewTensor(x);
  convolution.AddBackwardData(steps_, dy, dx);
  AddGradient(x, dx);
}

template <typename T>
void Planner<T>::BackwardNorm(const Node& node, size_t index) {
  const Op op = node.op;
  const int x = op.inputs[0], y = op.output;
  const Layout layout = LayoutOf(x);
  const ChannelArrays arrays = channels_[index];
  std::vector<Addend> addends = TakeTwo(y);
  const Addend first = addends.front(),
               second = addends.size() > 1 ? addends.back() : Addend{{}, true};
  const bool to_residual = node.residual >= 0;
  // The residual's gradient is the masked one, which must be written; otherwise it is worked out
  // twice and only dx is.
  Place masked;
  if (to_residual)
    masked = !first.shared ? first.place : !second.shared ? second.place : NewTensor(y);
  const Place output = to_residual && node.relu ? At(y) : Place{};
  const Place from = Again(x);
  const auto norm = [=, relu = node.relu](const Frame& frame) {
    return NormBackward<T>{frame.As<T>(from),
                           arrays.Get(frame, kMean),
                           arrays.Get(frame, kInverse),
                           arrays.Get(frame, kScale),
                           arrays.Get(frame, kShift),
                           frame.As<T>(output),
                           relu,
                           op.batch_statistics};
  };
  steps_.Add("sums backward " + Name(node),
             {from, arrays.place, output, first.place, second.place, masked},
             [=, d1 = first.place, d2 = second.place](const Frame& frame) {
               float *sum_d = arrays.Get(frame, kSumD), *sum_dx = arrays.Get(frame, kSumDx);
               NormBackwardSums<T>(layout, norm(frame), frame.As<T>(d1), frame.As<T>(d2),
                                   frame.As<T>(masked), sum_d, sum_dx);
               if (op.bias != kNone)
                 std::copy_n(sum_d, layout.channels, frame.run.gradients + op.bias);
               if (op.weight != kNone)
                 std::copy_n(sum_dx, layout.channels, frame.run.gradients + op.weight);
             });
  if (HasGradient(x)) {
    const Place d1 = to_residual ? masked : first.place, d2 = to_residual ? Place{} : second.place;
    const bool may_overwrite = !to_residual && (!first.shared || (second.place && !second.shared));
    const Place dx = !may_overwrite ? NewTensor(x) : !first.shared ? first.place : second.place;
    steps_.Add("normalise backward " + Name(node), {from, arrays.place, output, d1, d2, dx},
               [=](const Frame& frame) {
                 NormBackwardApply<T>(layout, norm(frame), frame.As<T>(d1), frame.As<T>(d2),
                                      /*mask=*/!to_residual, arrays.Get(frame, kSumD),
                                      arrays.Get(frame, kSumDx), frame.As<T>(dx));
               });
    AddGradient(x, dx);
  }
  if (to_residual) AddGradient(node.residual, masked);
}

template <typename T>
void Planner<T>::BackwardActivation(const Node& node) {
  const int x = node.op.inputs[0], y = node.op.output;
  const Place d = TakeGradient(y), kept = node.op.kind == OpKind::kSigmoid ? At(y) : Again(x);
  AddFor(y, "backward " + Name(node), {kept, d},
         [=, kind = node.op.kind, n = Size(y)](const Frame& frame, auto element) {
           using E = decltype(element);
           ActivateBackward<E>(kind, n, frame.As<E>(kept), frame.As<E>(d));
         });
  AddGradient(x, d);
}

template <typename T>
void Planner<T>::BackwardPool(const Node& node, size_t index) {
  const int x = node.op.inputs[0], y = node.op.output;
  const Place dy = TakeGradient(y), dx = NewTensor(x);
  const Layout in = LayoutOf(x), out = LayoutOf(y);
  const Window window = {node.op.kernel, node.op.stride, node.op.padding};
  AddGradient(x, dx);
  if (node.op.kind == OpKind::kMaxPool) {
    const int maker = maker_[static_cast<size_t>(x)];
    const bool masked = maker >= 0 && nodes_[static_cast<size_t>(maker)].masked_by_pool;
    const Place output = masked ? At(y) : Place{}, winner = kept_[index];
    // The sum over all pixels is that over the winners.
    if (masked && nodes_[static_cast<size_t>(maker)].op.bias != kNone) {
      SumBias(nodes_[static_cast<size_t>(maker)], output, /*write=*/false, y, dy);
    }
    steps_.Add("backward " + Name(node), {dy, winner, output, dx}, [=](const Frame& frame) {
      MaxPoolBackward<T>(in, out, window, frame.As<T>(dy), frame.As<uint8_t>(winner),
                         frame.As<T>(output), frame.As<T>(dx));
    });
  } else if (node.op.kind == OpKind::kAveragePool) {
    steps_.Add("backward " + Name(node), {dy, dx},
               [=, count = node.op.count_padding](const Frame& frame) {
                 AveragePoolBackward<T>(in, out, window, count, frame.As<T>(dy), frame.As<T>(dx));
               });
  } else {
    steps_.Add("backward " + Name(node), {dy, dx}, [=](const Frame& frame) {
      AdaptiveAverageBackward<T>(in, out, frame.As<T>(dy), frame.As<T>(dx));
    });
  }
}

template <typename T>
void Planner<T>::BackwardLinear(const Node& node) {
  const int x = node.op.inputs[0], y = node.op.output;
  const int64_t n = n_, in = ShapeOf(x)[1], out = ShapeOf(y)[1];
  const Place dy = TakeGradient(y), weight = Place::Values(node.op.weight), input = Again(x);
  if (node.relu) {
    steps_.Add("mask " + Name(node), {At(y), dy}, [=, output = At(y)](const Frame& frame) {
      MaskByOutput<float>(n * out, frame[output], frame[dy]);
    });
  }
  steps_.Add("backward weights " + Name(node), {input, dy}, [=, op = node.op](const Frame& frame) {
    const float* const d = frame[dy];
    const dnnl::status status = dnnl::sgemm('T', 'N', out, in, n, 1.0f, d, out, frame[input], in,
                                            0.0f, frame.run.gradients + op.weight, in);
    if (status != dnnl::status::success) throw dnnl::error(dnnl_out_of_memory, "sgemm");
    if (op.bias == kNone) return;
    float* const d_bias = frame.run.gradients + op.bias;
    for (int64_t c = 0; c < out; ++c) {
      double sum = 0;
      for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(d[i * out + c]);
      d_bias[c] = static_cast<float>(sum);
    }
  });
  if (!HasGradient(x)) return;
  const Place dx = NewTensor(x);
  steps_.Add("backward data " + Name(node), {dy, dx}, [=](const Frame& frame) {
    const dnnl::status status = dnnl::sgemm('N', 'N', n, in, out, 1.0f, frame[dy], out,
                                            frame[weight], in, 0.0f, frame[dx], in);
    if (status != dnnl::status::success) throw dnnl::error(dnnl_out_of_memory, "sgemm");
  });
  AddGradient(x, dx);
}

template <typename T>
void Planner<T>::BackwardProduct(const Node& node) {
  const int a = node.op.inputs[0], b = node.op.inputs[1], y = node.op.output;
  const Place dy = TakeGradient(y), factor = Again(a), x = Again(b), d_factor = NewTensor(a);
  const bool by_channel = ShapeOf(a) != ShapeOf(b);
  // Of equal shapes: d_factor first, then dx in place.
  AddFor(y, "backward " + Name(node), {dy, factor, x, d_factor},
         [=, layout = LayoutOf(y), n = Size(y)](const Frame& frame, auto element) {
           using E = decltype(element);
           E *const d = frame.As<E>(dy), *const to_factor = frame.As<E>(d_factor);
           if (by_channel) {
             MultiplyChannelsBackward<E>(layout, frame.As<E>(factor), frame.As<E>(x), d, d,
                                         to_factor);
           } else {
             Multiply<E>(n, d, frame.As<E>(x), to_factor);
             Multiply<E>(n, d, frame.As<E>(factor), d);
           }
         });
  AddGradient(a, d_factor);
  AddGradient(b, dy);
}

template <typename T>
void Planner<T>::BackwardConcat(const Node& node) {
  const int y = node.op.output;
  const Layout whole = LayoutOf(y);
  const Place dy = TakeGradient(y);
  int64_t first = 0;
  for (const int input : node.op.inputs) {
    const Layout layout = LayoutOf(input);
    const Place dx = NewTensor(input);
    steps_.Add("backward " + Name(node), {dy, dx}, [=](const Frame& frame) {
      CopyChannels<T>(layout, whole, first, /*to_whole=*/false, frame.As<T>(dx), frame.As<T>(dy));
      if (layout.channels != layout.padded()) ClearPadding<T>(layout, frame.As<T>(dx));
    });
    AddGradient(input, dx);
    first += layout.channels;
  }
}

template <typename T>
void Planner<T>::BackwardFlatten(const Node& node) {
  const int x = node.op.inputs[0], y = node.op.output;
  if (At(x).index == At(y).index) {
    for (const Addend& addend : TakeTwo(y)) AddGradient(x, addend.place, addend.shared);
    return;
  }
  const Place dy = TakeGradient(y), dx = NewTensor(x);
  steps_.Add("backward " + Name(node), {dy, dx}, [=, layout = LayoutOf(x)](const Frame& frame) {
    FromPlain<T>(layout, frame[dy], frame.As<T>(dx));
  });
  AddGradient(x, dx);
}

template <typename T>
void Planner<T>::BackwardDropout(const Node& node, size_t index) {
  const int x = node.op.inputs[0], y = node.op.output;
  const Place d = TakeGradient(y), kept = kept_[index];
  AddFor(y, "backward " + Name(node), {d, kept},
         [=, n = Size(y), p = node.op.probability](const Frame& frame, auto element) {
           using E = decltype(element);
           DropoutBackward<E>(p, n, frame.As<uint8_t>(kept), frame.As<E>(d));
         });
  AddGradient(x, d);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Plan>> Plan::Make(const Graph& graph, int64_t trained,
                                                 Precision precision) {
  const auto make = [&]<typename T>() -> absl::StatusOr<std::unique_ptr<Plan>> {
    auto plan = std::make_unique<Planner<T>>(graph, trained);
    MANAKO_RETURN_IF_ERROR(plan->Build());
    return plan;
  };
  try {
    if (precision == Precision::kFloat32) return make.template operator()<float>();
    if (!HasBfloat16()) return absl::UnimplementedError("bfloat16 on this processor");
    return make.template operator()<Bfloat16>();
  } catch (const dnnl::error& error) {
    if (error.status == dnnl_out_of_memory) return ResourceExhausted("planning: out of memory");
    return absl::UnimplementedError(fmt::format("a layer that oneDNN refuses ({})", error.message));
  }
}

bool HasBfloat16() { return BestLoopLevel() == LoopLevel::kAvx512; }

std::string DescribeProcessor() {
  const dnnl::cpu_isa isa = dnnl::get_effective_cpu_isa();
  const char* name = isa == dnnl::cpu_isa::sse41              ? "SSE4.1"
                     : isa == dnnl::cpu_isa::avx              ? "AVX"
                     : isa == dnnl::cpu_isa::avx2             ? "AVX2"
                     : isa == dnnl::cpu_isa::avx512_core      ? "AVX-512"
                     : isa == dnnl::cpu_isa::avx512_core_vnni ? "AVX-512"
                     : isa == dnnl::cpu_isa::avx512_core_bf16 ? "AVX-512 with bfloat16"
                     : isa == dnnl::cpu_isa::avx512_core_amx  ? "AMX"
                                                              : "this processor";
  const dnnl_version_t* const version = dnnl_version();
  return fmt::format("oneDNN {}.{}.{} on {}", version->major, version->minor, version->patch, name);
}

}  // namespace manako::fused
