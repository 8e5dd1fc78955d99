#include "core/local_share.h"

#include <algorithm>
#include <cmath>

namespace manako {
namespace {

int64_t Batches(int64_t images, int batch) { return (images + batch - 1) / batch; }

// With federation.site_batch = share the batch is divided among the sites: every site makes as many
// steps as a pooled training would, so that a round is as many steps of the same total batch. A
// site alone has the whole batch.
int BatchesPerEpoch(const RunConfig& config, const RunBasis& basis, int64_t site_images) {
  if (basis.sites == 1 || config.federation.site_batch != "share") return 0;
  const int64_t steps = Batches(basis.images, config.train.batch);
  return static_cast<int>(std::clamp<int64_t>(steps, 1, std::max<int64_t>(1, site_images / 2)));
}

// A step of Adam is the gradient over the root of its mean square. Where the noise of a batch
// outweighs the gradient, a batch that is n times smaller makes the step's useful part the root of
// n smaller, and the mean of n sites makes its noise as much smaller. This factor gives both back
// what the whole batch would have (the square root rule: Malladi et al., "On the SDEs and Scaling
// Rules for Adaptive Gradient Algorithms", NeurIPS 2022). SGD needs none: the mean of the sites'
// steps is the step.
double LearningRateFactor(const RunConfig& config, const RunBasis& basis, int64_t site_images) {
  if (basis.sites == 1 || config.federation.site_batch != "share" ||
      config.train.optimiser == "sgd")
    return 1;
  return std::sqrt(static_cast<double>(basis.images) /
                   static_cast<double>(std::max<int64_t>(1, site_images)));
}

std::vector<double> ClassWeights(const std::vector<int64_t>& per_class) {
  double total = 0, present = 0;
  for (const int64_t count : per_class) {
    total += static_cast<double>(count);
    present += count > 0 ? 1 : 0;
  }
  std::vector<double> weights;
  for (const int64_t count : per_class)
    weights.push_back(count > 0 ? total / (present * static_cast<double>(count)) : 1);
  return weights;
}

}  // namespace

LocalShare ShareOf(const RunConfig& config, const RunBasis& basis, int64_t site_images) {
  LocalShare share;
  share.batches_per_epoch = BatchesPerEpoch(config, basis, site_images);
  share.learning_rate = config.train.learning_rate * LearningRateFactor(config, basis, site_images);
  // Steps are counted as those of a pooled training. A site alone makes as many fewer as it has
  // fewer batches in an epoch, so that every image is visited as often as in the other arms.
  const double part = basis.sites > 1
                          ? 1.0
                          : static_cast<double>(Batches(site_images, config.train.batch)) /
                                static_cast<double>(Batches(basis.images, config.train.batch));
  share.steps_per_round = config.train.local_steps * part;
  if (config.train.class_balanced) share.class_weights = ClassWeights(basis.per_class);
  return share;
}

}  // namespace manako
