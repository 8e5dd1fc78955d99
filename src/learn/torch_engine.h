// The engine that knows every operation: libtorch's eager kernels and autograd. For use inside
// src/learn.
#ifndef MANAKO_LEARN_TORCH_ENGINE_H_
#define MANAKO_LEARN_TORCH_ENGINE_H_

#include <memory>

#include "learn/engine.h"
#include "learn/networks.h"

namespace manako {

std::unique_ptr<Engine> MakeTorchEngine(const EngineOptions& options, NetworkPool::Handle network);

}  // namespace manako

#endif  // MANAKO_LEARN_TORCH_ENGINE_H_
