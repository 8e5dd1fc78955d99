#include "site/model_files.h"

#include <cmath>
#include <mutex>
#include <utility>

#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "core/codec/array_file_reader.h"

namespace manako {
namespace {

constexpr char kModel[] = "model";

absl::Status ReadSection(const ArrayFileReader& reader, size_t section, int threads,
                         FlatArray& out) {
  const uint64_t blocks = reader.header().Blocks(section);
  std::mutex mutex;
  absl::Status first_error;
  ParallelFor(threads, blocks, [&](size_t k) {
    const size_t at = k * reader.header().block_elements;
    const std::span<float> block = out.values().subspan(at, reader.header().BlockSize(section, k));
    if (absl::Status status = reader.ReadValues(section, k, block); !status.ok()) {
      std::lock_guard lock(mutex);
      if (first_error.ok()) first_error = status;
    }
  });
  return first_error;
}

}  // namespace

absl::StatusOr<GivenModel> ReadModel(const std::string& path, std::shared_ptr<const ModelSpec> spec,
                                     int threads) {
  ArrayFileExpectation expected;
  expected.spec_hash = spec->hash();
  MANAKO_ASSIGN_OR_RETURN(const auto reader, ArrayFileReader::Open(path, expected));
  const ArrayFileHeader& header = reader->header();
  const int model_section = header.Find(kModel);
  if (model_section < 0) return FailedPrecondition("{} holds no model", path);
  // What is allocated is what the site's own network needs, whatever the file says; extra arrays go
  // along with its parameters.
  for (const ArraySection& section : header.sections) {
    const bool fits = section.name == kModel
                          ? section.elements == static_cast<uint64_t>(spec->size())
                          : section.elements <= static_cast<uint64_t>(spec->size());
    if (!fits) {
      return FailedPrecondition("{} has {} numbers in {}, but the network has {}", path,
                                section.elements, section.name, spec->size());
    }
  }
  GivenModel given;
  std::vector<NamedArray> extra;
  for (size_t i = 0; i < header.sections.size(); ++i) {
    FlatArray values(static_cast<int64_t>(header.sections[i].elements));
    MANAKO_RETURN_IF_ERROR(ReadSection(*reader, i, threads, values));
    if (static_cast<int>(i) == model_section) {
      given.exact = header.sections[i].encoding == ArrayEncoding::kFloat32;
      given.model = std::make_shared<const ParameterSet>(ParameterSet{spec, std::move(values)});
    } else {
      extra.push_back({header.sections[i].name, std::move(values)});
    }
  }
  if (!extra.empty())
    given.extra = std::make_shared<const std::vector<NamedArray>>(std::move(extra));
  return given;
}

absl::StatusOr<WrittenUpdate> WriteUpdate(const Update& update, const GivenModel& given,
                                          const RoundTask& task, const std::string& encoding,
                                          std::optional<FlatArray>& residual,
                                          const std::string& path,
                                          const ArrayWriteOptions& options) {
  MANAKO_RETURN_IF_ERROR(given.model->spec->CheckSame(*update.model.spec));
  MANAKO_RETURN_IF_ERROR(update.model.CheckFinite());
  MANAKO_ASSIGN_OR_RETURN(const ArrayEncoding how, ParseArrayEncoding(encoding));
  const int64_t size = update.model.values.size();
  ArrayFileHeader header;
  header.spec_hash = given.model->spec->hash();
  header.base_digest = task.model.sha256;
  header.sections.push_back({kModel, static_cast<uint64_t>(size), how, IsLossy(how)});
  std::vector<ArrayPiece> pieces(1);
  pieces[0].values = update.model.values.values();
  pieces[0].base = given.model->values.values();
  if (IsLossy(how)) {
    if (!residual || residual->size() != size) residual = FlatArray(size);
    pieces[0].residual = residual->values();
    pieces[0].new_residual = residual->values();
  } else {
    residual.reset();
  }
  for (const NamedArray& array : update.extra) {
    header.sections.push_back(
        {array.name, static_cast<uint64_t>(array.values.size()), ArrayEncoding::kFloat32, false});
    pieces.push_back({array.values.values(), {}, {}, {}});
  }
  MANAKO_ASSIGN_OR_RETURN(const ArrayFileSummary summary,
                          WriteArrayFile(path, header, pieces, options));
  for (size_t i = 0; i < summary.sections.size(); ++i) {
    if (summary.sections[i].first_non_finite >= 0) {
      return InvalidArgument("number {} of {} is not finite", summary.sections[i].first_non_finite,
                             header.sections[i].name);
    }
  }
  const double l2 = IsLossy(how) ? summary.sections[0].l2 : summary.sections[0].change_l2;
  if (!std::isfinite(l2)) return InvalidArgument("the change of the model has no finite norm");
  return WrittenUpdate{{summary.sha256, static_cast<int64_t>(summary.bytes)}, l2};
}

}  // namespace manako
