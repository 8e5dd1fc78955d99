// How fast a round's spooled updates become the next model: ReduceRoundFiles(), as the server calls
// it, on files in the page cache; beside the same bytes read and added in memory, in the same run.
//
//   bench_aggregate [--elements 11689512] [--updates 10] [--threads 2] [--repeats 5]
//
// Bytes are the updates': four for each element of each. `memory` is a loop that reads arrays of
// floats and adds them up in doubles, on as many threads; no more than ten arrays are really there,
// and used in turn, which is far more than any cache holds. The new model's file is hashed,
// written and synced within the time, as in a round. Prints one line of JSON. TMPDIR says on which
// disk.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/status_macros.h"
#include "base/temporary_folder.h"
#include "base/thread_pool.h"
#include "bench/federation.h"
#include "core/codec/array_file_writer.h"
#include "core/parameter_set.h"
#include "round/fedavg.h"
#include "server/run_folder.h"

namespace manako::bench {
namespace {

struct Flags {
  int64_t elements = 11689512;  // ResNet-18
  int updates = 10, threads = 2, repeats = 5;
};

constexpr int kMostArrays = 10;

ParameterSet Model(std::shared_ptr<const ModelSpec> spec, int number) {
  ParameterSet model = ParameterSet::Zero(std::move(spec));
  float* values = model.values.data();
  for (int64_t i = 0; i < model.values.size(); ++i)
    values[i] = 0.02f * std::sin(static_cast<float>(i % 65521) + static_cast<float>(number));
  return model;
}

__attribute__((optimize("O3"))) void Add(const float* __restrict values, size_t n,
                                         double* __restrict sum) {
  for (size_t i = 0; i < n; ++i) sum[i] += static_cast<double>(values[i]);
}

// Seconds for all updates' elements, stretch by stretch, so that the sums stay in the cache.
double AddInMemory(const std::vector<ParameterSet>& arrays, const Flags& flags) {
  constexpr int64_t kStretch = 4096;
  const auto stretches = static_cast<size_t>((flags.elements + kStretch - 1) / kStretch);
  const double began = Seconds();
  ParallelFor(flags.threads, static_cast<size_t>(flags.threads), [&](size_t thread) {
    std::vector<double> sum(kStretch);
    const size_t share = stretches / static_cast<size_t>(flags.threads) + 1;
    for (size_t k = thread * share; k < std::min(stretches, (thread + 1) * share); ++k) {
      const int64_t first = static_cast<int64_t>(k) * kStretch;
      const auto n = static_cast<size_t>(std::min(kStretch, flags.elements - first));
      std::fill(sum.begin(), sum.end(), 0.0);
      for (int u = 0; u < flags.updates; ++u) {
        // An array that is used again is read elsewhere: what was read just now is in the cache.
        const int64_t shifted = (first + (u / kMostArrays) * (flags.elements / 16)) %
                                std::max<int64_t>(1, flags.elements - kStretch);
        Add(arrays[static_cast<size_t>(u) % arrays.size()].values.data() + shifted, n, sum.data());
      }
      asm volatile("" : : "r"(sum.data()) : "memory");
    }
  });
  return Seconds() - began;
}

absl::Status Run(const Flags& flags) {
  const TemporaryFolder place;
  const RunFolder folder(place / "run");
  const auto spec = SpecOf(flags.elements);
  MANAKO_RETURN_IF_ERROR(folder.Create(Model(spec, 0), ArrayEncoding::kFloat32, 1));
  MANAKO_ASSIGN_OR_RETURN(const ArtifactId base, IdentifyArtifact(folder.ModelPath(0), 1));
  MANAKO_RETURN_IF_ERROR(MakeFolders(folder.SpoolFolder(1)));
  std::vector<ParameterSet> arrays;
  std::vector<SpooledUpdate> updates;
  ArrayFileHeader header;
  header.spec_hash = spec->hash();
  header.base_digest = base.sha256;
  header.sections = {
      {"model", static_cast<uint64_t>(spec->size()), ArrayEncoding::kFloat32, false}};
  for (int u = 0; u < flags.updates; ++u) {
    if (u < kMostArrays) arrays.push_back(Model(spec, u + 1));
    const ParameterSet& model = arrays[static_cast<size_t>(u) % arrays.size()];
    const std::vector<ArrayPiece> pieces = {{.values = model.values.values()}};
    const std::string site = fmt::format("site-{:03}", u),
                      path = folder.SpoolPath(1, site, "bench");
    MANAKO_RETURN_IF_ERROR(
        WriteArrayFile(path, header, pieces, {.threads = 1, .compress = false}).status());
    updates.push_back({site, 80.0 + u, path});
  }
  const FedAvg strategy(Weighting::kImages);
  std::vector<double> reduced, in_memory;
  for (int i = 0; i < flags.repeats; ++i) {
    in_memory.push_back(AddInMemory(arrays, flags));
    const double began = Seconds();
    MANAKO_RETURN_IF_ERROR(ReduceRoundFiles(folder, *spec, strategy, 1, updates,
                                            ArrayEncoding::kFloat32, flags.threads)
                               .status());
    reduced.push_back(Seconds() - began);
  }
  const double gigabytes = 4e-9 * static_cast<double>(flags.elements) * flags.updates;
  const double memory = gigabytes / Median(in_memory), files = gigabytes / Median(reduced);
  nlohmann::ordered_json out = {{"elements", flags.elements},
                                {"updates", flags.updates},
                                {"threads", flags.threads},
                                {"input_gb", Rounded(gigabytes)},
                                {"reduce_s", Rounded(Median(reduced))},
                                {"reduce_gb_s", Rounded(files)},
                                {"memory_gb_s", Rounded(memory)},
                                {"share", Rounded(files / memory)},
                                {"peak_mb", Rounded(StatusKb(::getpid(), "VmHWM") / 1024.0)}};
  fmt::print("{}\n", out.dump());
  return absl::OkStatus();
}

absl::Status Parse(int argc, char** argv, Flags& flags) {
  MANAKO_RETURN_IF_ERROR(ParseFlags(argc, argv,
                                    {{"--elements", &flags.elements},
                                     {"--updates", &flags.updates},
                                     {"--threads", &flags.threads},
                                     {"--repeats", &flags.repeats}}));
  if (flags.elements < 1 || flags.updates < 1 || flags.threads < 1 || flags.repeats < 1)
    return InvalidArgument("all numbers must be above 0");
  return absl::OkStatus();
}

}  // namespace
}  // namespace manako::bench

int main(int argc, char** argv) {
  manako::bench::Flags flags;
  absl::Status status = manako::bench::Parse(argc, argv, flags);
  if (status.ok()) status = manako::bench::Run(flags);
  return manako::bench::ExitCode(status);
}
