// The report as a browser shows it.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>

#include "fixtures.h"
#include "process.h"

namespace manako {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr char kBrowser[] = "/usr/bin/chromium";

// The page after its scripts have run. Standard error holds the console's messages.
ProcessResult Open(const std::string& page, const std::string& profile) {
  return RunProcess({.program = kBrowser,
                     .arguments = {"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
                                   "--no-first-run", "--disable-background-networking",
                                   "--disable-component-update", "--disable-sync",
                                   "--user-data-dir=" + profile, "--enable-logging=stderr",
                                   "--virtual-time-budget=5000", "--dump-dom", "file://" + page}});
}

std::string WithoutScripts(std::string html) {
  for (size_t at; (at = html.find("<script")) != std::string::npos;) {
    const size_t end = html.find("</script>", at);
    html.erase(at, end == std::string::npos ? std::string::npos : end + 9 - at);
  }
  return html;
}

TEST(ReportBrowserTest, ShowsTheNumbersOfMetricsJson) {
  if (!fs::exists(kBrowser)) GTEST_SKIP() << kBrowser << " is not installed";
  TemporaryFolder folder;
  ASSERT_EQ(RunManako({"study", PhantomFolder() + "/manifest.csv", "--out", folder / "run",
                       "--rounds", "3", "--image-size", "32", "--group-column", "patient"})
                .exit_code,
            0);
  const ProcessResult browser = Open(folder / "run/report.html", folder / "profile");
  ASSERT_EQ(browser.exit_code, 0) << browser.err;
  const std::string seen = WithoutScripts(browser.out);
  const json metrics = ReadJson(folder / "run/metrics.json");
  ASSERT_EQ(metrics["arms"].size(), 3u);
  for (const json& arm : metrics["arms"]) {
    for (const char* key : {"value", "low", "high"}) {
      char number[16];
      std::snprintf(number, sizeof number, "%.3f", arm["auc"][key].get<double>());
      EXPECT_NE(seen.find(number), std::string::npos) << arm["name"] << " " << key;
    }
  }
  for (const char* wrong : {"NaN", "undefined", "[object Object]"}) {
    EXPECT_EQ(seen.find(wrong), std::string::npos) << wrong;
  }
  for (const std::string& line : Lines(browser.err)) {
    EXPECT_EQ(line.find("CONSOLE"), std::string::npos) << line;
  }
  EXPECT_NE(seen.find("<svg"), std::string::npos) << "no figure";
}

}  // namespace
}  // namespace manako
