// How fast arrays become array files and come back.
//
//   bench_codec [--elements N] [--threads N] [--repeats 3]
//
// Prints one line of JSON for each encoding, with and without compression: gigabytes of float32
// (four bytes an element, whatever is stored) a second to encode (into nothing), to verify and to
// decode (from a file that the system has in memory), medians of the repeats; and the rates of
// SHA-256, CRC-32C and copying in the same run. The numbers are like a network's: a base of
// deviation 0.02, and a change of 0.0005 to it.
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/crc32c.h"
#include "base/hash.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "base/temporary_folder.h"
#include "core/codec/array_file_reader.h"
#include "core/codec/array_file_writer.h"
#include "core/parameter_set.h"

namespace manako {
namespace {

struct Flags {
  uint64_t elements = 11689512;  // ResNet-18
  uint64_t threads = 1;
  uint64_t repeats = 3;
};

double ProcessorSeconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// Gigabytes a second of the median run: of time, and of time of all processors.
absl::StatusOr<nlohmann::json> Rate(const Flags& flags, const std::function<absl::Status()>& run) {
  std::vector<double> seconds, processor;
  for (uint64_t i = 0; i < flags.repeats; ++i) {
    const double used = ProcessorSeconds();
    const auto began = std::chrono::steady_clock::now();
    MANAKO_RETURN_IF_ERROR(run());
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
    processor.push_back(ProcessorSeconds() - used);
  }
  const auto rate = [&](std::vector<double>& times) {
    std::sort(times.begin(), times.end());
    const double rate = 4e-9 * static_cast<double>(flags.elements) / times[times.size() / 2];
    return std::round(rate * 100) / 100;
  };
  return nlohmann::json{rate(seconds), rate(processor)};
}

absl::Status Plain(const Flags& flags, const FlatArray& values, FlatArray& other) {
  const std::string_view bytes(reinterpret_cast<const char*>(values.data()), 4 * flags.elements);
  nlohmann::json out = {{"elements", flags.elements}};
  MANAKO_ASSIGN_OR_RETURN(out["sha256"], Rate(flags, [&] {
                            return Sha256(bytes) == Sha256Digest{} ? Internal("met a rare digest")
                                                                   : absl::OkStatus();
                          }));
  MANAKO_ASSIGN_OR_RETURN(out["crc32c"], Rate(flags, [&] {
                            return Crc32c(bytes) == 1 ? Internal("met a rare checksum")
                                                      : absl::OkStatus();
                          }));
  MANAKO_ASSIGN_OR_RETURN(out["copy"], Rate(flags, [&] {
                            std::memcpy(other.data(), values.data(), bytes.size());
                            return absl::OkStatus();
                          }));
  fmt::print("{}\n", out.dump());
  return absl::OkStatus();
}

struct Case {
  ArrayEncoding encoding;
  bool compress = false;
};

struct Arrays {
  FlatArray values, base, residual, decoded;
};

absl::Status Run(const Flags& flags, const Case& what, Arrays& arrays, const std::string& path) {
  const bool lossy = IsLossy(what.encoding);
  const int threads = static_cast<int>(flags.threads);
  const ArrayFileHeader header{Sha256Hex("spec"),
                               Sha256Hex("base"),
                               kArrayBlock,
                               {{"model", flags.elements, what.encoding, lossy}}};
  const auto piece = [&] {
    return lossy ? ArrayPiece{arrays.values.values(), arrays.base.values(),
                              arrays.residual.values(), arrays.residual.values()}
                 : ArrayPiece{arrays.values.values(), arrays.base.values()};
  };
  nlohmann::json out = {
      {"encoding", NameOf(what.encoding)}, {"compress", what.compress}, {"threads", threads}};
  MANAKO_ASSIGN_OR_RETURN(
      out["encode"], Rate(flags, [&]() -> absl::Status {
        MANAKO_ASSIGN_OR_RETURN(
            const auto writer,
            ArrayFileWriter::Create(header, {threads, what.compress},
                                    [](std::string_view) { return absl::OkStatus(); }));
        MANAKO_RETURN_IF_ERROR(writer->Append(piece()));
        return writer->Finish().status();
      }));
  MANAKO_ASSIGN_OR_RETURN(
      const ArrayFileSummary summary,
      WriteArrayFile(path, header, std::vector<ArrayPiece>{piece()}, {threads, what.compress}));
  out["part_of_float32"] = std::round(static_cast<double>(summary.bytes) /
                                      static_cast<double>(4 * flags.elements) * 1000) /
                           1000;
  MANAKO_ASSIGN_OR_RETURN(const auto reader, ArrayFileReader::Open(path));
  MANAKO_ASSIGN_OR_RETURN(out["verify"], Rate(flags, [&] {
                            ArrayVerifyOptions options;
                            options.threads = threads;
                            // Only what is coded against the base needs it.
                            if (!lossy && what.compress)
                              options.base = BaseOf("model", arrays.base.values());
                            return reader->VerifyAll(options).status();
                          }));
  MANAKO_ASSIGN_OR_RETURN(out["decode"], Rate(flags, [&]() -> absl::Status {
                            for (uint64_t k = 0; k < header.Blocks(0); ++k) {
                              const size_t n = header.BlockSize(0, k);
                              MANAKO_RETURN_IF_ERROR(reader->ReadValues(
                                  0, k, arrays.decoded.values().subspan(k * kArrayBlock, n),
                                  arrays.base.values().subspan(k * kArrayBlock, n)));
                            }
                            return absl::OkStatus();
                          }));
  fmt::print("{}\n", out.dump());
  return absl::OkStatus();
}

absl::Status RunAll(const Flags& flags) {
  const TemporaryFolder folder;
  const auto n = static_cast<int64_t>(flags.elements);
  Arrays arrays{FlatArray(n), FlatArray(n), FlatArray(n), FlatArray(n)};
  constexpr int64_t kDistinct = 1 << 20;  // repeated so far apart that no block sees it twice
  Random random(7, "numbers");
  for (int64_t i = 0; i < n; ++i) {
    if (i >= kDistinct) {
      arrays.base.data()[i] = arrays.base.data()[i - kDistinct];
      arrays.values.data()[i] = arrays.values.data()[i - kDistinct];
      continue;
    }
    arrays.base.data()[i] = static_cast<float>(0.02 * random.Normal());
    arrays.values.data()[i] = arrays.base.data()[i] + static_cast<float>(0.0005 * random.Normal());
  }
  MANAKO_RETURN_IF_ERROR(Plain(flags, arrays.values, arrays.decoded));
  for (const bool compress : {false, true}) {
    for (const ArrayEncoding encoding : {ArrayEncoding::kFloat32, ArrayEncoding::kBfloat16,
                                         ArrayEncoding::kFloat16, ArrayEncoding::kInt8}) {
      MANAKO_RETURN_IF_ERROR(Run(flags, {encoding, compress}, arrays, folder.path() + "/arrays"));
    }
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace manako

int main(int argc, char** argv) {
  manako::Flags flags;
  bool good = argc % 2 == 1;
  for (int i = 1; good && i < argc; i += 2) {
    const std::string_view flag = argv[i];
    uint64_t* value = flag == "--elements"  ? &flags.elements
                      : flag == "--threads" ? &flags.threads
                      : flag == "--repeats" ? &flags.repeats
                                            : nullptr;
    good = value != nullptr && (*value = std::strtoull(argv[i + 1], nullptr, 10)) > 0;
  }
  if (!good) {
    fmt::print(stderr, "usage: bench_codec [--elements N] [--threads N] [--repeats N]\n");
    return 2;
  }
  if (const absl::Status status = manako::RunAll(flags); !status.ok()) {
    fmt::print(stderr, "bench_codec: {}\n", manako::MessageOf(status));
    return 1;
  }
  return 0;
}
