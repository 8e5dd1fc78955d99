#include "learn/fused/convolution.h"

#include <utility>

#include "learn/fused/weight_gradient.h"

namespace manako::fused {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;
using Type = memory::data_type;
constexpr auto kFloat = Type::f32;
constexpr auto kDirect = dnnl::algorithm::convolution_direct;

memory::dims Dims(const Pair& pair) { return {pair[0], pair[1]}; }

// What oneDNN calls dilation is the number of pixels left out.
memory::dims Dilation(const Op& op) { return {op.dilation[0] - 1, op.dilation[1] - 1}; }

}  // namespace

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

void Convolution::AddForward(Steps& steps, const Forward& forward) {
  const memory::desc bias =
      forward.bias ? memory::desc({out_.channels}, kFloat, Tag::x) : memory::desc();
  dnnl::primitive_attr attributes = UserScratchpad();
  dnnl::post_ops behind;
  if (forward.sum) behind.append_sum(1.0f);
  if (forward.relu) behind.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
  attributes.set_post_ops(behind);
  const auto kind =
      forward.training ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
  const dnnl::convolution_forward::desc wanted(kind, kDirect, Source(), AnyWeights(type_), bias,
                                               Describe(out_), Dims(op_.stride), Dilation(op_),
                                               Dims(op_.padding), Dims(op_.padding));
  forward_ = dnnl::convolution_forward::primitive_desc(wanted, attributes, steps.engine());
  steps.set_preparing(!forward.training);
  const Place weight = Reordered(steps, forward.weight, forward_.weights_desc());
  steps.set_preparing(false);
  steps.AddPrimitive(name_, dnnl::convolution_forward(forward_), forward_,
                     {{DNNL_ARG_SRC, forward_.src_desc(), forward.x},
                      {DNNL_ARG_WEIGHTS, forward_.weights_desc(), weight},
                      {DNNL_ARG_BIAS, bias, forward.bias},
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
  const dnnl::convolution_backward_weights::desc wanted(
      kDirect, Source(), AnyWeights(kFloat), Describe(out_), Dims(op_.stride), Dilation(op_),
      Dims(op_.padding), Dims(op_.padding));
  const dnnl::convolution_backward_weights::primitive_desc description(wanted, UserScratchpad(),
                                                                       steps.engine(), forward_);
  if (std::string(description.impl_info_str()).starts_with("ref") && IsDepthwise(op_, in_, out_)) {
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
  const memory::desc blocked = description.diff_weights_desc(), plain = PlainWeights();
  const Place target = Place::Gradients(op_.weight);
  const Place result =
      blocked == plain ? target : steps.NewBuffer(static_cast<int64_t>(blocked.get_size() + 3) / 4);
  steps.AddPrimitive(name_ + " backward weights", dnnl::convolution_backward_weights(description),
                     description,
                     {{DNNL_ARG_SRC, description.src_desc(), x},
                      {DNNL_ARG_DIFF_DST, description.diff_dst_desc(), dy},
                      {DNNL_ARG_DIFF_WEIGHTS, blocked, result}});
  if (blocked == plain) return;
  const dnnl::reorder::primitive_desc reorder(steps.engine(), blocked, steps.engine(), plain,
                                              UserScratchpad());
  steps.AddPrimitive(name_ + " gradient", dnnl::reorder(reorder), reorder,
                     {{DNNL_ARG_FROM, blocked, result}, {DNNL_ARG_TO, plain, target}});
}

void Convolution::AddBackwardData(Steps& steps, const Place& dy, const Place& dx) {
  const dnnl::convolution_backward_data::desc wanted(
      kDirect, Source(), AnyWeights(type_), Describe(out_), Dims(op_.stride), Dilation(op_),
      Dims(op_.padding), Dims(op_.padding));
  const dnnl::convolution_backward_data::primitive_desc description(wanted, UserScratchpad(),
                                                                    steps.engine(), forward_);
  const Place weight = Reordered(steps, Place::Values(op_.weight), description.weights_desc());
  steps.AddPrimitive(name_ + " backward data", dnnl::convolution_backward_data(description),
                     description,
                     {{DNNL_ARG_DIFF_DST, description.diff_dst_desc(), dy},
                      {DNNL_ARG_WEIGHTS, description.weights_desc(), weight},
                      {DNNL_ARG_DIFF_SRC, description.diff_src_desc(), dx}});
}

}  // namespace manako::fused
