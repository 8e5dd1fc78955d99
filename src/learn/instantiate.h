// Makes a TorchScript module of a described one. For use inside src/learn.
#ifndef MANAKO_LEARN_INSTANTIATE_H_
#define MANAKO_LEARN_INSTANTIATE_H_

#include <torch/script.h>

#include "learn/module_def.h"

namespace manako {

// The module's tensors are float32 (counters int64 and 0) with values that are not set: they are
// there to be replaced. Modules with the same code share one class, as in torch.jit.script. Throws
// c10::Error for code that is no TorchScript, which is our own bug.
torch::jit::Module InstantiateModule(const ModuleDef& def);

}  // namespace manako

#endif  // MANAKO_LEARN_INSTANTIATE_H_
