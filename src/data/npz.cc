#include "data/npz.h"

#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/status_macros.h"

namespace manako {
namespace {

constexpr uint16_t kStored = 0, kDeflated = 8;
constexpr size_t kMaxEntries = 1 << 16;

// Little-endian numbers at checked places; a read outside gives 0 and marks the view as bad.
class Bytes {
 public:
  explicit Bytes(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  template <typename T>
  T At(uint64_t offset) {
    if (offset > bytes_.size() || bytes_.size() - offset < sizeof(T)) {
      ok_ = false;
      return 0;
    }
    T value = 0;
    for (size_t i = 0; i < sizeof(T); ++i) {
      value = static_cast<T>(value | static_cast<T>(bytes_[offset + i]) << (8 * i));
    }
    return value;
  }
  bool Has(uint64_t offset, uint64_t size) {
    ok_ = ok_ && offset <= bytes_.size() && bytes_.size() - offset >= size;
    return ok_;
  }
  bool ok() const { return ok_; }

 private:
  std::span<const uint8_t> bytes_;
  bool ok_ = true;
};

struct Directory {
  uint64_t offset = 0, size = 0;
};

// The end-of-directory record stands at the end, before a comment of up to 65535 bytes.
absl::StatusOr<Directory> FindDirectory(std::span<const uint8_t> bytes) {
  constexpr size_t kRecord = 22;
  Bytes in(bytes);
  const size_t furthest = std::min<size_t>(bytes.size(), kRecord + 65535);
  for (size_t back = kRecord; back <= furthest; ++back) {
    const size_t at = bytes.size() - back;
    if (in.At<uint32_t>(at) != 0x06054b50) continue;
    Directory directory{in.At<uint32_t>(at + 16), in.At<uint32_t>(at + 12)};
    const bool zip64 = directory.offset == 0xffffffff || directory.size == 0xffffffff ||
                       in.At<uint16_t>(at + 10) == 0xffff;
    if (zip64 && at >= 20 && in.At<uint32_t>(at - 20) == 0x07064b50) {
      const auto record = in.At<uint64_t>(at - 20 + 8);
      if (in.At<uint32_t>(record) != 0x06064b50) return DataLoss("damaged zip64 directory");
      directory = {in.At<uint64_t>(record + 48), in.At<uint64_t>(record + 40)};
    }
    if (!in.Has(directory.offset, directory.size)) {
      return DataLoss("the zip directory lies outside of the file (truncated?)");
    }
    return directory;
  }
  return DataLoss("no zip directory at its end: the .npz is truncated, or no .npz at all");
}

class EntryReader : public NpyReader {
 public:
  EntryReader(std::span<const uint8_t> data, bool deflated, uint64_t size, uint32_t crc)
      : data_(data), deflated_(deflated), left_(size), crc_(crc) {}
  ~EntryReader() override {
    if (inflating_) inflateEnd(&stream_);
  }
  EntryReader(const EntryReader&) = delete;
  EntryReader& operator=(const EntryReader&) = delete;

  absl::Status ReadHeader() {
    if (deflated_) {
      if (inflateInit2(&stream_, -MAX_WBITS) != Z_OK) return Internal("zlib cannot be started");
      inflating_ = true;
    }
    std::string start(12, '\0');
    if (left_ < start.size()) return DataLoss("truncated .npy header");
    MANAKO_RETURN_IF_ERROR(Read(start.data(), start.size()));
    const auto byte = [&](size_t i) { return static_cast<size_t>(static_cast<uint8_t>(start[i])); };
    size_t length = 10 + (byte(8) | byte(9) << 8);
    if (start[6] != 1) length = 12 + (byte(8) | byte(9) << 8 | byte(10) << 16 | byte(11) << 24);
    if (length > (1 << 16) || length < start.size() || length - start.size() > left_) {
      return InvalidArgument("no .npy array (its header is damaged)");
    }
    const size_t had = start.size();
    start.resize(length);
    MANAKO_RETURN_IF_ERROR(Read(start.data() + had, length - had));
    MANAKO_ASSIGN_OR_RETURN(header_, ParseNpyHeader(start));
    const auto data_size = static_cast<uint64_t>(header_.elements() * header_.item_size());
    if (left_ != data_size) {
      return DataLoss("its shape asks for {} bytes, but {} are there", data_size, left_);
    }
    return absl::OkStatus();
  }

  const NpyHeader& header() const override { return header_; }

  absl::Status Read(void* data, size_t size) override {
    if (size > left_) return DataLoss("the array ends early (truncated)");
    auto* to = static_cast<uint8_t*>(data);
    if (deflated_) {
      MANAKO_RETURN_IF_ERROR(Inflate(to, size));
    } else {
      if (size > data_.size()) return DataLoss("the array ends early (truncated)");
      if (size > 0) std::memcpy(to, data_.data(), size);
      data_ = data_.subspan(size);
    }
    left_ -= size;
    running_crc_ = static_cast<uint32_t>(crc32_z(running_crc_, to, size));
    if (left_ == 0 && running_crc_ != crc_) return DataLoss("the array fails its checksum");
    return absl::OkStatus();
  }

 private:
  absl::Status Inflate(uint8_t* to, size_t size) {
    constexpr size_t kPiece = 1 << 30;  // zlib counts in 32 bits
    while (size > 0) {
      const size_t in = std::min(data_.size(), kPiece), out = std::min(size, kPiece);
      stream_.next_in = const_cast<uint8_t*>(data_.data());
      stream_.avail_in = static_cast<uInt>(in);
      stream_.next_out = to;
      stream_.avail_out = static_cast<uInt>(out);
      const int result = inflate(&stream_, Z_NO_FLUSH);
      const size_t made = out - stream_.avail_out;
      data_ = data_.subspan(in - stream_.avail_in);
      to += made;
      size -= made;
      if (size == 0) break;
      if (result == Z_STREAM_END || result == Z_BUF_ERROR || (result == Z_OK && data_.empty())) {
        return DataLoss("the array ends early (truncated)");
      }
      if (result != Z_OK) return DataLoss("the array's compressed data are damaged");
    }
    return absl::OkStatus();
  }

  std::span<const uint8_t> data_;
  bool deflated_, inflating_ = false;
  uint64_t left_;
  uint32_t crc_, running_crc_ = 0;
  z_stream stream_ = {};
  NpyHeader header_;
};

// One element as a number; NaN where it cannot be a label.
double Element(const uint8_t* bytes, const NpyHeader& header) {
  const auto size = static_cast<size_t>(header.item_size());
  uint64_t raw = 0;
  for (size_t i = 0; i < size; ++i) {
    const size_t at = header.dtype[0] == '>' ? i : size - 1 - i;
    raw = raw << 8 | bytes[at];
  }
  switch (header.dtype[1]) {
    case 'f':
      if (size == 8) return std::bit_cast<double>(raw);
      if (size == 4) return std::bit_cast<float>(static_cast<uint32_t>(raw));
      return std::numeric_limits<double>::quiet_NaN();
    case 'i': {
      const int unused = static_cast<int>(64 - 8 * size);
      return static_cast<double>(static_cast<int64_t>(raw << unused) >> unused);
    }
    default:
      return static_cast<double>(raw);
  }
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text = "(";
  for (size_t i = 0; i < shape.size(); ++i)
    text += fmt::format("{}{}", i > 0 ? ", " : "", shape[i]);
  return text + ")";
}

}  // namespace

absl::StatusOr<NpzFile> NpzFile::Parse(std::span<const uint8_t> bytes) {
  MANAKO_ASSIGN_OR_RETURN(const Directory directory, FindDirectory(bytes));
  NpzFile file;
  file.bytes_ = bytes;
  Bytes in(bytes);
  uint64_t at = directory.offset;
  const uint64_t end = directory.offset + directory.size;
  while (at < end) {
    if (in.At<uint32_t>(at) != 0x02014b50 || !in.Has(at, 46))
      return DataLoss("damaged zip directory");
    Entry entry{.name = "",
                .flags = in.At<uint16_t>(at + 8),
                .method = in.At<uint16_t>(at + 10),
                .crc = in.At<uint32_t>(at + 16),
                .compressed = in.At<uint32_t>(at + 20),
                .size = in.At<uint32_t>(at + 24),
                .offset = in.At<uint32_t>(at + 42)};
    const uint64_t name_size = in.At<uint16_t>(at + 28), extra_size = in.At<uint16_t>(at + 30);
    const uint64_t comment_size = in.At<uint16_t>(at + 32);
    if (!in.Has(at + 46, name_size + extra_size + comment_size)) {
      return DataLoss("damaged zip directory");
    }
    entry.name.assign(reinterpret_cast<const char*>(bytes.data()) + at + 46, name_size);
    // Zip64: the fields that did not fit stand in extra field 1, in this order.
    const uint64_t extra_end = at + 46 + name_size + extra_size;
    for (uint64_t extra = at + 46 + name_size; extra + 4 <= extra_end;) {
      const uint64_t size = in.At<uint16_t>(extra + 2);
      if (size > extra_end - extra - 4) break;
      if (in.At<uint16_t>(extra) == 1) {
        uint64_t field = extra + 4;
        for (uint64_t* value : {&entry.size, &entry.compressed, &entry.offset}) {
          if (*value != 0xffffffff || field + 8 > extra + 4 + size) continue;
          *value = in.At<uint64_t>(field);
          field += 8;
        }
      }
      extra += 4 + size;
    }
    file.entries_.push_back(std::move(entry));
    if (file.entries_.size() > kMaxEntries) return DataLoss("too many zip entries");
    at = extra_end + comment_size;
  }
  return file;
}

std::vector<std::string> NpzFile::names() const {
  std::vector<std::string> names;
  for (const Entry& entry : entries_) {
    std::string name = entry.name;
    if (name.ends_with(".npy")) name.resize(name.size() - 4);
    names.push_back(std::move(name));
  }
  return names;
}

const NpzFile::Entry* NpzFile::Find(std::string_view name) const {
  for (const Entry& entry : entries_) {
    if (entry.name == std::string(name) + ".npy" || entry.name == name) return &entry;
  }
  return nullptr;
}

absl::StatusOr<std::span<const uint8_t>> NpzFile::Data(const Entry& entry) const {
  if (entry.flags & 1) return InvalidArgument("it is encrypted: save it without a password");
  if (entry.method != kStored && entry.method != kDeflated) {
    return InvalidArgument("zip compression {} is not read: save with numpy.savez_compressed",
                           entry.method);
  }
  Bytes in(bytes_);
  if (in.At<uint32_t>(entry.offset) != 0x04034b50 || !in.Has(entry.offset, 30)) {
    return DataLoss("its place in the zip is damaged");
  }
  const uint64_t start =
      entry.offset + 30 + in.At<uint16_t>(entry.offset + 26) + in.At<uint16_t>(entry.offset + 28);
  if (!in.Has(start, entry.compressed))
    return DataLoss("its data lie outside of the file (truncated?)");
  if (entry.method == kStored && entry.compressed != entry.size) {
    return DataLoss("its stored size is damaged");
  }
  return bytes_.subspan(start, entry.compressed);
}

absl::StatusOr<std::unique_ptr<NpyReader>> NpzFile::Open(std::string_view name) const {
  const Entry* entry = Find(name);
  if (entry == nullptr) return NotFound("array {} is not in the .npz", name);
  const auto data = Data(*entry);
  if (!data.ok()) return Annotate(data.status(), name);
  auto reader =
      std::make_unique<EntryReader>(*data, entry->method == kDeflated, entry->size, entry->crc);
  if (absl::Status status = reader->ReadHeader(); !status.ok()) return Annotate(status, name);
  return reader;
}

absl::StatusOr<std::vector<int>> NpzFile::ReadLabels(std::string_view name,
                                                     int64_t max_labels) const {
  MANAKO_ASSIGN_OR_RETURN(auto reader, Open(name));
  const NpyHeader& header = reader->header();
  const auto& shape = header.shape;
  if (shape.empty() || shape.size() > 2 || (shape.size() == 2 && shape[1] != 1)) {
    return InvalidArgument("{} has shape {}: one class an image is needed, (n,) or (n, 1)", name,
                           ShapeText(shape));
  }
  if (header.elements() > max_labels) {
    return ResourceExhausted("{} has {} labels, more than {}", name, header.elements(), max_labels);
  }
  const auto item = static_cast<size_t>(header.item_size());
  std::vector<int> labels;
  std::vector<uint8_t> piece;
  for (int64_t left = header.elements(); left > 0;) {
    const auto n = static_cast<size_t>(std::min<int64_t>(left, 1 << 16));
    piece.resize(n * item);
    if (absl::Status status = reader->Read(piece.data(), piece.size()); !status.ok()) {
      return Annotate(status, name);
    }
    for (size_t i = 0; i < n; ++i) {
      const double value = Element(piece.data() + i * item, header);
      if (!(value >= 0 && value <= 65535) || value != std::floor(value)) {
        return InvalidArgument("{}[{}] is {}: labels are whole numbers from 0 to 65535", name,
                               labels.size(), value);
      }
      labels.push_back(static_cast<int>(value));
    }
    left -= static_cast<int64_t>(n);
  }
  return labels;
}

}  // namespace manako
