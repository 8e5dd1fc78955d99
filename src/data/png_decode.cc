#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>

#include "base/status_macros.h"
#include "data/formats.h"

namespace manako {
namespace {

// libpng leaves errors by longjmp. No frame between a setjmp below and libjpng holds an object with
// a destructor.
struct Reader {
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::string_view rest;
  bool truncated = false;
  char message[128] = "";
};

void OnError(png_structp png, png_const_charp message) {
  auto* reader = static_cast<Reader*>(png_get_error_ptr(png));
  std::strncpy(reader->message, message, sizeof reader->message - 1);
  png_longjmp(png, 1);
}

void OnWarning(png_structp, png_const_charp) {}

void OnRead(png_structp png, png_bytep to, size_t size) {
  auto* reader = static_cast<Reader*>(png_get_io_ptr(png));
  if (size > reader->rest.size()) {
    reader->truncated = true;
    png_error(png, "truncated");
  }
  std::memcpy(to, reader->rest.data(), size);
  reader->rest.remove_prefix(size);
}

bool ReadHeader(Reader* reader) {
  if (setjmp(png_jmpbuf(reader->png))) return false;
  png_set_read_fn(reader->png, reader, OnRead);
  png_set_user_limits(reader->png, 1 << 20, 1 << 20);
  png_read_info(reader->png, reader->info);
  return true;
}

// Asks for RGB of 8 or 16 bits in this machine's byte order, whatever the file holds.
bool Start(Reader* reader) {
  if (setjmp(png_jmpbuf(reader->png))) return false;
  png_set_palette_to_rgb(reader->png);
  png_set_expand_gray_1_2_4_to_8(reader->png);
  png_set_gray_to_rgb(reader->png);
  png_set_strip_alpha(reader->png);
  if (png_get_bit_depth(reader->png, reader->info) == 16) png_set_swap(reader->png);
  png_set_interlace_handling(reader->png);
  png_read_update_info(reader->png, reader->info);
  return true;
}

bool ReadRow(Reader* reader, uint8_t* row) {
  if (setjmp(png_jmpbuf(reader->png))) return false;
  png_read_row(reader->png, row, nullptr);
  return true;
}

// Averages blocks of factor * factor pixels (smaller ones at the right and the bottom) as rows come
// in.
class BlockAverage {
 public:
  BlockAverage(int width, int height, int factor)
      : width_(width),
        height_(height),
        factor_(factor),
        out_width_((width + factor - 1) / factor),
        out_height_((height + factor - 1) / factor),
        sums_(static_cast<size_t>(out_width_) * 3),
        values_(sums_.size() * static_cast<size_t>(out_height_)) {}

  template <typename Sample>
  void Add(const Sample* row) {
    for (int x = 0, out = 0; x < width_; x += factor_, out += 3) {
      const int end = std::min(width_, x + factor_);
      for (int i = x; i < end; ++i) {
        for (int c = 0; c < 3; ++c) sums_[static_cast<size_t>(out + c)] += row[3 * i + c];
      }
    }
    ++row_;
    if (row_ % factor_ == 0 || row_ == height_) Flush();
  }

  Decoded Finish(bool deep) && {
    Decoded decoded;
    decoded.reduced = factor_ > 1;
    decoded.image.width = out_width_;
    decoded.image.height = out_height_;
    decoded.image.pixels.resize(values_.size());
    uint16_t brightest = 0;
    for (uint16_t value : values_) brightest = std::max(brightest, value);
    const uint32_t full = deep ? (1u << UsedBits(brightest)) - 1 : 255;
    for (size_t i = 0; i < values_.size(); ++i) {
      decoded.image.pixels[i] = static_cast<uint8_t>((values_[i] * 255u + full / 2) / full);
    }
    return decoded;
  }

 private:
  void Flush() {
    const uint64_t rows = static_cast<uint64_t>((row_ - 1) % factor_ + 1);
    uint16_t* to = &values_[static_cast<size_t>((row_ - 1) / factor_) * sums_.size()];
    for (size_t i = 0; i < sums_.size(); ++i) {
      const int x = static_cast<int>(i / 3) * factor_;
      const uint64_t n = rows * static_cast<uint64_t>(std::min(factor_, width_ - x));
      to[i] = static_cast<uint16_t>((sums_[i] + n / 2) / n);
    }
    std::fill(sums_.begin(), sums_.end(), 0);
  }

  int width_, height_, factor_, out_width_, out_height_;
  int row_ = 0;
  std::vector<uint64_t> sums_;
  std::vector<uint16_t> values_;
};

absl::Status Failure(const Reader& reader) {
  if (reader.truncated) return DataLoss("truncated PNG");
  return DataLoss("damaged PNG ({})", reader.message);
}

absl::StatusOr<Decoded> Decode(Reader* reader, int longer) {
  if (!ReadHeader(reader)) return Failure(*reader);
  const uint64_t width = png_get_image_width(reader->png, reader->info);
  const uint64_t height = png_get_image_height(reader->png, reader->info);
  const bool deep = png_get_bit_depth(reader->png, reader->info) == 16;
  const bool interlaced = png_get_interlace_type(reader->png, reader->info) != PNG_INTERLACE_NONE;
  const int factor = std::max(1, static_cast<int>(std::max(width, height)) / std::max(1, longer));
  if (interlaced) {
    MANAKO_RETURN_IF_ERROR(CheckDecodedSize(width, height, deep ? 6 : 3));
  }
  MANAKO_RETURN_IF_ERROR(
      CheckDecodedSize((width + factor - 1) / factor, (height + factor - 1) / factor, 5));
  if (!Start(reader)) return Failure(*reader);
  const size_t stride = png_get_rowbytes(reader->png, reader->info);
  if (stride != width * (deep ? 6 : 3)) return Internal("PNG rows of {} bytes", stride);

  // uint16_t storage, so that deep rows are aligned.
  const uint64_t kept_rows = interlaced ? height : 1;
  std::vector<uint16_t> rows((stride + 1) / 2 * kept_rows);
  const size_t row_size = (stride + 1) / 2;
  if (interlaced) {
    const int passes = 7;
    for (int pass = 0; pass < passes; ++pass) {
      for (uint64_t y = 0; y < height; ++y) {
        if (!ReadRow(reader, reinterpret_cast<uint8_t*>(&rows[y * row_size])))
          return Failure(*reader);
      }
    }
  }
  BlockAverage average(static_cast<int>(width), static_cast<int>(height), factor);
  for (uint64_t y = 0; y < height; ++y) {
    uint16_t* row = &rows[interlaced ? y * row_size : 0];
    if (!interlaced && !ReadRow(reader, reinterpret_cast<uint8_t*>(row))) return Failure(*reader);
    if (deep) {
      average.Add(row);
    } else {
      average.Add(reinterpret_cast<const uint8_t*>(row));
    }
  }
  return std::move(average).Finish(deep);
}

}  // namespace

absl::StatusOr<Decoded> DecodePng(std::string_view bytes, int longer) {
  Reader reader;
  reader.rest = bytes;
  reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, OnError, OnWarning);
  if (reader.png == nullptr) return Internal("libpng cannot be started");
  reader.info = png_create_info_struct(reader.png);
  absl::StatusOr<Decoded> decoded = Internal("libpng cannot be started");
  if (reader.info != nullptr) decoded = Decode(&reader, longer);
  png_destroy_read_struct(&reader.png, &reader.info, nullptr);
  return decoded;
}

}  // namespace manako
