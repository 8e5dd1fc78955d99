#include "dashboard/gate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>

#include "base/status_macros.h"
#include "dashboard/admin_json.h"
#include "dashboard/http_server.h"
#include "identity/random_token.h"

namespace manako {
namespace {

using nlohmann::json;

constexpr size_t kMaxNameBytes = 128, kMaxPasswordBytes = 1024;
constexpr std::chrono::seconds kHeartbeat(15);

// The policy that the page's build has written into it: the hashes of its script and style.
std::string PolicyOf(std::string_view page) {
  constexpr std::string_view kOpening = "<meta http-equiv=\"Content-Security-Policy\" content=\"";
  const size_t at = page.find(kOpening);
  if (at == std::string_view::npos) return "default-src 'none'";
  const size_t begin = at + kOpening.size();
  return std::string(page.substr(begin, page.find('"', begin) - begin));
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

// "name", "name:port", "[v6]:port" -> the name in lower case; empty: none of these.
std::string HostName(std::string_view header) {
  std::string_view name = header;
  std::string_view port;
  if (header.starts_with('[')) {
    const size_t end = header.find(']');
    if (end == std::string_view::npos) return "";
    name = header.substr(1, end - 1);
    port = header.substr(end + 1);
  } else if (const size_t colon = header.find(':'); colon != std::string_view::npos) {
    name = header.substr(0, colon);
    port = header.substr(colon);
  }
  if (!port.empty() &&
      (port[0] != ':' || port.size() > 6 ||
       !std::all_of(port.begin() + 1, port.end(), [](char c) { return c >= '0' && c <= '9'; }))) {
    return "";
  }
  return Lower(name);
}

int HttpStatusOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return 400;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kAborted:
      return 409;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kResourceExhausted:
      return 503;
    default:
      return 500;
  }
}

bool IsForwarded(const HttpRequest& request) {
  return !request.Header("x-forwarded-for").empty() || !request.Header("forwarded").empty();
}

bool IsRead(const std::string& method) { return method == "GET" || method == "HEAD"; }

}  // namespace

std::string_view HttpRequest::Header(std::string_view name) const {
  const auto found = headers.find(std::string(name));
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

std::string_view HttpRequest::Query(std::string_view name) const {
  const auto found = query.find(std::string(name));
  return found == query.end() ? std::string_view() : std::string_view(found->second);
}

HttpAnswer JsonAnswer(const json& json, int status) {
  return {.status = status, .content_type = "application/json", .body = Write(json)};
}

HttpAnswer ErrorAnswer(int status, std::string_view message) {
  return JsonAnswer({{"error", std::string(message)}}, status);
}

HttpAnswer ErrorAnswer(const absl::Status& status) {
  return ErrorAnswer(HttpStatusOf(status), MessageOf(status));
}

absl::StatusOr<json> BodyOf(const HttpRequest& request) {
  // Nested deeper than any request of ours, a text would only cost the reader's stack.
  int depth = 0;
  json body = json::parse(
      request.body,
      [&](int at, json::parse_event_t, json&) {
        depth = std::max(depth, at);
        return at <= 8;
      },
      false);
  if (depth > 8 || !body.is_object())
    return InvalidArgument("the request's body must be a JSON object");
  return body;
}

absl::StatusOr<std::string> TextOf(const json& body, const char* field, size_t max_bytes) {
  const auto found = body.find(field);
  if (found == body.end() || !found->is_string()) {
    return InvalidArgument("{} must be given as a text", field);
  }
  std::string text = found->get<std::string>();
  if (text.size() > max_bytes) {
    return InvalidArgument("{} must be at most {} bytes, but is {}", field, max_bytes, text.size());
  }
  return text;
}

absl::StatusOr<int64_t> NumberOf(const json& body, const char* field, int64_t low, int64_t high) {
  const auto found = body.find(field);
  // An unsigned number above the largest signed one would turn negative.
  const bool whole =
      found != body.end() && found->is_number_integer() &&
      (!found->is_number_unsigned() || found->get<uint64_t>() <= uint64_t{INT64_MAX});
  const int64_t value = whole ? found->get<int64_t>() : 0;
  if (!whole || value < low || value > high) {
    return InvalidArgument("{} must be a whole number from {} to {}", field, low, high);
  }
  return value;
}

absl::StatusOr<int64_t> QueryNumber(const HttpRequest& request, const char* name, int64_t otherwise,
                                    int64_t low, int64_t high) {
  const std::string_view text = request.Query(name);
  if (text.empty()) return otherwise;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < low || value > high) {
    return InvalidArgument("{} must be a whole number from {} to {}", name, low, high);
  }
  return value;
}

std::string ServerSentEvent(std::string_view name, int64_t id, const json& data) {
  std::string event;
  if (id >= 0) event += fmt::format("id: {}\n", id);
  return event + fmt::format("event: {}\ndata: {}\n\n", name, Write(data));
}

Gate::Gate(Options options, Deps deps)
    : options_(std::move(options)),
      deps_(std::move(deps)),
      policy_(PolicyOf(options_.page) + "; frame-ancestors 'none'"),
      sessions_(options_.sessions, deps_.users, deps_.now_ms) {
  for (const std::string& host : options_.hosts) hosts_.insert(Lower(host));
}

HttpAnswer Gate::Handle(const HttpRequest& request) {
  HttpAnswer answer = Route(request);
  const bool page = answer.content_type.starts_with("text/html") && answer.file == nullptr;
  // A downloaded report is somebody else's page: it is never shown under this one's address.
  answer.headers.emplace_back(
      "Content-Security-Policy",
      page ? policy_ : "default-src 'none'; frame-ancestors 'none'; sandbox");
  answer.headers.emplace_back("X-Content-Type-Options", "nosniff");
  answer.headers.emplace_back("X-Frame-Options", "DENY");
  answer.headers.emplace_back("Referrer-Policy", "no-referrer");
  answer.headers.emplace_back("Cross-Origin-Opener-Policy", "same-origin");
  answer.headers.emplace_back("Cross-Origin-Resource-Policy", "same-origin");
  answer.headers.emplace_back("Permissions-Policy",
                              "camera=(), geolocation=(), microphone=(), payment=(), usb=()");
  answer.headers.emplace_back("Cache-Control", page ? "no-cache" : "no-store");
  if (request.tls) answer.headers.emplace_back("Strict-Transport-Security", "max-age=31536000");
  return answer;
}

bool Gate::HostIsKnown(const HttpRequest& request) const {
  const std::string name = HostName(request.Header("host"));
  if (name == "localhost" || IsLoopback(name)) return true;
  return hosts_.contains(name);
}

// With TLS the prefix keeps other hosts of the domain from setting it.
std::string Gate::CookieName(const HttpRequest& request) const {
  return (request.tls ? "__Host-" : "") + options_.cookie;
}

std::string Gate::TokenOf(const HttpRequest& request) const {
  const std::string name = CookieName(request) + "=";
  std::string_view cookies = request.Header("cookie");
  while (!cookies.empty()) {
    const size_t end = std::min(cookies.find(';'), cookies.size());
    std::string_view cookie = cookies.substr(0, end);
    while (cookie.starts_with(' ')) cookie.remove_prefix(1);
    if (cookie.starts_with(name)) return std::string(cookie.substr(name.size()));
    cookies.remove_prefix(std::min(end + 1, cookies.size()));
  }
  return "";
}

HttpAnswer Gate::SignIn(const HttpRequest& request) {
  const auto body = BodyOf(request);
  if (!body.ok()) return ErrorAnswer(body.status());
  const auto user = TextOf(*body, "user", kMaxNameBytes);
  if (!user.ok()) return ErrorAnswer(user.status());
  auto password = TextOf(*body, "password", kMaxPasswordBytes);
  if (!password.ok()) return ErrorAnswer(password.status());
  if (!deps_.users->any()) {
    return ErrorAnswer(409, "nobody has a password yet: set one with the password command");
  }
  const auto signed_in = sessions_.TrySignIn(*user, *password, request.remote);
  Cleanse(*password);
  if (!signed_in.ok()) {
    const bool early = absl::IsResourceExhausted(signed_in.status());
    HttpAnswer answer = ErrorAnswer(early ? 429 : 401, MessageOf(signed_in.status()));
    if (early) {
      std::string seconds;
      for (const char c : MessageOf(signed_in.status())) {
        if (c >= '0' && c <= '9') seconds += c;
      }
      answer.headers.emplace_back("Retry-After", seconds.empty() ? "1" : seconds);
    }
    return answer;
  }
  HttpAnswer answer =
      JsonAnswer({{"user", signed_in->session.user}, {"csrf", signed_in->session.csrf}});
  answer.headers.emplace_back(
      "Set-Cookie", fmt::format("{}={}; Path=/; HttpOnly; SameSite=Strict{}", CookieName(request),
                                signed_in->token, request.tls ? "; Secure" : ""));
  return answer;
}

HttpAnswer Gate::Route(const HttpRequest& request) {
  // A name that points here from elsewhere's DNS is not ours (DNS rebinding).
  if (!HostIsKnown(request)) {
    return ErrorAnswer(
        421, "this page is not served under that host name: web.hosts names those that it is");
  }
  const bool read = IsRead(request.method);
  if (!read && request.method != "POST" && request.method != "DELETE") {
    HttpAnswer answer = ErrorAnswer(405, "only GET, POST and DELETE are answered");
    answer.headers.emplace_back("Allow", "GET, HEAD, POST, DELETE");
    return answer;
  }
  if (!read) {
    // A form of another site can send neither this type nor this header; a script of another origin
    // would have to ask first, and is not answered.
    const std::string_view origin = request.Header("origin");
    const std::string own =
        fmt::format("{}://{}", request.tls ? "https" : "http", request.Header("host"));
    if (!origin.empty() && origin != own)
      return ErrorAnswer(403, "the request comes from another page");
    const std::string_view site = request.Header("sec-fetch-site");
    if (!site.empty() && site != "same-origin" && site != "none") {
      return ErrorAnswer(403, "the request comes from another page");
    }
    const std::string_view type = request.Header("content-type");
    if (request.method == "POST" && (!type.starts_with("application/json") ||
                                     (type.size() > 16 && type[16] != ';' && type[16] != ' '))) {
      return ErrorAnswer(415, "the body must be application/json");
    }
  }
  const std::string& path = request.path;
  if (path == "/" || path == "/index.html") {
    if (!read) return ErrorAnswer(405, "the page can only be fetched");
    return {.content_type = "text/html; charset=utf-8", .body = std::string(options_.page)};
  }
  const bool here = IsLoopback(request.remote) && !IsForwarded(request);
  const std::string token = TokenOf(request);
  if (path == "/healthz" && read) {
    const absl::Status healthy = deps_.healthy();
    if (healthy.ok()) return JsonAnswer({{"ok", true}});
    const bool tell = here || sessions_.Find(token, false).has_value();
    return JsonAnswer(
        {{"ok", false}, {"error", tell ? std::string(MessageOf(healthy)) : "not well"}}, 503);
  }
  if (path == "/metrics" && read) {
    if (!here && !sessions_.Find(token, false)) return ErrorAnswer(401, "sign in first");
    const absl::StatusOr<std::string> metrics = deps_.metrics();
    if (!metrics.ok()) return ErrorAnswer(metrics.status());
    return {.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = *metrics};
  }
  if (!path.starts_with("/api/")) return ErrorAnswer(404, "there is nothing here");
  if (path == "/api/session" && request.method == "POST") return SignIn(request);
  // What a page asks by itself is no sign that anybody is there.
  const bool use = path != "/api/live" && request.Header("x-manako-background").empty();
  const std::optional<Session> session = sessions_.Find(token, use);
  if (!session) return ErrorAnswer(401, "sign in first");
  if (!read && !ConstantTimeEqual(request.Header("x-manako-csrf"), session->csrf)) {
    return ErrorAnswer(403, "the request has no valid X-Manako-Csrf: load the page again");
  }
  if (path == "/api/session") {
    if (read) return JsonAnswer({{"user", session->user}, {"csrf", session->csrf}});
    sessions_.SignOut(token);
    HttpAnswer answer = JsonAnswer(json::object());
    answer.headers.emplace_back("Set-Cookie",
                                fmt::format("{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict{}",
                                            CookieName(request), request.tls ? "; Secure" : ""));
    return answer;
  }
  if (request.method == "DELETE") return ErrorAnswer(405, "nothing else can be deleted");
  HttpAnswer answer = deps_.api(request, *session);
  if (answer.stream) {
    // A stream ends with its session.
    answer.stream = [this, token, stream = std::move(answer.stream)](const HttpWriter& write) {
      return sessions_.Find(token, false).has_value() && stream(write);
    };
  }
  return answer;
}

HttpAnswer EventStream(std::function<std::string(bool first)> next) {
  HttpAnswer answer;
  answer.content_type = "text/event-stream";
  answer.headers.emplace_back("X-Accel-Buffering", "no");
  answer.stream = [next = std::move(next), said = std::chrono::steady_clock::time_point(),
                   begun = false](const HttpWriter& write) mutable {
    std::string out = begun ? "" : "retry: 2000\n\n";
    out += next(!begun);
    begun = true;
    const auto now = std::chrono::steady_clock::now();
    if (out.empty()) {
      if (now - said < kHeartbeat) return true;
      out = ": still here\n\n";
    }
    said = now;
    return write(out);
  };
  return answer;
}

std::unique_ptr<Gate> MakeGate(const PagesOptions& options, const PageKind& kind, Gate::Deps deps) {
  Gate::Options gate{.cookie = kind.name,
                     .page = kind.html,
                     .hosts = options.config.hosts,
                     .sessions = options.limits};
  gate.sessions.idle_ms = int64_t{options.config.idle_minutes} * 60'000;
  gate.sessions.absolute_ms = int64_t{options.config.session_hours} * 3'600'000;
  uint16_t port = kind.usual_port;
  if (const auto at = options.config.ServerOptions(port); at.ok()) {
    gate.hosts.push_back(at->host);
    port = at->port;
  }
  // Browsers keep cookies by host, not by port: several pages on one machine differ.
  gate.cookie += "_" + std::to_string(port);
  if (!deps.now_ms) {
    deps.now_ms = [] {
      return int64_t{std::chrono::duration_cast<std::chrono::milliseconds>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count()};
    };
  }
  return std::make_unique<Gate>(std::move(gate), std::move(deps));
}

}  // namespace manako
