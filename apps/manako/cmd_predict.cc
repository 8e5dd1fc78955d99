#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "apps/manako/commands.h"
#include "base/csv.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "learn/torch_learner.h"
#include "predict/predict.h"

namespace manako {
namespace {

struct Flags {
  std::string model, out;
  std::vector<std::string> images;
  PredictOptions options;
};

std::string Header(const std::vector<std::string>& classes) {
  std::string line = "file,prediction";
  for (const std::string& name : classes) line += "," + CsvField("p_" + name);
  return line + ",error\n";
}

std::string Line(const ImagePrediction& image, const std::vector<std::string>& classes) {
  std::string line = CsvField(image.file) + ",";
  if (image.probabilities.empty())
    return line + std::string(classes.size(), ',') + "," + CsvField(image.error) + "\n";
  const auto best = std::max_element(image.probabilities.begin(), image.probabilities.end());
  line += CsvField(classes[static_cast<size_t>(best - image.probabilities.begin())]);
  for (const float p : image.probabilities) line += fmt::format(",{:.9g}", p);
  return line + ",\n";
}

absl::Status Run(Flags flags) {
  PrepareLibtorch(std::max(1, flags.options.threads));
  MANAKO_ASSIGN_OR_RETURN(const std::vector<FoundImage> images, FindImages(flags.images));
  MANAKO_ASSIGN_OR_RETURN(const ModelFile model, OpenModelFile(flags.model));
  std::unique_ptr<AtomicFileWriter> file;
  if (!flags.out.empty()) {
    MANAKO_ASSIGN_OR_RETURN(file, AtomicFileWriter::Create(flags.out));
  }
  const auto write = [&](const std::string& text) -> absl::Status {
    if (file != nullptr) return file->Append(text);
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
      return absl::UnavailableError("cannot write to standard output");
    return absl::OkStatus();
  };
  MANAKO_RETURN_IF_ERROR(write(Header(model.classes)));
  size_t bad = 0;
  std::string first_bad;
  MANAKO_RETURN_IF_ERROR(
      PredictImages(model, images, flags.options, [&](std::span<ImagePrediction> some) {
        std::string text;
        for (const ImagePrediction& image : some) {
          text += Line(image, model.classes);
          if (image.error.empty()) continue;
          if (bad++ == 0) first_bad = fmt::format("{}: {}", image.file, image.error);
        }
        return write(text);
      }));
  if (file != nullptr) MANAKO_RETURN_IF_ERROR(file->Commit());
  if (bad == images.size())
    return DataLoss("none of the {} images could be read ({})", bad, first_bad);
  if (bad > 0)
    fmt::print(stderr, "{} of {} images could not be read ({}): see the column \"error\"\n", bad,
               images.size(), first_bad);
  return absl::OkStatus();
}

}  // namespace

void AddPredictCommand(CLI::App& app, int* exit_code) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand("predict", "What a trained model says of new images");
  command->add_option("model", flags->model, "A run's model.pt")->required();
  command->add_option("images", flags->images, "Image files, and folders of them")->required();
  command->add_option("--out", flags->out, "CSV file; without it the table is printed");
  flags->options.threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  command->add_option("--threads", flags->options.threads, "Threads")->check(CLI::Range(1, 1024));
  command->add_option("--precision", flags->options.train.precision, "float32, bfloat16 or auto")
      ->check(CLI::IsMember({"float32", "bfloat16", "auto"}))
      ->capture_default_str();
  command->add_option("--engine", flags->options.train.engine, "torch, fused or auto")
      ->check(CLI::IsMember({"torch", "fused", "auto"}))
      ->capture_default_str();
  command->footer(
      "The images are prepared as the model's training had them. For research: a model is no\n"
      "medical device because its AUC is high.\n"
      "Example: manako predict runs/rd/model.pt new-images/ --out predictions.csv");
  command->callback([flags, exit_code] {
    if (const absl::Status status = Run(*flags); !status.ok()) *exit_code = ReportError(status);
  });
}

}  // namespace manako
