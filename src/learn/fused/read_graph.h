// From TorchScript to the fused engine's graph. The only file of the engine whose code includes
// libtorch.
#ifndef MANAKO_LEARN_FUSED_READ_GRAPH_H_
#define MANAKO_LEARN_FUSED_READ_GRAPH_H_

#include "absl/status/statusor.h"
#include "learn/fused/graph.h"

namespace manako {
class Network;
}

namespace manako::fused {

// The graph of the network's forward() for images [n, 3, h, w], or features of another shape where
// `features`. The code is followed as it would run for that shape: conditions, loops and numbers
// that do not depend on the input are worked out, submodules and functions are inlined, operations
// in place become ordinary ones. Built-in networks and files, scripted or traced, are read in the
// same way. The network's training mode is set to `training`. Unimplemented, with the operation's
// name, for what the engine does not know.
absl::StatusOr<Graph> ReadGraph(Network& network, const Shape& input, bool training,
                                bool features = false);

}  // namespace manako::fused

#endif  // MANAKO_LEARN_FUSED_READ_GRAPH_H_
