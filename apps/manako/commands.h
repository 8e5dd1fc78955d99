// The subcommands: each adds its options to the program and runs when it was chosen.
#ifndef MANAKO_APPS_MANAKO_COMMANDS_H_
#define MANAKO_APPS_MANAKO_COMMANDS_H_

#include <CLI/CLI.hpp>

#include "absl/status/status.h"

namespace manako {

inline constexpr char kVersion[] = MANAKO_VERSION;

// Exit codes, for scripts: docs/commands.md.
enum ExitCode {
  kDone = 0,
  kFailed = 1,    // it began and could not be finished: a full disk, no memory
  kBadInput = 2,  // a flag, a configuration, a file that cannot be used as given
  kInterrupted = 130,
};

void AddPhantomCommand(CLI::App& app, int* exit_code);
void AddPredictCommand(CLI::App& app, int* exit_code);
void AddReportCommand(CLI::App& app, int* exit_code);
void AddRunCommand(CLI::App& app, int* exit_code);
void AddServerCommand(CLI::App& app, int* exit_code);
void AddSiteCommand(CLI::App& app, int* exit_code);
void AddStudyCommand(CLI::App& app, int* exit_code);

// Prints an error as one line on standard error and gives its exit code.
int ReportError(const absl::Status& status);

}  // namespace manako

#endif  // MANAKO_APPS_MANAKO_COMMANDS_H_
