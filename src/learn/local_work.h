// A site's images and its learner, behind core's SiteWork: what the federation's agent works with
// at a hospital.
#ifndef MANAKO_LEARN_LOCAL_WORK_H_
#define MANAKO_LEARN_LOCAL_WORK_H_

#include <memory>
#include <string>

#include "core/label_map.h"
#include "core/run_config.h"
#include "core/site_work.h"

namespace manako {

struct LocalWorkOptions {
  DataConfig
      data;  // path, test, columns, max_bad, cache: the site's own; size and crop are the run's
  std::string site_value;  // with data.site_column: only these rows
  LabelMap labels;
  double test_share = -1;  // < 0: as the run says
  double validation_share = -1;
  int threads = 1;  // to decode with
};

// Reads, decodes and splits the site's images as a run wants them, by whole patients. The split
// depends on the run's seed and the images alone. The learner trains from the same random streams
// as site `site_index` of a study's federated arm with the same seed, and so to the same bits.
std::unique_ptr<SiteWork> MakeLocalWork(LocalWorkOptions options);

}  // namespace manako

#endif  // MANAKO_LEARN_LOCAL_WORK_H_
