#include "report/html.h"

#include <cstdint>

#include "base/status_macros.h"

extern "C" {
extern const char manako_report_page_begin[];
extern const char manako_report_page_end[];
}

namespace manako {

std::string_view ReportPage() {
  return {manako_report_page_begin,
          static_cast<size_t>(manako_report_page_end - manako_report_page_begin)};
}

absl::StatusOr<std::string> PutJsonIntoPage(std::string_view page, std::string_view json) {
  constexpr std::string_view kOpening = "<script type=\"application/json\" id=\"manako-report\">";
  constexpr std::string_view kClosing = "</script>";
  const size_t opening = page.find(kOpening);
  if (opening == std::string_view::npos ||
      page.find(kOpening, opening + 1) != std::string_view::npos) {
    return Internal("the report page must have exactly one {}", kOpening);
  }
  const size_t begin = opening + kOpening.size();
  const size_t end = page.find(kClosing, begin);
  if (end == std::string_view::npos) return Internal("the report page never closes {}", kOpening);

  std::string html;
  html.reserve(page.size() + json.size() + json.size() / 16);
  html.append(page.substr(0, begin));
  for (const char c : json) {
    switch (c) {
      case '<':
        html += "\\u003c";
        break;
      case '>':
        html += "\\u003e";
        break;
      case '&':
        html += "\\u0026";
        break;
      default:
        html += c;
    }
  }
  html.append(page.substr(end));
  return html;
}

std::string JpegDataUrl(std::string_view jpeg) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string url = "data:image/jpeg;base64,";
  for (size_t i = 0; i < jpeg.size(); i += 3) {
    const auto byte = [&](size_t k) {
      return i + k < jpeg.size() ? static_cast<uint32_t>(static_cast<uint8_t>(jpeg[i + k])) : 0u;
    };
    const uint32_t bits = byte(0) << 16 | byte(1) << 8 | byte(2);
    url += kDigits[bits >> 18];
    url += kDigits[bits >> 12 & 63];
    url += i + 1 < jpeg.size() ? kDigits[bits >> 6 & 63] : '=';
    url += i + 2 < jpeg.size() ? kDigits[bits & 63] : '=';
  }
  return url;
}

}  // namespace manako
