#include "learn/frozen_network.h"

#include <torch/script.h>

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "learn/model.h"
#include "learn/script_file.h"

namespace manako {
namespace {

// Calls body(tensor of the whole, the same of the part) for all of the part's. The whole has them
// in the same order, with others between.
template <typename Body>
void ForTensors(const ModelSpec& whole, const ModelSpec& part, Body body) {
  auto at = whole.tensors().begin();
  for (const TensorSpec& tensor : part.tensors()) {
    while (at->name != tensor.name) ++at;
    body(*at, tensor);
  }
}

ParameterSet PartOf(const ParameterSet& whole, const NetworkPool& part) {
  ParameterSet values = ParameterSet::Zero(part.spec());
  ForTensors(*whole.spec, *part.spec(), [&](const TensorSpec& from, const TensorSpec& to) {
    std::ranges::copy(whole.Tensor(from), values.Tensor(to).begin());
  });
  return values;
}

}  // namespace

absl::StatusOr<std::shared_ptr<FrozenNetwork>> FrozenNetwork::Create(const NetworkOptions& whole,
                                                                     const std::string& layer) {
  std::shared_ptr<FrozenNetwork> frozen(new FrozenNetwork);
  NetworkOptions options = whole;
  options.layer = layer;
  options.part = NetworkPart::kTrunk;
  MANAKO_ASSIGN_OR_RETURN(frozen->trunk_, NetworkPool::Create(options));
  options.part = NetworkPart::kHead;
  MANAKO_ASSIGN_OR_RETURN(frozen->head_, NetworkPool::Create(options));
  const int side = whole.image_size > 0 ? whole.image_size : UsualImageSize(whole.architecture);
  frozen->images_ = {side, side};
  MANAKO_ASSIGN_OR_RETURN(NetworkPool::Handle trunk, frozen->trunk_->Borrow());
  try {
    const at::NoGradGuard no_grad;
    trunk->SetTraining(false);
    const at::Tensor features = trunk->Forward(at::zeros({1, 3, side, side}));
    frozen->features_.features = features.size(1);
    if (features.dim() == 4) {
      frozen->features_.height = features.size(2);
      frozen->features_.width = features.size(3);
    }
  } catch (const std::exception& error) {
    return InvalidArgument("{} does not run on images of {} x {} pixels: {}", whole.architecture,
                           side, side, OneLine(error));
  }
  return frozen;
}

std::vector<EngineUse> FrozenNetwork::uses() const {
  return {{trunk(), images_, /*training=*/false},
          {head(), features_, /*training=*/true},
          {head(), features_, /*training=*/false}};
}

bool FrozenNetwork::HasTrunk(const ParameterSet& whole, const ParameterSet& trunk) const {
  bool has = true;
  ForTensors(*whole.spec, *trunk.spec, [&](const TensorSpec& a, const TensorSpec& b) {
    has = has && std::ranges::equal(whole.Tensor(a), trunk.Tensor(b));
  });
  return has;
}

ParameterSet FrozenNetwork::TrunkOf(const ParameterSet& whole) const {
  return PartOf(whole, *trunk_);
}

ParameterSet FrozenNetwork::HeadOf(const ParameterSet& whole) const {
  return PartOf(whole, *head_);
}

ParameterSet FrozenNetwork::WithHead(const ParameterSet& whole, const FlatArray& head) const {
  ParameterSet values = whole.Clone();
  ForTensors(*whole.spec, *head_->spec(), [&](const TensorSpec& to, const TensorSpec& from) {
    std::copy_n(head.data() + from.offset, from.size, values.Tensor(to).begin());
  });
  return values;
}

}  // namespace manako
