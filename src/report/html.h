// A report's numbers within its page.
#ifndef MANAKO_REPORT_HTML_H_
#define MANAKO_REPORT_HTML_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace manako {

// The page that was built into the program: web/dist/report.html, or fallback.html where that was
// not built.
std::string_view ReportPage();

// `page` with `json` as the content of its <script type="application/json" id="manako-report">.
// "<", ">" and "&" are written as \u003c and so on, so that nothing in the data (a file called
// </script>) ends the element. Internal when the page has no such element or several.
absl::StatusOr<std::string> PutJsonIntoPage(std::string_view page, std::string_view json);

// "data:image/jpeg;base64,...".
std::string JpegDataUrl(std::string_view jpeg);

}  // namespace manako

#endif  // MANAKO_REPORT_HTML_H_
