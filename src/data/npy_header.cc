#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/status_macros.h"
#include "data/npz.h"

namespace manako {
namespace {

constexpr int64_t kMaxElements = int64_t{1} << 40;
constexpr size_t kMaxHeader = 1 << 16;

// The header is a Python dict literal with three known keys; this reads just that much of Python.
class DictReader {
 public:
  explicit DictReader(std::string_view text) : text_(text) {}

  bool Take(char c) {
    SkipSpaces();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool AtEnd() {
    SkipSpaces();
    return at_ >= text_.size();
  }
  bool String(std::string* value) {
    SkipSpaces();
    if (at_ >= text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) return false;
    const size_t end = text_.find(text_[at_], at_ + 1);
    if (end == text_.npos) return false;
    *value = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return true;
  }
  bool Bool(bool* value) {
    SkipSpaces();
    for (const bool candidate : {true, false}) {
      const std::string_view word = candidate ? "True" : "False";
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        *value = candidate;
        return true;
      }
    }
    return false;
  }
  bool Shape(std::vector<int64_t>* shape) {
    if (!Take('(')) return false;
    while (!Take(')')) {
      SkipSpaces();
      int64_t extent = -1;
      const char* end = text_.data() + text_.size();
      const auto [next, error] = std::from_chars(text_.data() + at_, end, extent);
      if (error != std::errc() || extent < 0) return false;
      at_ = static_cast<size_t>(next - text_.data());
      shape->push_back(extent);
      Take('L');  // Python 2 wrote long integers so
      if (!Take(',')) return Take(')');
    }
    return true;
  }

 private:
  void SkipSpaces() {
    while (at_ < text_.size() && std::isspace(static_cast<uint8_t>(text_[at_]))) ++at_;
  }
  std::string_view text_;
  size_t at_ = 0;
};

bool ParseDict(std::string_view text, NpyHeader* header) {
  DictReader reader(text);
  if (!reader.Take('{')) return false;
  int found = 0;
  while (!reader.Take('}')) {
    std::string key;
    if (!reader.String(&key) || !reader.Take(':')) return false;
    if (key == "descr") {
      if (!reader.String(&header->dtype)) return false;
    } else if (key == "fortran_order") {
      if (!reader.Bool(&header->fortran_order)) return false;
    } else if (key == "shape") {
      header->shape.clear();
      if (!reader.Shape(&header->shape)) return false;
    } else {
      return false;
    }
    ++found;
    if (!reader.Take(',') && !reader.Take('}')) return false;
    if (reader.AtEnd()) break;
  }
  return found == 3 && !header->dtype.empty() && reader.AtEnd();
}

bool KnownType(std::string_view dtype) {
  if (dtype.size() != 3 || std::string_view("<>|=").find(dtype[0]) == dtype.npos) return false;
  const int size = dtype[2] - '0';
  switch (dtype[1]) {
    case 'b':
      return size == 1;
    case 'i':
    case 'u':
      return size == 1 || size == 2 || size == 4 || size == 8;
    case 'f':
      return size == 2 || size == 4 || size == 8;
    default:
      return false;
  }
}

}  // namespace

int64_t NpyHeader::elements() const {
  int64_t product = 1;
  for (int64_t extent : shape) product *= extent;
  return product;
}

int64_t NpyHeader::item_size() const { return dtype[2] - '0'; }

absl::StatusOr<NpyHeader> ParseNpyHeader(std::string_view bytes) {
  if (bytes.size() < 10 || !bytes.starts_with("\x93NUMPY")) {
    return InvalidArgument("no .npy array (its magic number is missing)");
  }
  const auto byte = [&](size_t i) { return static_cast<size_t>(static_cast<uint8_t>(bytes[i])); };
  const size_t version = byte(6);
  if (version < 1 || version > 3) return InvalidArgument("unknown .npy version {}", version);
  const size_t start = version == 1 ? 10 : 12;
  if (bytes.size() < start) return DataLoss("truncated .npy header");
  size_t length = byte(8) | byte(9) << 8;
  if (version > 1) length |= byte(10) << 16 | byte(11) << 24;
  if (length > kMaxHeader) return InvalidArgument(".npy header of {} bytes is too long", length);
  if (bytes.size() - start < length) return DataLoss("truncated .npy header");
  NpyHeader header;
  header.size = start + length;
  if (!ParseDict(bytes.substr(start, length), &header)) {
    return InvalidArgument("unreadable .npy header (only plain arrays are read)");
  }
  if (!KnownType(header.dtype)) {
    return InvalidArgument(".npy type {} is not read: save as uint8", header.dtype);
  }
  if (header.shape.size() > 8) return InvalidArgument(".npy has {} axes", header.shape.size());
  int64_t elements = 1;
  for (int64_t extent : header.shape) {
    // An extent of 0 must not hide an overflow of the others.
    const int64_t at_least_one = std::max<int64_t>(extent, 1);
    if (at_least_one > kMaxElements / elements) {
      return InvalidArgument(".npy shape has more than 2^40 elements");
    }
    elements *= at_least_one;
  }
  return header;
}

absl::Status CheckPictures(const NpyHeader& header) {
  const auto& shape = header.shape;
  const bool bytes = header.item_size() == 1 && header.dtype[1] == 'u';
  const bool pictures = shape.size() == 3 || (shape.size() == 4 && shape[3] == 3);
  if (!bytes || !pictures || header.fortran_order) {
    return InvalidArgument("{} of shape ({}){}: uint8 of shape (n, h, w) or (n, h, w, 3) is needed",
                           header.dtype, fmt::join(shape, ", "),
                           header.fortran_order ? " in Fortran's order" : "");
  }
  if (shape[1] < 1 || shape[2] < 1 || shape[1] > 1 << 15 || shape[2] > 1 << 15) {
    return InvalidArgument("images of {}x{} pixels", shape[2], shape[1]);
  }
  return absl::OkStatus();
}

}  // namespace manako
