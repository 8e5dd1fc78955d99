// A network whose first layers are frozen (train.freeze): the trunk, which never changes, and the
// head, which is trained on the trunk's features.
#ifndef MANAKO_LEARN_FROZEN_NETWORK_H_
#define MANAKO_LEARN_FROZEN_NETWORK_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "learn/engine.h"
#include "learn/networks.h"

namespace manako {

// Trunk and head are networks of their own, each with a spec, in which a tensor has the name that
// it has in the whole. So no gradient, optimiser or running statistic ever reaches the trunk.
// Thread-safe.
class FrozenNetwork {
 public:
  // The network `whole`, frozen until `layer`, which is the first that is trained. InvalidArgument
  // where it cannot be divided there (lists where it can), for a file, and for images that are too
  // small.
  static absl::StatusOr<std::shared_ptr<FrozenNetwork>> Create(const NetworkOptions& whole,
                                                               const std::string& layer);

  NetworkPool* trunk() const { return trunk_.get(); }
  NetworkPool* head() const { return head_.get(); }
  const InputShape& features() const { return features_; }  // of one image, at the cut
  // What an engine must know: the trunk's features, the head's training and testing.
  std::vector<EngineUse> uses() const;

  // Whether the trunk of `whole` has these values.
  bool HasTrunk(const ParameterSet& whole, const ParameterSet& trunk) const;
  // The values of a part in those of the whole.
  ParameterSet TrunkOf(const ParameterSet& whole) const;
  ParameterSet HeadOf(const ParameterSet& whole) const;
  // `whole` with another head; all else is its own to the bit.
  ParameterSet WithHead(const ParameterSet& whole, const FlatArray& head) const;

 private:
  FrozenNetwork() = default;
  std::shared_ptr<NetworkPool> trunk_, head_;
  InputShape images_, features_;
};

}  // namespace manako

#endif  // MANAKO_LEARN_FROZEN_NETWORK_H_
