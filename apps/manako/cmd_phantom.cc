#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <thread>

#include "apps/manako/commands.h"
#include "data/phantom/phantom.h"

namespace manako {

void AddPhantomCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<PhantomOptions>();
  CLI::App* command = app.add_subcommand("phantom", "Draw synthetic fundus photographs");
  command->add_option("--out", options->out, "Folder for the images")->required();
  command->add_option("--per-class", options->per_class, "Images in each class")
      ->capture_default_str();
  command->add_option("--seed", options->seed, "Seed: the same one draws the same images")
      ->capture_default_str();
  command->add_option("--width", options->width, "Pixels")->capture_default_str();
  command->add_option("--height", options->height, "Pixels")->capture_default_str();
  options->threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  command->add_option("--threads", options->threads, "Threads; no influence on the images");
  command->footer("Example: manako phantom --out images/ --per-class 973 --seed 7");
  command->callback([options, exit_code] {
    const bool terminal = isatty(STDERR_FILENO) != 0;
    const absl::Status status = WritePhantoms(*options, [&](int done, int total) {
      if (terminal && (done % 10 == 0 || done == total))
        fmt::print(stderr, "\rDrawing {}/{}{}", done, total, done == total ? "\n" : "");
    });
    if (!status.ok()) {
      *exit_code = ReportError(status);
      return;
    }
    fmt::print("{}: {} synthetic images of each of two classes\n", options->out,
               options->per_class);
  });
}

}  // namespace manako
