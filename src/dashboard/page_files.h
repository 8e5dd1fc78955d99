// The pages as web/ builds them, in the program.
#ifndef MANAKO_DASHBOARD_PAGE_FILES_H_
#define MANAKO_DASHBOARD_PAGE_FILES_H_

#include <string_view>

namespace manako {

std::string_view ServerPageHtml();
std::string_view SitePageHtml();

}  // namespace manako

#endif  // MANAKO_DASHBOARD_PAGE_FILES_H_
