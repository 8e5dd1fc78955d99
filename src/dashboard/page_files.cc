#include "dashboard/page_files.h"

extern "C" {
extern const char manako_server_page_begin[], manako_server_page_end[];
extern const char manako_site_page_begin[], manako_site_page_end[];
}

namespace manako {

std::string_view ServerPageHtml() {
  return {manako_server_page_begin,
          static_cast<size_t>(manako_server_page_end - manako_server_page_begin)};
}

std::string_view SitePageHtml() {
  return {manako_site_page_begin,
          static_cast<size_t>(manako_site_page_end - manako_site_page_begin)};
}

}  // namespace manako
