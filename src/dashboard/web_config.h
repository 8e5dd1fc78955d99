// web.toml: where a folder's web page is served, and for how long a sign-in lasts.
#ifndef MANAKO_DASHBOARD_WEB_CONFIG_H_
#define MANAKO_DASHBOARD_WEB_CONFIG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dashboard/http_server.h"

namespace manako {

struct WebConfig {
  std::string listen;            // IP:port; empty: the program's usual one, on loopback
  std::string certificate, key;  // PEM files: TLS, without which only loopback is possible
  std::vector<std::string>
      hosts;               // names by which browsers reach it, beside localhost and `listen`
  int idle_minutes = 30;   // without a request, until one must sign in again
  int session_hours = 12;  // the longest that a sign-in lasts

  // InvalidArgument that names the field (as in the TOML), its value, and what it may be.
  absl::Status Validate() const;
  std::string ToToml() const;
  // The defaults when there is no such file. InvalidArgument; not validated.
  static absl::StatusOr<WebConfig> Load(const std::string& path);
  // Where to listen; `usual_port` where `listen` says nothing.
  absl::StatusOr<HttpServer::Options> ServerOptions(uint16_t usual_port) const;
};

template <typename Config, typename Visit>
requires requires(Config& c) { c.idle_minutes; }
void VisitFields(Config& c, Visit&& visit) {
  visit("web", "listen", c.listen, "IP:port; another than 127.0.0.1 needs certificate and key");
  visit("web", "certificate", c.certificate, "PEM file of the certificate and its chain");
  visit("web", "key", c.key, "PEM file of its key");
  visit("web", "hosts", c.hosts, "Names by which browsers reach this page");
  visit("web", "idle_minutes", c.idle_minutes, "Without a request until one must sign in again");
  visit("web", "session_hours", c.session_hours, "The longest that a sign-in lasts");
}

constexpr uint16_t kServerWebPort = 8480;
constexpr uint16_t kSiteWebPort = 8481;

}  // namespace manako

#endif  // MANAKO_DASHBOARD_WEB_CONFIG_H_
