#include "core/codec/array_file_writer.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "base/crc32c.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "core/codec/array_summary.h"
#include "core/codec/ordered_pipeline.h"

namespace manako {
namespace {

absl::Status CheckLength(std::string_view what, size_t length, size_t values,
                         const ArraySection& section) {
  if (length == 0 || length == values) return absl::OkStatus();
  return InvalidArgument("{} of array {} has {} elements where {} are encoded", what, section.name,
                         length, values);
}

absl::Status CheckPiece(const ArrayPiece& piece, const ArraySection& section, uint64_t done,
                        uint32_t block) {
  const size_t n = piece.values.size();
  if (n > section.elements - done || (n % block != 0 && n != section.elements - done)) {
    return InvalidArgument(
        "a piece of array {} must be a multiple of {} elements or the {} that are left, but is {}",
        section.name, block, section.elements - done, n);
  }
  MANAKO_RETURN_IF_ERROR(CheckLength("base", piece.base.size(), n, section));
  MANAKO_RETURN_IF_ERROR(CheckLength("residual", piece.residual.size(), n, section));
  if (section.is_change && piece.base.empty() && n > 0) {
    return InvalidArgument("array {} is a change, but no base is given", section.name);
  }
  if (piece.residual.size() != piece.new_residual.size()) {
    return InvalidArgument("residual and new_residual of array {} must both be given, or none",
                           section.name);
  }
  if (!IsLossy(section.encoding) && !piece.residual.empty()) {
    return InvalidArgument("array {} is lossless and leaves no residual", section.name);
  }
  return absl::OkStatus();
}

ArrayPiece PartOf(const ArrayPiece& piece, size_t first, size_t n) {
  const auto part = [&](auto span) { return span.empty() ? span : span.subspan(first, n); };
  return {part(piece.values), part(piece.base), part(piece.residual), part(piece.new_residual)};
}

}  // namespace

ArrayFileWriter::ArrayFileWriter(ArrayFileHeader header, ArrayWriteOptions options, ByteSink sink)
    : header_(std::move(header)),
      options_(options),
      sink_(std::move(sink)),
      sums_(header_.sections.size()),
      encoders_(PipelineSlots(options.threads)) {}

absl::StatusOr<std::unique_ptr<ArrayFileWriter>> ArrayFileWriter::Create(ArrayFileHeader header,
                                                                         ArrayWriteOptions options,
                                                                         ByteSink sink) {
  MANAKO_ASSIGN_OR_RETURN(const std::string bytes, SerializeHeader(header));
  std::unique_ptr<ArrayFileWriter> writer(
      new ArrayFileWriter(std::move(header), options, std::move(sink)));
  MANAKO_RETURN_IF_ERROR(writer->Write(bytes));
  return writer;
}

absl::Status ArrayFileWriter::Write(std::string_view bytes) {
  hasher_.Add(bytes);
  bytes_ += bytes.size();
  return sink_(bytes);
}

absl::Status ArrayFileWriter::Append(const ArrayPiece& piece) {
  // An empty section is behind us without a piece, and a piece of nothing changes nothing.
  if (piece.values.empty()) return absl::OkStatus();
  while (section_ < header_.sections.size() && done_ == header_.sections[section_].elements) {
    ++section_;
    done_ = 0;
  }
  if (section_ == header_.sections.size())
    return InvalidArgument("all arrays of the file are full");
  const ArraySection& section = header_.sections[section_];
  MANAKO_RETURN_IF_ERROR(CheckPiece(piece, section, done_, header_.block_elements));

  const size_t n = piece.values.size(), block = header_.block_elements;
  const uint64_t done = done_;
  const auto first_number = static_cast<uint32_t>(table_.size());
  std::vector<BlockStatistics> statistics(encoders_.size());
  const auto encode = [&](size_t slot, size_t k) {
    const size_t begin = k * block;
    const BlockPlace place{&section, first_number + static_cast<uint32_t>(k), done + begin};
    const BlockEncoder::Options options{options_.compress, !header_.base_digest.empty()};
    return encoders_[slot].Encode(place, PartOf(piece, begin, std::min(block, n - begin)), options,
                                  statistics[slot]);
  };
  const auto write = [&](size_t slot, size_t k) -> absl::Status {
    const BlockEncoder& encoder = encoders_[slot];
    table_.push_back(static_cast<uint32_t>(encoder.header().size() + encoder.payload().size()));
    sums_[section_].Add(statistics[slot]);
    done_ += std::min(block, n - k * block);
    MANAKO_RETURN_IF_ERROR(Write(encoder.header()));
    return Write(encoder.payload());
  };
  if (piece.base.empty()) sums_[section_].has_change = false;
  return OrderedPipeline(options_.threads, (n + block - 1) / block, encode, write);
}

absl::StatusOr<ArrayFileSummary> ArrayFileWriter::Finish() {
  if (table_.size() != header_.TotalBlocks()) {
    return FailedPrecondition("{} of the file's {} blocks were written", table_.size(),
                              header_.TotalBlocks());
  }
  std::string tail(reinterpret_cast<const char*>(table_.data()), table_.size() * sizeof(uint32_t));
  const uint32_t crc = Crc32c(tail);
  tail.append(reinterpret_cast<const char*>(&crc), sizeof crc);
  MANAKO_RETURN_IF_ERROR(Write(tail));
  const Sha256Digest digest = hasher_.Digest();
  MANAKO_RETURN_IF_ERROR(Write({reinterpret_cast<const char*>(digest.data()), digest.size()}));
  return Summarise(bytes_, hasher_.Finish(), sums_);
}

absl::StatusOr<ArrayFileSummary> WriteArrayFile(const std::string& path, ArrayFileHeader header,
                                                std::span<const ArrayPiece> arrays,
                                                ArrayWriteOptions options) {
  MANAKO_ASSIGN_OR_RETURN(const auto file, AtomicFileWriter::Create(path));
  MANAKO_ASSIGN_OR_RETURN(const auto writer, ArrayFileWriter::Create(std::move(header), options,
                                                                     [&](std::string_view bytes) {
                                                                       return file->Append(bytes);
                                                                     }));
  for (const ArrayPiece& piece : arrays) MANAKO_RETURN_IF_ERROR(writer->Append(piece));
  MANAKO_ASSIGN_OR_RETURN(ArrayFileSummary summary, writer->Finish());
  MANAKO_RETURN_IF_ERROR(file->Commit());
  return summary;
}

absl::StatusOr<ArrayFileSummary> WriteArrayBytes(ArrayFileHeader header,
                                                 std::span<const ArrayPiece> arrays,
                                                 ArrayWriteOptions options, std::string& bytes) {
  bytes.clear();
  MANAKO_ASSIGN_OR_RETURN(const auto writer, ArrayFileWriter::Create(std::move(header), options,
                                                                     [&](std::string_view piece) {
                                                                       bytes += piece;
                                                                       return absl::OkStatus();
                                                                     }));
  for (const ArrayPiece& piece : arrays) MANAKO_RETURN_IF_ERROR(writer->Append(piece));
  return writer->Finish();
}

}  // namespace manako
