// What stands before both pages: who may ask, sign-in and sign-out, and the headers of every
// answer.
//
//   GET    /                the page (it holds no data)
//   GET    /healthz         {"ok":true}, or 503 with the reason for those who are signed in or here
//   GET    /metrics         for Prometheus: from this machine, or signed in
//   POST   /api/session     {"user":...,"password":...} -> {"user":...,"csrf":...} and the cookie
//   GET    /api/session     the same of a session; 401 without one
//   DELETE /api/session     sign-out
//   everything else         401 without a session; 403 without its CSRF token (X-Manako-Csrf) where
//                           something would change
//
// An error is {"error": "one line"}.
#ifndef MANAKO_DASHBOARD_GATE_H_
#define MANAKO_DASHBOARD_GATE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "dashboard/http_message.h"
#include "dashboard/sessions.h"
#include "dashboard/users.h"
#include "dashboard/web_config.h"

namespace manako {

class Gate {
 public:
  struct Options {
    std::string cookie;              // its name, such as manako_server
    std::string_view page;           // HTML with its policy in a <meta>
    std::vector<std::string> hosts;  // that a Host header may name, with any port; besides, the IP
                                     // addresses and localhost of this machine
    Sessions::Options sessions;
  };
  struct Deps {
    WebUsers* users = nullptr;
    std::function<int64_t()> now_ms;
    std::function<absl::Status()> healthy;
    std::function<absl::StatusOr<std::string>()> metrics;  // text of the exposition
    // The rest of the API; the session is there, and so is its CSRF token.
    std::function<HttpAnswer(const HttpRequest&, const Session&)> api;
  };
  Gate(Options options, Deps deps);

  HttpAnswer Handle(const HttpRequest& request);
  Sessions& sessions() { return sessions_; }

 private:
  HttpAnswer Route(const HttpRequest& request);
  HttpAnswer SignIn(const HttpRequest& request);
  bool HostIsKnown(const HttpRequest& request) const;
  std::string TokenOf(const HttpRequest& request) const;
  std::string CookieName(const HttpRequest& request) const;

  const Options options_;
  const Deps deps_;
  std::string policy_;
  std::set<std::string> hosts_;
  Sessions sessions_;
};

// What a folder's pages are told, whichever they are.
struct PagesOptions {
  WebConfig config;
  std::string users_path;           // web-users of the folder
  std::function<int64_t()> now_ms;  // since 1970; null: the system's clock
  Sessions::Options limits = {};    // idle and absolute time are the configuration's
};
struct PageKind {
  std::string name;  // the cookie's name begins with it
  std::string_view html;
  uint16_t usual_port;
};
// The gate of such pages; a clock that `deps` lacks is the system's.
std::unique_ptr<Gate> MakeGate(const PagesOptions& options, const PageKind& kind, Gate::Deps deps);

// Answers of the API.
HttpAnswer JsonAnswer(const nlohmann::json& json, int status = 200);
HttpAnswer ErrorAnswer(int status, std::string_view message);
HttpAnswer ErrorAnswer(const absl::Status& status);

// The body as a JSON object; InvalidArgument otherwise.
absl::StatusOr<nlohmann::json> BodyOf(const HttpRequest& request);
// A text field of it. InvalidArgument: missing, no text, or longer than max_bytes.
absl::StatusOr<std::string> TextOf(const nlohmann::json& body, const char* field, size_t max_bytes);
absl::StatusOr<int64_t> NumberOf(const nlohmann::json& body, const char* field, int64_t low,
                                 int64_t high);
// A query's number; `otherwise` without one.
absl::StatusOr<int64_t> QueryNumber(const HttpRequest& request, const char* name, int64_t otherwise,
                                    int64_t low, int64_t high);
// {"event-name", data} as server-sent events; id is left out when negative.
std::string ServerSentEvent(std::string_view name, int64_t id, const nlohmann::json& data);
// A stream of them without an end. `next` gives what there is to send, or "" after it has waited
// for about a second, which it must not when asked for the first time.
HttpAnswer EventStream(std::function<std::string(bool first)> next);

}  // namespace manako

#endif  // MANAKO_DASHBOARD_GATE_H_
