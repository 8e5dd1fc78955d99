// How much of a round falls to one site: its batch, its learning rate, its loss's weights. The same
// for the study's simulated sites and for hospitals over a network, so that both train to the same
// bits.
#ifndef MANAKO_CORE_LOCAL_SHARE_H_
#define MANAKO_CORE_LOCAL_SHARE_H_

#include <cstdint>
#include <vector>

#include "core/run_config.h"

namespace manako {

// What all sites of a run need to know of their total before any of them trains. Fixed when the
// run's first round opens.
struct RunBasis {
  int sites = 1;                   // that train together; 1: pooled, or a site alone
  int64_t images = 0;              // training images of all sites of the experiment
  std::vector<int64_t> per_class;  // training images of the sites that train together, by class
};

struct LocalShare {
  int batches_per_epoch = 0;  // 0: as many as train.batch makes
  double learning_rate = 0;   // train.learning_rate times the factor of a divided batch
  double steps_per_round =
      0;  // > 0: instead of train.local_epochs; a fraction is made up for in later rounds
  std::vector<double> class_weights;  // of the loss; empty: all 1
};

// The share of a site with `site_images` training images. `config` is resolved: learning rate,
// rounds and their length are numbers (ResolveRounds, UsualLearningRate).
LocalShare ShareOf(const RunConfig& config, const RunBasis& basis, int64_t site_images);

}  // namespace manako

#endif  // MANAKO_CORE_LOCAL_SHARE_H_
