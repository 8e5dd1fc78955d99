// A network as a list of operations on tensors of known shapes: what the fused engine plans from.
//
// A graph is made for one batch shape and for training or inference. Tensors are numbered; each is
// written by one operation. Parameters and buffers are offsets into the flat array that a ModelSpec
// describes.
#ifndef MANAKO_LEARN_FUSED_GRAPH_H_
#define MANAKO_LEARN_FUSED_GRAPH_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace manako::fused {

enum class OpKind : uint8_t {
  kConvolution,  // weight [out, in / groups, kh, kw], bias [out] or none
  kBatchNorm,    // weight, bias: gamma and beta or none; mean, variance: running statistics or none
  kRelu,
  kRelu6,
  kHardSwish,
  kHardSigmoid,
  kSigmoid,
  kMaxPool,
  kAveragePool,      // with the padding counted or not
  kAdaptiveAverage,  // to the output's size
  kLinear,           // weight [out, in], bias [out] or none
  kAdd,
  kMultiply,  // of equal shapes, or [n, c, 1, 1] by [n, c, h, w]: the inputs are in this order
  kConcat,    // of channels
  kFlatten,   // [n, c, h, w] -> [n, c h w]
  kDropout,
};

// "convolution", for messages.
const char* OpName(OpKind kind);

using Pair = std::array<int64_t, 2>;  // of rows, of columns
using Shape = std::vector<int64_t>;   // [n, c, h, w] or [n, c]

inline constexpr int64_t kNone = -1;  // in the place of an offset

struct Op {
  OpKind kind = OpKind::kRelu;
  std::vector<int> inputs;
  int output = -1;
  int64_t weight = kNone, bias = kNone, mean = kNone, variance = kNone;
  Pair kernel = {1, 1}, stride = {1, 1}, padding = {0, 0}, dilation = {1, 1};
  int64_t groups = 1;
  bool count_padding = true;         // average pool
  double epsilon = 0, momentum = 0;  // BatchNorm
  bool batch_statistics = false;     // BatchNorm: of the batch (training) or the running ones
  double probability = 0;            // dropout: of becoming 0
};

struct Graph {
  std::vector<Shape> shapes;  // of each tensor
  std::vector<Op> ops;        // in the order of execution
  int input = -1, output = -1;
  bool training = false;
  // What the input is in memory: images [n][h][w][3], or features of another graph, [n][c][h][w] or
  // [n][c], without a gradient either way.
  bool features = false;
};

int64_t Elements(const Shape& shape);
std::string ToString(const Shape& shape);

// How often each tensor is read; the graph's output counts as read once more.
std::vector<int> CountReaders(const Graph& graph);

}  // namespace manako::fused

#endif  // MANAKO_LEARN_FUSED_GRAPH_H_
