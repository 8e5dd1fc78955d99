#include "dashboard/web_config.h"

#include "base/files.h"
#include "base/status_macros.h"
#include "core/config_toml.h"
#include "identity/names.h"

namespace manako {

absl::Status WebConfig::Validate() const {
  config_toml::Rules rules;
  rules.Range("web.idle_minutes", idle_minutes, 1, 24 * 60);
  rules.Range("web.session_hours", session_hours, 1, 24 * 7);
  rules.That(certificate.empty() == key.empty(),
             InvalidArgument("web.certificate and web.key go together, but only {} is given",
                             certificate.empty() ? "web.key" : "web.certificate"));
  for (const std::string& host : hosts) {
    if (!CheckHost(host).ok()) {
      rules.That(false, InvalidArgument("web.hosts must be names of hosts, but one is {}",
                                        Printable(host)));
    }
  }
  MANAKO_RETURN_IF_ERROR(rules.status());
  return ServerOptions(0).status();
}

std::string WebConfig::ToToml() const { return config_toml::ToToml(*this); }

absl::StatusOr<WebConfig> WebConfig::Load(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(path, 1 << 20);
  if (absl::IsNotFound(text.status())) return WebConfig();
  MANAKO_RETURN_IF_ERROR(text.status());
  return config_toml::FromToml<WebConfig>(*text, path);
}

absl::StatusOr<HttpServer::Options> WebConfig::ServerOptions(uint16_t usual_port) const {
  HttpServer::Options options;
  options.port = usual_port;
  options.certificate = certificate;
  options.key = key;
  if (listen.empty()) return options;
  const absl::StatusOr<ServerAddress> address = ParseServerAddress(listen);
  if (!address.ok() || !IsIpAddress(address->host)) {
    return InvalidArgument("web.listen must be IP:port, such as 127.0.0.1:{}, but is {}",
                           kServerWebPort, Printable(listen));
  }
  if (!IsLoopback(address->host) && (certificate.empty() || key.empty())) {
    return InvalidArgument(
        "web.listen is {}, which other machines can reach: give web.certificate and web.key as "
        "well, or listen at 127.0.0.1",
        listen);
  }
  options.host = address->host;
  options.port = address->port;
  return options;
}

}  // namespace manako
