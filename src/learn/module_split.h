// Divides a described network at a layer, into what comes before it and what begins with it.
#ifndef MANAKO_LEARN_MODULE_SPLIT_H_
#define MANAKO_LEARN_MODULE_SPLIT_H_

#include <optional>
#include <string>
#include <vector>

#include "learn/module_def.h"

namespace manako {

// Two networks, the second of which takes what the first gives; one behind the other they compute
// what the whole does. Tensors keep their names, and each is in one of the two.
struct ModuleParts {
  ModuleDef trunk, head;
};

// The layers that a network can be divided at, by their names in it ("features.10", "layer4"), in
// the order in which they run: those that are a link of a chain, so that their input is all that
// crosses the cut, with tensors on both sides of it. Of several names for one place (layer1,
// layer1.0) the shortest.
std::vector<std::string> CutLayers(const ModuleDef& def);

// Divides before the layer of that name, which may also be a longer name of a place in CutLayers().
// Nothing for any other.
std::optional<ModuleParts> SplitModule(const ModuleDef& def, const std::string& layer);

}  // namespace manako

#endif  // MANAKO_LEARN_MODULE_SPLIT_H_
