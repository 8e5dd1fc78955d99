#include "learn/fused/convolution.h"

#include <algorithm>
#include <utility>

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

}  // namespace

bool MayUseWinograd(const Op& op, const Shape& in, const Shape& out, bool training) {
  // Where it begins to pay, measured on one core: enough pixels, and no large part of the tiles of
  // 4x4 pixels outside. In training, where weights are transformed at every step and so are their
  // gradients, they must be few beside the images: many take more memory than they save time.
  constexpr int64_t kChannels = 32, kPixelsInTraining = 784, kPixelsInInference = 196;
  const int64_t pixels = out[2] * out[3],
                tiles = ((out[2] + 3) / 4) * ((out[3] + 3) / 4);  // of an image
  return op.kernel == Pair{3, 3} && op.stride == Pair{1, 1} && op.padding == Pair{1, 1} &&
         op.dilation == Pair{1, 1} && op.groups == 1 && std::min(in[1], out[1]) >= kChannels &&
         out[0] * pixels >= (training ? kPixelsInTraining : kPixelsInInference) &&
         10 * pixels >= 6 * 16 * tiles &&
         (!training || in[1] * out[1] < 2 * out[0] * tiles * (in[1] + out[1]));
}

memory::desc Convolution::Describe(const Layout& layout) const {
  const memory::dims dims = {layout.n, layout.channels, layout.height, layout.width};
  return memory::desc(dims, type_, layout.block == 16 ? Tag::nChw16c : Tag::nChw8c);
}

memory::desc Convolution::Source() const {
  if (!planar_) return Describe(in_);
  return memory::desc({in_.n, in_.channels, in_.height, in_.width}, type_, Tag::nchw);
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

void Convolution::Describe(const Steps& steps, const Forward& forward, dnnl::algorithm algorithm) {
  const memory::desc bias =
      forward.bias ? memory::desc({out_.channels}, kFloat, Tag::x) : memory::desc();
  dnnl::primitive_attr attributes = UserScratchpad();
  dnnl::post_ops behind;
  if (forward.sum) behind.append_sum(1.0f);
  if (forward.relu) behind.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
  attributes.set_post_ops(behind);
  const auto kind =
      forward.training ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
  const memory::dims stride = Dims(op_.stride), dilation = Dilation(op_),
                     padding = Dims(op_.padding);
  forward_ = {{kind, algorithm, Source(), AnyWeights(type_), bias, Describe(out_), stride, dilation,
               padding, padding},
              attributes,
              steps.engine()};
  if (!forward.training) return;
  by_weights_ = {
      {algorithm, Source(), AnyWeights(kFloat), Describe(out_), stride, dilation, padding, padding},
      UserScratchpad(),
      steps.engine(),
      forward_};
  if (planar_) return;  // images have no gradient
  by_data_ = {
      {algorithm, Source(), AnyWeights(type_), Describe(out_), stride, dilation, padding, padding},
      UserScratchpad(),
      steps.engine(),
      forward_};
}

void Convolution::AddForward(Steps& steps, const Forward& forward) {
  bool described = false;
  if (type_ == kFloat && !planar_ &&
      MayUseWinograd(op_, {in_.n, in_.channels, in_.height, in_.width},
                     {out_.n, out_.channels, out_.height, out_.width}, forward.training)) {
    try {
      Describe(steps, forward, dnnl::algorithm::convolution_winograd);
      described = true;
    } catch (const dnnl::error&) {
      // Not on this processor, or not with what is fused to it.
    }
  }
  if (!described) Describe(steps, forward, dnnl::algorithm::convolution_direct);
  steps.set_preparing(!forward.training);
  const Place weight = Reordered(steps, forward.weight, forward_.weights_desc());
  steps.set_preparing(false);
  steps.AddPrimitive(name_, dnnl::convolution_forward(forward_), forward_,
                     {{DNNL_ARG_SRC, forward_.src_desc(), forward.x},
                      {DNNL_ARG_WEIGHTS, forward_.weights_desc(), weight},
                      {DNNL_ARG_BIAS, forward_.bias_desc(), forward.bias},
                      {DNNL_ARG_DST, forward_.dst_desc(), forward.y}});
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
  if (std::string(by_weights_.impl_info_str()).starts_with("ref") && IsDepthwise(op_, in_, out_)) {
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
  const memory::desc blocked = by_weights_.diff_weights_desc(), plain = PlainWeights();
  const Place target = Place::Gradients(op_.weight);
  const Place result =
      blocked == plain ? target : steps.NewBuffer(static_cast<int64_t>(blocked.get_size() + 3) / 4);
  steps.AddPrimitive(name_ + " backward weights", dnnl::convolution_backward_weights(by_weights_),
                     by_weights_,
                     {{DNNL_ARG_SRC, by_weights_.src_desc(), x},
                      {DNNL_ARG_DIFF_DST, by_weights_.diff_dst_desc(), dy},
                      {DNNL_ARG_DIFF_WEIGHTS, blocked, result}});
  if (blocked == plain) return;
  const dnnl::reorder::primitive_desc reorder(steps.engine(), blocked, steps.engine(), plain,
                                              UserScratchpad());
  steps.AddPrimitive(name_ + " gradient", dnnl::reorder(reorder), reorder,
                     {{DNNL_ARG_FROM, blocked, result}, {DNNL_ARG_TO, plain, target}});
}

void Convolution::AddBackwardData(Steps& steps, const Place& dy, const Place& dx) {
  const Place weight = Reordered(steps, Place::Values(op_.weight), by_data_.weights_desc());
  steps.AddPrimitive(name_ + " backward data", dnnl::convolution_backward_data(by_data_), by_data_,
                     {{DNNL_ARG_DIFF_DST, by_data_.diff_dst_desc(), dy},
                      {DNNL_ARG_WEIGHTS, by_data_.weights_desc(), weight},
                      {DNNL_ARG_DIFF_SRC, by_data_.diff_src_desc(), dx}});
}

}  // namespace manako::fused
