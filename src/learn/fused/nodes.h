// A graph's operations grouped into what is computed in one go.
#ifndef MANAKO_LEARN_FUSED_NODES_H_
#define MANAKO_LEARN_FUSED_NODES_H_

#include <vector>

#include "learn/fused/graph.h"

namespace manako::fused {

struct Node {
  Op op;  // the first operation; `output` is the last one's
  bool relu =
      false;  // convolution, BatchNorm, linear: max with 0 behind it, and behind the residual
  int residual = -1;  // BatchNorm and folded convolution: a tensor that is added
  // Convolution in inference: the BatchNorm behind it, with the running statistics.
  bool folded = false;
  Op norm;
  // Training: the only reader is a max pool, whose backward leaves out what is not > 0.
  bool masked_by_pool = false;
};

// ReLU joins the convolution, BatchNorm or linear layer before it, an addition the BatchNorm before
// it, and in inference BatchNorm the convolution, wherever nobody else reads what is between.
std::vector<Node> GroupNodes(const Graph& graph);

}  // namespace manako::fused

#endif  // MANAKO_LEARN_FUSED_NODES_H_
