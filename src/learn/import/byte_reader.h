// Reads hostile bytes front to back: every step is checked against what is left, and none of them
// allocates.
#ifndef MANAKO_LEARN_IMPORT_BYTE_READER_H_
#define MANAKO_LEARN_IMPORT_BYTE_READER_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace manako {

// A place in `bytes`, which must outlive the reader and whatever views it gives out. Each Take
// moves the place and returns true, or returns false with place and output as they were.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes, size_t position = 0)
      : bytes_(bytes), position_(position < bytes.size() ? position : bytes.size()) {}

  // The next `size` bytes.
  bool Take(uint64_t size, std::string_view& out) {
    if (size > remaining()) return false;
    out = bytes_.substr(position_, size);
    position_ += size;
    return true;
  }

  // A little-endian number.
  template <std::unsigned_integral T>
  bool Take(T& out) {
    std::string_view raw;
    if (!Take(sizeof(T), raw)) return false;
    uint64_t value = 0;
    for (size_t i = sizeof(T); i-- > 0;) value = value << 8 | static_cast<uint8_t>(raw[i]);
    out = static_cast<T>(value);
    return true;
  }

  // Up to the next newline, which is passed over but not given.
  bool TakeLine(std::string_view& out) {
    const size_t end = bytes_.find('\n', position_);
    if (end == std::string_view::npos) return false;
    out = bytes_.substr(position_, end - position_);
    position_ = end + 1;
    return true;
  }

  size_t position() const { return position_; }
  size_t remaining() const { return bytes_.size() - position_; }

 private:
  std::string_view bytes_;
  size_t position_;
};

}  // namespace manako

#endif  // MANAKO_LEARN_IMPORT_BYTE_READER_H_
