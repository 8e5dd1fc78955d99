#include "server/run_folder.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/files.h"
#include "base/status_macros.h"
#include "core/codec/array_file_writer.h"
#include "core/codec/ordered_pipeline.h"
#include "round/fedavg.h"

namespace manako {
namespace {

using nlohmann::json;

ArrayFileHeader ModelHeader(const ModelSpec& spec, ArrayEncoding encoding) {
  ArrayFileHeader header;
  header.spec_hash = spec.hash();
  header.sections = {{"model", static_cast<uint64_t>(spec.size()), encoding, /*is_change=*/false}};
  return header;
}

ArrayFileExpectation ModelExpectation(const ModelSpec& spec) {
  ArrayFileExpectation expected;
  expected.spec_hash = spec.hash();
  expected.arrays = {{"model", static_cast<uint64_t>(spec.size())}};
  return expected;
}

ArtifactId IdOf(const ArrayFileSummary& summary) {
  return {summary.sha256, static_cast<int64_t>(summary.bytes)};
}

// Models go to every site and are made anew every round: compressing them costs more than it saves
// on any line but a slow one, and float32 parameters hardly become smaller.
constexpr bool kCompressModels = false;

// An array file that is written block by block and appears under its name when it is whole.
class ModelFile {
 public:
  static absl::StatusOr<std::unique_ptr<ModelFile>> Create(const ModelSpec& spec,
                                                           ArrayEncoding encoding,
                                                           const std::string& path) {
    auto file = std::unique_ptr<ModelFile>(new ModelFile);
    MANAKO_ASSIGN_OR_RETURN(file->file_, AtomicFileWriter::Create(path));
    ArrayWriteOptions options;
    options.compress = kCompressModels;
    MANAKO_ASSIGN_OR_RETURN(
        file->writer_, ArrayFileWriter::Create(ModelHeader(spec, encoding), options,
                                               [sink = file->file_.get()](std::string_view bytes) {
                                                 return sink->Append(bytes);
                                               }));
    return file;
  }
  absl::Status Append(std::span<const float> values) { return writer_->Append({.values = values}); }
  absl::StatusOr<ArtifactId> Finish() {
    MANAKO_ASSIGN_OR_RETURN(const ArrayFileSummary summary, writer_->Finish());
    MANAKO_RETURN_IF_ERROR(file_->Commit());
    return IdOf(summary);
  }

 private:
  ModelFile() = default;
  std::unique_ptr<AtomicFileWriter> file_;
  std::unique_ptr<ArrayFileWriter> writer_;
};

}  // namespace

std::string RunFolder::ModelPath(int round) const {
  return fmt::format("{}/models/round-{}.arr", path_, round);
}
std::string RunFolder::WirePath(int round) const {
  return fmt::format("{}/models/round-{}.wire", path_, round);
}
std::string RunFolder::OwnModelPath(const std::string& site) const {
  return fmt::format("{}/models/own-{}.arr", path_, site);
}
std::string RunFolder::PartPath(const std::string& site) const {
  return fmt::format("{}/incoming/{}.part", path_, site);
}
std::string RunFolder::SpoolFolder(int round) const {
  return fmt::format("{}/spool/{}", path_, round);
}
std::string RunFolder::SpoolPath(int round, const std::string& site,
                                 const std::string& sha256) const {
  return fmt::format("{}/{}.{}.arr", SpoolFolder(round), site, sha256);
}

absl::Status RunFolder::Create(const ParameterSet& initial, ArrayEncoding encoding,
                               int threads) const {
  for (const char* folder : {"", "/models", "/incoming", "/spool"})
    MANAKO_RETURN_IF_ERROR(MakeFolders(path_ + folder));
  MANAKO_RETURN_IF_ERROR(WriteFileAtomically(path_ + "/spec.json", SpecToJson(*initial.spec)));
  MANAKO_RETURN_IF_ERROR(
      WriteModelFile(initial, ArrayEncoding::kFloat32, ModelPath(0), threads).status());
  if (IsLossy(encoding))
    MANAKO_RETURN_IF_ERROR(WriteModelFile(initial, encoding, WirePath(0), threads).status());
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const ModelSpec>> RunFolder::Spec() const {
  const std::string path = path_ + "/spec.json";
  MANAKO_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, 64 << 20));
  auto spec = SpecFromJson(text);
  MANAKO_RETURN_IF_ERROR(Annotate(spec.status(), path));
  return std::make_shared<const ModelSpec>(*std::move(spec));
}

absl::StatusOr<ArtifactId> IdentifyArtifact(const std::string& path, int threads,
                                            const std::string& base_path) {
  MANAKO_ASSIGN_OR_RETURN(const auto reader, ArrayFileReader::Open(path));
  ArrayVerifyOptions options;
  options.threads = threads;
  std::unique_ptr<ArrayFileReader> base;
  if (!base_path.empty()) {
    MANAKO_ASSIGN_OR_RETURN(base, ArrayFileReader::Open(base_path));
    options.base = BaseOf(*base);
  }
  MANAKO_ASSIGN_OR_RETURN(const ArrayFileSummary summary, reader->VerifyAll(options));
  return IdOf(summary);
}

absl::StatusOr<ArtifactId> WriteModelFile(const ParameterSet& model, ArrayEncoding encoding,
                                          const std::string& path, int threads) {
  const std::vector<ArrayPiece> pieces = {{.values = model.values.values()}};
  MANAKO_ASSIGN_OR_RETURN(const ArrayFileSummary summary,
                          WriteArrayFile(path, ModelHeader(*model.spec, encoding), pieces,
                                         {.threads = threads, .compress = kCompressModels}));
  return IdOf(summary);
}

absl::StatusOr<ParameterSet> ReadModelFile(const std::string& path,
                                           std::shared_ptr<const ModelSpec> spec, int threads) {
  MANAKO_ASSIGN_OR_RETURN(const auto reader, ArrayFileReader::Open(path, ModelExpectation(*spec)));
  MANAKO_RETURN_IF_ERROR(
      Annotate(reader->VerifyAll({.threads = threads, .base = {}}).status(), path));
  ParameterSet model = ParameterSet::Zero(std::move(spec));
  MANAKO_RETURN_IF_ERROR(Annotate(reader->ReadRange(0, 0, model.values.values()), path));
  return model;
}

namespace {

// A block of a late update, as values of the round that it counts in: that round's model and what
// the update changed in the older one.
absl::Status ReadLate(const ArrayFileReader& update, const ArrayFileReader& older, size_t array,
                      uint64_t block, std::span<const float> global, std::span<float> out) {
  if (update.header().sections[array].is_change)
    return update.ReadValues(array, block, out, global);
  std::vector<float> base(out.size());
  MANAKO_RETURN_IF_ERROR(older.ReadBlock(0, block, base));
  MANAKO_RETURN_IF_ERROR(update.ReadValues(array, block, out, base));
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<float>(static_cast<double>(global[i]) +
                                (static_cast<double>(out[i]) - static_cast<double>(base[i])));
  }
  return absl::OkStatus();
}

// Reduces updates of `round` to `path`, and to `wire_path` in another encoding unless that is
// empty.
absl::StatusOr<RoundFiles> Reduce(const RunFolder& folder, const ModelSpec& spec,
                                  const Strategy& strategy, int round,
                                  std::vector<SpooledUpdate> updates, ArrayEncoding encoding,
                                  int threads, const std::string& path,
                                  const std::string& wire_path) {
  if (updates.empty())
    return InvalidArgument("no site has answered round {}: there is nothing to average", round);
  if (!strategy.UpdateArrays().empty() || !strategy.SentArrays().empty() ||
      !strategy.KeptArrays().empty()) {
    return absl::UnimplementedError("a server cannot yet keep a strategy's own arrays");
  }
  std::sort(updates.begin(), updates.end(),
            [](const auto& a, const auto& b) { return a.site < b.site; });
  MANAKO_ASSIGN_OR_RETURN(const auto before, ArrayFileReader::Open(folder.ModelPath(round - 1),
                                                                   ModelExpectation(spec)));
  std::vector<std::unique_ptr<ArrayFileReader>> readers, older;
  std::vector<WeightedUpdate> weighted;
  for (const SpooledUpdate& update : updates) {
    auto reader = ArrayFileReader::Open(update.path, ModelExpectation(spec));
    MANAKO_RETURN_IF_ERROR(Annotate(reader.status(), "update of " + update.site));
    const ArrayFileReader* source = reader->get();
    if (source->header().block_elements != kArrayBlock) {
      return DataLoss("update of {}: its blocks have {} elements, not {}", update.site,
                      source->header().block_elements, kArrayBlock);
    }
    readers.push_back(*std::move(reader));
    if (update.trained_in > 0) {
      MANAKO_ASSIGN_OR_RETURN(
          auto base,
          ArrayFileReader::Open(folder.ModelPath(update.trained_in - 1), ModelExpectation(spec)));
      weighted.push_back(
          {update.site, update.weight,
           [source, base = base.get()](size_t array, int64_t first, std::span<const float> global,
                                       std::span<float> out) {
             return ReadLate(*source, *base, array, static_cast<uint64_t>(first) / kArrayBlock,
                             global, out);
           }});
      older.push_back(std::move(base));
      continue;
    }
    weighted.push_back({update.site, update.weight,
                        [source](size_t array, int64_t first, std::span<const float> global,
                                 std::span<float> out) {
                          return source->ReadValues(
                              array, static_cast<uint64_t>(first) / kArrayBlock, out, global);
                        }});
  }
  static_assert(kReductionStretch == kArrayBlock);

  MANAKO_ASSIGN_OR_RETURN(const auto model, ModelFile::Create(spec, ArrayEncoding::kFloat32, path));
  std::unique_ptr<ModelFile> wire;
  if (!wire_path.empty()) {
    MANAKO_ASSIGN_OR_RETURN(wire, ModelFile::Create(spec, encoding, wire_path));
  }
  const auto blocks = static_cast<size_t>(before->header().TotalBlocks());
  const size_t slots = PipelineSlots(threads);
  std::vector<std::vector<float>> values(slots);
  std::vector<StretchReducer> reducers(slots, StretchReducer(&strategy, &weighted, round));
  const auto work = [&](size_t slot, size_t k) -> absl::Status {
    values[slot].resize(before->header().BlockSize(0, k));
    MANAKO_RETURN_IF_ERROR(
        Annotate(before->ReadBlock(0, k, values[slot]), folder.ModelPath(round - 1)));
    Stretch stretch;
    stretch.model = values[slot];
    return reducers[slot].Reduce(static_cast<int64_t>(k) * kReductionStretch, stretch);
  };
  const auto take = [&](size_t slot, size_t) -> absl::Status {
    MANAKO_RETURN_IF_ERROR(model->Append(values[slot]));
    return wire == nullptr ? absl::OkStatus() : wire->Append(values[slot]);
  };
  MANAKO_RETURN_IF_ERROR(OrderedPipeline(threads, blocks, work, take));
  RoundFiles files;
  // The .wire first: the model's name means that both are there.
  if (wire != nullptr) {
    MANAKO_ASSIGN_OR_RETURN(files.wire, wire->Finish());
  }
  MANAKO_ASSIGN_OR_RETURN(files.model, model->Finish());
  if (wire == nullptr) files.wire = files.model;
  return files;
}

}  // namespace

absl::StatusOr<RoundFiles> ReduceRoundFiles(const RunFolder& folder, const ModelSpec& spec,
                                            const Strategy& strategy, int round,
                                            std::vector<SpooledUpdate> updates,
                                            ArrayEncoding encoding, int threads) {
  return Reduce(folder, spec, strategy, round, std::move(updates), encoding, threads,
                folder.ModelPath(round), IsLossy(encoding) ? folder.WirePath(round) : "");
}

absl::StatusOr<ArtifactId> WriteOwnModel(const RunFolder& folder, const ModelSpec& spec, int round,
                                         const SpooledUpdate& update, int threads) {
  const FedAvg alone(Weighting::kUniform);
  MANAKO_ASSIGN_OR_RETURN(
      const RoundFiles files,
      Reduce(folder, spec, alone, round, {{update.site, 1.0, update.path, update.trained_in}},
             ArrayEncoding::kFloat32, threads, folder.OwnModelPath(update.site), ""));
  return files.model;
}

std::string SpecToJson(const ModelSpec& spec) {
  json tensors = json::array();
  for (const TensorSpec& tensor : spec.tensors()) {
    tensors.push_back({{"name", tensor.name},
                       {"shape", tensor.shape},
                       {"kind", tensor.kind == TensorKind::kParameter ? "parameter" : "buffer"}});
  }
  return json{{"hash", spec.hash()}, {"tensors", tensors}}.dump(1);
}

absl::StatusOr<ModelSpec> SpecFromJson(const std::string& text) {
  try {
    const json value = json::parse(text);
    std::vector<ModelSpec::Entry> entries;
    for (const json& tensor : value.at("tensors")) {
      entries.push_back(
          {tensor.at("name").get<std::string>(), tensor.at("shape").get<std::vector<int64_t>>(),
           tensor.at("kind").get<std::string>() == "buffer" ? TensorKind::kBuffer
                                                            : TensorKind::kParameter});
    }
    MANAKO_ASSIGN_OR_RETURN(ModelSpec spec, ModelSpec::Create(entries));
    if (spec.hash() != value.at("hash").get<std::string>())
      return DataLoss("the tensors are not those that its hash names");
    return spec;
  } catch (const json::exception& error) {
    return DataLoss("cannot be read: {}", error.what());
  }
}

}  // namespace manako
