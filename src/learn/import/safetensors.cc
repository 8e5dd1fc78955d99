#include "learn/import/safetensors.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "learn/import/byte_reader.h"
#include "learn/import/checks.h"
#include "learn/import/convert.h"
#include "learn/import/safetensors_header.h"

namespace manako {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the reference implementation's own limit

absl::Status CheckEntry(const SafetensorsEntry& entry, uint64_t data_bytes, ValueBudget& budget) {
  MANAKO_RETURN_IF_ERROR(CheckTensorName(entry.name));
  if (entry.begin > entry.end || entry.end > data_bytes) {
    return InvalidArgument("tensor {} lies at bytes {} to {}, but the data has {} bytes",
                           Quoted(entry.name), entry.begin, entry.end, data_bytes);
  }
  absl::StatusOr<uint64_t> count = ElementCount(entry.shape);
  if (!count.ok()) return Annotate(count.status(), "tensor " + Quoted(entry.name));
  const uint64_t bytes = entry.end - entry.begin;
  // Divided rather than multiplied: the count may be any number up to 2^62.
  if (bytes % SizeOf(entry.type) != 0 || bytes / SizeOf(entry.type) != *count) {
    return InvalidArgument("tensor {} has {} numbers of {} bytes, but {} bytes are given for them",
                           Quoted(entry.name), *count, SizeOf(entry.type), bytes);
  }
  return budget.Take(entry.name, *count);
}

// The format has neither holes, where other data could hide, nor overlaps.
absl::Status CheckCoverage(const std::vector<SafetensorsEntry>& entries, uint64_t data_bytes) {
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  ranges.reserve(entries.size());
  for (const SafetensorsEntry& entry : entries) ranges.emplace_back(entry.begin, entry.end);
  std::sort(ranges.begin(), ranges.end());
  uint64_t covered = 0;
  for (const auto& [begin, end] : ranges) {
    if (begin != covered) {
      return InvalidArgument(
          "safetensors: a tensor begins at byte {} of the data, but the one "
          "before it ends at {}",
          begin, covered);
    }
    covered = end;
  }
  if (covered != data_bytes) {
    return InvalidArgument("safetensors: the tensors end at byte {}, but the data has {} bytes",
                           covered, data_bytes);
  }
  return absl::OkStatus();
}

}  // namespace

bool LooksLikeSafetensors(std::string_view bytes) {
  ByteReader reader(bytes);
  uint64_t header_bytes = 0;
  std::string_view brace;
  return reader.Take(header_bytes) && reader.Take(1, brace) && brace == "{";
}

absl::StatusOr<std::vector<NamedTensor>> ReadSafetensors(std::string_view bytes,
                                                         const TensorFileLimits& limits) {
  ByteReader reader(bytes);
  uint64_t header_bytes = 0;
  std::string_view header;
  if (!reader.Take(header_bytes) || !reader.Take(header_bytes, header)) {
    return InvalidArgument("safetensors: the header is said to have {} bytes, but the file has {}",
                           header_bytes, bytes.size());
  }
  if (header_bytes > kMaxHeaderBytes) {
    return InvalidArgument("safetensors: the header has {} bytes, but {} is the most", header_bytes,
                           kMaxHeaderBytes);
  }
  MANAKO_ASSIGN_OR_RETURN(const std::vector<SafetensorsEntry> entries,
                          ParseSafetensorsHeader(header, limits.max_tensors));
  const std::string_view data = bytes.substr(reader.position());
  ValueBudget budget(limits, bytes.size());
  for (const SafetensorsEntry& entry : entries) {
    MANAKO_RETURN_IF_ERROR(CheckEntry(entry, data.size(), budget));
  }
  MANAKO_RETURN_IF_ERROR(CheckCoverage(entries, data.size()));

  std::vector<NamedTensor> tensors;
  tensors.reserve(entries.size());
  for (const SafetensorsEntry& entry : entries) {
    const size_t size = SizeOf(entry.type);
    NamedTensor& tensor = tensors.emplace_back();
    tensor.name = entry.name;
    tensor.shape = entry.shape;
    tensor.is_integer = IsInteger(entry.type);
    tensor.values.resize((entry.end - entry.begin) / size);
    ConvertToFloat(entry.type, data.data() + entry.begin, size, tensor.values.size(),
                   tensor.values.data());
  }
  return tensors;
}

}  // namespace manako
