// Both pages, asked by bytes: a request as text ("METHOD path?query", headers, an empty line, the
// body), sent by somebody who is signed in and has the token, so that it gets as far as it can.
#ifndef MANAKO_DASHBOARD_TESTING_FUZZED_PAGES_H_
#define MANAKO_DASHBOARD_TESTING_FUZZED_PAGES_H_

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "dashboard/admin_json.h"
#include "dashboard/server_pages.h"
#include "dashboard/site_pages.h"
#include "dashboard/testing/fake_admin.h"
#include "dashboard/users.h"

namespace manako {

class FuzzedPages {
 public:
  // `folder` is for the users' file and downloads.
  explicit FuzzedPages(const std::string& folder) : folder_(folder) {
    constexpr char kPassword[] = "a long enough password";
    if (!SetWebPassword(folder + "/web-users", "admin", kPassword).ok()) std::abort();
    const auto now = [] { return int64_t{1'800'000'000'000}; };
    server_pages_ = std::make_unique<ServerPages>(
        ServerPages::Options{.config = {}, .users_path = folder + "/web-users", .now_ms = now},
        &server_);
    site_pages_ = std::make_unique<SitePages>(
        SitePages::Options{.config = {}, .users_path = folder + "/web-users", .now_ms = now},
        &site_);
    const auto sign_in = [&](auto& pages) {
      HttpRequest request{.method = "POST", .path = "/api/session", .remote = "127.0.0.1"};
      request.headers = {{"host", "localhost"}, {"content-type", "application/json"}};
      request.body = nlohmann::json{{"user", "admin"}, {"password", kPassword}}.dump();
      const HttpAnswer answer = pages.Handle(request);
      Signed in;
      in.csrf = nlohmann::json::parse(answer.body).at("csrf");
      for (const auto& [name, value] : answer.headers) {
        if (name == "Set-Cookie") in.cookie = value.substr(0, value.find(';'));
      }
      return in;
    };
    server_session_ = sign_in(*server_pages_);
    site_session_ = sign_in(*site_pages_);
  }

  void Ask(std::string_view bytes) {
    const auto line = [&] {
      const size_t end = std::min(bytes.find('\n'), bytes.size());
      const std::string_view found = bytes.substr(0, end);
      bytes.remove_prefix(std::min(end + 1, bytes.size()));
      return found;
    };
    HttpRequest request{.remote = "127.0.0.1"};
    const std::string_view first = line();
    const size_t space = std::min(first.find(' '), first.size());
    request.method = first.substr(0, space);
    std::string_view path = first.substr(std::min(space + 1, first.size()));
    const size_t question = std::min(path.find('?'), path.size());
    request.path = path.substr(0, question);
    path.remove_prefix(std::min(question + 1, path.size()));
    while (!path.empty()) {
      const size_t end = std::min(path.find('&'), path.size());
      const std::string_view pair = path.substr(0, end);
      const size_t equals = std::min(pair.find('='), pair.size());
      request.query[std::string(pair.substr(0, equals))] =
          pair.substr(std::min(equals + 1, pair.size()));
      path.remove_prefix(std::min(end + 1, path.size()));
    }
    request.headers = {{"host", "localhost"}, {"content-type", "application/json"}};
    for (std::string_view header = line(); !header.empty(); header = line()) {
      const size_t colon = std::min(header.find(": "), header.size());
      request.headers[std::string(header.substr(0, colon))] =
          header.substr(std::min(colon + 2, header.size()));
    }
    request.body = bytes;
    request.headers.insert({"cookie", server_session_.cookie + "; " + site_session_.cookie});
    const bool given = request.headers.contains("x-manako-csrf");
    const auto ask = [&](auto& pages, const Signed& in) {
      if (!given) request.headers["x-manako-csrf"] = in.csrf;
      const HttpAnswer answer = pages.Handle(request);
      if (answer.status < 200 || answer.status > 599) std::abort();
      if (answer.content_type == "application/json" && !nlohmann::json::accept(answer.body)) {
        std::abort();
      }
      if (answer.stream) answer.stream([](std::string_view) { return true; });
    };
    ask(*server_pages_, server_session_);
    ask(*site_pages_, site_session_);
  }

 private:
  struct Signed {
    std::string cookie, csrf;
  };
  const std::string folder_;
  FakeServer server_{folder_, 1'800'000'000'000};
  FakeSite site_{1'800'000'000'000};
  std::unique_ptr<ServerPages> server_pages_;
  std::unique_ptr<SitePages> site_pages_;
  Signed server_session_, site_session_;
};

}  // namespace manako

#endif  // MANAKO_DASHBOARD_TESTING_FUZZED_PAGES_H_
