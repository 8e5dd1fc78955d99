#include "core/codec/array_file_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/crc32c.h"
#include "base/hash.h"
#include "base/status_macros.h"
#include "core/codec/array_summary.h"
#include "core/codec/float_kernels.h"
#include "core/codec/ordered_pipeline.h"

namespace manako {
namespace {

constexpr size_t kTail =
    sizeof(uint32_t) + kArrayDigestBytes;  // behind the table: its CRC, and the digest
constexpr size_t kPiece = 1 << 16;

// Buffers of the thread that reads a block: they stay with it, for the next one.
BlockDecoder& DecoderOfThread() {
  static thread_local BlockDecoder decoder;
  return decoder;
}

absl::Status Named(const absl::Status& status, const std::string& name) {
  return name.empty() ? status : Annotate(status, name);
}

}  // namespace

ArrayFileReader::ArrayFileReader(int fd, std::string_view memory, uint64_t size, std::string name)
    : fd_(fd), memory_(memory), size_(size), name_(std::move(name)) {}

ArrayFileReader::~ArrayFileReader() {
  if (fd_ >= 0) ::close(fd_);
}

absl::StatusOr<std::unique_ptr<ArrayFileReader>> ArrayFileReader::Open(
    const std::string& path, const ArrayFileExpectation& expected) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    const int error = errno;
    if (error == ENOENT) return NotFound("{}: there is no such file", path);
    return FailedPrecondition("{}: cannot be opened: {}", path, std::strerror(error));
  }
  std::unique_ptr<ArrayFileReader> reader(new ArrayFileReader(fd, {}, 0, path));
  struct stat info;
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
    return FailedPrecondition("{}: is not a file", path);
  reader->size_ = static_cast<uint64_t>(info.st_size);
  if (const absl::Status status = reader->Load(expected); !status.ok())
    return Annotate(status, path);
  return reader;
}

absl::StatusOr<std::unique_ptr<ArrayFileReader>> ArrayFileReader::OpenBytes(
    std::string_view bytes, const ArrayFileExpectation& expected) {
  std::unique_ptr<ArrayFileReader> reader(new ArrayFileReader(-1, bytes, bytes.size(), ""));
  MANAKO_RETURN_IF_ERROR(reader->Load(expected));
  return reader;
}

absl::Status ArrayFileReader::ReadAt(uint64_t offset, void* out, size_t size) const {
  if (offset > size_ || size > size_ - offset)
    return DataLoss("ends before its byte {}", offset + size);
  if (fd_ < 0) {
    if (size > 0) std::memcpy(out, memory_.data() + offset, size);
    return absl::OkStatus();
  }
  char* at = static_cast<char*>(out);
  while (size > 0) {
    const ssize_t n = ::pread(fd_, at, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return DataLoss("cannot be read at byte {}: {}", offset, std::strerror(errno));
    if (n == 0) return DataLoss("became shorter while it was read");
    at += n;
    offset += static_cast<uint64_t>(n);
    size -= static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

absl::Status ArrayFileReader::Load(const ArrayFileExpectation& expected) {
  std::vector<uint8_t> head(std::min<uint64_t>(kMaxArrayHeader, size_));
  MANAKO_RETURN_IF_ERROR(ReadAt(0, head.data(), head.size()));
  MANAKO_ASSIGN_OR_RETURN(ParsedHeader parsed, ParseHeader(head));
  header_ = std::move(parsed.header);
  MANAKO_RETURN_IF_ERROR(CheckExpectation(header_, expected));

  // Before anything as long as the table is allocated: a file that has a table that long has the
  // blocks too.
  const uint64_t blocks = header_.TotalBlocks();
  const uint64_t least = parsed.size + blocks * (sizeof(uint32_t) + kBlockHeader) + kTail;
  if (size_ < least)
    return DataLoss("has {} bytes, but its {} blocks need {} or more", size_, blocks, least);
  const uint64_t table_at = size_ - kTail - blocks * sizeof(uint32_t);

  first_block_.push_back(0);
  for (size_t i = 0; i < header_.sections.size(); ++i)
    first_block_.push_back(first_block_.back() + header_.Blocks(i));
  offsets_.reserve(blocks + 1);
  offsets_.push_back(parsed.size);
  std::vector<uint32_t> lengths(std::min<uint64_t>(kPiece, blocks));
  uint32_t crc = 0;
  for (size_t section = 0; section < header_.sections.size(); ++section) {
    for (uint64_t k = 0; k < header_.Blocks(section); k += lengths.size()) {
      const size_t n = std::min<uint64_t>(lengths.size(), header_.Blocks(section) - k);
      MANAKO_RETURN_IF_ERROR(ReadAt(table_at + (first_block_[section] + k) * sizeof(uint32_t),
                                    lengths.data(), n * sizeof(uint32_t)));
      crc = Crc32c(lengths.data(), n * sizeof(uint32_t), crc);
      for (size_t i = 0; i < n; ++i) {
        const size_t most =
            MaxBlockBytes(header_.sections[section].encoding, header_.BlockSize(section, k + i));
        if (lengths[i] <= kBlockHeader || lengths[i] > most) {
          return DataLoss("the table of blocks is wrong: block {} cannot have {} bytes",
                          first_block_[section] + k + i, lengths[i]);
        }
        offsets_.push_back(offsets_.back() + lengths[i]);
      }
    }
  }
  uint32_t stored_crc = 0;
  MANAKO_RETURN_IF_ERROR(ReadAt(size_ - kTail, &stored_crc, sizeof stored_crc));
  if (kLookAtChecksums && crc != stored_crc) {
    return DataLoss("the checksum of the table of blocks is wrong, or the file is not whole");
  }
  if (offsets_.back() != table_at) {
    return DataLoss("the blocks end at byte {}, but the table begins at {}", offsets_.back(),
                    table_at);
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> ArrayFileReader::ReadInPlace(const BlockPlace& place,
                                                  std::span<float> out) const {
  const uint64_t offset = offsets_[place.number];
  const size_t size = offsets_[place.number + 1] - offset;
  if (fd_ < 0 || IsLossy(place.section->encoding) || size != kBlockHeader + out.size_bytes())
    return false;
  uint8_t header[kBlockHeader];
  const iovec parts[] = {{header, kBlockHeader}, {out.data(), out.size_bytes()}};
  const ssize_t n = ::preadv(fd_, parts, 2, static_cast<off_t>(offset));
  // Interrupted, cut or at fault: the usual way finds out which.
  if (n != static_cast<ssize_t>(size)) return false;
  return BlockDecoder::CheckRaw(
      place, header, {reinterpret_cast<uint8_t*>(out.data()), n - sizeof header}, out.size());
}

absl::Status ArrayFileReader::ReadBlock(size_t section, uint64_t k, std::span<float> out,
                                        std::span<const float> base) const {
  if (section >= header_.sections.size() || k >= header_.Blocks(section)) {
    return InvalidArgument("there is no block {} in array {} of the file", k, section);
  }
  if (out.size() != header_.BlockSize(section, k) || (!base.empty() && base.size() != out.size())) {
    return InvalidArgument("block {} of array {} has {} elements, not {} (base {})", k,
                           header_.sections[section].name, header_.BlockSize(section, k),
                           out.size(), base.size());
  }
  const uint64_t number = first_block_[section] + k;
  const BlockPlace place{&header_.sections[section], static_cast<uint32_t>(number),
                         k * header_.block_elements};
  const absl::StatusOr<bool> in_place = ReadInPlace(place, out);
  if (!in_place.ok()) return Named(in_place.status(), name_);
  if (*in_place) return absl::OkStatus();
  BlockDecoder& decoder = DecoderOfThread();
  const std::span<uint8_t> bytes = decoder.Buffer(offsets_[number + 1] - offsets_[number]);
  MANAKO_RETURN_IF_ERROR(Named(ReadAt(offsets_[number], bytes.data(), bytes.size()), name_));
  return Named(decoder.Decode(place, base, out), name_);
}

absl::Status ArrayFileReader::ReadValues(size_t section, uint64_t k, std::span<float> out,
                                         std::span<const float> base) const {
  MANAKO_RETURN_IF_ERROR(ReadBlock(section, k, out, base));
  if (!header_.sections[section].is_change) return absl::OkStatus();
  if (base.empty()) {
    return FailedPrecondition("array {} holds changes: its values need the base",
                              header_.sections[section].name);
  }
  Add(out.data(), base.data(), out.size(), out.data());
  return absl::OkStatus();
}

absl::Status ArrayFileReader::ReadRange(size_t section, uint64_t first,
                                        std::span<float> out) const {
  if (section >= header_.sections.size() || first > header_.sections[section].elements ||
      out.size() > header_.sections[section].elements - first) {
    return InvalidArgument("there are no {} elements from {} on in array {} of the file",
                           out.size(), first, section);
  }
  std::vector<float> whole;
  for (size_t done = 0; done < out.size();) {
    const uint64_t k = (first + done) / header_.block_elements;
    const size_t size = header_.BlockSize(section, k),
                 skip = (first + done) % header_.block_elements;
    const size_t n = std::min(size - skip, out.size() - done);
    if (n == size) {
      MANAKO_RETURN_IF_ERROR(ReadValues(section, k, out.subspan(done, n)));
    } else {
      whole.resize(size);
      MANAKO_RETURN_IF_ERROR(ReadValues(section, k, whole));
      std::copy_n(whole.begin() + static_cast<ptrdiff_t>(skip), n,
                  out.begin() + static_cast<ptrdiff_t>(done));
    }
    done += n;
  }
  return absl::OkStatus();
}

absl::StatusOr<ArrayFileSummary> ArrayFileReader::VerifyAll(
    const ArrayVerifyOptions& options) const {
  struct Slot {
    BlockDecoder decoder;
    std::vector<float> base;
    std::span<uint8_t> bytes;
    size_t section = 0;
    BlockStatistics statistics;
  };
  std::vector<Slot> slots(PipelineSlots(options.threads));
  std::vector<ArraySums> sums(header_.sections.size());
  for (size_t i = 0; i < sums.size(); ++i)
    sums[i].has_change = options.base || header_.sections[i].is_change;
  Sha256Hasher hasher;
  std::vector<uint8_t> piece(std::min<uint64_t>(std::max(kPiece, kMaxArrayHeader), size_));
  const auto hash_range = [&](uint64_t from, uint64_t to) -> absl::Status {
    while (from < to) {
      const size_t n = std::min<uint64_t>(piece.size(), to - from);
      MANAKO_RETURN_IF_ERROR(ReadAt(from, piece.data(), n));
      hasher.Add(piece.data(), n);
      from += n;
    }
    return absl::OkStatus();
  };

  const auto read = [&](size_t slot_index, size_t number) -> absl::Status {
    Slot& slot = slots[slot_index];
    slot.section =
        static_cast<size_t>(std::upper_bound(first_block_.begin(), first_block_.end(), number) -
                            first_block_.begin() - 1);
    const ArraySection& section = header_.sections[slot.section];
    const uint64_t k = number - first_block_[slot.section];
    const size_t n = header_.BlockSize(slot.section, k);
    const BlockPlace place{&section, static_cast<uint32_t>(number), k * header_.block_elements};
    slot.bytes = slot.decoder.Buffer(offsets_[number + 1] - offsets_[number]);
    MANAKO_RETURN_IF_ERROR(ReadAt(offsets_[number], slot.bytes.data(), slot.bytes.size()));
    // The base of a change is not needed to read and measure the change.
    if (options.base && !section.is_change) {
      slot.base.resize(n);
      MANAKO_RETURN_IF_ERROR(options.base(section.name, place.first, slot.base));
    } else {
      slot.base.clear();
    }
    MANAKO_ASSIGN_OR_RETURN(const std::span<const float> values,
                            slot.decoder.View(place, slot.base, n));
    slot.statistics = Measure(place, values, slot.base);
    return absl::OkStatus();
  };
  const auto take = [&](size_t slot_index, size_t) -> absl::Status {
    const Slot& slot = slots[slot_index];
    if (!options.digests) hasher.Add(slot.bytes.data(), slot.bytes.size());
    sums[slot.section].Add(slot.statistics);
    return absl::OkStatus();
  };

  const auto run = [&]() -> absl::StatusOr<ArrayFileSummary> {
    const uint64_t end = size_ - kArrayDigestBytes;
    if (!options.digests) MANAKO_RETURN_IF_ERROR(hash_range(0, offsets_.front()));
    MANAKO_RETURN_IF_ERROR(OrderedPipeline(options.threads, offsets_.size() - 1, read, take));
    if (!options.digests) MANAKO_RETURN_IF_ERROR(hash_range(offsets_.back(), end));
    const Sha256Digest digest = options.digests ? options.digests->content : hasher.Digest();
    Sha256Digest stored;
    MANAKO_RETURN_IF_ERROR(ReadAt(end, stored.data(), stored.size()));
    if (kLookAtChecksums && digest != stored) {
      return DataLoss("the SHA-256 of the content is not the one that stands at its end");
    }
    hasher.Add(stored.data(), stored.size());
    return Summarise(size_, options.digests ? options.digests->whole : hasher.Finish(), sums);
  };
  absl::StatusOr<ArrayFileSummary> summary = run();
  if (!summary.ok()) return Named(summary.status(), name_);
  return summary;
}

ArrayBase BaseOf(const ArrayFileReader& reader) {
  return [&reader](std::string_view section, uint64_t first, std::span<float> out) -> absl::Status {
    const int index = reader.header().Find(section);
    if (index < 0) return FailedPrecondition("the base has no array {}", section);
    return reader.ReadRange(static_cast<size_t>(index), first, out);
  };
}

ArrayBase BaseOf(std::string name, std::span<const float> values) {
  return [name = std::move(name), values](std::string_view section, uint64_t first,
                                          std::span<float> out) -> absl::Status {
    if (section != name) return FailedPrecondition("the base has no array {}", section);
    if (first > values.size() || out.size() > values.size() - first) {
      return FailedPrecondition("the base's array {} has {} elements only", section, values.size());
    }
    std::copy_n(values.begin() + static_cast<ptrdiff_t>(first), out.size(), out.begin());
    return absl::OkStatus();
  };
}

}  // namespace manako
