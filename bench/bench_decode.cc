// How fast a folder of images becomes what training reads: decoded into a new cache, and found in
// one.
//
//   bench_decode FOLDER --size 224 --threads 2 [--crop off]
//
// Prints one line of JSON: images, and for either way seconds and images a second. Both are what a
// study does before it trains: find the files, decode or check every image, look for duplicates.
// The cache lives in a temporary folder.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "base/status_macros.h"
#include "base/temporary_folder.h"
#include "data/dataset.h"

namespace manako {
namespace {

struct Flags {
  std::string folder;
  std::string crop = "auto";
  int size = 224;
  int threads = 1;
};

struct Reading {
  double seconds = 0;
  size_t images = 0;
};

absl::StatusOr<Reading> TimeReading(const Flags& flags, const std::string& cache) {
  DatasetOptions options;
  options.config.path = flags.folder;
  options.config.image_size = flags.size;
  options.config.crop = flags.crop;
  options.cache_folder = cache;
  options.threads = flags.threads;
  const auto began = std::chrono::steady_clock::now();
  MANAKO_ASSIGN_OR_RETURN(const Dataset dataset, ReadDataset(options));
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - began;
  if (!dataset.bad.empty()) {
    return InvalidArgument("{} of {} cannot be read ({}): give whole images", dataset.bad[0].file,
                           flags.folder, dataset.bad[0].why);
  }
  return Reading{taken.count(), dataset.images.size()};
}

absl::Status Run(const Flags& flags) {
  const TemporaryFolder cache;
  nlohmann::json out;
  for (const char* way : {"decode", "cached"}) {
    MANAKO_ASSIGN_OR_RETURN(const Reading reading, TimeReading(flags, cache.path()));
    out["images"] = reading.images;
    out[way] = {{"seconds", reading.seconds},
                {"images_per_second", static_cast<double>(reading.images) / reading.seconds}};
  }
  fmt::print("{}\n", out.dump());
  return absl::OkStatus();
}

// The value behind a flag as a positive number; 0 for anything else.
int Number(const char* text) {
  char* end = nullptr;
  const long value = std::strtol(text, &end, 10);
  return *end == '\0' && value > 0 && value <= 4096 ? static_cast<int>(value) : 0;
}

}  // namespace
}  // namespace manako

int main(int argc, char** argv) {
  manako::Flags flags;
  bool good = argc >= 2 && argc % 2 == 0;
  if (good) flags.folder = argv[1];
  for (int i = 2; good && i < argc; i += 2) {
    const std::string flag = argv[i];
    if (flag == "--size") {
      flags.size = manako::Number(argv[i + 1]);
    } else if (flag == "--threads") {
      flags.threads = manako::Number(argv[i + 1]);
    } else if (flag == "--crop") {
      flags.crop = argv[i + 1];
    } else {
      good = false;
    }
  }
  if (!good || flags.size == 0 || flags.threads == 0) {
    fmt::print(stderr,
               "usage: bench_decode FOLDER [--size PIXELS] [--threads N] [--crop auto|on|off]\n");
    return 2;
  }
  if (const absl::Status status = manako::Run(flags); !status.ok()) {
    fmt::print(stderr, "bench_decode: {}\n", manako::MessageOf(status));
    return 1;
  }
  return 0;
}
