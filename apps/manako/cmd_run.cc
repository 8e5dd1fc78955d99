// manako run: the trainings of a federation, at the central hospital.
#include <fmt/format.h>

#include <memory>
#include <string>

#include "apps/manako/commands.h"
#include "apps/manako/output.h"
#include "apps/manako/run_export.h"
#include "apps/manako/run_report.h"
#include "apps/manako/web_admin.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "report/federated_report.h"
#include "server/enrolment.h"
#include "server/wake.h"

namespace manako {
namespace {

struct RunFlags {
  std::string folder, config, run, out;
  int round = -1;
  bool json = false, start = false;
};

using nlohmann::json;

absl::StatusOr<std::unique_ptr<FederationStore>> OpenStore(const RunFlags& flags) {
  MANAKO_RETURN_IF_ERROR(CheckCentral(flags.folder));
  return FederationStore::Open(flags.folder + "/federation.db");
}

absl::Status Create(const RunFlags& flags) {
  MANAKO_ASSIGN_OR_RETURN(const auto store, OpenStore(flags));
  MANAKO_ASSIGN_OR_RETURN(const std::string text, ReadFile(flags.config, 1 << 20));
  std::string note;
  MANAKO_ASSIGN_OR_RETURN(const std::string id,
                          CreateRun(flags.folder, store.get(), text, flags.config, &note));
  if (flags.start) MANAKO_RETURN_IF_ERROR(store->Want(id, "running", NowMs()));
  Ring(flags.folder);
  if (flags.json) {
    PrintJson({{"id", id}, {"wanted", flags.start ? "running" : "created"}});
    return absl::OkStatus();
  }
  if (!note.empty()) fmt::print(stderr, "{}\n", note);
  fmt::print("{}\n", id);
  if (!flags.start) fmt::print(stderr, "Start it with: manako run start {} {}\n", flags.folder, id);
  return absl::OkStatus();
}

template <const char* wanted>
absl::Status Want(const RunFlags& flags) {
  MANAKO_ASSIGN_OR_RETURN(const auto store, OpenStore(flags));
  MANAKO_RETURN_IF_ERROR(store->Want(flags.run, wanted, NowMs()));
  if (!Ring(flags.folder)) {
    fmt::print(stderr,
               "No server runs in {}: it will know when it is started (manako server start {})\n",
               flags.folder, flags.folder);
  }
  return absl::OkStatus();
}
constexpr char kRunning[] = "running", kPaused[] = "paused", kCancelled[] = "cancelled";

json RunToJson(const RunRecord& run) {
  return {{"id", run.id},
          {"name", run.name},
          {"wanted", run.wanted},
          {"state", run.state},
          {"why", run.why},
          {"created_ms", run.created_ms},
          {"started_ms", run.started_ms},
          {"finished_ms", run.finished_ms},
          {"round", run.round},
          {"rounds", run.rounds},
          {"best_round", run.best_round}};
}

std::string ShowState(const RunRecord& run) {
  return run.wanted == "paused" && run.finished_ms == 0 ? "paused" : run.state;
}

absl::Status List(const RunFlags& flags) {
  MANAKO_ASSIGN_OR_RETURN(const auto store, OpenStore(flags));
  MANAKO_ASSIGN_OR_RETURN(const auto runs, store->Runs());
  json all = json::array();
  std::vector<std::vector<std::string>> rows = {{"RUN", "STATE", "ROUND", "CREATED", "NAME"}};
  for (const RunRecord& run : runs) {
    all.push_back(RunToJson(run));
    rows.push_back({run.id, ShowState(run),
                    run.rounds > 0 ? fmt::format("{}/{}", run.round, run.rounds) : "-",
                    ShowTime(run.created_ms), run.name});
  }
  if (flags.json) {
    PrintJson(all);
  } else if (runs.empty()) {
    fmt::print("No run yet: manako run create {} run.toml\n", flags.folder);
  } else {
    PrintTable(rows);
  }
  return absl::OkStatus();
}

std::string Number(const json& value, const char* key) {
  return value.contains(key) && value[key].is_number()
             ? fmt::format("{:.3f}", value[key].get<double>())
             : "-";
}

absl::Status Show(const RunFlags& flags) {
  MANAKO_ASSIGN_OR_RETURN(const auto store, OpenStore(flags));
  MANAKO_ASSIGN_OR_RETURN(const RunRecord run, store->Run(flags.run));
  MANAKO_ASSIGN_OR_RETURN(const auto sites, store->RunSites(run.id));
  MANAKO_ASSIGN_OR_RETURN(const auto rounds, store->Rounds(run.id));
  MANAKO_ASSIGN_OR_RETURN(const auto asks, store->Asks(run.id));
  json out = RunToJson(run);
  out["sites"] = json::array();
  for (const RunSiteRecord& site : sites) {
    out["sites"].push_back({{"site", site.site},
                            {"state", site.state},
                            {"counts", CountsToJson(site.counts)},
                            {"why", site.why}});
  }
  out["rounds"] = json::array();
  std::map<int, std::map<std::string, int>> books;
  std::map<int, std::vector<std::string>> waiting;
  for (const auto& ask : asks) {
    ++books[ask.round]["asked"];
    ++books[ask.round][std::string(NameOf(ask.ask.state))];
    if (ask.ask.state == AskState::kWaiting) waiting[ask.round].push_back(ask.site);
  }
  for (const auto& round : rounds) {
    const json metrics = json::parse(round.metrics, nullptr, false);
    out["rounds"].push_back({{"round", round.round},
                             {"opened_ms", round.opened_ms},
                             {"closed_ms", round.closed_ms},
                             {"model_sha256", round.model_sha256},
                             {"books", books[round.round]},
                             {"metrics", metrics.is_object() ? metrics : json(nullptr)}});
  }
  if (flags.json) {
    PrintJson(out);
    return absl::OkStatus();
  }
  fmt::print("{}  {}\n{}{}, round {} of {}", run.id, run.name, ShowState(run),
             run.why.empty() ? "" : " (" + run.why + ")", run.round,
             run.rounds > 0 ? std::to_string(run.rounds) : "?");
  if (run.best_round > 0)
    fmt::print(", best{} round {}", run.finished_ms > 0 ? "" : " so far", run.best_round);
  fmt::print("\n");
  if (const json state = json::parse(run.rounds_state, nullptr, false);
      state.is_object() && state.contains("rounds")) {
    RoundState open({.rounds = run.rounds});
    if (open.FromJson(state["rounds"]).ok() && open.open()) {
      std::string names;
      for (const auto& [site, ask] : open.asks()) {
        if (ask.state == AskState::kAnswered) continue;
        names += fmt::format("{}{}{}", names.empty() ? "" : ", ", site,
                             ask.state == AskState::kWaiting
                                 ? ""
                                 : fmt::format(" ({}: {})", NameOf(ask.state), ask.why));
      }
      if (!names.empty()) fmt::print("Round {} waits for {}\n", open.round(), names);
    }
  }
  fmt::print("\n");
  std::vector<std::vector<std::string>> rows = {
      {"SITE", "STATE", "TRAIN", "VALIDATION", "TEST", ""}};
  const auto counts = [](const std::vector<int64_t>& values) {
    std::string text;
    for (const int64_t value : values) text += (text.empty() ? "" : "+") + std::to_string(value);
    return text.empty() ? std::string("-") : text;
  };
  for (const RunSiteRecord& site : sites) {
    rows.push_back({site.site, site.state, counts(site.counts.train),
                    counts(site.counts.validation), counts(site.counts.test), site.why});
  }
  PrintTable(rows);
  rows = {{"ROUND", "SECONDS", "ASKED", "ANSWERED", "REFUSED", "FAILED", "LATE", "WAITING",
           "VALIDATION AUC", "TEST AUC"}};
  for (const auto& round : rounds) {
    const json metrics = json::parse(round.metrics, nullptr, false);
    auto& book = books[round.round];
    std::string wait = std::to_string(book["waiting"]);
    for (const std::string& site : waiting[round.round]) wait += " " + site;
    rows.push_back(
        {std::to_string(round.round),
         round.closed_ms > 0
             ? fmt::format("{:.1f}", static_cast<double>(round.closed_ms - round.opened_ms) / 1000)
             : "-",
         std::to_string(book["asked"]), std::to_string(book["answered"]),
         std::to_string(book["refused"]), std::to_string(book["failed"]),
         std::to_string(book["late"]), wait,
         metrics.is_object() ? Number(metrics, "validation_auc") : "-",
         metrics.is_object() ? Number(metrics, "test_auc") : "-"});
  }
  fmt::print("\n");
  PrintTable(rows);
  return absl::OkStatus();
}

// model.pt of a finished run (or of any round whose model is still there), to use outside.
absl::Status Export(const RunFlags& flags) {
  MANAKO_ASSIGN_OR_RETURN(const auto store, OpenStore(flags));
  const std::string path = flags.out.empty() ? flags.run + ".pt" : flags.out;
  MANAKO_RETURN_IF_ERROR(ExportRun(flags.folder, store.get(), flags.run, flags.round, path));
  fmt::print("{}\n", path);
  return absl::OkStatus();
}

// The report is made of the database alone, so a running run has one, and one whose folder was
// removed.
absl::Status Report(const RunFlags& flags) {
  MANAKO_ASSIGN_OR_RETURN(const auto store, OpenStore(flags));
  MANAKO_ASSIGN_OR_RETURN(const FederatedRun run, ReadFederatedRun(store.get(), flags.run));
  const json report = BuildFederatedReport(run);
  if (flags.json) {
    PrintJson(report);
    return absl::OkStatus();
  }
  MANAKO_RETURN_IF_ERROR(MayReport(run));
  MANAKO_ASSIGN_OR_RETURN(const std::string page, FederatedReportPage(report));
  const std::string out = flags.out.empty() ? flags.run + ".html" : flags.out;
  MANAKO_RETURN_IF_ERROR(WriteFileAtomically(out, page));
  const json& result = report["result"];
  if (result.is_object()) {
    fmt::print("Round {} on {} test images of {} sites: AUC {} ({} to {}), from {}\n",
               run.best_round, result["tested"].get<int64_t>(), result["by_site"].size(),
               Number(result["auc"], "value"), Number(result["auc"], "low"),
               Number(result["auc"], "high"), result["method"].get<std::string>());
  } else {
    fmt::print("No site has sent a test of the run's model yet.\n");
  }
  fmt::print("Report: {}\n", out);
  return absl::OkStatus();
}

absl::Status Template(const RunFlags&) {
  fmt::print("{}", RunTemplate());
  return absl::OkStatus();
}

}  // namespace

void AddRunCommand(CLI::App& app, int* exit_code) {
  auto flags = std::make_shared<RunFlags>();
  CLI::App* command = app.add_subcommand("run", "Central hospital: the federation's trainings");
  command->require_subcommand(1);
  command->footer(
      "Examples:\n"
      "  manako run template > run.toml\n"
      "  manako run create central/ run.toml --start\n"
      "  manako run show central/ RUN\n"
      "  manako run export central/ RUN --out model.pt\n"
      "  manako run report central/ RUN --out report.html");
  const auto add = [&](const char* name, const char* what, absl::Status (*run)(const RunFlags&)) {
    CLI::App* sub = command->add_subcommand(name, what);
    sub->callback([flags, exit_code, run] {
      while (flags->folder.size() > 1 && flags->folder.back() == '/') flags->folder.pop_back();
      if (const absl::Status status = run(*flags); !status.ok()) *exit_code = ReportError(status);
    });
    return sub;
  };
  const auto folder = [&](CLI::App* sub) {
    sub->add_option("folder", flags->folder, "The central hospital's folder")->required();
    return sub;
  };
  const auto of_run = [&](CLI::App* sub) {
    folder(sub)
        ->add_option("run", flags->run, "The run, as `manako run list` names it")
        ->required();
    return sub;
  };
  add("template", "Print a run.toml to begin with", Template);
  CLI::App* create = folder(add("create", "Make a run of a run.toml", Create));
  create->add_option("config", flags->config, "run.toml (see: manako run template)")->required();
  create->add_flag("--start", flags->start, "Start it too");
  create->add_flag("--json", flags->json, "For machines");
  of_run(add("start", "Start a run: its sites are asked", Want<kRunning>));
  of_run(add("pause", "Give no more work out for now", Want<kPaused>));
  of_run(add("resume", "Go on with a paused run", Want<kRunning>));
  of_run(add("cancel", "End a run for good", Want<kCancelled>));
  folder(add("list", "List the runs", List))->add_flag("--json", flags->json, "For machines");
  of_run(add("show", "Show a run: sites, rounds, what it waits for", Show))
      ->add_flag("--json", flags->json, "For machines");
  CLI::App* export_command = of_run(add("export", "Write a run's model as model.pt", Export));
  export_command->add_option("--round", flags->round, "Of which round (default: the best)");
  export_command->add_option("--out", flags->out, "File (default: RUN.pt)");
  CLI::App* report =
      of_run(add("report", "Write a run's report, from what the sites agreed to send", Report));
  report->add_option("--out", flags->out, "File (default: RUN.html)");
  report->add_flag("--json", flags->json, "The numbers, for machines");
}

}  // namespace manako
