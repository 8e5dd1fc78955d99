#include "learn/fused/convolution.h"

#include <algorithm>
#include <map>
#include <utility>

#include "learn/fused/kernels.h"
#include "learn/fused/weight_gradient.h"

namespace manako::fused {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;
using Type = memory::data_type;
constexpr auto kFloat = Type::f32;

memory::dims Dims(const Pair& pair) { return {pair[0], pair[1]}; }

// What oneDNN calls dilation is the number of pixels left out.
memory::dims Dilation(const Op& op) { return {op.dilation[0] - 1, op.dilation[1] - 1}; }

// Of 4x4 pixels, for one image.
int64_t TilesOf(int64_t height, int64_t width) { return ((height + 3) / 4) * ((width + 3) / 4); }

constexpr int64_t kTaps = 36;  // numbers that a tile of 4x4 pixels is transformed to

}  // namespace

bool MayUseWinograd(const Op& op, const Shape& in, const Shape& out, bool training) {
  // Where it begins to pay, measured on one core: enough pixels, no large part of the tiles of 4x4
  // pixels outside, and few weights beside the images. Transformed weights are four times as many
  // numbers; in training they are made at every step, and in inference they stay.
  constexpr int64_t kChannels = 32, kPixelsInTraining = 784, kPixelsInInference = 196;
  const int64_t n = out[0], pixels = out[2] * out[3], tiles = TilesOf(out[2], out[3]);
  return op.kernel == Pair{3, 3} && op.stride == Pair{1, 1} && op.padding == Pair{1, 1} &&
         op.dilation == Pair{1, 1} && op.groups == 1 && std::min(in[1], out[1]) >= kChannels &&
         n * pixels >= (training ? kPixelsInTraining : kPixelsInInference) &&
         10 * pixels >= 6 * 16 * tiles &&
         (training ? 1 : 4) * in[1] * out[1] < 2 * n * tiles * (in[1] + out[1]);
}

memory::desc Convolution::Describe(const Layout& layout) const {
  const memory::dims dims = {layout.n, layout.channels, layout.height, layout.width};
  return memory::desc(dims, type_, layout.block == 16 ? Tag::nChw16c : Tag::nChw8c);
}

memory::desc Convolution::Source(int64_t n) const {
  if (planar_) return memory::desc({n, in_.channels, in_.height, in_.width}, type_, Tag::nchw);
  Layout layout = in_;
  layout.n = n;
  return Describe(layout);
}

memory::desc Convolution::PlainWeights() const {
  const int64_t g = op_.groups, out = out_.channels, in = in_.channels, h = op_.kernel[0],
                w = op_.kernel[1];
  if (g == 1) return memory::desc({out, in, h, w}, kFloat, Tag::oihw);
  return memory::desc({g, out / g, in / g, h, w}, kFloat, Tag::goihw);
}

memory::desc Convolution::AnyWeights(Type type) const {
  return memory::desc(PlainWeights().dims(), type, Tag::any);
}

Place Convolution::Reordered(Steps& steps, const Place& plain, const memory::desc& wanted) {
  const memory::desc have = PlainWeights();
  if (have == wanted) return plain;
  const Place to = steps.NewBuffer(static_cast<int64_t>(wanted.get_size() + 3) / 4);
  const dnnl::reorder::primitive_desc description(steps.engine(), have, steps.engine(), wanted,
                                                  UserScratchpad());
  steps.AddPrimitive(name_ + " weights", dnnl::reorder(description), description,
                     {{DNNL_ARG_FROM, have, plain}, {DNNL_ARG_TO, wanted, to}});
  return to;
}

std::shared_ptr<const Convolution::Primitives> Convolution::Make(const Steps& steps,
                                                                 const Forward& forward,
                                                                 dnnl::algorithm algorithm,
                                                                 int64_t n) const {
  const memory::desc bias =
      forward.bias ? memory::desc({out_.channels}, kFloat, Tag::x) : memory::desc();
  dnnl::primitive_attr attributes = UserScratchpad();
  dnnl::post_ops behind;
  if (forward.sum) behind.append_sum(1.0f);
  if (forward.relu) behind.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
  attributes.set_post_ops(behind);
  const auto kind =
      forward.training ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
  Layout out = out_;
  out.n = n;
  const memory::dims stride = Dims(op_.stride), dilation = Dilation(op_),
                     padding = Dims(op_.padding);
  auto made = std::make_shared<Primitives>();
  made->forward = {{kind, algorithm, Source(n), AnyWeights(type_), bias, Describe(out), stride,
                    dilation, padding, padding},
                   attributes,
                   steps.engine()};
  if (!forward.training) return made;
  made->by_weights = {
      {algorithm, Source(n), AnyWeights(kFloat), Describe(out), stride, dilation, padding, padding},
      UserScratchpad(),
      steps.engine(),
      made->forward};
  if (planar_) return made;  // images have no gradient
  made->by_data = {
      {algorithm, Source(n), AnyWeights(type_), Describe(out), stride, dilation, padding, padding},
      UserScratchpad(),
      steps.engine(),
      made->forward};
  return made;
}

bool Convolution::SplitForWinograd(const Steps& steps, const Forward& forward) {
  const int64_t n = in_.n;
  if (type_ != kFloat || planar_ ||
      !MayUseWinograd(op_, {n, in_.channels, in_.height, in_.width},
                      {n, out_.channels, out_.height, out_.width}, forward.training)) {
    return false;
  }
  // What the images of a part are transformed to stays near the processor, but is more than the
  // weights, which each part transforms anew.
  constexpr int64_t kNear = 5 << 20;  // floats
  const int64_t image = kTaps * TilesOf(out_.height, out_.width) * (in_.channels + out_.channels),
                near = std::max(kNear, 2 * kTaps * in_.channels * out_.channels),
                most = std::clamp<int64_t>(near / image, 1, n), parts = (n + most - 1) / most;
  try {
    std::map<int64_t, std::shared_ptr<const Primitives>> made;  // by images
    for (int64_t part = 0; part < parts; ++part) {
      const int64_t first = part * n / parts, size = (part + 1) * n / parts - first;
      auto& primitives = made[size];
      if (primitives == nullptr)
        primitives = Make(steps, forward, dnnl::algorithm::convolution_winograd, size);
      parts_.push_back({first, primitives});
    }
    // Parts of two sizes share weights and gradients.
    const Primitives &a = *made.begin()->second, &b = *made.rbegin()->second;
    if (a.forward.weights_desc() == b.forward.weights_desc() &&
        (!forward.training ||
         (a.by_weights.diff_weights_desc() == b.by_weights.diff_weights_desc() &&
          a.by_data.weights_desc() == b.by_data.weights_desc()))) {
      return true;
    }
  } catch (const dnnl::error&) {
    // Not on this processor, or not with what is fused to it.
  }
  parts_.clear();
  return false;
}

void Convolution::AddForward(Steps& steps, const Forward& forward) {
  parts_.clear();
  if (!SplitForWinograd(steps, forward))
    parts_ = {{0, Make(steps, forward, dnnl::algorithm::convolution_direct, in_.n)}};
  steps.set_preparing(!forward.training);
  const Place weight =
      Reordered(steps, forward.weight, parts_.front().primitives->forward.weights_desc());
  steps.set_preparing(false);
  for (const Part& part : parts_) {
    const auto& description = part.primitives->forward;
    steps.AddPrimitive(name_, dnnl::convolution_forward(description), description,
                       {{DNNL_ARG_SRC, description.src_desc(), part.In(forward.x, in_)},
                        {DNNL_ARG_WEIGHTS, description.weights_desc(), weight},
                        {DNNL_ARG_BIAS, description.bias_desc(), forward.bias},
                        {DNNL_ARG_DST, description.dst_desc(), part.In(forward.y, out_)}});
  }
}

void Convolution::AddBackwardWeights(Steps& steps, const Place& x, const Place& dy) {
  if (!planar_ && type_ == kFloat && HasWeightGradient(op_, in_, out_)) {
    const Place scratch = steps.NewBuffer(static_cast<int64_t>(PlainWeights().get_size()) / 4);
    steps.Add(name_ + " backward weights own", {x, dy, scratch},
              [in = in_, out = out_, weight = op_.weight, x, dy, scratch](const Frame& frame) {
                WeightGradient(in, out, frame[x], frame[dy], frame[scratch],
                               frame.run.gradients + weight);
              });
    return;
  }
  if (std::string(parts_.front().primitives->by_weights.impl_info_str()).starts_with("ref") &&
      IsDepthwise(op_, in_, out_)) {
    steps.Add(name_ + " backward weights own", {x, dy},
              [op = op_, in = in_, out = out_, type = type_, x, dy](const Frame& frame) {
                float* const gradient = frame.run.gradients + op.weight;
                if (type == kFloat) {
                  DepthwiseWeightGradient<float>(op, in, out, frame[x], frame[dy], gradient);
                } else {
                  DepthwiseWeightGradient<Bfloat16>(op, in, out, frame.As<Bfloat16>(x),
                                                    frame.As<Bfloat16>(dy), gradient);
                }
              });
    return;
  }
  const memory::desc blocked = parts_.front().primitives->by_weights.diff_weights_desc(),
                     plain = PlainWeights();
  const auto floats = static_cast<int64_t>(blocked.get_size() + 3) / 4;
  const Place target = Place::Gradients(op_.weight);
  const Place result = blocked == plain ? target : steps.NewBuffer(floats);
  for (const Part& part : parts_) {
    const auto& description = part.primitives->by_weights;
    const Place own = part.first == 0 ? result : steps.NewBuffer(floats);
    steps.AddPrimitive(name_ + " backward weights", dnnl::convolution_backward_weights(description),
                       description,
                       {{DNNL_ARG_SRC, description.src_desc(), part.In(x, in_)},
                        {DNNL_ARG_DIFF_DST, description.diff_dst_desc(), part.In(dy, out_)},
                        {DNNL_ARG_DIFF_WEIGHTS, blocked, own}});
    if (part.first == 0) continue;
    steps.Add(name_ + " sum of gradients", {own, result}, [=](const Frame& frame) {
      fused::Add<float>(floats, frame[result], frame[own], frame[result]);
    });
  }
  if (blocked == plain) return;
  const dnnl::reorder::primitive_desc reorder(steps.engine(), blocked, steps.engine(), plain,
                                              UserScratchpad());
  steps.AddPrimitive(name_ + " gradient", dnnl::reorder(reorder), reorder,
                     {{DNNL_ARG_FROM, blocked, result}, {DNNL_ARG_TO, plain, target}});
}

void Convolution::AddBackwardData(Steps& steps, const Place& dy, const Place& dx) {
  const Place weight = Reordered(steps, Place::Values(op_.weight),
                                 parts_.front().primitives->by_data.weights_desc());
  for (const Part& part : parts_) {
    const auto& description = part.primitives->by_data;
    steps.AddPrimitive(name_ + " backward data", dnnl::convolution_backward_data(description),
                       description,
                       {{DNNL_ARG_DIFF_DST, description.diff_dst_desc(), part.In(dy, out_)},
                        {DNNL_ARG_WEIGHTS, description.weights_desc(), weight},
                        {DNNL_ARG_DIFF_SRC, description.diff_src_desc(), part.In(dx, in_)}});
  }
}

}  // namespace manako::fused
