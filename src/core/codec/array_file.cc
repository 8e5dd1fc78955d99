#include "core/codec/array_file.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>

#include "base/crc32c.h"
#include "base/status_macros.h"

namespace manako {
namespace {

// Not text (the first byte), not changed by a transfer that rewrites line ends (CR LF, LF) or stops
// at control-Z.
constexpr std::string_view kMagic("\x89MNKA\r\n\x1a", 8);
constexpr uint32_t kVersion = 1;
constexpr size_t kFixedHeader = 88;  // what stands before the sections
constexpr size_t kHashBytes = 32;

bool IsHash(std::string_view text) {
  return text.size() == 2 * kHashBytes &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string FromHex(std::string_view text) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes.push_back(static_cast<char>(digit(text[i]) << 4 | digit(text[i + 1])));
  }
  return bytes;
}

std::string ToHexText(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += fmt::format("{:02x}", static_cast<uint8_t>(byte));
  return text;
}

template <typename T>
void Put(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <typename T>
T Take(std::string_view& bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  bytes.remove_prefix(sizeof value);
  return value;
}

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxArrayName &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_.-") ==
             std::string_view::npos;
}

absl::Status CheckSections(const ArrayFileHeader& header) {
  if (header.sections.empty() || header.sections.size() > kMaxArraySections) {
    return InvalidArgument("an array file has 1 to {} arrays, not {}", kMaxArraySections,
                           header.sections.size());
  }
  std::set<std::string_view> names;
  for (const ArraySection& section : header.sections) {
    if (!IsName(section.name)) {
      return InvalidArgument(
          "the name of an array must be 1 to {} characters of a-z 0-9 _ . -, but array {} has "
          "another",
          kMaxArrayName, &section - header.sections.data() + 1);
    }
    if (!names.insert(section.name).second)
      return InvalidArgument("array {} is there twice", section.name);
    if (section.elements > kMaxArrayElements) {
      return InvalidArgument("array {} has {} elements, more than 2^40", section.name,
                             section.elements);
    }
    if (section.is_change && !IsLossy(section.encoding)) {
      return InvalidArgument("array {} is float32, which holds values and not their change",
                             section.name);
    }
    if (section.is_change && header.base_digest.empty()) {
      return InvalidArgument("array {} is a change, but no base_digest says against what",
                             section.name);
    }
  }
  if (header.TotalBlocks() > std::numeric_limits<uint32_t>::max()) {
    return InvalidArgument("an array file has fewer than 2^32 blocks, not {}: take longer blocks",
                           header.TotalBlocks());
  }
  return absl::OkStatus();
}

absl::Status Check(const ArrayFileHeader& header) {
  if (!IsHash(header.spec_hash))
    return InvalidArgument("spec_hash must be 64 characters of 0-9 a-f");
  if (!header.base_digest.empty() &&
      (!IsHash(header.base_digest) || header.base_digest == std::string(64, '0'))) {
    return InvalidArgument("base_digest must be empty or 64 characters of 0-9 a-f, not all 0");
  }
  if (!std::has_single_bit(header.block_elements) || header.block_elements < kMinArrayBlock ||
      header.block_elements > kMaxArrayBlock) {
    return InvalidArgument("block_elements must be a power of two from {} to {}, but is {}",
                           kMinArrayBlock, kMaxArrayBlock, header.block_elements);
  }
  return CheckSections(header);
}

std::string ArrayList(const std::vector<ArrayFileExpectation::Array>& arrays) {
  std::string text;
  for (const auto& array : arrays)
    text += fmt::format("{}{}", text.empty() ? "" : ", ", array.name);
  return text;
}

}  // namespace

uint64_t ArrayFileHeader::TotalBlocks() const {
  uint64_t blocks = 0;
  for (size_t i = 0; i < sections.size(); ++i) blocks += Blocks(i);
  return blocks;
}

size_t ArrayFileHeader::BlockSize(size_t section, uint64_t k) const {
  return static_cast<size_t>(
      std::min<uint64_t>(block_elements, sections[section].elements - k * block_elements));
}

int ArrayFileHeader::Find(std::string_view name) const {
  for (size_t i = 0; i < sections.size(); ++i) {
    if (sections[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

bool ArrayFileSummary::finite() const {
  return std::all_of(sections.begin(), sections.end(),
                     [](const ArrayStatistics& section) { return section.first_non_finite < 0; });
}

absl::StatusOr<std::string> SerializeHeader(const ArrayFileHeader& header) {
  MANAKO_RETURN_IF_ERROR(Check(header));
  size_t size = kFixedHeader + sizeof(uint32_t);
  for (const ArraySection& section : header.sections) size += 12 + section.name.size();
  std::string bytes(kMagic);
  Put<uint32_t>(bytes, kVersion);
  Put<uint32_t>(bytes, static_cast<uint32_t>(size));
  bytes += FromHex(header.spec_hash);
  bytes += header.base_digest.empty() ? std::string(kHashBytes, '\0') : FromHex(header.base_digest);
  Put<uint32_t>(bytes, header.block_elements);
  Put<uint32_t>(bytes, static_cast<uint32_t>(header.sections.size()));
  for (const ArraySection& section : header.sections) {
    Put<uint64_t>(bytes, section.elements);
    Put<uint8_t>(bytes, static_cast<uint8_t>(section.encoding));
    Put<uint8_t>(bytes, section.is_change ? 1 : 0);
    Put<uint8_t>(bytes, static_cast<uint8_t>(section.name.size()));
    Put<uint8_t>(bytes, 0);
    bytes += section.name;
  }
  Put<uint32_t>(bytes, Crc32c(bytes));
  return bytes;
}

absl::StatusOr<ParsedHeader> ParseHeader(std::span<const uint8_t> file) {
  std::string_view at(reinterpret_cast<const char*>(file.data()), file.size());
  if (!at.starts_with(kMagic)) return DataLoss("is not an array file");
  if (at.size() < kFixedHeader) return DataLoss("ends within its header");
  const std::string_view whole = at;
  at.remove_prefix(kMagic.size());
  if (const auto version = Take<uint32_t>(at); version != kVersion) {
    return DataLoss("is an array file of version {}; this program reads version {}", version,
                    kVersion);
  }
  const size_t size = Take<uint32_t>(at);
  if (size < kFixedHeader + sizeof(uint32_t) || size > kMaxArrayHeader || size > whole.size()) {
    return DataLoss("states a header of {} bytes, which does not fit", size);
  }
  std::string_view crc = whole.substr(size - sizeof(uint32_t));
  if (kLookAtChecksums && Take<uint32_t>(crc) != Crc32c(whole.substr(0, size - sizeof(uint32_t)))) {
    return DataLoss("the header's checksum is wrong");
  }
  at.remove_suffix(whole.size() - size +
                   sizeof(uint32_t));  // of the header, what stands before its CRC
  ParsedHeader parsed;
  parsed.size = size;
  ArrayFileHeader& header = parsed.header;
  header.spec_hash = ToHexText(at.substr(0, kHashBytes));
  header.base_digest = ToHexText(at.substr(kHashBytes, kHashBytes));
  if (header.base_digest == std::string(2 * kHashBytes, '0')) header.base_digest.clear();
  at.remove_prefix(2 * kHashBytes);
  header.block_elements = Take<uint32_t>(at);
  const auto sections = Take<uint32_t>(at);
  for (uint32_t i = 0; i < sections; ++i) {
    if (at.size() < 12) return DataLoss("the header ends before its list of arrays");
    ArraySection section;
    section.elements = Take<uint64_t>(at);
    const auto encoding = Take<uint8_t>(at), is_change = Take<uint8_t>(at),
               name = Take<uint8_t>(at), reserved = Take<uint8_t>(at);
    if (encoding > static_cast<uint8_t>(ArrayEncoding::kInt8) || is_change > 1 || reserved != 0 ||
        name > at.size()) {
      return DataLoss("the header's list of arrays is wrong");
    }
    section.encoding = static_cast<ArrayEncoding>(encoding);
    section.is_change = is_change == 1;
    section.name = std::string(at.substr(0, name));
    at.remove_prefix(name);
    header.sections.push_back(std::move(section));
  }
  if (!at.empty()) return DataLoss("the header is longer than its list of arrays");
  if (const absl::Status status = Check(header); !status.ok())
    return DataLoss("{}", MessageOf(status));
  return parsed;
}

absl::Status CheckExpectation(const ArrayFileHeader& header, const ArrayFileExpectation& expected) {
  if (!expected.spec_hash.empty() && header.spec_hash != expected.spec_hash) {
    return FailedPrecondition("is of a model with spec {}, not {}", header.spec_hash,
                              expected.spec_hash);
  }
  if (!expected.base_digest.empty() && !header.base_digest.empty() &&
      header.base_digest != expected.base_digest) {
    return FailedPrecondition("holds changes against model {}, not {}", header.base_digest,
                              expected.base_digest);
  }
  if (expected.arrays.empty()) return absl::OkStatus();
  for (size_t i = 0; i < std::max(header.sections.size(), expected.arrays.size()); ++i) {
    if (i >= header.sections.size()) {
      return FailedPrecondition("lacks array {}: expected are {}", expected.arrays[i].name,
                                ArrayList(expected.arrays));
    }
    const ArraySection& section = header.sections[i];
    if (i >= expected.arrays.size() || section.name != expected.arrays[i].name) {
      return FailedPrecondition("has array {} in place {}: expected are {}", section.name, i + 1,
                                ArrayList(expected.arrays));
    }
    if (section.elements != expected.arrays[i].elements) {
      return FailedPrecondition("has {} elements in array {}, not {}", section.elements,
                                section.name, expected.arrays[i].elements);
    }
  }
  return absl::OkStatus();
}

}  // namespace manako
