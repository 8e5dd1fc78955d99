// Fuzzes the reading of array files: no bytes may crash it or make it take memory, and what it
// accepts must be whole. Checksums are not looked at in this build.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "core/codec/array_file_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto reader =
      manako::ArrayFileReader::OpenBytes({reinterpret_cast<const char*>(data), size});
  if (!reader.ok()) return 0;
  const auto base = [](std::string_view, uint64_t, std::span<float> out) {
    std::fill(out.begin(), out.end(), 1.0f);
    return absl::OkStatus();
  };
  const auto summary = (*reader)->VerifyAll({1, base});
  const manako::ArrayFileHeader& header = (*reader)->header();
  bool whole = true;
  for (size_t section = 0; section < header.sections.size(); ++section) {
    for (uint64_t k = 0; k < header.Blocks(section); ++k) {
      const std::vector<float> ones(header.BlockSize(section, k), 1.0f);
      std::vector<float> values(ones.size());
      whole = (*reader)->ReadValues(section, k, values, ones).ok() && whole;
    }
  }
  if (summary.ok() != whole) std::abort();
  // A header that was read can be written again.
  if (!manako::SerializeHeader(header).ok()) std::abort();
  return 0;
}
