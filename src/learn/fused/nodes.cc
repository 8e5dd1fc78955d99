#include "learn/fused/nodes.h"

#include <algorithm>
#include <utility>

namespace manako::fused {
namespace {

bool TakesRelu(const Node& node) {
  return !node.relu && (node.op.kind == OpKind::kConvolution ||
                        node.op.kind == OpKind::kBatchNorm || node.op.kind == OpKind::kLinear);
}

bool TakesSum(const Node& node) {
  return !node.relu && node.residual < 0 && (node.op.kind == OpKind::kBatchNorm || node.folded);
}

bool TakesNorm(const Node& node, const Op& norm) {
  return node.op.kind == OpKind::kConvolution && !node.relu && node.residual < 0 && !node.folded &&
         !norm.batch_statistics;
}

}  // namespace

std::vector<Node> GroupNodes(const Graph& graph) {
  const std::vector<int> readers = CountReaders(graph);
  std::vector<Node> nodes;
  // The node that makes a tensor nobody else reads, taken out of the list so that it can go on at
  // its end.
  const auto take = [&](int tensor, auto fits, Node& out) {
    if (readers[static_cast<size_t>(tensor)] != 1) return false;
    const auto found = std::find_if(nodes.begin(), nodes.end(),
                                    [&](const Node& node) { return node.op.output == tensor; });
    if (found == nodes.end() || !fits(*found)) return false;
    out = std::move(*found);
    nodes.erase(found);
    return true;
  };
  for (const Op& op : graph.ops) {
    Node node;
    if (op.kind == OpKind::kRelu && take(op.inputs[0], TakesRelu, node)) {
      node.relu = true;
    } else if (op.kind == OpKind::kBatchNorm && !graph.training &&
               take(
                   op.inputs[0], [&](const Node& before) { return TakesNorm(before, op); }, node)) {
      node.folded = true;
      node.norm = op;
    } else if (op.kind == OpKind::kAdd && op.inputs[0] != op.inputs[1] &&
               take(op.inputs[0], TakesSum, node)) {
      node.residual = op.inputs[1];
    } else if (op.kind == OpKind::kAdd && op.inputs[0] != op.inputs[1] &&
               take(op.inputs[1], TakesSum, node)) {
      node.residual = op.inputs[0];
    } else {
      node.op = op;
    }
    node.op.output = op.output;
    nodes.push_back(std::move(node));
  }
  for (const Node& pool : nodes) {
    if (pool.op.kind != OpKind::kMaxPool || readers[static_cast<size_t>(pool.op.inputs[0])] != 1)
      continue;
    for (Node& node : nodes) {
      if (node.op.output == pool.op.inputs[0] && node.relu && node.op.kind == OpKind::kConvolution)
        node.masked_by_pool = true;
    }
  }
  return nodes;
}

}  // namespace manako::fused
