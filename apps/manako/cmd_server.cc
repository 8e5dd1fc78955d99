// manako server: what the central hospital does.
#include <fmt/format.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "apps/manako/commands.h"
#include "apps/manako/output.h"
#include "apps/manako/web_admin.h"
#include "base/status_macros.h"
#include "core/large_pages.h"
#include "server/backup.h"
#include "server/enrolment.h"
#include "server/event_log.h"
#include "server/receipt_log.h"
#include "server/server.h"
#include "server/wake.h"
#include "wire/grpc_server.h"

namespace manako {
namespace {

struct ServerFlags {
  std::string folder, site, why, listen, to, user = "admin";
  CentralOptions central;
  double hours = 72;
  int threads = 0;
  bool json = false;
};

absl::Status Init(const ServerFlags& flags) {
  MANAKO_RETURN_IF_ERROR(MakeCentral(flags.folder, flags.central, NowMs()));
  fmt::print(
      "{} is the folder of the federation \"{}\" now. Back it up: ca.key in it is what makes the "
      "federation.\n"
      "Start the server:  manako server start {}\n"
      "Invite a hospital: manako server invite {} --site NAME\n",
      flags.folder, flags.central.name, flags.folder, flags.folder);
  return absl::OkStatus();
}

void LogLine(std::string_view line) {
  // systemd's journal adds the time itself; elsewhere it is needed.
  if (::getenv("JOURNAL_STREAM") != nullptr) {
    fmt::print(stderr, "{}\n", line);
  } else {
    fmt::print(stderr, "{} {}\n", ShowTime(NowMs()), line);
  }
}

// Each connection takes a descriptor, strangers' too, and each file of a backup: as many as the
// system lets this process have.
void AllowManyDescriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// The allocator's caches: one for each of many threads, and what they keep, would grow with the
// sites.
void KeepMemorySmall() {
  ::mallopt(M_ARENA_MAX, 2);
  ::mallopt(M_MMAP_THRESHOLD, 4 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 16 << 20);
}

absl::Status Start(const ServerFlags& flags) {
  KeepMemorySmall();
  UseLargePages();
  MANAKO_RETURN_IF_ERROR(CheckCentral(flags.folder));
  MANAKO_ASSIGN_OR_RETURN(const auto store, FederationStore::Open(flags.folder + "/federation.db"));
  MANAKO_ASSIGN_OR_RETURN(const auto enrolment, Enrolment::Open(flags.folder, store.get()));
  MANAKO_ASSIGN_OR_RETURN(const auto receipts, ReceiptLog::Open(flags.folder + "/receipts.log",
                                                                enrolment->server_key()));
  MANAKO_ASSIGN_OR_RETURN(const auto events, EventLog::Open(flags.folder + "/server.log"));
  const auto log = [&events](std::string_view line) {
    LogLine(line);
    static_cast<void>(events->Note(line, NowMs()));  // it stands on standard error
  };
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  AllowManyDescriptors();
  Server::Deps deps;
  deps.store = store.get();
  deps.now_ms = NowMs;
  deps.log = log;
  deps.record = [&receipts](const std::string& site, Receipt& receipt) {
    return receipts->Record(site, receipt);
  };
  deps.on_event = [&events](const EventRecord& event) { return events->Write(event); };
  deps.events_behind = events->last_seq();
  const int threads = flags.threads > 0
                          ? flags.threads
                          : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  MANAKO_ASSIGN_OR_RETURN(const auto server, Server::Open({flags.folder, threads}, deps));
  GrpcServer::Options options;
  options.listen =
      flags.listen.empty() ? fmt::format("0.0.0.0:{}", enrolment->port()) : flags.listen;
  options.software = kVersion;
  std::atomic<std::shared_ptr<GrpcServer>> network;
  const auto listen = [&]() -> absl::Status {
    MANAKO_ASSIGN_OR_RETURN(auto fresh, GrpcServer::Start(options, {server.get(), enrolment.get(),
                                                                    store.get(), NowMs, log}));
    network = std::shared_ptr<GrpcServer>(std::move(fresh));
    return absl::OkStatus();
  };
  MANAKO_RETURN_IF_ERROR(listen());
  const auto changed = [&] {
    if (const auto now = network.load()) now->Recheck();
    server->Sync();
  };
  MANAKO_ASSIGN_OR_RETURN(const auto wake, WakeListener::Start(flags.folder, changed));
  // What was written between the server's first look and the moment at which it could be rung at.
  changed();
  log(fmt::format("The server of \"{}\" listens at {} (sites reach it as {}:{})",
                  enrolment->federation(), options.listen, enrolment->host(), enrolment->port()));
  const auto admin = MakeServerAdmin(flags.folder, store.get(), enrolment.get(), changed);
  std::string why;
  MANAKO_ASSIGN_OR_RETURN(const auto page, ServeServerPage(flags.folder, admin.get(), &why));
  log(page != nullptr ? "The web page is at " + page->url : why);
  // A server works for years: its certificate is made anew in time, with a new listener, to which
  // the sites come back by themselves.
  int signal = 0;
  const auto next_look = [&] {
    const int64_t ms = enrolment->UntilNextLookMs(NowMs());
    return timespec{ms / 1000, ms % 1000 * 1'000'000};
  };
  for (timespec wait = next_look(); (signal = sigtimedwait(&signals, nullptr, &wait)) < 0;
       wait = next_look()) {
    if (errno != EAGAIN || !enrolment->CertificateIsDue(NowMs())) continue;
    log("The server's certificate is renewed: sites connect anew.");
    network.store(nullptr);  // the port is free again once its last user is done with it
    MANAKO_RETURN_IF_ERROR(listen());
  }
  // Whatever was said is on the disk; there is nothing to put in order first.
  log("The server ends; what was done is kept. Runs go on when it is started again.");
  std::fflush(nullptr);
  _exit(kDone);
}

// The federation on one page: who it is, until when, who was invited and what became of it.
absl::Status Show(const ServerFlags& flags) {
  MANAKO_RETURN_IF_ERROR(CheckCentral(flags.folder));
  MANAKO_ASSIGN_OR_RETURN(const auto store, FederationStore::Open(flags.folder + "/federation.db"));
  MANAKO_ASSIGN_OR_RETURN(const auto enrolment, Enrolment::Open(flags.folder, store.get()));
  MANAKO_ASSIGN_OR_RETURN(const auto sites, store->Sites());
  MANAKO_ASSIGN_OR_RETURN(const auto invitations, store->Invitations());
  const int64_t now = NowMs();
  std::map<std::string, int> states;
  for (const SiteRecord& site : sites) ++states[site.state];
  nlohmann::json json = {{"name", enrolment->federation()},
                         {"host", enrolment->host()},
                         {"port", enrolment->port()},
                         {"authority_sha256", enrolment->authority().fingerprint},
                         {"server_runs", Ring(flags.folder)},
                         {"sites", states},
                         {"invitations", nlohmann::json::array()}};
  std::vector<std::vector<std::string>> rows = {{"INVITED", "STATE", "MADE", "GOOD UNTIL", ""}};
  for (const auto& invitation : invitations) {
    const std::string state = invitation.StateAt(now);
    json["invitations"].push_back({{"site", invitation.site},
                                   {"state", state},
                                   {"created_ms", invitation.created_ms},
                                   {"expires_ms", invitation.expires_ms},
                                   {"used_ms", invitation.used_ms},
                                   {"withdrawn_ms", invitation.withdrawn_ms},
                                   {"why", invitation.why}});
    rows.push_back(
        {invitation.site, state, ShowTime(invitation.created_ms), ShowTime(invitation.expires_ms),
         state == "used" ? "on " + ShowTime(invitation.used_ms)
         : state == "withdrawn"
             ? fmt::format("on {}: {}", ShowTime(invitation.withdrawn_ms), invitation.why)
             : ""});
  }
  if (flags.json) {
    PrintJson(json);
    return absl::OkStatus();
  }
  fmt::print("\"{}\": sites reach it as {}:{}; its server {}\n", enrolment->federation(),
             enrolment->host(), enrolment->port(),
             json["server_runs"].get<bool>() ? "works" : "does not run");
  std::string text;
  for (const auto& [state, count] : states)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, state);
  fmt::print("Sites: {}\n\n", text.empty() ? "none yet" : text);
  if (invitations.empty()) {
    fmt::print("No invitation yet: manako server invite {} --site NAME\n", flags.folder);
  } else {
    PrintTable(rows);
  }
  return absl::OkStatus();
}

absl::Status Password(const ServerFlags& flags) {
  MANAKO_RETURN_IF_ERROR(CheckCentral(flags.folder));
  return AskWebPassword(flags.folder, flags.user);
}

absl::Status Invite(const ServerFlags& flags) {
  MANAKO_RETURN_IF_ERROR(CheckCentral(flags.folder));
  MANAKO_ASSIGN_OR_RETURN(const auto store, FederationStore::Open(flags.folder + "/federation.db"));
  MANAKO_ASSIGN_OR_RETURN(const auto enrolment, Enrolment::Open(flags.folder, store.get()));
  const int64_t now = NowMs();
  MANAKO_ASSIGN_OR_RETURN(const std::string line, enrolment->Invite(flags.site, flags.hours, now));
  Ring(flags.folder);
  const int64_t until = now + static_cast<int64_t>(flags.hours * 3600e3);
  if (flags.json) {
    PrintJson({{"site", flags.site}, {"invitation", line}, {"expires_ms", until}});
    return absl::OkStatus();
  }
  fmt::print("{}\n", line);
  fmt::print(stderr,
             "For {}, once, until {}. Send it by a way that only they can read; there they type:\n"
             "  manako site join \"INVITATION\" site/ --data FOLDER-WITH-IMAGES\n",
             flags.site, ShowTime(until));
  return absl::OkStatus();
}

absl::Status Revoke(const ServerFlags& flags) {
  MANAKO_RETURN_IF_ERROR(CheckCentral(flags.folder));
  MANAKO_ASSIGN_OR_RETURN(const auto store, FederationStore::Open(flags.folder + "/federation.db"));
  MANAKO_RETURN_IF_ERROR(store->Revoke(flags.site, flags.why, NowMs()));
  const bool heard = Ring(flags.folder);
  fmt::print(
      "{} is revoked{}.\n", flags.site,
      heard ? ", and cut off if it was connected" : "; the server will know when it is started");
  return absl::OkStatus();
}

absl::Status Sites(const ServerFlags& flags) {
  MANAKO_RETURN_IF_ERROR(CheckCentral(flags.folder));
  MANAKO_ASSIGN_OR_RETURN(const auto store, FederationStore::Open(flags.folder + "/federation.db"));
  MANAKO_ASSIGN_OR_RETURN(const auto sites, store->Sites());
  const int64_t now = NowMs();
  nlohmann::json json = nlohmann::json::array();
  std::vector<std::vector<std::string>> rows = {
      {"SITE", "STATE", "SEEN", "CERTIFICATE ENDS", "VERSION", "DOING"}};
  for (const SiteRecord& site : sites) {
    const auto status = nlohmann::json::parse(site.status, nullptr, false);
    std::string doing = status.is_object() ? status.value("phase", "") : "";
    if (status.is_object() && status.value("round", 0) > 0)
      doing += fmt::format(" (round {})", status.value("round", 0));
    rows.push_back({site.name, site.state, ShowAge(site.seen_ms, now),
                    ShowTime(site.certificate_expires_ms), site.version, doing});
    json.push_back({{"name", site.name},
                    {"state", site.state},
                    {"enrolled_ms", site.enrolled_ms},
                    {"seen_ms", site.seen_ms},
                    {"certificate_expires_ms", site.certificate_expires_ms},
                    {"version", site.version},
                    {"address", site.address},
                    {"status", status.is_object() ? status : nlohmann::json(nullptr)}});
  }
  if (flags.json) {
    PrintJson(json);
  } else if (sites.empty()) {
    fmt::print("No site yet: manako server invite {} --site NAME\n", flags.folder);
  } else {
    PrintTable(rows);
  }
  return absl::OkStatus();
}

absl::Status Backup(const ServerFlags& flags) {
  AllowManyDescriptors();
  std::string to = flags.to;
  while (to.size() > 1 && to.back() == '/') to.pop_back();
  MANAKO_ASSIGN_OR_RETURN(const BackupSummary done, BackUpCentral(flags.folder, to, NowMs()));
  for (const std::string& problem : done.problems)
    fmt::print(stderr, "WARNING: {}: it is so in the backup, too\n", problem);
  fmt::print(
      "{}: {} files, {:.1f} MB. It holds ca.key: who has it is the federation.\n"
      "To restore it: {}, then manako server start FOLDER. Never run both.\n",
      to, done.files, static_cast<double>(done.bytes) / 1e6,
      to.ends_with(".tar") ? fmt::format("tar -xpf {}", to) : fmt::format("cp -a {} FOLDER", to));
  return absl::OkStatus();
}

}  // namespace

void AddServerCommand(CLI::App& app, int* exit_code) {
  auto flags = std::make_shared<ServerFlags>();
  CLI::App* command = app.add_subcommand("server", "Central hospital: federation, sites, serving");
  command->require_subcommand(1);
  command->footer(
      "Examples:\n"
      "  manako server init central/ --name \"Himeji Eye Federation\" --host fed.example.org\n"
      "  manako server start central/\n"
      "  manako server invite central/ --site east-clinic\n"
      "Each explains itself: manako server invite --help");
  const auto add = [&](const char* name, const char* what,
                       absl::Status (*run)(const ServerFlags&)) {
    CLI::App* sub = command->add_subcommand(name, what);
    sub->add_option("folder", flags->folder, "The central hospital's folder")->required();
    sub->callback([flags, exit_code, run] {
      while (flags->folder.size() > 1 && flags->folder.back() == '/') flags->folder.pop_back();
      if (const absl::Status status = run(*flags); !status.ok()) *exit_code = ReportError(status);
    });
    return sub;
  };
  CLI::App* init = add("init", "Make a folder the central hospital's", Init);
  init->add_option("--name", flags->central.name, "The federation's name")->required();
  init->add_option("--host", flags->central.host,
                   "Name or address at which sites reach this server")
      ->required();
  init->add_option("--port", flags->central.port, "Port")->capture_default_str();
  init->add_option("--also", flags->central.more_hosts, "Further names or addresses of this server")
      ->delimiter(',');
  CLI::App* start = add("start", "Serve, until stopped", Start);
  start->add_option("--listen", flags->listen,
                    "Address and port to listen at (default: all, the port of init)");
  start->add_option("--threads", flags->threads, "Threads to average with (default: all cores)");
  CLI::App* invite = add("invite", "Print an invitation: one line, for one site, once", Invite);
  invite->add_option("--site", flags->site, "The site's name: a-z, 0-9, -")->required();
  invite->add_option("--hours", flags->hours, "How long it can be used")->capture_default_str();
  invite->add_flag("--json", flags->json, "For machines");
  CLI::App* revoke = add("revoke", "Cut a site off, at once", Revoke);
  revoke->add_option("--site", flags->site, "The site's name")->required();
  revoke->add_option("--why", flags->why, "For the record");
  add("password", "Let somebody sign in to the web page", Password)
      ->add_option("--user", flags->user, "Who")
      ->capture_default_str();
  add("backup", "Copy the federation's state, of one moment, while the server works or not", Backup)
      ->add_option("to", flags->to, "What to make: a folder, or a file whose name ends in .tar")
      ->required();
  add("show", "Show the federation, and the invitations with what became of them", Show)
      ->add_flag("--json", flags->json, "For machines");
  CLI::App* sites = add("sites", "List the sites", Sites);
  sites->add_flag("--json", flags->json, "For machines");
}

}  // namespace manako
