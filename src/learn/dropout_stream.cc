#include "learn/dropout_stream.h"

#include <torch/library.h>
#include <torch/script.h>

#include <algorithm>

namespace manako {
namespace {

thread_local Random* current_stream = nullptr;

// What libtorch's dropout calls for its mask: every element 1 with probability p, else 0.
at::Tensor& Bernoulli(at::Tensor& self, double p, c10::optional<at::Generator> generator) {
  const int64_t n = self.numel();
  at::Tensor mask = at::empty({n}, at::TensorOptions(at::kFloat));
  float* out = mask.data_ptr<float>();
  const auto threshold = static_cast<uint64_t>(std::clamp(p, 0.0, 1.0) * 0x1p32);
  for (int64_t i = 0; i < n; ++i) out[i] = (*current_stream)() < threshold ? 1.0f : 0.0f;
  self.copy_(mask.view(self.sizes()));
  return self;
}

// The key stands above autograd and autocast in libtorch's dispatcher and belongs to nobody else.
constexpr auto kKey = c10::DispatchKey::TESTING_ONLY_GenericWrapper;

TORCH_LIBRARY_IMPL(_, TESTING_ONLY_GenericWrapper, m) {
  m.fallback(torch::CppFunction::makeFallthrough());
}
TORCH_LIBRARY_IMPL(aten, TESTING_ONLY_GenericWrapper, m) { m.impl("bernoulli_.float", Bernoulli); }

}  // namespace

struct DropoutStream::Impl {
  Impl() : guard(kKey) {}
  Random* outer = nullptr;
  c10::impl::IncludeDispatchKeyGuard guard;
};

DropoutStream::DropoutStream(Random* random) : impl_(std::make_unique<Impl>()) {
  impl_->outer = current_stream;
  current_stream = random;
}

DropoutStream::~DropoutStream() { current_stream = impl_->outer; }

}  // namespace manako
