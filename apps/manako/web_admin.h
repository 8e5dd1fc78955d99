// The web pages' ways to what is really there: the federation's database, and a site's folder.
#ifndef MANAKO_APPS_MANAKO_WEB_ADMIN_H_
#define MANAKO_APPS_MANAKO_WEB_ADMIN_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "dashboard/http_server.h"
#include "dashboard/server_admin.h"
#include "dashboard/site_admin.h"
#include "server/enrolment.h"
#include "server/federation_store.h"
#include "site/site_config.h"

namespace manako {

// A run out of a run.toml: validated, resolved, its first model made and kept, in the database as
// "created". Returns its id; what was done with initial parameters in *note. Used by `manako run
// create` and by the page.
absl::StatusOr<std::string> CreateRun(const std::string& folder, FederationStore* store,
                                      const std::string& toml, const std::string& name,
                                      std::string* note);
std::string RunTemplate();

// `changed` is called when the server in this process should look at the database.
std::unique_ptr<ServerAdmin> MakeServerAdmin(const std::string& folder, FederationStore* store,
                                             Enrolment* enrolment, std::function<void()> changed);
std::unique_ptr<SiteAdmin> MakeSiteAdmin(const std::string& folder, const SiteConfig& config);

// Serves a folder's page as its web.toml says, if there is anybody who could sign in (the file
// web-users); else null, with what to do in *why.
struct WebPage {
  virtual ~WebPage() = default;
  std::string url;
};
absl::StatusOr<std::unique_ptr<WebPage>> ServeServerPage(const std::string& folder,
                                                         ServerAdmin* admin, std::string* why);
absl::StatusOr<std::unique_ptr<WebPage>> ServeSitePage(const std::string& folder, SiteAdmin* admin,
                                                       std::string* why);

// Asks for a password on the terminal (twice, not shown) or reads a line of standard input, and
// keeps its hash.
absl::Status AskWebPassword(const std::string& folder, const std::string& user);

}  // namespace manako

#endif  // MANAKO_APPS_MANAKO_WEB_ADMIN_H_
