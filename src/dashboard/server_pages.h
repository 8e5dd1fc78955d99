// The central hospital's web page over a ServerAdmin (docs in gate.h for what stands before it):
//
//   GET  /api/overview                 federation, sites, runs, the last event's number
//   GET  /api/runs/RUN                 all of a run
//   GET  /api/runs/RUN/model?round=N   a download: the array file
//   GET  /api/runs/RUN/model.pt?round=N  a download, made when it is asked for
//   GET  /api/runs/RUN/report          a download
//   GET  /api/events?behind=SEQ&limit=N&run=RUN
//   GET  /api/events?latest=N&run=RUN  the newest, oldest first
//   GET  /api/live                     server-sent events: `event` with an event's number as its id
//                                      (Last-Event-ID goes on behind it; without one, from now),
//                                      and `state` with the overview whenever that has changed
//   GET  /api/template                 a run's TOML to begin with
//   POST /api/runs                     {"toml"} -> {"id"}
//   POST /api/runs/RUN/start, pause, resume, cancel
//   POST /api/sites/SITE/invite        {"hours"} -> {"line","expires_ms"}
//   POST /api/sites/SITE/revoke        {"why"}
#ifndef MANAKO_DASHBOARD_SERVER_PAGES_H_
#define MANAKO_DASHBOARD_SERVER_PAGES_H_

#include <functional>
#include <memory>
#include <string>

#include "dashboard/gate.h"
#include "dashboard/http_message.h"
#include "dashboard/server_admin.h"
#include "dashboard/users.h"

namespace manako {

// Thread-safe. `admin` must outlive it and its streams.
class ServerPages {
 public:
  using Options = PagesOptions;
  ServerPages(const Options& options, ServerAdmin* admin);
  HttpAnswer Handle(const HttpRequest& request) { return gate_->Handle(request); }

 private:
  HttpAnswer Api(const HttpRequest& request, const Session& session);
  HttpAnswer Get(const HttpRequest& request);
  HttpAnswer Post(const HttpRequest& request, const Session& session);
  HttpAnswer Live(const HttpRequest& request);
  absl::StatusOr<nlohmann::json> Overview();

  ServerAdmin* const admin_;
  std::unique_ptr<WebUsers> users_;
  std::unique_ptr<Gate> gate_;
};

}  // namespace manako

#endif  // MANAKO_DASHBOARD_SERVER_PAGES_H_
