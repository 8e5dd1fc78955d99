#include "apps/manako/run_export.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>
#include <vector>

#include "apps/manako/commands.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "core/federated_run_config.h"
#include "learn/networks.h"
#include "server/run_folder.h"

namespace manako {

namespace fs = std::filesystem;

absl::Status ExportRun(const std::string& folder, FederationStore* store, const std::string& id,
                       int round, const std::string& path) {
  MANAKO_ASSIGN_OR_RETURN(const RunRecord run, store->Run(id));
  if (round < 0) round = run.best_round;
  if (round < 0) return FailedPrecondition("run {} has no model yet: it is {}", run.id, run.state);
  // Asked first: to say so needs no network.
  const RunFolder files(folder + "/runs/" + run.id);
  const bool to_be_kept = round == run.best_round || round == run.round;
  const absl::Status gone =
      to_be_kept
          ? NotFound("the model of round {} is no longer in runs/{}: restore it from a backup",
                     round, run.id)
          : NotFound("the model of round {} is not kept: only the best and the newest are{}", round,
                     run.best_round < 0
                         ? ""
                         : fmt::format(" (rounds {} and {})", run.best_round, run.round));
  if (std::error_code ignored; !fs::exists(files.ModelPath(round), ignored)) return gone;
  MANAKO_ASSIGN_OR_RETURN(const FederatedRunConfig config,
                          FederatedRunConfig::FromToml(run.config, run.id));
  const RunConfig& training = config.training;
  const std::string& network = training.model.architecture;
  const std::vector<std::string>& built_in = ArchitectureNames();
  if (std::error_code ignored;
      std::find(built_in.begin(), built_in.end(), network) == built_in.end() &&
      !fs::exists(network, ignored)) {
    return FailedPrecondition(
        "the network of run {} is a file that is no longer there: put it back at {}", run.id,
        network);
  }
  MANAKO_ASSIGN_OR_RETURN(const auto pool,
                          NetworkPool::Create({network, static_cast<int>(config.run.classes.size()),
                                               training.model.dropout, training.data.image_size}));
  auto model = ReadModelFile(files.ModelPath(round), pool->spec(), 2);
  if (absl::IsNotFound(model.status())) return gone;
  MANAKO_RETURN_IF_ERROR(model.status());
  ExportOptions options;
  options.path = path;
  options.classes = config.run.classes;
  options.image_size = training.data.image_size;
  options.crop = training.data.crop;
  options.origin =
      fmt::format("manako {}, run {} ({}), round {}", kVersion, run.id, run.name, round);
  return ExportModel(pool.get(), *model, options);
}

RunExports::RunExports(std::string folder, FederationStore* store)
    : folder_(std::move(folder)), store_(store) {}

absl::StatusOr<std::unique_ptr<FileSource>> RunExports::Open(const std::string& run, int round) {
  const std::unique_lock<std::mutex> lock(one_at_a_time_, std::try_to_lock);
  if (!lock.owns_lock()) {
    return absl::UnavailableError("another model.pt is being made: try again in a moment");
  }
  const std::string place = folder_ + "/export";
  // Only a server that was killed in here leaves anything behind.
  std::error_code error;
  fs::remove_all(place, error);
  if (!error) fs::create_directory(place, error);
  if (!error) fs::permissions(place, fs::perms::owner_all, error);
  if (error) return Internal("{}: {}", place, error.message());
  const std::string path = place + "/model.pt";
  const auto made = [&]() -> absl::StatusOr<std::unique_ptr<FileSource>> {
    MANAKO_RETURN_IF_ERROR(ExportRun(folder_, store_, run, round, path));
    return FileSource::Open(path, fmt::format("{}-round-{}.pt", run, round),
                            "application/octet-stream");
  };
  auto file = made();
  fs::remove_all(place, error);
  return file;
}

}  // namespace manako
