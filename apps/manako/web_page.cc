#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "apps/manako/output.h"
#include "apps/manako/web_admin.h"
#include "base/status_macros.h"
#include "dashboard/server_pages.h"
#include "dashboard/site_pages.h"
#include "dashboard/users.h"
#include "dashboard/web_config.h"
#include "identity/random_token.h"

namespace manako {
namespace {

template <typename Pages, typename Admin>
struct Served : WebPage {
  std::unique_ptr<Pages> pages;
  std::unique_ptr<HttpServer> http;  // ends before what it calls
};

template <typename Pages, typename Admin>
absl::StatusOr<std::unique_ptr<WebPage>> Serve(const std::string& folder, Admin* admin,
                                               uint16_t usual_port, const char* command,
                                               std::string* why) {
  const std::string users = folder + "/web-users";
  if (!WebUsers(users).any()) {
    *why = fmt::format(
        "No web page: nobody could sign in. Give a user a password first: manako {} password {} "
        "--user NAME",
        command, folder);
    return nullptr;
  }
  MANAKO_ASSIGN_OR_RETURN(const WebConfig config, WebConfig::Load(folder + "/web.toml"));
  MANAKO_RETURN_IF_ERROR(Annotate(config.Validate(), folder + "/web.toml"));
  MANAKO_ASSIGN_OR_RETURN(const HttpServer::Options options, config.ServerOptions(usual_port));
  auto page = std::make_unique<Served<Pages, Admin>>();
  page->pages = std::make_unique<Pages>(typename Pages::Options{config, users, NowMs}, admin);
  MANAKO_ASSIGN_OR_RETURN(
      page->http,
      HttpServer::Start(options, [pages = page->pages.get()](const HttpRequest& request) {
        return pages->Handle(request);
      }));
  page->url = fmt::format("{}://{}:{}/", options.certificate.empty() ? "http" : "https",
                          options.host, page->http->port());
  return page;
}

// A line without its end; on a terminal it is not shown.
std::string ReadSecret(const char* prompt) {
  const bool terminal = isatty(STDIN_FILENO) != 0;
  termios before{};
  if (terminal) {
    fmt::print(stderr, "{}", prompt);
    tcgetattr(STDIN_FILENO, &before);
    termios hidden = before;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
  }
  std::string line;
  std::getline(std::cin, line);
  if (terminal) {
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fmt::print(stderr, "\n");
  }
  return line;
}

}  // namespace

absl::StatusOr<std::unique_ptr<WebPage>> ServeServerPage(const std::string& folder,
                                                         ServerAdmin* admin, std::string* why) {
  return Serve<ServerPages>(folder, admin, kServerWebPort, "server", why);
}

absl::StatusOr<std::unique_ptr<WebPage>> ServeSitePage(const std::string& folder, SiteAdmin* admin,
                                                       std::string* why) {
  return Serve<SitePages>(folder, admin, kSiteWebPort, "site", why);
}

absl::Status AskWebPassword(const std::string& folder, const std::string& user) {
  std::string password = ReadSecret("Password (10 characters or more): ");
  absl::Status status;
  if (isatty(STDIN_FILENO) != 0 && ReadSecret("The same again: ") != password) {
    status = InvalidArgument("the two are not the same: nothing was changed");
  } else {
    status = SetWebPassword(folder + "/web-users", user, password);
  }
  Cleanse(password);
  if (status.ok()) fmt::print("{} can sign in.\n", user);
  return status;
}

}  // namespace manako
