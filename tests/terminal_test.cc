// What a person and a script see: help that fits a page, live lines on a terminal, plain lines
// elsewhere, JSON where it was asked for.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "fixtures.h"
#include "process.h"

namespace manako {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::vector<std::string> ShortStudy(const std::string& out) {
  return {"study", PhantomFolder() + "/manifest.csv", "--out", out, "--rounds", "2", "--image-size",
          "32"};
}

class HelpTest : public testing::TestWithParam<const char*> {};

TEST_P(HelpTest, FitsAPageAndHasAnExample) {
  std::vector<std::string> arguments;
  if (*GetParam() != '\0') arguments.push_back(GetParam());
  arguments.push_back("--help");
  const ProcessResult help = RunManako(arguments);
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_EQ(help.err, "");
  const std::vector<std::string> lines = Lines(help.out);
  EXPECT_GE(lines.size(), 5u);
  EXPECT_LE(lines.size(), 50u);
  for (const std::string& line : lines) EXPECT_LE(line.size(), 80u) << line;
  EXPECT_NE(help.out.find("Example"), std::string::npos) << help.out;
  const std::string command = "manako " + std::string(GetParam());
  EXPECT_NE(help.out.find(" " + command, help.out.find("Example")), std::string::npos)
      << "no example of " << command;
  // CLI11's own notation for a default of a switch, which tells a reader nothing.
  EXPECT_EQ(help.out.find("{false}"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Commands, HelpTest, testing::Values("", "study", "phantom", "report"),
                         [](const auto& info) {
                           const std::string name = info.param;
                           return name.empty() ? std::string("main") : name;
                         });

// Every key of a run's config.toml can be found in --help-all, as a flag.
TEST(TerminalTest, HelpAllHasEverySetting) {
  TemporaryFolder folder;
  std::vector<std::string> arguments = ShortStudy(folder / "run");
  arguments.insert(arguments.end(), {"--arms", "pooled"});
  ASSERT_EQ(RunManako(arguments).exit_code, 0);
  const std::string help = RunManako({"study", "--help-all"}).out;
  int keys = 0;
  for (const std::string& line : Lines(Slurp(folder / "run/config.toml"))) {
    const size_t equals = line.find(" = ");
    if (equals == std::string::npos) continue;
    ++keys;
    std::string flag = line.substr(0, equals);
    std::replace(flag.begin(), flag.end(), '_', '-');
    if (flag == "architecture") flag = "model";
    if (flag == "scheme") flag = "partition";
    if (flag == "fixed") flag = "fixed-split";
    if (flag == "path") continue;  // the positional one
    EXPECT_NE(help.find("--" + flag), std::string::npos) << line;
  }
  EXPECT_GT(keys, 40);
}

TEST(TerminalTest, Version) {
  const ProcessResult version = RunManako({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_TRUE(version.out.starts_with("manako ")) << version.out;
  EXPECT_EQ(Lines(version.out).size(), 1u);
}

TEST(TerminalTest, PlainLinesOnAPipe) {
  TemporaryFolder folder;
  const ProcessResult run = RunManako(ShortStudy(folder / "run"));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  for (const std::string* text : {&run.out, &run.err}) {
    EXPECT_EQ(text->find('\033'), std::string::npos) << *text;
    EXPECT_EQ(text->find('\r'), std::string::npos) << *text;
  }
  EXPECT_NE(run.err.find("federated round 2/2: loss "), std::string::npos) << run.err;
  EXPECT_NE(run.out.find("Report: " + (folder / "run/report.html")), std::string::npos) << run.out;
  EXPECT_TRUE(fs::exists(folder / "run/report.html"));
}

// "manifest.csv" would tell a reader nothing about which data it was.
TEST(TerminalTest, AManifestNamedFromInsideItsFolder) {
  TemporaryFolder folder;
  std::vector<std::string> arguments = ShortStudy(folder / "run");
  arguments[1] = "manifest.csv";
  arguments.insert(arguments.end(), {"--arms", "pooled"});
  const ProcessResult run = RunProcess({.arguments = arguments, .folder = PhantomFolder()});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const json metrics = ReadJson(folder / "run/metrics.json");
  EXPECT_EQ(metrics["data"]["source"], "manifest.csv");
  EXPECT_EQ(metrics["data"]["name"], fs::path(PhantomFolder()).filename().string());
  EXPECT_EQ(metrics["title"], metrics["data"]["name"]);
}

TEST(TerminalTest, LiveLinesOnATerminal) {
  TemporaryFolder folder;
  const ProcessResult run = RunProcess({.arguments = ShortStudy(folder / "run"), .terminal = true});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_NE(run.err.find("\033["), std::string::npos) << "lines are not rewritten";
  EXPECT_NE(run.err.find("Reading images"), std::string::npos);
  for (const char* arm : {"pooled", "federated", "alone"}) {
    EXPECT_NE(run.err.rfind(arm), std::string::npos) << arm;
  }
  // A wider line would wrap, and moving up a line would no longer erase it.
  for (const std::string& line : Lines(run.err)) {
    std::string seen;
    for (size_t i = 0; i < line.size(); ++i) {
      if (line[i] == '\r') {
        if (i + 1 < line.size()) seen.clear();
      } else if (line[i] == '\033') {
        while (i + 1 < line.size() && !std::isalpha(static_cast<unsigned char>(line[i]))) ++i;
      } else {
        seen += line[i];
      }
    }
    EXPECT_LT(seen.size(), 100u) << seen;
  }
  // Standard output is still a pipe here: the results can be piped on while progress is watched.
  EXPECT_EQ(run.out.find('\033'), std::string::npos) << run.out;
}

TEST(TerminalTest, NothingButJsonWithJson) {
  TemporaryFolder folder;
  std::vector<std::string> arguments = ShortStudy(folder / "run");
  arguments.push_back("--json");
  const ProcessResult run = RunManako(arguments);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  std::vector<std::string> kinds;
  for (const std::string& line : Lines(run.out)) {
    const json event = json::parse(line, nullptr, /*allow_exceptions=*/false);
    ASSERT_TRUE(event.is_object() && event.contains("event")) << line;
    kinds.push_back(event["event"]);
  }
  ASSERT_FALSE(kinds.empty());
  EXPECT_EQ(kinds.front(), "run_started");
  EXPECT_EQ(kinds.back(), "run_finished");
  EXPECT_EQ(kinds.size(), ReadJournal(folder / "run").size());
  EXPECT_EQ(run.err, "");
}

// A script that waits for results gets an error as an error, and no half line of JSON.
TEST(TerminalTest, AnErrorWithJsonIsOnStandardError) {
  TemporaryFolder folder;
  const ProcessResult run =
      RunManako({"study", folder / "nowhere", "--out", folder / "run", "--json"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_EQ(Lines(run.err).size(), 1u) << run.err;
  for (const std::string& line : Lines(run.out)) EXPECT_TRUE(json::accept(line)) << line;
}

}  // namespace
}  // namespace manako
