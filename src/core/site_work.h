// What a site can do with its images, without saying how: the way from the site's agent to data and
// learner.
#ifndef MANAKO_CORE_SITE_WORK_H_
#define MANAKO_CORE_SITE_WORK_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/federated_run_config.h"
#include "core/federation.h"
#include "core/learner.h"

namespace manako {

// One run's images at this site, found, decoded and split.
class PreparedRun {
 public:
  virtual ~PreparedRun() = default;
  virtual const SiteCounts& counts()
      const = 0;  // exact; what leaves the site is rounded by its policy
  virtual std::shared_ptr<const ModelSpec> spec() const = 0;
  // The learner of this run. `config` is resolved (ResolveRun with basis.images).
  virtual absl::StatusOr<std::unique_ptr<Learner>> MakeLearner(const FederatedRunConfig& config,
                                                               const RunBasis& basis,
                                                               int site_index) = 0;
  // Writes the model as model.pt (TorchScript with its preprocessing), to use outside.
  virtual absl::Status Export(const ParameterSet& model, const std::string& path,
                              const std::string& origin) = 0;
};

// Implemented over data and learn (src/learn/local_work.h), and by a tiny linear learner in tests.
class SiteWork {
 public:
  virtual ~SiteWork() = default;
  // Reads the images as the run wants them; slow at first, quick from the cache later.
  // InvalidArgument, NotFound: what is wrong with the images, in one line; FailedPrecondition: a
  // label that the run's classes and the site's mapping do not know.
  virtual absl::StatusOr<std::unique_ptr<PreparedRun>> Prepare(
      const FederatedRunConfig& config,
      const std::function<void(int64_t done, int64_t total)>& progress) = 0;
};

}  // namespace manako

#endif  // MANAKO_CORE_SITE_WORK_H_
