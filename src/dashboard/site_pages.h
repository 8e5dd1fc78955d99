// A branch hospital's own web page over a SiteAdmin (see gate.h for what stands before it):
//
//   GET  /api/overview                 status, runs, questions, the ledger's last line
//   GET  /api/ledger?before=SEQ&limit=N
//   GET  /api/live                     server-sent events: `state` with the overview whenever it
//   has
//                                      changed
//   POST /api/answer                   {"run","round","granted","why"}
//   POST /api/pause, /api/resume
#ifndef MANAKO_DASHBOARD_SITE_PAGES_H_
#define MANAKO_DASHBOARD_SITE_PAGES_H_

#include <functional>
#include <memory>
#include <string>

#include "dashboard/gate.h"
#include "dashboard/http_message.h"
#include "dashboard/site_admin.h"
#include "dashboard/users.h"

namespace manako {

// Thread-safe. `admin` must outlive it and its streams.
class SitePages {
 public:
  using Options = PagesOptions;
  SitePages(const Options& options, SiteAdmin* admin);
  HttpAnswer Handle(const HttpRequest& request) { return gate_->Handle(request); }

 private:
  HttpAnswer Api(const HttpRequest& request, const Session& session);
  HttpAnswer Post(const HttpRequest& request, const Session& session);
  HttpAnswer Live(const HttpRequest& request);
  absl::StatusOr<nlohmann::json> Overview();

  SiteAdmin* const admin_;
  std::unique_ptr<WebUsers> users_;
  std::unique_ptr<Gate> gate_;
};

}  // namespace manako

#endif  // MANAKO_DASHBOARD_SITE_PAGES_H_
