#include <fmt/chrono.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <thread>

#include "apps/manako/commands.h"
#include "apps/manako/config_flags.h"
#include "apps/manako/help_format.h"
#include "apps/manako/progress.h"
#include "apps/manako/write_report.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "learn/torch_learner.h"
#include "study/study.h"

namespace manako {
namespace {

struct StudyFlags {
  RunConfig config;
  std::string out;
  std::string resume;
  int threads = 0;
  int threads_per_site = 1;  // changes the bits, unlike `threads`
  double checkpoint_seconds = 10;
  bool json = false;
};

// Ctrl-C and SIGTERM need no orderly end: what is done is on disk at any moment. A thread of its
// own says how to go on.
void StopOnSignal(const std::string& out) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([signals, out] {
    int signal = 0;
    sigwait(&signals, &signal);
    fmt::print(stderr, "\nStopped; what is done is saved. Go on with: manako study --resume {}\n",
               out);
    _exit(kInterrupted);
  }).detach();
}

std::string DefaultFolder() {
  return fmt::format("runs/{:%Y%m%d-%H%M%S}", fmt::localtime(std::time(nullptr)));
}

// A resumed run keeps its settings; a flag that would be ignored is an error.
absl::Status RefuseSettings(const CLI::App& command, const std::string& folder) {
  for (const CLI::Option* option : command.get_options()) {
    const std::string name = option->get_single_name();
    const bool allowed =
        name == "resume" || name == "threads" || name == "json" || name == "checkpoint-seconds";
    if (option->count() > 0 && !allowed) {
      const std::string shown = option->get_name(option->get_positional());
      return InvalidArgument(
          "--resume goes on with the settings in {}/config.toml: leave out {}, or start a new run "
          "with another --out",
          folder, shown);
    }
  }
  return absl::OkStatus();
}

absl::Status Run(StudyFlags flags, const CLI::App& command) {
  StudyOptions options;
  options.resume = !flags.resume.empty();
  options.out = options.resume ? flags.resume : flags.out.empty() ? DefaultFolder() : flags.out;
  while (options.out.size() > 1 && options.out.back() == '/') options.out.pop_back();
  if (options.resume) {
    MANAKO_RETURN_IF_ERROR(RefuseSettings(command, options.out));
  } else {
    // A column of hospitals is a partition, unless another one is asked for.
    if (!flags.config.data.site_column.empty() && command.count("--partition") == 0)
      flags.config.partition.scheme = "column";
    if (!flags.config.partition.proportions.empty()) {
      if (command.count("--partition") == 0) flags.config.partition.scheme = "proportions";
      if (command.count("--sites") == 0)
        flags.config.partition.sites = static_cast<int>(flags.config.partition.proportions.size());
    }
    if (flags.config.data.path.empty())
      return InvalidArgument(
          "which images? Give a folder, a manifest or an .npz: manako study images/");
  }
  constexpr int kMostThreads = 1024;
  if (flags.threads < 0 || flags.threads > kMostThreads) {
    return InvalidArgument("--threads must be from 0 (all cores) to {}, but is {}", kMostThreads,
                           flags.threads);
  }
  if (flags.threads_per_site < 1 || flags.threads_per_site > kMostThreads) {
    return InvalidArgument("--threads-per-site must be from 1 to {}, but is {}", kMostThreads,
                           flags.threads_per_site);
  }
  if (!(flags.checkpoint_seconds >= 0)) {
    return InvalidArgument("--checkpoint-seconds must be 0 or more, but is {}",
                           flags.checkpoint_seconds);
  }
  options.config = flags.config;
  options.threads = flags.threads;
  options.checkpoint_seconds = flags.checkpoint_seconds;
  options.version = kVersion;
  PrepareLibtorch(flags.threads_per_site);
  StopOnSignal(options.out);
  const auto progress = MakeProgress(flags.json              ? ProgressStyle::kJson
                                     : isatty(STDERR_FILENO) ? ProgressStyle::kTerminal
                                                             : ProgressStyle::kPlain);
  MANAKO_RETURN_IF_ERROR(RunStudy(options, progress.get()));
  return WriteRunReport(options.out, /*quiet=*/flags.json);
}

}  // namespace

void AddStudyCommand(CLI::App& app, int* exit_code) {
  auto flags = std::make_shared<StudyFlags>();
  CLI::App* command = app.add_subcommand("study", "Compare pooled, federated and lone training");
  command->add_option("--out", flags->out, "Run folder (default: runs/ and the time)");
  command->add_option("--resume", flags->resume, "Go on with the run in this folder");
  // Read the moment it is met, before the flags' values are stored, so that they win wherever they
  // stand.
  command
      ->add_option_function<std::string>(
          "--config",
          [flags](const std::string& path) {
            auto text = ReadFile(path, 1 << 20);
            auto config = text.ok() ? RunConfig::FromToml(*text, path)
                                    : absl::StatusOr<RunConfig>(text.status());
            if (!config.ok()) throw CLI::ValidationError(std::string(MessageOf(config.status())));
            flags->config = *config;
          },
          "Settings from a TOML file; flags win over it")
      ->trigger_on_parse();
  command->add_option("--threads", flags->threads, "Sites that train at once (default: all cores)");
  command
      ->add_option("--threads-per-site", flags->threads_per_site, "Threads of one site's training")
      ->group(kNotInHelp);
  command
      ->add_option("--checkpoint-seconds", flags->checkpoint_seconds,
                   "Save unfinished models at most so often")
      ->group(kNotInHelp);
  command->add_flag("--json", flags->json, "Events as JSON lines on standard output");
  AddConfigFlags(*command, flags->config);
  command->footer(
      "Examples:\n"
      "  manako study images/ --sites 3 --out runs/rd\n"
      "  manako study images/ --test images-test/ --model resnet18 \\\n"
      "    --init resnet18.pth --rounds 20 --local-epochs 1 --repeats 5\n"
      "  manako study manifest.csv --group-column patient --site-column hospital\n"
      "Every setting: manako study --help-all");
  command->callback([flags, command, exit_code] {
    if (const absl::Status status = Run(*flags, *command); !status.ok())
      *exit_code = ReportError(status);
  });
}

}  // namespace manako
