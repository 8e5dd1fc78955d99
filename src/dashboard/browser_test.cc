// Both pages in a real browser, over the program's own HTTP, with made-up hospitals behind them.
#include "dashboard/testing/browser.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>

#include "base/temporary_folder.h"
#include "dashboard/http_server.h"
#include "dashboard/server_pages.h"
#include "dashboard/site_pages.h"
#include "dashboard/testing/fake_admin.h"
#include "dashboard/testing/visitor.h"
#include "dashboard/users.h"

namespace manako {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr char kPassword[] = "a long enough password";

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

class BrowserTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(kChromium)) GTEST_SKIP() << kChromium << " is not installed";
    fs::create_directory(folder_ / "profile");
    ASSERT_TRUE(SetWebPassword(folder_ / "web-users", "admin", kPassword).ok());
    browser_ = Browser::Start(folder_ / "profile");
    ASSERT_NE(browser_, nullptr);
  }

  // To be ended before what its handler uses.
  std::unique_ptr<HttpServer> Serve(HttpHandler handler) {
    auto server = HttpServer::Start({}, std::move(handler));
    EXPECT_TRUE(server.ok()) << server.status();
    return server.ok() ? *std::move(server) : nullptr;
  }
  void SignIn() { ASSERT_TRUE(Visitor(browser_.get()).SignIn("admin", kPassword)) << Text(); }
  std::string Text() { return Visitor(browser_.get()).Text(); }
  bool Sees(const std::string& text) { return Visitor(browser_.get()).Sees(text); }
  bool Confirm(const std::string& text) { return Visitor(browser_.get()).Confirm(text); }
  void Look(const std::string& name) { Visitor(browser_.get()).Look(name); }

  const TemporaryFolder folder_;
  std::unique_ptr<Browser> browser_;
};

TEST_F(BrowserTest, TheCentralHospitalSeesAndSteersItsRuns) {
  FakeServer admin(folder_.path(), NowMs());
  ServerPages pages({.config = {}, .users_path = folder_ / "web-users", .now_ms = nullptr}, &admin);
  const auto server = Serve([&](const HttpRequest& request) { return pages.Handle(request); });
  ASSERT_NE(server, nullptr);
  const std::string url = "http://127.0.0.1:" + std::to_string(server->port()) + "/";
  browser_->SetSize(1280, 900);
  browser_->Open(url + "#lang=en");

  ASSERT_TRUE(browser_->WaitFor("document.querySelector('.sign-in')")) << Text();
  Look("server-sign-in");
  ASSERT_TRUE(browser_->Type("user", "admin"));
  ASSERT_TRUE(browser_->Type("password", "a wrong password"));
  ASSERT_TRUE(browser_->Click("Sign in"));
  ASSERT_TRUE(Sees("The user name or the password is wrong.")) << Text();
  // The browser itself tells of the 401s: of the page's first question, and of this one.
  browser_->ClearConsole();
  SignIn();

  ASSERT_TRUE(Sees("Himeji Eye Federation"));
  ASSERT_TRUE(Sees("2 of 3"));
  ASSERT_TRUE(Sees("Round 4 of 30: waiting for east-clinic"));
  ASSERT_TRUE(Sees("Update received and kept"));
  Look("server-overview");

  // A run, with what its rounds were, and an event that arrives while it is looked at.
  ASSERT_TRUE(browser_->Click("Glaucoma, autumn"));
  ASSERT_TRUE(Sees("Norm of change")) << Text();
  ASSERT_TRUE(browser_->WaitFor("document.querySelectorAll('.chart svg').length === 2"));
  EXPECT_EQ(browser_->Evaluate("document.querySelectorAll('.events li').length").get<int>(), 19);
  Look("server-run");
  admin.AnswerOpenRound();
  ASSERT_TRUE(Sees("Round 5 of 30: waiting for east-clinic")) << Text();
  ASSERT_TRUE(browser_->WaitFor("document.querySelectorAll('.events li').length === 22")) << Text();

  // Pausing asks first; Escape leaves all as it was, and gives the focus back.
  ASSERT_TRUE(
      browser_
          ->Evaluate("[...document.querySelectorAll('button')].find((b) => b.textContent === "
                     "'Pause').focus(), true")
          .get<bool>());
  browser_->Press("Enter");
  ASSERT_TRUE(browser_->WaitFor("document.querySelector('dialog[open]')"));
  Look("server-pause");
  browser_->Press("Escape");
  ASSERT_TRUE(browser_->WaitFor("!document.querySelector('dialog')"));
  EXPECT_EQ(browser_->Evaluate("document.activeElement.textContent"), "Pause");
  ASSERT_TRUE(browser_->Click("Pause"));
  ASSERT_TRUE(Confirm("Pause"));
  ASSERT_TRUE(Sees("Paused. Round 5 of 30")) << Text();

  // A finished run has its report and the sites' models at each other's images.
  browser_->Open(url + "#lang=en&view=run&run=glaucoma-spring");
  ASSERT_TRUE(Sees("Every site’s own model at every other site")) << Text();
  Look("server-finished");
  EXPECT_EQ(browser_
                ->Evaluate("fetch('/api/runs/glaucoma-spring/model?round=11').then((r) => "
                           "r.arrayBuffer()).then((b) => b.byteLength)")
                .get<int>(),
            3 << 20);
  fs::create_directory(folder_ / "downloads");
  browser_->SaveDownloadsTo(folder_ / "downloads");
  ASSERT_TRUE(browser_->Click("model.pt"));
  const fs::path saved = folder_ / "downloads/glaucoma-spring-round-11.pt";
  for (int i = 0; i < 300 && !fs::exists(saved); ++i) usleep(50'000);
  ASSERT_TRUE(fs::exists(saved)) << Text();
  EXPECT_EQ(fs::file_size(saved), 3u << 20);

  // The created one is started, here and nowhere else.
  browser_->Open(url + "#lang=en&view=run&run=retinopathy-winter");
  ASSERT_TRUE(Sees("Not started")) << Text();
  ASSERT_TRUE(browser_->Click("Start"));
  ASSERT_TRUE(Sees("Start this run?"));
  ASSERT_TRUE(Confirm("Start"));
  ASSERT_TRUE(Sees("Waiting for sites to agree: east-clinic, north-hospital and west-hospital"))
      << Text();

  // A new run: the server says what is wrong with its agreement.
  browser_->Open(url + "#lang=en&view=new");
  ASSERT_TRUE(browser_->WaitFor("document.querySelector('textarea')?.value.includes('[run]')"));
  ASSERT_TRUE(browser_->Type("toml", "[run]\nname = \"Uveitis\"\nclasses = [\"normal\"]\n"));
  browser_->ClearConsole();
  ASSERT_TRUE(browser_->Click("Create run"));
  ASSERT_TRUE(Sees("The agreement was not accepted: ")) << Text();
  Look("server-new");
  browser_->ClearConsole();  // the 400
  ASSERT_TRUE(
      browser_->Type("toml", "[run]\nname = \"Uveitis\"\nclasses = [\"normal\", \"uveitis\"]\n"));
  ASSERT_TRUE(browser_->Click("Create run"));
  ASSERT_TRUE(Sees("Not started")) << Text();
  ASSERT_TRUE(Sees("Uveitis"));

  ASSERT_TRUE(browser_->Click("Sites"));
  ASSERT_TRUE(Sees("the clinic has closed")) << Text();
  Look("server-sites");
  ASSERT_TRUE(browser_->Click("Invite a site"));
  ASSERT_TRUE(browser_->Type("site", "kita-clinic"));
  ASSERT_TRUE(Confirm("Make invitation"));
  ASSERT_TRUE(browser_->WaitFor(
      "document.querySelector('dialog textarea')?.value.startsWith('manako://fed.example.org')"))
      << Text();
  Look("server-invitation");
  ASSERT_TRUE(Confirm("Close"));
  EXPECT_EQ(browser_->Evaluate("document.querySelector('#page').innerHTML.includes('manako://')"),
            false);
  ASSERT_TRUE(Sees("kita-clinic"));

  EXPECT_EQ(browser_->Evaluate("document.cookie"), "") << "a script can read the session";
  ASSERT_TRUE(browser_->Click("Sign out"));
  ASSERT_TRUE(browser_->WaitFor("document.querySelector('.sign-in')"));
  EXPECT_EQ(browser_->console(), std::vector<std::string>());
}

TEST_F(BrowserTest, ABranchHospitalSeesWhatLeavesItAndApproves) {
  FakeSite admin(NowMs());
  SitePages pages({.config = {}, .users_path = folder_ / "web-users", .now_ms = nullptr}, &admin);
  const auto server = Serve([&](const HttpRequest& request) { return pages.Handle(request); });
  ASSERT_NE(server, nullptr);
  const std::string url = "http://127.0.0.1:" + std::to_string(server->port()) + "/";
  browser_->SetSize(1280, 900);
  browser_->Open(url + "#lang=en");
  ASSERT_TRUE(browser_->WaitFor("document.querySelector('.sign-in')"));
  Look("site-sign-in");
  browser_->ClearConsole();
  SignIn();
  ASSERT_TRUE(Sees("Training: Glaucoma, autumn")) << Text();
  ASSERT_TRUE(Sees("Step 23 of 77"));
  ASSERT_TRUE(Sees("Take part in “Diabetic retinopathy, winter”?"));
  ASSERT_TRUE(Sees("line 9 of the server’s log"));
  EXPECT_EQ(browser_->Evaluate("document.title"), "(1) east-clinic – Manako");
  Look("site");

  ASSERT_TRUE(browser_->Click("Approve"));
  ASSERT_TRUE(Sees("Approve “Diabetic retinopathy, winter”?"));
  Look("site-approve");
  ASSERT_TRUE(Confirm("Approve"));
  ASSERT_TRUE(Sees("Nothing waits for approval.")) << Text();
  const auto questions = admin.Questions();
  ASSERT_TRUE(questions.ok());
  EXPECT_EQ((*questions)[0].state, "granted");
  EXPECT_EQ((*questions)[0].by, "admin");

  ASSERT_TRUE(browser_->Click("Stop"));
  ASSERT_TRUE(Confirm("Stop"));
  ASSERT_TRUE(Sees("Stopped by a person")) << Text();
  EXPECT_TRUE(admin.Status()->paused);
  ASSERT_TRUE(browser_->Click("Resume"));
  ASSERT_TRUE(Confirm("Resume"));
  ASSERT_TRUE(browser_->WaitFor("!document.body.innerText.includes('Stopped by a person')"));
  EXPECT_EQ(browser_->console(), std::vector<std::string>());
}

}  // namespace
}  // namespace manako
