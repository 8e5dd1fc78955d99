// Both pages over real sockets, as browsers and others than browsers ask.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "base/temporary_folder.h"
#include "dashboard/admin_json.h"
#include "dashboard/http_server.h"
#include "dashboard/page_files.h"
#include "dashboard/server_pages.h"
#include "dashboard/site_pages.h"
#include "dashboard/testing/fake_admin.h"
#include "dashboard/testing/raw_client.h"
#include "dashboard/users.h"

namespace manako {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr char kPassword[] = "a long enough password";
constexpr int64_t kNow = 1'800'000'000'000;

#ifdef __SANITIZE_THREAD__
// cpp-httplib makes the mark behind a stream's last piece when a stream first ends. It comes from
// Debian without instrumentation, so the sanitizer does not see that this is done under a lock, and
// takes the next thread that sends the mark for a race. Made before any other thread is there, it
// is none; a suppression would hide more than this.
class AStreamHasEnded : public testing::Environment {
 public:
  void SetUp() override {
    const auto server = HttpServer::Start({}, [](const HttpRequest&) {
      return HttpAnswer{.content_type = "text/plain",
                        .stream = [](const HttpWriter&) { return false; }};
    });
    ASSERT_TRUE(server.ok()) << server.status();
    RawClient client((*server)->port());
    client.Send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ASSERT_THAT(client.ReadUntil("0\r\n\r\n"), HasSubstr("0\r\n\r\n"));
  }
};
const auto* const kAStreamHasEnded = testing::AddGlobalTestEnvironment(new AStreamHasEnded);
#endif

struct Reply {
  int status = 0;
  std::string head, body;
  json Json() const { return json::parse(body, nullptr, false); }
  std::string Header(const std::string& name) const {
    std::smatch found;
    const std::regex line("\r\n" + name + ": ([^\r]*)", std::regex::icase);
    return std::regex_search(head, found, line) ? found[1].str() : "";
  }
};

Reply ReadReply(RawClient& client, bool head_only = false) {
  Reply reply;
  std::string text = client.ReadUntil("\r\n\r\n");
  const size_t end = text.find("\r\n\r\n");
  if (end == std::string::npos) return reply;
  reply.head = text.substr(0, end);
  reply.status = std::atoi(reply.head.c_str() + 9);
  const size_t length = std::strtoull(reply.Header("Content-Length").c_str(), nullptr, 10);
  while (!head_only && text.size() < end + 4 + length && !client.closed()) {
    const size_t before = text.size();
    text = client.ReadUntil(std::string(1, '\0') + "no such text", 200);
    if (text.size() == before && client.closed()) break;
  }
  reply.body = text.substr(end + 4);
  return reply;
}

class PagesTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    ASSERT_TRUE(SetWebPassword(*folder_ / "web-users", "admin", kPassword).ok());
  }
  static void TearDownTestSuite() { folder_.reset(); }

  void SetUp() override { Serve({}); }
  void Serve(HttpServer::Options options, Sessions::Options limits = {}) {
    server_.reset();
    admin_ = std::make_unique<FakeServer>(folder_->path(), kNow);
    pages_ =
        std::make_unique<ServerPages>(ServerPages::Options{.config = {},
                                                           .users_path = *folder_ / "web-users",
                                                           .now_ms = [this] { return now_.load(); },
                                                           .limits = limits},
                                      admin_.get());
    auto server = HttpServer::Start(
        options, [this](const HttpRequest& request) { return pages_->Handle(request); });
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  std::string Host() const { return "127.0.0.1:" + std::to_string(server_->port()); }
  // One request on a connection of its own.
  Reply Ask(const std::string& method, const std::string& path, const std::string& headers = "",
            const std::string& body = "") {
    RawClient client(server_->port());
    std::string request = method + " " + path + " HTTP/1.1\r\nHost: " + Host() +
                          "\r\nConnection: close\r\n" + headers;
    if (!body.empty() || method == "POST") {
      request += "Content-Length: " + std::to_string(body.size()) + "\r\n";
      if (headers.find("Content-Type") == std::string::npos) {
        request += "Content-Type: application/json\r\n";
      }
    }
    client.Send(request + "\r\n" + body);
    return ReadReply(client);
  }
  Reply TrySignIn(const std::string& user, const std::string& password) {
    return Ask("POST", "/api/session", "", json{{"user", user}, {"password", password}}.dump());
  }
  void SignIn() {
    const Reply reply = TrySignIn("admin", kPassword);
    ASSERT_EQ(reply.status, 200) << reply.body;
    const std::string cookie = reply.Header("Set-Cookie");
    cookie_ = "Cookie: " + cookie.substr(0, cookie.find(';')) + "\r\n";
    csrf_ = "X-Manako-Csrf: " + reply.Json()["csrf"].get<std::string>() + "\r\n";
  }
  Reply Get(const std::string& path) { return Ask("GET", path, cookie_); }
  Reply Post(const std::string& path, const json& body) {
    return Ask("POST", path, cookie_ + csrf_, body.dump());
  }

  static std::unique_ptr<TemporaryFolder> folder_;
  std::atomic<int64_t> now_ = kNow;
  std::unique_ptr<FakeServer> admin_;
  std::unique_ptr<ServerPages> pages_;
  std::unique_ptr<HttpServer> server_;
  std::string cookie_, csrf_;
};
std::unique_ptr<TemporaryFolder> PagesTest::folder_;

TEST_F(PagesTest, NobodyGetsAnythingWithoutASession) {
  for (const char* path : {"/api/overview", "/api/runs/glaucoma-autumn", "/api/events", "/api/live",
                           "/api/template", "/api/runs/glaucoma-autumn/model?round=3",
                           "/api/runs/glaucoma-autumn/model.pt?round=3", "/api/session"}) {
    EXPECT_EQ(Ask("GET", path).status, 401) << path;
    EXPECT_EQ(Ask("GET", path, "Cookie: manako_server_8480=guess\r\n").status, 401) << path;
  }
  for (const char* path :
       {"/api/runs", "/api/runs/glaucoma-autumn/cancel", "/api/sites/a/invite"}) {
    EXPECT_EQ(Ask("POST", path, "", "{}").status, 401) << path;
  }
  EXPECT_EQ(Ask("GET", "/nothing").status, 404);
  EXPECT_EQ(Ask("GET", "/../../etc/passwd").status, 404);
}

TEST_F(PagesTest, SignInGivesACookieThatNoScriptCanRead) {
  const Reply reply = TrySignIn("admin", kPassword);
  ASSERT_EQ(reply.status, 200);
  const std::string cookie = reply.Header("Set-Cookie");
  EXPECT_THAT(cookie, AllOf(StartsWith("manako_server_8480="), HasSubstr("; HttpOnly"),
                            HasSubstr("; SameSite=Strict"), HasSubstr("; Path=/"),
                            Not(HasSubstr("Secure"))));
  EXPECT_EQ(reply.Json()["user"], "admin");
  EXPECT_EQ(reply.body.find(cookie.substr(19, 43)), std::string::npos)
      << "the token is in the body";
  SignIn();
  EXPECT_EQ(Get("/api/session").Json()["user"], "admin");
  EXPECT_EQ(Get("/api/overview").Json()["federation"]["name"], "Himeji Eye Federation");
  EXPECT_EQ(Ask("DELETE", "/api/session", cookie_).status, 403) << "without its CSRF token";
  const Reply out = Ask("DELETE", "/api/session", cookie_ + csrf_);
  EXPECT_EQ(out.status, 200);
  EXPECT_THAT(out.Header("Set-Cookie"), HasSubstr("Max-Age=0"));
  EXPECT_EQ(Get("/api/overview").status, 401);
}

TEST_F(PagesTest, WrongNamesAndWrongPasswordsLookTheSame) {
  const Reply wrong = TrySignIn("admin", "not the password");
  const Reply unknown = TrySignIn("nobody", "not the password");
  EXPECT_EQ(wrong.status, 401);
  EXPECT_EQ(unknown.status, 401);
  EXPECT_EQ(wrong.body, unknown.body);
  EXPECT_EQ(wrong.Header("Set-Cookie"), "");
}

TEST_F(PagesTest, AttemptsAreLimitedAndTheRightPasswordMustWaitToo) {
  Sessions::Options limits;
  limits.attempts.free_attempts = 2;
  limits.attempts.first_delay = absl::Seconds(30);
  Serve({}, limits);
  EXPECT_EQ(TrySignIn("admin", "wrong wrong wrong").status, 401);
  EXPECT_EQ(TrySignIn("admin", "wrong wrong wrong").status, 401);
  const Reply early = TrySignIn("admin", kPassword);
  EXPECT_EQ(early.status, 429);
  EXPECT_EQ(early.Header("Retry-After"), "30");
  // Another name from the same address is no way around it.
  EXPECT_EQ(TrySignIn("other", "wrong wrong wrong").status, 429);
  now_ = kNow + 31'000;
  EXPECT_EQ(TrySignIn("admin", kPassword).status, 200);
}

TEST_F(PagesTest, ASessionEndsWhenIdleWhenOldAndWithItsPassword) {
  SignIn();
  now_ = kNow + 29 * 60'000;
  EXPECT_EQ(Get("/api/overview").status, 200);
  now_ = now_ + 29 * 60'000;
  EXPECT_EQ(Get("/api/overview").status, 200) << "used meanwhile";
  // What the page asks by itself keeps nobody signed in.
  now_ = now_ + 20 * 60'000;
  EXPECT_EQ(Ask("GET", "/api/overview", cookie_ + "X-Manako-Background: 1\r\n").status, 200);
  now_ = now_ + 11 * 60'000;
  EXPECT_EQ(Get("/api/overview").status, 401) << "idle";

  SignIn();
  for (int i = 0; i < 12 * 60 / 25; ++i) {
    now_ = now_ + 25 * 60'000;
    Get("/api/overview");
  }
  now_ = now_ + 25 * 60'000;
  EXPECT_EQ(Get("/api/overview").status, 401) << "12 hours old";

  SignIn();
  ASSERT_TRUE(SetWebPassword(*folder_ / "web-users", "admin", "another good password").ok());
  EXPECT_EQ(Get("/api/overview").status, 401) << "another password";
  ASSERT_TRUE(SetWebPassword(*folder_ / "web-users", "admin", kPassword).ok());
}

TEST_F(PagesTest, WhatChangesSomethingNeedsTheTokenTheTypeAndTheOrigin) {
  SignIn();
  const std::string path = "/api/runs/glaucoma-autumn/pause";
  EXPECT_EQ(Ask("POST", path, cookie_, "{}").status, 403);
  EXPECT_EQ(Ask("POST", path, cookie_ + "X-Manako-Csrf: wrong\r\n", "{}").status, 403);
  EXPECT_EQ(Ask("POST", path, cookie_ + csrf_ + "Content-Type: text/plain\r\n", "{}").status, 415);
  EXPECT_EQ(Ask("POST", path, cookie_ + csrf_ + "Origin: http://evil.example\r\n", "{}").status,
            403);
  EXPECT_EQ(Ask("POST", path, cookie_ + csrf_ + "Origin: null\r\n", "{}").status, 403);
  EXPECT_EQ(Ask("POST", path, cookie_ + csrf_ + "Sec-Fetch-Site: cross-site\r\n", "{}").status,
            403);
  EXPECT_EQ(admin_->Run("glaucoma-autumn")->run.wanted, "running");
  EXPECT_EQ(Ask("POST", path, cookie_ + csrf_ + "Origin: http://" + Host() + "\r\n", "{}").status,
            200);
  EXPECT_EQ(admin_->Run("glaucoma-autumn")->run.wanted, "paused");
  EXPECT_EQ(Ask("PUT", path, cookie_ + csrf_, "{}").status, 405);
  EXPECT_EQ(Ask("OPTIONS", path).Header("Access-Control-Allow-Origin"), "");
}

TEST_F(PagesTest, EveryAnswerHasItsHeaders) {
  for (const char* path : {"/", "/api/overview", "/nothing", "/healthz", "/metrics"}) {
    const Reply reply = Ask("GET", path);
    EXPECT_THAT(reply.Header("Content-Security-Policy"),
                AllOf(HasSubstr("default-src 'none'"), HasSubstr("frame-ancestors 'none'"),
                      Not(HasSubstr("unsafe"))))
        << path;
    EXPECT_EQ(reply.Header("X-Content-Type-Options"), "nosniff") << path;
    EXPECT_EQ(reply.Header("Referrer-Policy"), "no-referrer") << path;
    EXPECT_EQ(reply.Header("X-Frame-Options"), "DENY") << path;
    EXPECT_EQ(reply.Header("Access-Control-Allow-Origin"), "") << path;
    EXPECT_EQ(reply.Header("Cache-Control"), path == std::string("/") ? "no-cache" : "no-store")
        << path;
  }
  EXPECT_EQ(Ask("GET", "/").body, ServerPageHtml());
  EXPECT_EQ(Ask("HEAD", "/").status, 200);
}

TEST_F(PagesTest, OnlyTheNamesOfThisMachineAreAnswered) {
  const auto with_host = [&](const std::string& host) {
    RawClient client(server_->port());
    client.Send("GET / HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n");
    return ReadReply(client).status;
  };
  for (const char* host : {"localhost", "localhost:80", "127.0.0.1:9", "[::1]:8480", "LOCALHOST"}) {
    EXPECT_EQ(with_host(std::string("Host: ") + host + "\r\n"), 200) << host;
  }
  for (const char* host : {"evil.example", "127.0.0.1.evil.example", "localhost:80:80", "[::1", "",
                           "10.0.0.1", "localhost:evil"}) {
    EXPECT_EQ(with_host(std::string("Host: ") + host + "\r\n"), 421) << host;
  }
  EXPECT_EQ(with_host(""), 421);
  EXPECT_EQ(with_host("Host: localhost\r\nHost: evil.example\r\n"), 400);
}

TEST_F(PagesTest, ActionsReachTheFederationInTheNameOfWhoIsSignedIn) {
  SignIn();
  const Reply invited = Post("/api/sites/kita-clinic/invite", {{"hours", 72}});
  ASSERT_EQ(invited.status, 200) << invited.body;
  EXPECT_THAT(invited.Json()["line"].get<std::string>(), StartsWith("manako://"));
  EXPECT_EQ(Post("/api/sites/kita-clinic/invite", {{"hours", 0}}).status, 400);
  EXPECT_EQ(Post("/api/sites/Kita%20Clinic/invite", {{"hours", 72}}).status, 400);
  EXPECT_EQ(Post("/api/sites/east-clinic/invite", {{"hours", 72}}).status, 409);
  EXPECT_EQ(Post("/api/sites/east-clinic/revoke", {{"why", ""}}).status, 400);
  EXPECT_EQ(Post("/api/sites/east-clinic/revoke", {{"why", "moved"}}).status, 200);
  EXPECT_EQ(Post("/api/sites/nobody/revoke", {{"why", "moved"}}).status, 404);

  const Reply refused = Post("/api/runs", {{"toml", "[run]\nclasses = [\"a\"]\n"}});
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.Json()["error"].get<std::string>(), HasSubstr("run.classes"));
  const Reply made = Post("/api/runs", {{"toml", Get("/api/template").Json()["toml"]}});
  ASSERT_EQ(made.status, 200) << made.body;
  const std::string id = made.Json()["id"];
  EXPECT_EQ(Post("/api/runs/" + id + "/start", json::object()).status, 200);
  EXPECT_EQ(Get("/api/runs/" + id).Json()["run"]["state"], "gathering");
  EXPECT_EQ(Post("/api/runs/glaucoma-spring/cancel", json::object()).status, 409);
  EXPECT_EQ(Post("/api/runs/nothing/start", json::object()).status, 404);
  EXPECT_EQ(Post("/api/runs/..%2f..%2fetc/start", json::object()).status, 404);
  const json events = Get("/api/events?behind=0&limit=1000").Json()["events"];
  EXPECT_EQ(events.back()["kind"], "run_started");
  EXPECT_EQ(events.back()["fields"]["by"], "admin");
  const json latest = Get("/api/events?latest=3").Json()["events"];
  ASSERT_EQ(latest.size(), 3u);
  EXPECT_EQ(latest[2], events.back());
  EXPECT_LT(latest[0]["seq"], latest[1]["seq"]);
  const json of_run = Get("/api/events?latest=1000&run=" + id).Json()["events"];
  for (const json& event : of_run) {
    EXPECT_EQ(event["run"], id);
  }
  EXPECT_EQ(Get("/api/events?behind=-1").status, 400);
  EXPECT_EQ(Get("/api/events?limit=999999999999999999999").status, 400);
}

TEST_F(PagesTest, BooksOfEveryRoundBalance) {
  SignIn();
  const json run = Get("/api/runs/glaucoma-autumn").Json();
  ASSERT_EQ(run["rounds"].size(), 5u);
  for (const json& round : run["rounds"]) {
    std::map<std::string, int> books;
    for (const json& ask : round["asks"]) ++books[ask["state"]];
    EXPECT_EQ(round["asks"].size(),
              static_cast<size_t>(books["answered"] + books["refused"] + books["failed"] +
                                  books["late"] + books["waiting"]));
  }
  EXPECT_TRUE(run["rounds"][0]["train_loss"].is_null()) << "a number that does not exist";
}

TEST_F(PagesTest, ModelsAndReportsAreDownloadedAndNeverShown) {
  SignIn();
  const Reply model = Get("/api/runs/glaucoma-spring/model?round=11");
  EXPECT_EQ(model.status, 200);
  EXPECT_EQ(model.body, std::string(3 << 20, 'm'));
  EXPECT_EQ(model.Header("Content-Disposition"),
            "attachment; filename=\"glaucoma-spring-round-11.arr\"");
  const Reply exported = Get("/api/runs/glaucoma-spring/model.pt?round=11");
  EXPECT_EQ(exported.status, 200);
  EXPECT_EQ(exported.body, std::string(3 << 20, 'p'));
  EXPECT_EQ(exported.Header("Content-Disposition"),
            "attachment; filename=\"glaucoma-spring-round-11.pt\"");
  const Reply gone = Get("/api/runs/glaucoma-spring/model.pt?round=99");
  EXPECT_EQ(gone.status, 404);
  EXPECT_THAT(gone.Json()["error"].get<std::string>(), StartsWith("the model of round 99"));
  EXPECT_EQ(Get("/api/runs/no-such-run/model.pt?round=1").status, 404);
  EXPECT_EQ(Get("/api/runs/glaucoma-spring/model.pt?round=x").status, 400);
  EXPECT_EQ(Get("/api/runs/glaucoma-spring/model.pt").status, 400);
  const Reply report = Get("/api/runs/glaucoma-spring/report");
  EXPECT_THAT(report.Header("Content-Disposition"), StartsWith("attachment"));
  EXPECT_THAT(report.Header("Content-Security-Policy"), HasSubstr("sandbox"));
  EXPECT_EQ(Get("/api/runs/glaucoma-autumn/report").status, 404);
  EXPECT_EQ(Get("/api/runs/glaucoma-autumn/model?round=x").status, 400);
  EXPECT_EQ(Get("/api/runs/glaucoma-autumn/model").status, 400);
}

TEST_F(PagesTest, EventsComeLiveAndGoOnBehindTheLastOne) {
  SignIn();
  const int64_t last = *admin_->LastEvent();
  RawClient live(server_->port());
  live.Send("GET /api/live HTTP/1.1\r\nHost: " + Host() + "\r\n" + cookie_ + "\r\n");
  std::string seen = live.ReadUntil("event: state");
  EXPECT_THAT(seen, HasSubstr("text/event-stream"));
  EXPECT_EQ(seen.find("event: event"), std::string::npos) << "only what comes from now on";
  admin_->AddEvent("glaucoma-autumn", "east-clinic", "update_kept",
                   {{"round", 4}, {"why", "a\nb"}});
  seen = live.ReadUntil("id: " + std::to_string(last + 1) + "\nevent: event\n");
  seen = live.ReadUntil("a\\nb");
  EXPECT_THAT(seen, HasSubstr("\"kind\":\"update_kept\""));
  EXPECT_FALSE(live.closed());

  // Connected anew, it gets what it missed, once, in order.
  admin_->AddEvent("", "north-hospital", "site_failed", json::object());
  RawClient again(server_->port());
  again.Send("GET /api/live HTTP/1.1\r\nHost: " + Host() + "\r\n" + cookie_ +
             "Last-Event-ID: " + std::to_string(last - 1) + "\r\n\r\n");
  seen = again.ReadUntil("site_failed");
  size_t at = 0;
  for (int64_t seq = last; seq <= last + 2; ++seq) {
    const size_t found = seen.find("id: " + std::to_string(seq) + "\n", at);
    ASSERT_NE(found, std::string::npos) << seq;
    at = found;
  }
  EXPECT_EQ(Ask("GET", "/api/live", cookie_ + "Last-Event-ID: abc\r\n").status, 400);

  // A stream ends with its session.
  EXPECT_EQ(Ask("DELETE", "/api/session", cookie_ + csrf_).status, 200);
  again.ReadToEnd();
  EXPECT_TRUE(again.closed());
}

TEST_F(PagesTest, MetricsAreForPrometheusHere) {
  const Reply reply = Ask("GET", "/metrics");
  ASSERT_EQ(reply.status, 200);
  EXPECT_THAT(reply.Header("Content-Type"), StartsWith("text/plain; version=0.0.4"));
  EXPECT_THAT(
      reply.body,
      AllOf(HasSubstr(
                "# TYPE manako_site_online gauge\nmanako_site_online{site=\"east-clinic\"} 1\n"),
            HasSubstr("manako_run_round{run=\"glaucoma-autumn\"} 3\n"),
            HasSubstr("manako_run_info{run=\"glaucoma-autumn\",name=\"Glaucoma, "
                      "autumn\",state=\"training\",wanted=\"running\"} 1\n"),
            HasSubstr("manako_web_sign_in_failures_total 0\n")));
  // Every line is a comment or a sample.
  const std::regex sample(
      "[a-z_]+(\\{[a-z_]+=\"[^\"\\n]*\"(,[a-z_]+=\"[^\"\\n]*\")*\\})? -?[0-9.e+]+");
  size_t at = 0;
  while (at < reply.body.size()) {
    const size_t end = reply.body.find('\n', at);
    ASSERT_NE(end, std::string::npos);
    const std::string line = reply.body.substr(at, end - at);
    EXPECT_TRUE(line.starts_with("# ") || std::regex_match(line, sample)) << line;
    at = end + 1;
  }
  // A proxy on this machine speaks for others.
  EXPECT_EQ(Ask("GET", "/metrics", "X-Forwarded-For: 203.0.113.7\r\n").status, 401);
}

TEST_F(PagesTest, HealthIsTold) {
  EXPECT_EQ(Ask("GET", "/healthz").Json(), (json{{"ok", true}}));
  admin_->SetHealth(absl::ResourceExhaustedError("the disk is full"));
  const Reply reply = Ask("GET", "/healthz");
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.Json()["error"], "the disk is full");
  EXPECT_NE(Ask("GET", "/healthz", "X-Forwarded-For: 203.0.113.7\r\n").Json()["error"],
            "the disk is full");
}

TEST_F(PagesTest, BodiesThatAreNoneAreRefused) {
  SignIn();
  const std::string path = "/api/runs";
  const auto status = [&](const std::string& body) {
    return Ask("POST", path, cookie_ + csrf_, body).status;
  };
  for (const char* body : {"", "null", "[]", "7", "{", "{\"toml\":7}", "{\"toml\":null}", "{}",
                           "\xff\xfe", "{\"toml\":\"\xff\"}", "{\"toml\":\"[run\"}"}) {
    EXPECT_EQ(status(body), 400) << body;
  }
  EXPECT_EQ(status("{\"toml\":" + std::string(100'000, '[')), 400);
  EXPECT_EQ(status(std::string(100'000, '[') + std::string(100'000, ']')), 400);
  EXPECT_EQ(Post(path, {{"toml", std::string(200 << 10, 'a')}}).status, 400);
}

TEST_F(PagesTest, LargeBodiesAreNotRead) {
  const auto status = [&](const std::string& headers, const std::string& body) {
    RawClient client(server_->port());
    client.Send("POST /api/session HTTP/1.1\r\nHost: " + Host() +
                "\r\nContent-Type: application/json\r\n" + headers + "\r\n" + body);
    return ReadReply(client).status;
  };
  EXPECT_EQ(status("Content-Length: 99999999999\r\n", "x"), 413);
  EXPECT_EQ(status("Content-Length: 300000\r\n", std::string(300'000, 'x')), 413);
  EXPECT_EQ(status("Content-Length: -1\r\n", ""), 400);
  EXPECT_EQ(status("Content-Length: 1e9\r\n", ""), 400);
  EXPECT_EQ(status("Content-Length: 5\r\nContent-Length: 7\r\n", "12345"), 400);
  EXPECT_EQ(status("Transfer-Encoding: chunked\r\n", "5\r\n12345\r\n0\r\n\r\n"), 411);
  EXPECT_EQ(status("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", "{}"), 411);
}

TEST_F(PagesTest, HeadersWithoutEndAndSlowOnesAreCutOff) {
  Serve({.request_ms = 400, .idle_ms = 400});
  {
    RawClient slow(server_->port());
    slow.Send("GET / HTTP/1.1\r\nHost: " + Host() + "\r\n");
    // A byte now and then keeps no connection open.
    for (int i = 0; i < 40 && slow.Send("x"); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    slow.ReadToEnd();
    EXPECT_TRUE(slow.closed());
  }
  {
    RawClient silent(server_->port());
    silent.ReadToEnd();
    EXPECT_TRUE(silent.closed());
  }
  {
    RawClient body(server_->port());
    body.Send("POST /api/session HTTP/1.1\r\nHost: " + Host() +
              "\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{");
    EXPECT_EQ(ReadReply(body).status, 408);
  }
  {
    RawClient large(server_->port());
    large.Send("GET / HTTP/1.1\r\nHost: " + Host() + "\r\n");
    std::string header = "X-A: " + std::string(4000, 'a') + "\r\n";
    for (int i = 0; i < 100 && large.Send(header); ++i) {
    }
    large.ReadToEnd();
    EXPECT_TRUE(large.closed());
  }
  EXPECT_EQ(Ask("GET", "/healthz").status, 200);
}

TEST_F(PagesTest, AReaderThatDoesNotReadIsCutOff) {
  Serve({.write_ms = 300});
  SignIn();
  RawClient client(server_->port());
  // Enough models that no socket's buffer holds them.
  std::string requests;
  for (int i = 0; i < 20; ++i) {
    requests += "GET /api/runs/glaucoma-spring/model?round=11 HTTP/1.1\r\nHost: " + Host() +
                "\r\n" + cookie_ + "\r\n";
  }
  client.Send(requests);
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  client.ReadToEnd();
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(Ask("GET", "/healthz").status, 200);
}

TEST_F(PagesTest, ManyConnectionsAreLimitedAndGiveWay) {
  Serve({.max_connections = 24, .max_connections_per_address = 16, .request_ms = 500});
  std::vector<std::unique_ptr<RawClient>> crowd;
  for (int i = 0; i < 60; ++i) crowd.push_back(std::make_unique<RawClient>(server_->port()));
  int status = 0;
  for (int i = 0; i < 100 && status != 200; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    status = Ask("GET", "/healthz").status;
  }
  EXPECT_EQ(status, 200);
}

TEST_F(PagesTest, OneConnectionTakesManyRequests) {
  RawClient client(server_->port());
  for (int i = 0; i < 20; ++i) {
    client.Forget();
    client.Send("GET /healthz HTTP/1.1\r\nHost: " + Host() + "\r\n\r\n");
    EXPECT_EQ(ReadReply(client).status, 200) << i;
  }
}

TEST_F(PagesTest, RandomBytesHarmNothing) {
  SignIn();
  const std::string good =
      "POST /api/runs HTTP/1.1\r\nHost: " + Host() + "\r\n" + cookie_ + csrf_ +
      "Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{\"toml\":\"a = [1, 2\"}";
  uint64_t state = 88172645463325252u;
  const auto next = [&] {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
  };
  for (int i = 0; i < 300; ++i) {
    std::string bytes;
    if (i % 2 == 0) {
      for (uint64_t n = next() % 400; n > 0; --n) bytes += static_cast<char>(next());
    } else {
      bytes = good;
      for (uint64_t n = 1 + next() % 8; n > 0; --n)
        bytes[next() % bytes.size()] = static_cast<char>(next());
    }
    RawClient client(server_->port());
    client.Send(bytes + "\r\n\r\n");
  }
  // On a busy machine the last of them may still fill this address's places.
  int status = 0;
  for (int i = 0; i < 100 && status != 200; ++i) {
    if (i > 0) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    status = Ask("GET", "/healthz").status;
  }
  EXPECT_EQ(status, 200);
  EXPECT_EQ(Get("/api/overview").status, 200);
}

TEST(HttpServerTest, ListensHereAloneUnlessThereIsTls) {
  const HttpHandler nothing = [](const HttpRequest&) { return HttpAnswer(); };
  EXPECT_EQ(HttpServer::Start({.host = "0.0.0.0"}, nothing).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(HttpServer::Start({.host = "::"}, nothing).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(
      HttpServer::Start({.host = "0.0.0.0", .certificate = "/nothing", .key = "/nothing"}, nothing)
          .status()
          .code(),
      absl::StatusCode::kFailedPrecondition);
  WebConfig config;
  config.listen = "192.0.2.1:8480";
  EXPECT_THAT(std::string(MessageOf(config.Validate())), HasSubstr("web.certificate"));
  config.listen = "example.org:8480";
  EXPECT_FALSE(config.Validate().ok());
  config.listen = "127.0.0.1:9000";
  EXPECT_TRUE(config.Validate().ok());
  EXPECT_EQ(config.ServerOptions(1)->port, 9000);
  const auto first = HttpServer::Start({}, nothing);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(HttpServer::Start({.port = (*first)->port()}, nothing).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_TRUE(IsLoopback("127.8.9.1"));
  EXPECT_TRUE(IsLoopback("::1"));
  EXPECT_FALSE(IsLoopback("128.0.0.1"));
  EXPECT_FALSE(IsLoopback("127.0.0.1.example.org"));
}

TEST(WebUsersTest, AreKeptInAFileForItsOwnerAlone) {
  const TemporaryFolder folder;
  const std::string path = folder / "web-users";
  WebUsers users(path);
  EXPECT_FALSE(users.any());
  EXPECT_FALSE(users.Check("admin", kPassword));
  EXPECT_FALSE(SetWebPassword(path, "admin", "short").ok());
  EXPECT_FALSE(SetWebPassword(path, "a b", kPassword).ok());
  EXPECT_FALSE(SetWebPassword(path, "a\nb", kPassword).ok());
  ASSERT_TRUE(SetWebPassword(path, "admin", kPassword).ok());
  EXPECT_EQ(std::filesystem::status(path).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  EXPECT_THAT(*ReadFile(path), AllOf(StartsWith("admin $argon2id$"), Not(HasSubstr(kPassword))));
  EXPECT_TRUE(users.Check("admin", kPassword));
  EXPECT_FALSE(users.Check("admin", std::string(kPassword) + "x"));
  ASSERT_TRUE(RemoveWebUser(path, "admin").ok());
  EXPECT_FALSE(users.Check("admin", kPassword));
  EXPECT_EQ(RemoveWebUser(path, "admin").code(), absl::StatusCode::kNotFound);
}

class SitePagesTest : public PagesTest {
 protected:
  void SetUp() override {
    site_ = std::make_unique<FakeSite>(kNow);
    site_pages_ =
        std::make_unique<SitePages>(SitePages::Options{.config = {},
                                                       .users_path = *folder_ / "web-users",
                                                       .now_ms = [this] { return now_.load(); }},
                                    site_.get());
    auto server = HttpServer::Start(
        {}, [this](const HttpRequest& request) { return site_pages_->Handle(request); });
    ASSERT_TRUE(server.ok());
    server_ = *std::move(server);
    SignIn();
  }
  void TearDown() override { server_.reset(); }
  std::unique_ptr<FakeSite> site_;
  std::unique_ptr<SitePages> site_pages_;
};

TEST_F(SitePagesTest, AnswersAPersonsQuestion) {
  const json overview = Get("/api/overview").Json();
  EXPECT_EQ(overview["status"]["site"], "east-clinic");
  EXPECT_EQ(overview["questions"][0]["state"], "waiting");
  EXPECT_EQ(Post("/api/answer", {{"run", "retinopathy-winter"}, {"round", 0}}).status, 400);
  EXPECT_EQ(Post("/api/answer", {{"run", "x"}, {"round", 0}, {"granted", true}}).status, 404);
  EXPECT_EQ(Post("/api/answer",
                 {{"run", "retinopathy-winter"}, {"round", uint64_t{1} << 63}, {"granted", true}})
                .status,
            400);
  EXPECT_EQ(Ask("POST", "/api/answer", cookie_, "{}").status, 403);
  EXPECT_EQ(
      Post("/api/answer",
           {{"run", "retinopathy-winter"}, {"round", 0}, {"granted", false}, {"why", "no staff"}})
          .status,
      200);
  const QuestionInfo question = (*site_->Questions())[0];
  EXPECT_EQ(question.state, "refused");
  EXPECT_EQ(question.why, "no staff");
  EXPECT_EQ(question.by, "admin");
}

TEST_F(SitePagesTest, PagesThroughTheLedger) {
  const json first = Get("/api/ledger?limit=4").Json();
  EXPECT_EQ(first["lines"], 10);
  ASSERT_EQ(first["entries"].size(), 4u);
  EXPECT_EQ(first["entries"][0]["seq"], 10);
  const json second = Get("/api/ledger?limit=100&before=7").Json();
  ASSERT_EQ(second["entries"].size(), 6u);
  EXPECT_EQ(second["entries"][0]["seq"], 6);
  EXPECT_EQ(Get("/api/ledger?limit=0").status, 400);
}

TEST_F(SitePagesTest, StopsAndResumesAndTellsIt) {
  RawClient live(server_->port());
  live.Send("GET /api/live HTTP/1.1\r\nHost: " + Host() + "\r\n" + cookie_ + "\r\n");
  live.ReadUntil("\"paused\":false");
  EXPECT_EQ(Post("/api/pause", json::object()).status, 200);
  EXPECT_THAT(live.ReadUntil("\"paused\":true"), HasSubstr("\"paused\":true"));
  EXPECT_EQ(Post("/api/resume", json::object()).status, 200);
  EXPECT_FALSE(site_->Status()->paused);
  EXPECT_THAT(Ask("GET", "/metrics").body, HasSubstr("manako_agent_paused 0\n"));
}

TEST(AdminJsonTest, WritesWhateverStringsHold) {
  RunInfo run;
  run.id = "a";
  run.name = "\xff<script>\n";
  const std::string text = Write(ToJson(run));
  EXPECT_EQ(text.find('\n'), std::string::npos);
  EXPECT_EQ(json::parse(text)["name"], "\xef\xbf\xbd<script>\n");
  EXPECT_TRUE(ToJson(LedgerEntry())["l2"].is_null());
}

}  // namespace
}  // namespace manako
