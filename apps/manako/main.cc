// manako: one program for the study, the server and the sites.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <string>

#include "apps/manako/commands.h"
#include "apps/manako/help_format.h"
#include "base/crash_point.h"
#include "base/status_macros.h"

namespace manako {

int ReportError(const absl::Status& status) {
  std::string text(MessageOf(status));
  for (char& c : text) {
    // One line, and nothing from a file's names that a terminal would take for a command.
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  fmt::print(stderr, "manako: {}\n", text);
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kDataLoss:
      return kBadInput;
    default:
      return kFailed;
  }
}

namespace {

int Main(int argc, char** argv) {
  CLI::App app{"Train one diagnostic image model together while no image leaves a hospital.",
               "manako"};
  app.set_version_flag("--version", fmt::format("manako {}", kVersion));
  app.require_subcommand(1);
  auto format = std::make_shared<HelpFormat>();
  format->column_width(28);
  app.formatter(format);
  app.footer(
      "Examples:\n"
      "  manako phantom --out images/ --per-class 300\n"
      "  manako study images/ --sites 3 --out runs/first\n"
      "  manako report runs/first\n"
      "Each command explains itself: manako study --help\n"
      "Exit codes: 0 done, 1 failed on the way, 2 bad input, 130 stopped by Ctrl-C");
  int exit_code = kDone;
  AddStudyCommand(app, &exit_code);
  AddPhantomCommand(app, &exit_code);
  AddReportCommand(app, &exit_code);
  AddPredictCommand(app, &exit_code);
  AddServerCommand(app, &exit_code);
  AddRunCommand(app, &exit_code);
  AddSiteCommand(app, &exit_code);
  // For tests: the named steps at which MANAKO_CRASH_AT can end this program.
  app.add_subcommand("crash-points", "")->group("")->callback([] {
    for (const std::string& point : CrashPoints()) fmt::print("{}\n", point);
  });
  const auto is_first = [&](const CLI::App* command) {
    return argc > 1 && command->get_name() == argv[1];
  };
  if (argc > 1 && argv[1][0] != '-' && app.get_subcommands(is_first).empty()) {
    fmt::print(stderr, "manako: there is no command {}: `manako --help` lists them\n", argv[1]);
    return kBadInput;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    const std::string command = argc > 1 && argv[1][0] != '-' ? std::string(" ") + argv[1] : "";
    const std::string unknown = fmt::format("{}", fmt::join(app.remaining(/*recurse=*/true), " "));
    fmt::print(stderr, "manako: {} (try `manako{} --help`)\n",
               dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr ? "unknown: " + unknown
                                                                        : error.what(),
               command);
    return kBadInput;
  }
  return exit_code;
}

}  // namespace
}  // namespace manako

int main(int argc, char** argv) {
  try {
    return manako::Main(argc, argv);
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "manako: out of memory: use a smaller --batch or --image-size\n");
  } catch (const std::exception& error) {
    fmt::print(stderr, "manako: {}\n", error.what());
  }
  return manako::kFailed;
}
