#include <cstdio>  // jpeglib.h needs FILE
// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include <algorithm>
#include <csetjmp>

#include "base/status_macros.h"
#include "data/exif.h"
#include "data/formats.h"

namespace manako {
namespace {

// A progressive file may carry thousands of tiny scans over a huge picture; real ones have about
// ten.
constexpr int kMaxScans = 100;

// libjpeg leaves errors by longjmp. No frame between a setjmp below and libjpeg holds an object
// with a destructor.
struct Reader {
  jpeg_decompress_struct jpeg;
  jpeg_error_mgr errors;
  jpeg_progress_mgr progress;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
  bool truncated;
};

Reader* ReaderOf(j_common_ptr jpeg) { return static_cast<Reader*>(jpeg->client_data); }

[[noreturn]] void OnError(j_common_ptr jpeg) {
  jpeg->err->format_message(jpeg, ReaderOf(jpeg)->message);
  std::longjmp(ReaderOf(jpeg)->jump, 1);
}

// libjpeg goes on with grey where data are missing and only warns. Here that is an error; harmless
// warnings are not.
void OnMessage(j_common_ptr jpeg, int level) {
  if (level >= 0) return;
  switch (jpeg->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
      ReaderOf(jpeg)->truncated = true;
      OnError(jpeg);
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_BOGUS_PROGRESSION:
    case JWRN_MUST_RESYNC:
    case JWRN_NOT_SEQUENTIAL:
      OnError(jpeg);
    default:
      break;
  }
}

void OnProgress(j_common_ptr jpeg) {
  if (reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number > kMaxScans) {
    Reader* reader = ReaderOf(jpeg);
    std::snprintf(reader->message, sizeof reader->message, "more than %d scans", kMaxScans);
    std::longjmp(reader->jump, 1);
  }
}

bool ReadHeader(Reader* reader, std::string_view bytes) {
  if (setjmp(reader->jump) != 0) return false;
  jpeg_create_decompress(&reader->jpeg);
  reader->jpeg.progress = &reader->progress;
  jpeg_mem_src(&reader->jpeg, reinterpret_cast<const unsigned char*>(bytes.data()),
               static_cast<unsigned long>(bytes.size()));
  jpeg_save_markers(&reader->jpeg, JPEG_APP0 + 1, 0xffff);
  return jpeg_read_header(&reader->jpeg, TRUE) == JPEG_HEADER_OK;
}

bool Start(Reader* reader, int denominator) {
  if (setjmp(reader->jump) != 0) return false;
  jpeg_decompress_struct& jpeg = reader->jpeg;
  jpeg.scale_num = 1;
  jpeg.scale_denom = static_cast<unsigned int>(denominator);
  jpeg.dct_method = JDCT_ISLOW;
  const bool ink = jpeg.jpeg_color_space == JCS_CMYK || jpeg.jpeg_color_space == JCS_YCCK;
  jpeg.out_color_space = ink ? JCS_CMYK : JCS_RGB;
  return jpeg_start_decompress(&jpeg) == TRUE;
}

// `pixels` holds output_height rows of output_width pixels of output_components bytes.
bool ReadPixels(Reader* reader, uint8_t* pixels) {
  if (setjmp(reader->jump) != 0) return false;
  jpeg_decompress_struct& jpeg = reader->jpeg;
  const size_t stride = static_cast<size_t>(jpeg.output_width) * jpeg.output_components;
  while (jpeg.output_scanline < jpeg.output_height) {
    JSAMPROW row = pixels + jpeg.output_scanline * stride;
    jpeg_read_scanlines(&jpeg, &row, 1);
  }
  return true;
}

absl::Status Failure(const Reader& reader) {
  if (reader.truncated) return DataLoss("truncated JPEG");
  return DataLoss("damaged JPEG ({})", reader.message);
}

// Progressive files, and others of several scans, keep all coefficients in memory (16 bits each) at
// every scale.
absl::Status CheckCoefficients(jpeg_decompress_struct* jpeg) {
  if (!jpeg_has_multiple_scans(jpeg)) return absl::OkStatus();
  uint64_t coefficients = 0;
  for (int i = 0; i < jpeg->num_components; ++i) {
    const jpeg_component_info& component = jpeg->comp_info[i];
    coefficients += uint64_t{component.width_in_blocks} * component.height_in_blocks * 64;
  }
  if (coefficients * 2 <= kMaxDecodedBytes) return absl::OkStatus();
  return ResourceExhausted(
      "progressive JPEG of {}x{} pixels takes {} MB to decode, more than {}: save it as baseline",
      jpeg->image_width, jpeg->image_height, coefficients * 2 >> 20, kMaxDecodedBytes >> 20);
}

// Adobe's programs write ink inverted; others mostly follow them, but without their marker the
// values are plain.
void InkToRgb(bool inverted, const std::vector<uint8_t>& cmyk, uint8_t* rgb) {
  for (size_t i = 0; i + 3 < cmyk.size(); i += 4, rgb += 3) {
    const int key = inverted ? cmyk[i + 3] : 255 - cmyk[i + 3];
    for (size_t c = 0; c < 3; ++c) {
      const int light = inverted ? cmyk[i + c] : 255 - cmyk[i + c];
      rgb[c] = static_cast<uint8_t>((light * key + 127) / 255);
    }
  }
}

int Orientation(const jpeg_decompress_struct& jpeg) {
  for (const auto* marker = jpeg.marker_list; marker != nullptr; marker = marker->next) {
    const std::string_view data(reinterpret_cast<const char*>(marker->data), marker->data_length);
    if (const int orientation = ExifOrientation(data); orientation != 1) return orientation;
  }
  return 1;
}

absl::StatusOr<Decoded> Decode(Reader* reader, std::string_view bytes, int longer) {
  if (!ReadHeader(reader, bytes)) return Failure(*reader);
  jpeg_decompress_struct& jpeg = reader->jpeg;
  MANAKO_RETURN_IF_ERROR(CheckCoefficients(&jpeg));
  const int64_t longer_side = std::max(jpeg.image_width, jpeg.image_height);
  int denominator = 8;
  while (denominator > 1 && longer_side < int64_t{longer} * denominator) denominator /= 2;
  const auto reduced = [&](uint64_t side) { return (side + denominator - 1) / denominator; };
  const bool ink = jpeg.jpeg_color_space == JCS_CMYK || jpeg.jpeg_color_space == JCS_YCCK;
  MANAKO_RETURN_IF_ERROR(
      CheckDecodedSize(reduced(jpeg.image_width), reduced(jpeg.image_height), ink ? 7 : 3));
  if (!Start(reader, denominator)) return Failure(*reader);
  Decoded decoded;
  decoded.reduced = denominator > 1;
  decoded.orientation = Orientation(jpeg);
  decoded.image.width = static_cast<int>(jpeg.output_width);
  decoded.image.height = static_cast<int>(jpeg.output_height);
  const size_t pixels = size_t{jpeg.output_width} * jpeg.output_height;
  decoded.image.pixels.resize(pixels * 3);
  if (jpeg.output_components == 3) {
    if (!ReadPixels(reader, decoded.image.pixels.data())) return Failure(*reader);
    return decoded;
  }
  if (jpeg.output_components != 4) return Internal("JPEG with {} channels", jpeg.output_components);
  std::vector<uint8_t> cmyk(pixels * 4);
  if (!ReadPixels(reader, cmyk.data())) return Failure(*reader);
  InkToRgb(jpeg.saw_Adobe_marker, cmyk, decoded.image.pixels.data());
  return decoded;
}

}  // namespace

absl::StatusOr<Decoded> DecodeJpeg(std::string_view bytes, int longer) {
  Reader reader{};
  reader.jpeg.err = jpeg_std_error(&reader.errors);
  reader.jpeg.client_data = &reader;
  reader.errors.error_exit = OnError;
  reader.errors.emit_message = OnMessage;
  reader.progress.progress_monitor = OnProgress;
  absl::StatusOr<Decoded> decoded = Decode(&reader, bytes, longer);
  jpeg_destroy_decompress(&reader.jpeg);
  return decoded;
}

}  // namespace manako
