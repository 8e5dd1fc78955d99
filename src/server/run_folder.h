// Where a run's files lie at the server. All of them are written whole or not at all, and named in
// the database only when they are on the disk: what the database does not name is left over from a
// crash and may be removed.
//
//     runs/RUN/spec.json            names and shapes of the model's tensors
//     runs/RUN/models/round-N.arr   the global model behind round N, float32
//     runs/RUN/models/round-N.wire  the same as the sites are given it, where the run's encoding is
//     another runs/RUN/models/own-SITE.arr  a site's own last model, for cross-site tests
//     runs/RUN/incoming/SITE.part   an upload under way
//     runs/RUN/spool/N/SITE.arr     a kept update of the open round N
#ifndef MANAKO_SERVER_RUN_FOLDER_H_
#define MANAKO_SERVER_RUN_FOLDER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/codec/array_file_reader.h"
#include "core/federation.h"
#include "core/model_spec.h"
#include "round/reduction.h"

namespace manako {

class RunFolder {
 public:
  explicit RunFolder(std::string path) : path_(std::move(path)) {}
  const std::string& path() const { return path_; }

  std::string ModelPath(int round) const;
  std::string WirePath(int round) const;
  std::string OwnModelPath(const std::string& site) const;
  std::string PartPath(const std::string& site) const;
  std::string SpoolFolder(int round) const;
  // By what it holds, so that one name has one content: whoever puts an update there takes nobody
  // else's place.
  std::string SpoolPath(int round, const std::string& site, const std::string& sha256) const;

  // Makes the folder with its first model: what a new run needs. Returns the model's artifact as
  // sites are given it.
  absl::Status Create(const ParameterSet& initial, ArrayEncoding encoding, int threads) const;
  absl::StatusOr<std::shared_ptr<const ModelSpec>> Spec() const;

 private:
  std::string path_;
};

// Name and size of an array file, by reading it whole: DataLoss when it is damaged. An update may
// be coded against the model that it was trained from: `base_path`.
absl::StatusOr<ArtifactId> IdentifyArtifact(const std::string& path, int threads,
                                            const std::string& base_path = "");

// A model's array file, header and all, as Create() and CloseRoundFiles() write it.
absl::StatusOr<ArtifactId> WriteModelFile(const ParameterSet& model, ArrayEncoding encoding,
                                          const std::string& path, int threads);

struct SpooledUpdate {
  std::string site;
  double weight = 0;
  std::string path;
  // Of a late one the round before: it was trained from the model that that round began from, and
  // what it changed there counts as a change of this round's. 0: of this round.
  int trained_in = 0;
};

// The next global model from the updates of `round` in the spool: reads the model behind round - 1,
// block by block, and writes that behind `round` (and its .wire). Memory: some blocks for each
// thread, whatever the model's size and the number of sites. DataLoss: a spooled update ("update of
// SITE: ...") or the model is damaged.
struct RoundFiles {
  ArtifactId model, wire;  // the same where the encoding is float32
};
absl::StatusOr<RoundFiles> ReduceRoundFiles(const RunFolder& folder, const ModelSpec& spec,
                                            const Strategy& strategy, int round,
                                            std::vector<SpooledUpdate> updates,
                                            ArrayEncoding encoding, int threads);

// A site's own model as a model file of its own: the reduction of its update alone.
absl::StatusOr<ArtifactId> WriteOwnModel(const RunFolder& folder, const ModelSpec& spec, int round,
                                         const SpooledUpdate& update, int threads);

// A model's array file back in memory, checked.
absl::StatusOr<ParameterSet> ReadModelFile(const std::string& path,
                                           std::shared_ptr<const ModelSpec> spec, int threads);

std::string SpecToJson(const ModelSpec& spec);
absl::StatusOr<ModelSpec> SpecFromJson(const std::string& text);

}  // namespace manako

#endif  // MANAKO_SERVER_RUN_FOLDER_H_
