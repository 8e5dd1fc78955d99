#include "learn/fused/graph.h"

#include <fmt/ranges.h>

namespace manako::fused {

const char* OpName(OpKind kind) {
  switch (kind) {
    case OpKind::kConvolution:
      return "convolution";
    case OpKind::kBatchNorm:
      return "batch_norm";
    case OpKind::kRelu:
      return "relu";
    case OpKind::kRelu6:
      return "relu6";
    case OpKind::kHardSwish:
      return "hardswish";
    case OpKind::kHardSigmoid:
      return "hardsigmoid";
    case OpKind::kSigmoid:
      return "sigmoid";
    case OpKind::kMaxPool:
      return "max_pool2d";
    case OpKind::kAveragePool:
      return "avg_pool2d";
    case OpKind::kAdaptiveAverage:
      return "adaptive_avg_pool2d";
    case OpKind::kLinear:
      return "linear";
    case OpKind::kAdd:
      return "add";
    case OpKind::kMultiply:
      return "mul";
    case OpKind::kConcat:
      return "cat";
    case OpKind::kFlatten:
      return "flatten";
    case OpKind::kDropout:
      return "dropout";
  }
  return "?";
}

int64_t Elements(const Shape& shape) {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return count;
}

std::string ToString(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

std::vector<int> CountReaders(const Graph& graph) {
  std::vector<int> readers(graph.shapes.size(), 0);
  for (const Op& op : graph.ops) {
    for (const int input : op.inputs) ++readers[static_cast<size_t>(input)];
  }
  ++readers[static_cast<size_t>(graph.output)];
  return readers;
}

}  // namespace manako::fused
