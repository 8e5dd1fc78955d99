// oneDNN's convolutions as steps.
#ifndef MANAKO_LEARN_FUSED_CONVOLUTION_H_
#define MANAKO_LEARN_FUSED_CONVOLUTION_H_

#include <dnnl.hpp>
#include <memory>
#include <string>
#include <vector>

#include "learn/fused/graph.h"
#include "learn/fused/layout.h"
#include "learn/fused/steps.h"

namespace manako::fused {

// Whether a convolution of floats should be made by Winograd's minimal filtering, F(4x4, 3x3),
// where the processor has it (oneDNN's for AVX-512): a quarter of the products, so about twice as
// fast, with errors of some 1e-6 (Lavin and Gray, "Fast Algorithms for Convolutional Neural
// Networks", CVPR 2016). `in` and `out` are [n][channels][height][width]. Depends on nothing else,
// so that the same batch has the same bits wherever it is computed.
bool MayUseWinograd(const Op& op, const Shape& in, const Shape& out, bool training);

// One convolution of a plan. `type` is that of its input and output, in which it multiplies;
// weights are brought to it, and their gradients are floats. `planar`: its input is the images, as
// [n][3][h][w].
class Convolution {
 public:
  using Type = dnnl::memory::data_type;

  Convolution(const Op& op, const Layout& in, const Layout& out, Type type, bool planar,
              std::string name)
      : op_(op), in_(in), out_(out), type_(type), planar_(planar), name_(std::move(name)) {}

  struct Forward {
    Place x, y;
    Place weight, bias;     // plain, as in the flat array or a buffer
    bool training = false;  // false: the reordered weights last from run to run, and are made in
                            // the preparing steps
    bool relu = false;
    bool sum = false;  // y += the result, before the ReLU
  };
  void AddForward(Steps& steps, const Forward& forward);
  // The gradient of the weights, written to the flat array. The bias is the planner's.
  void AddBackwardWeights(Steps& steps, const Place& x, const Place& dy);
  void AddBackwardData(Steps& steps, const Place& dy, const Place& dx);

 private:
  // What oneDNN makes of so many images.
  struct Primitives {
    dnnl::convolution_forward::primitive_desc forward;
    dnnl::convolution_backward_weights::primitive_desc by_weights;  // in training
    dnnl::convolution_backward_data::primitive_desc by_data;
  };
  // Images of the batch that are computed together.
  struct Part {
    int64_t first;  // image
    std::shared_ptr<const Primitives> primitives;
    // Of the part's images in an array of all.
    Place In(const Place& all, const Layout& layout) const {
      return all.Behind(first * layout.image());
    }
  };
  dnnl::memory::desc Describe(const Layout& layout) const;
  dnnl::memory::desc Source(int64_t n) const;
  dnnl::memory::desc PlainWeights() const;
  dnnl::memory::desc AnyWeights(Type type) const;
  // dnnl::error where oneDNN has none.
  std::shared_ptr<const Primitives> Make(const Steps& steps, const Forward& forward,
                                         dnnl::algorithm algorithm, int64_t n) const;
  // Whether Winograd's filtering is to be used and can be: then in parts_.
  bool SplitForWinograd(const Steps& steps, const Forward& forward);
  // The weights in another layout, in a buffer of their own where that differs from the plain one.
  Place Reordered(Steps& steps, const Place& plain, const dnnl::memory::desc& wanted);

  const Op& op_;
  Layout in_, out_;
  Type type_;
  bool planar_;
  std::string name_;
  std::vector<Part> parts_;
};

}  // namespace manako::fused

#endif  // MANAKO_LEARN_FUSED_CONVOLUTION_H_
