// Models and updates of a run between learner and array files (core/codec).
#ifndef MANAKO_SITE_MODEL_FILES_H_
#define MANAKO_SITE_MODEL_FILES_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/codec/array_file_writer.h"
#include "core/federation.h"
#include "core/learner.h"

namespace manako {

struct GivenModel {
  std::shared_ptr<const ParameterSet> model;
  std::shared_ptr<const std::vector<NamedArray>> extra;  // sections beside "model"; null: none
  bool exact = true;  // stored in float32, so that its digest must be the server's
};

// Reads a model that the server gave: section "model", which must be of `spec`, and whatever the
// strategy sent along. FailedPrecondition: another network; DataLoss: a damaged file.
absl::StatusOr<GivenModel> ReadModel(const std::string& path, std::shared_ptr<const ModelSpec> spec,
                                     int threads);

struct WrittenUpdate {
  ArtifactId artifact;
  double l2 = 0;  // of the change of the model
};

// Writes an update against the model that it was trained from, which the file names by
// its SHA-256 (task.model): "model", in float32 as values (coded against the given model, which
// loses nothing) or else as a change; then update.extra in float32. `residual` is what earlier
// updates lost to the encoding, and then what this one and they did; none for float32, and before
// the first. After an error it is of no use. InvalidArgument: a number that is not finite.
absl::StatusOr<WrittenUpdate> WriteUpdate(const Update& update, const GivenModel& given,
                                          const RoundTask& task, const std::string& encoding,
                                          std::optional<FlatArray>& residual,
                                          const std::string& path,
                                          const ArrayWriteOptions& options);

}  // namespace manako

#endif  // MANAKO_SITE_MODEL_FILES_H_
