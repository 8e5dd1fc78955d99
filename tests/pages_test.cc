// The web pages as hospital staff use them: Chromium at the pages of a real central hospital and a
// real branch hospital, which train together over the network meanwhile.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>

#include "dashboard/testing/browser.h"
#include "dashboard/testing/visitor.h"
#include "dashboard/users.h"
#include "hospitals.h"

namespace manako {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr char kPassword[] = "a long enough password";
constexpr char kAgreement[] = R"([run]
name = "Retinal detachment, spring"
classes = ["detachment", "normal"]
seed = 5
cross_site = true
[data]
image_size = 32
[train]
local_steps = 2
[federation]
rounds = 4
select = "best"
)";

// The folder's page, for one who may sign in. Returns its address.
std::string AddPage(const std::string& folder) {
  EXPECT_TRUE(SetWebPassword(folder + "/web-users", "admin", kPassword).ok());
  const int port = FreePort();
  Spill(folder + "/web.toml", fmt::format("[web]\nlisten = \"127.0.0.1:{}\"\n", port));
  return fmt::format("http://127.0.0.1:{}/", port);
}

class PagesTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(kChromium))
      GTEST_SKIP() << kChromium << " is not installed: the pages were not looked at";
    hospitals_ = std::make_unique<Hospitals>();
    central_ = AddPage(hospitals_->central());
    hospitals_->Kill("server");
    hospitals_->Start("server");
    east_ = AddPage(hospitals_->site("east"));
    hospitals_->Configure("east", "approval", "\"run\"");
    for (const std::string& name : Hospitals::Sites())
      hospitals_->Configure(name, "cross_site", "true");
    hospitals_->StartAll();
    fs::create_directory(hospitals_->path("profile"));
    browser_ = Browser::Start(hospitals_->path("profile"));
    ASSERT_NE(browser_, nullptr);
    browser_->SetSize(1280, 900);
  }

  void Go(const std::string& url) { browser_->Open(url); }

  // model.pt of a finished run, by the page's button: what `run export` writes.
  void LookAtModelFiles(Visitor& visitor, const std::string& run) {
    const std::string downloads = hospitals_->path("downloads");
    fs::create_directory(downloads);
    browser_->SaveDownloadsTo(downloads);
    const std::string models = hospitals_->central() + "/runs/" + run + "/models/";
    const json rounds = browser_->Evaluate(
        "[...document.querySelectorAll('.download option')].map((o) => Number(o.value))");
    ASSERT_TRUE(rounds.is_array() && !rounds.empty()) << visitor.Text();
    const int best = browser_->Evaluate("Number(document.querySelector('.download select').value)");
    EXPECT_EQ(best, hospitals_->Show(run)["best_round"]);
    for (const int round : rounds) {
      browser_->Evaluate(fmt::format(
          "(() => {{ const s = document.querySelector('.download select'); s.value = '{}'; "
          "s.dispatchEvent(new Event('change', {{bubbles: true}})); }})()",
          round));
      ASSERT_TRUE(browser_->Click("model.pt"));
      const std::string saved = fmt::format("{}/{}-round-{}.pt", downloads, run, round);
      for (int i = 0; i < 600 && !fs::exists(saved); ++i) Hospitals::SleepMs(50);
      ASSERT_TRUE(fs::exists(saved)) << visitor.Text();
      const std::string exported = hospitals_->path("exported.pt");
      const ProcessResult made = RunManako({"run", "export", hospitals_->central(), run, "--round",
                                            std::to_string(round), "--out", exported});
      ASSERT_EQ(made.exit_code, 0) << made.err;
      EXPECT_TRUE(Slurp(saved) == Slurp(exported)) << "round " << round;
      EXPECT_NE(Slurp(saved).find(fmt::format("round {}\"", round)), std::string::npos)
          << "the card names the round";
    }
    OpenInPython(fmt::format("{}/{}-round-{}.pt", downloads, run, best));
    // Several at once: one is made, and who must wait is told so. Nothing is left behind.
    const std::string path = fmt::format("/api/runs/{}/model.pt?round={}", run, best);
    const json statuses = browser_->Evaluate(
        fmt::format("Promise.all([1, 2, 3, 4, 5].map(() => fetch('{}').then((r) => "
                    "r.arrayBuffer().then(() => r.status))))",
                    path));
    for (const json& status : statuses) EXPECT_TRUE(status == 200 || status == 503) << statuses;
    EXPECT_NE(std::count(statuses.begin(), statuses.end(), 200), 0) << statuses;
    EXPECT_FALSE(fs::exists(hospitals_->central() + "/export"));
    // A model that goes while the page still offers it.
    const std::string kept = fmt::format("{}round-{}.arr", models, best);
    fs::rename(kept, kept + ".away");
    browser_->Evaluate(
        fmt::format("(() => {{ const s = document.querySelector('.download select'); s.value = "
                    "'{}'; s.dispatchEvent(new Event('change', {{bubbles: true}})); }})()",
                    best));
    ASSERT_TRUE(browser_->Click("model.pt"));
    EXPECT_TRUE(visitor.Sees(fmt::format("the model of round {} is no longer in runs/", best)))
        << visitor.Text();
    visitor.Look("real-model-gone");
    fs::rename(kept + ".away", kept);
    browser_->ClearConsole();  // the 503s and the 404
  }

  // Nothing of ours opens it there.
  static void OpenInPython(const std::string& path) {
    const auto python = [](const std::string& script, std::vector<std::string> arguments) {
      ProcessOptions options;
      options.program = "/usr/bin/python3";
      options.arguments = {"-c", script};
      options.arguments.insert(options.arguments.end(), arguments.begin(), arguments.end());
      return RunProcess(std::move(options));
    };
    if (python("import torch", {}).exit_code != 0) return;  // the tests of src/learn say so
    const ProcessResult opened = python(
        "import sys, torch\n"
        "net = torch.jit.load(sys.argv[1])\n"
        "y = net(torch.zeros(2, 3, 32, 32))\n"
        "assert y.shape == (2, 2) and torch.isfinite(y).all()\n"
        "assert not net.training\n",
        {path});
    EXPECT_EQ(opened.exit_code, 0) << opened.err;
  }

  std::unique_ptr<Hospitals> hospitals_;
  std::unique_ptr<Browser> browser_;
  std::string central_, east_;
};

TEST_F(PagesTest, ARunFromItsAgreementToItsReport) {
  Visitor visitor(browser_.get());
  // The central hospital: three sites are there; a run is made of its agreement and started.
  Go(central_ + "#lang=en");
  ASSERT_TRUE(visitor.SignIn("admin", kPassword)) << visitor.Text();
  ASSERT_TRUE(visitor.Sees("3 of 3")) << visitor.Text();
  browser_->ClearConsole();  // the 401 before the sign-in
  Go(central_ + "#lang=en&view=new");
  ASSERT_TRUE(browser_->WaitFor("document.querySelector('textarea')?.value.includes('[run]')"));
  visitor.Look("real-new");
  ASSERT_TRUE(browser_->Type("toml", kAgreement));
  ASSERT_TRUE(browser_->Click("Create run"));
  ASSERT_TRUE(visitor.Sees("Not started")) << visitor.Text();
  ASSERT_TRUE(browser_->Click("Start"));
  ASSERT_TRUE(visitor.Confirm("Start"));
  ASSERT_TRUE(visitor.Sees("Waiting for sites to agree: east")) << visitor.Text();
  visitor.Look("real-gathering");
  const json runs = json::parse(RunManako({"run", "list", hospitals_->central(), "--json"}).out);
  ASSERT_EQ(runs.size(), 1u);
  const std::string run = runs[0]["id"];

  // The branch hospital: a person sees what is asked, with the settings and what would leave, and
  // approves.
  Go(east_ + "#lang=en");
  ASSERT_TRUE(visitor.SignIn("admin", kPassword)) << visitor.Text();
  ASSERT_TRUE(visitor.Sees("Take part in “Retinal detachment, spring”?")) << visitor.Text();
  for (const char* text :
       {"learning rate: 0.001", "batch: 32 images", "each round: 2 steps",
        "network: cnn3, on images of 32 x 32", "histograms of scores with 200 bins",
        "this site's own last model, which the other sites test"}) {
    EXPECT_TRUE(visitor.Sees(text)) << text << "\n" << visitor.Text();
  }
  visitor.Look("real-site-asked");
  ASSERT_TRUE(browser_->Click("Approve"));
  ASSERT_TRUE(visitor.Sees("what training changed in the model's parameters"));
  visitor.Look("real-site-approve");
  ASSERT_TRUE(visitor.Confirm("Approve"));
  ASSERT_TRUE(visitor.Sees("Nothing waits for approval.")) << visitor.Text();
  // What leaves is listed as it leaves, without the page being loaded again.
  ASSERT_TRUE(visitor.Sees("images changed in the model", 60'000)) << visitor.Text();
  EXPECT_FALSE(browser_->console().size() > 1) << browser_->console()[1];
  browser_->ClearConsole();

  // Back at the central hospital the rounds arrive by themselves.
  Go(central_ + "#lang=en&view=run&run=" + run);
  ASSERT_TRUE(visitor.Sees("Download report", 60'000)) << visitor.Text();
  for (int i = 0; i < 3000 && hospitals_->State(run) != "finished"; ++i) Hospitals::SleepMs(100);
  // Every site has heard of the end, too: nothing changes any more.
  const auto all_ended = [&] {
    const json shown = hospitals_->Show(run);
    for (const json& site : shown["sites"]) {
      if (site["state"] != "ended") return false;
    }
    return true;
  };
  for (int i = 0; i < 600 && !all_ended(); ++i) Hospitals::SleepMs(100);
  ASSERT_TRUE(visitor.Sees("Run finished", 30'000)) << visitor.Text();
  ASSERT_TRUE(visitor.Sees("Every site’s own model at every other site")) << visitor.Text();
  visitor.Look("real-finished");

  LookAtModelFiles(visitor, run);

  // Model and report are downloaded as the page's buttons download them.
  EXPECT_GT(browser_
                ->Evaluate("fetch(document.querySelector('a[href*=\"/"
                           "model?round=\"]').href).then((r) => r.arrayBuffer())"
                           ".then((b) => b.byteLength)")
                .get<int>(),
            10'000);
  const json downloaded = browser_->Evaluate(
      "fetch(document.querySelector('a[href$=\"/report\"]').href).then((r) => r.text())");
  ASSERT_TRUE(downloaded.is_string());
  EXPECT_EQ(browser_->console(), std::vector<std::string>());

  // It is the report that the command makes, and a browser shows its numbers.
  const std::string page = hospitals_->path("report.html");
  const ProcessResult made =
      RunManako({"run", "report", hospitals_->central(), run, "--out", page});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(downloaded.get<std::string>(), Slurp(page));
  const json numbers =
      json::parse(RunManako({"run", "report", hospitals_->central(), run, "--json"}).out);
  EXPECT_EQ(numbers["result"]["method"], "histograms");
  // Another way to the same AUC: what the server itself has pooled in the round's books.
  const json shown = hospitals_->Show(run);
  for (const json& round : shown["rounds"]) {
    if (round["round"] == numbers["result"]["round"])
      EXPECT_NEAR(numbers["result"]["auc"]["value"], round["metrics"]["test_auc"], 1e-12);
  }
  Go("file://" + page + "#lang=en");
  ASSERT_TRUE(visitor.Sees("How well does the model tell the classes apart?")) << visitor.Text();
  for (const char* key : {"value", "low", "high"}) {
    EXPECT_TRUE(visitor.Sees(fmt::format("{:.3f}", numbers["result"]["auc"][key].get<double>())))
        << key;
  }
  EXPECT_TRUE(visitor.Sees("in 200 equal bins of the score"));
  EXPECT_TRUE(visitor.Sees("was chosen by the sites’ validation images"));
  EXPECT_EQ(browser_->Evaluate("document.querySelectorAll('main section').length"), 12);
  visitor.Look("real-report");
  EXPECT_EQ(browser_->console(), std::vector<std::string>());
}

TEST_F(PagesTest, StopPauseCancelInviteAndRevoke) {
  Visitor visitor(browser_.get());
  // A branch hospital stops for a while, by its own page.
  Go(east_ + "#lang=en");
  ASSERT_TRUE(visitor.SignIn("admin", kPassword)) << visitor.Text();
  ASSERT_TRUE(visitor.Sees("Nothing to do at the moment")) << visitor.Text();
  visitor.Look("real-site-idle");
  ASSERT_TRUE(browser_->Click("Stop"));
  ASSERT_TRUE(visitor.Confirm("Stop"));
  ASSERT_TRUE(visitor.Sees("Stopped by a person")) << visitor.Text();
  ASSERT_TRUE(browser_->Click("Resume"));
  ASSERT_TRUE(visitor.Confirm("Resume"));
  ASSERT_TRUE(browser_->WaitFor("!document.body.innerText.includes('Stopped by a person')"))
      << visitor.Text();

  // A run is paused, resumed and cancelled while it waits for that hospital.
  const std::string run = hospitals_->CreateRun();
  Go(central_ + "#lang=en");
  ASSERT_TRUE(visitor.SignIn("admin", kPassword)) << visitor.Text();
  visitor.Look("real-overview");
  ASSERT_TRUE(browser_->Click("test"));
  ASSERT_TRUE(visitor.Sees("Waiting for sites to agree: east")) << visitor.Text();
  ASSERT_TRUE(browser_->Click("Pause"));
  ASSERT_TRUE(visitor.Confirm("Pause"));
  ASSERT_TRUE(browser_->WaitFor(
      "[...document.querySelectorAll('button')].some((b) => b.textContent === 'Resume')"))
      << visitor.Text();
  ASSERT_TRUE(browser_->Click("Resume"));
  ASSERT_TRUE(visitor.Confirm("Resume"));
  ASSERT_TRUE(browser_->WaitFor(
      "[...document.querySelectorAll('button')].some((b) => b.textContent === 'Pause')"))
      << visitor.Text();
  ASSERT_TRUE(browser_->Click("Cancel run"));
  ASSERT_TRUE(visitor.Confirm("Cancel run"));
  ASSERT_TRUE(visitor.Sees("Run cancelled")) << visitor.Text();
  EXPECT_EQ(hospitals_->State(run), "cancelled");
  visitor.Look("real-cancelled");

  // Another hospital is invited, and one is cut off.
  ASSERT_TRUE(browser_->Click("Sites"));
  ASSERT_TRUE(visitor.Sees("west")) << visitor.Text();
  ASSERT_TRUE(browser_->Click("Invite a site"));
  ASSERT_TRUE(browser_->Type("site", "south"));
  ASSERT_TRUE(visitor.Confirm("Make invitation"));
  ASSERT_TRUE(browser_->WaitFor(
      "document.querySelector('dialog textarea')?.value.startsWith('manako://127.0.0.1')"))
      << visitor.Text();
  visitor.Look("real-invitation");
  ASSERT_TRUE(visitor.Confirm("Close"));
  ASSERT_TRUE(
      browser_->Evaluate("(document.querySelector('[aria-label=\"Revoke: west\"]').click(), true)")
          .get<bool>());
  ASSERT_TRUE(browser_->Type("why", "machine stolen"));
  ASSERT_TRUE(visitor.Confirm("Revoke"));
  ASSERT_TRUE(visitor.Sees("revoked")) << visitor.Text();
  visitor.Look("real-sites");
  ProcessResult ended;
  for (int i = 0; i < 1000 && !hospitals_->Ended("west", &ended); ++i) Hospitals::SleepMs(20);
  EXPECT_NE(ended.exit_code, 0) << ended.err;
  EXPECT_NE(ended.err.find("revoked"), std::string::npos) << ended.err;
}

}  // namespace
}  // namespace manako
