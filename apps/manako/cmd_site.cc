// manako site: what a branch hospital does.
#include <fmt/format.h>
#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "apps/manako/commands.h"
#include "apps/manako/output.h"
#include "apps/manako/web_admin.h"
#include "base/files.h"
#include "base/status_macros.h"
#include "data/discover.h"
#include "identity/certificate.h"
#include "identity/invitation.h"
#include "learn/local_work.h"
#include "learn/networks.h"
#include "learn/torch_learner.h"
#include "site/agent.h"
#include "site/check.h"
#include "site/leaves.h"
#include "site/ledger.h"
#include "site/site_config.h"
#include "site/site_folder.h"
#include "site/site_store.h"
#include "wire/grpc_channel.h"

namespace manako {
namespace {

struct SiteFlags {
  std::string folder, invitation, data, run, why, group_column, split_column, file_column,
      label_column, user = "admin";
  int round = 0, lines = 20;
  bool refuse = false, offline = false, verify = false, json = false, pause = false, resume = false;
};

std::string Key(const SiteFlags& flags) { return flags.folder + "/site.key"; }
std::string Pem(const SiteFlags& flags) { return flags.folder + "/site.pem"; }
std::string LeftKey(const SiteFlags& flags) {
  return flags.folder + "/site.pub";
}  // of a site that has left
std::string CaPem(const SiteFlags& flags) { return flags.folder + "/ca.pem"; }

void LogLine(std::string_view line) {
  if (::getenv("JOURNAL_STREAM") != nullptr) {
    fmt::print(stderr, "{}\n", line);
  } else {
    fmt::print(stderr, "{} {}\n", ShowTime(NowMs()), line);
  }
}

std::string ShowSkew(int64_t skew_ms) {
  const int64_t minutes = std::abs(skew_ms) / 60'000;
  const std::string span =
      minutes >= 120 ? fmt::format("{} hours", minutes / 60) : fmt::format("{} minutes", minutes);
  return fmt::format("This machine's clock is {} {} the server's: set it right", span,
                     skew_ms > 0 ? "ahead of" : "behind");
}

absl::StatusOr<SiteConfig> Config(const SiteFlags& flags) {
  auto config = SiteConfig::Load(flags.folder + "/site.toml");
  if (config.status().code() == absl::StatusCode::kNotFound) {
    return NotFound(
        "{} is no site's folder: join a federation first (manako site join INVITATION {} --data "
        "IMAGES)",
        flags.folder, flags.folder);
  }
  return config;
}

absl::Status Join(const SiteFlags& flags) {
  MANAKO_ASSIGN_OR_RETURN(const Invitation invitation, ParseInvitation(flags.invitation));
  if (std::filesystem::exists(Pem(flags))) {
    return absl::AlreadyExistsError(
        fmt::format("{} has joined a federation already: give another folder", flags.folder));
  }
  std::error_code error;
  const std::string data = std::filesystem::absolute(flags.data, error).lexically_normal().string();
  if (!std::filesystem::exists(data))
    return NotFound(
        "{} is not there: give the folder or manifest of this hospital's images (--data)",
        flags.data);
  MANAKO_RETURN_IF_ERROR(MakeFolders(flags.folder));
  std::filesystem::permissions(flags.folder, std::filesystem::perms::owner_all, error);
  // The same key if joining was interrupted: the server may have signed it already.
  auto key = PrivateKey::Load(Key(flags));
  if (key.status().code() == absl::StatusCode::kNotFound) {
    key = PrivateKey::Generate();
    MANAKO_RETURN_IF_ERROR(key.status());
    MANAKO_RETURN_IF_ERROR(key->Save(Key(flags)));
  }
  MANAKO_RETURN_IF_ERROR(key.status());
  MANAKO_ASSIGN_OR_RETURN(const Joined joined, JoinFederation(invitation, *key, kVersion, NowMs()));
  SiteConfig config;
  config.server.address = ToText(invitation.server);
  config.server.federation = joined.federation;
  config.server.site = joined.site;
  config.data.path = data;
  if (!flags.group_column.empty()) config.data.group_column = flags.group_column;
  if (!flags.split_column.empty()) config.data.split_column = flags.split_column;
  if (!flags.file_column.empty()) config.data.file_column = flags.file_column;
  if (!flags.label_column.empty()) config.data.label_column = flags.label_column;
  MANAKO_RETURN_IF_ERROR(config.Validate());
  MANAKO_RETURN_IF_ERROR(
      WriteFileAtomically(flags.folder + "/site.toml", config.ToCommentedToml()));
  MANAKO_RETURN_IF_ERROR(WriteFileAtomically(CaPem(flags), joined.authority));
  // Last: with it the folder is a site's.
  MANAKO_RETURN_IF_ERROR(WriteFileAtomically(Pem(flags), joined.certificate));
  fmt::print("This is the site {} of \"{}\" now. Images: {}\n", joined.site, joined.federation,
             data);
  if (std::abs(joined.clock_skew_ms) > 5 * 60'000)
    fmt::print("{}.\n", ShowSkew(joined.clock_skew_ms));
  fmt::print(
      "Read and edit what it may take part in: {}/site.toml\nTry it:   manako site check {}\nStart "
      "it: manako site start {}\n",
      flags.folder, flags.folder, flags.folder);
  return absl::OkStatus();
}

LocalWorkOptions WorkOptions(const SiteFlags& flags, const SiteConfig& config, int threads) {
  LocalWorkOptions work;
  work.data.path = config.data.path;
  work.data.test = config.data.test;
  work.data.file_column = config.data.file_column;
  work.data.label_column = config.data.label_column;
  work.data.group_column = config.data.group_column;
  work.data.split_column = config.data.split_column;
  work.data.site_column = config.data.site_column;
  work.data.max_bad = config.data.max_bad;
  work.data.cache = config.compute.cache.empty() ? flags.folder + "/cache" : config.compute.cache;
  work.site_value = config.data.site_value.empty() ? config.server.site : config.data.site_value;
  work.labels = config.labels;
  work.test_share = config.data.test_share;
  work.validation_share = config.data.validation_share;
  work.threads = threads;
  return work;
}

struct Connection {
  PrivateKey key;
  Certificate authority;
  std::unique_ptr<GrpcChannel> channel;
};

absl::StatusOr<Connection> Connect(const SiteFlags& flags, const SiteConfig& config) {
  auto loaded = PrivateKey::Load(Key(flags));
  if (loaded.status().code() == absl::StatusCode::kNotFound) {
    return NotFound(
        "{} has left its federation: to join again, give another folder (manako site join)",
        flags.folder);
  }
  MANAKO_RETURN_IF_ERROR(loaded.status());
  PrivateKey key = *std::move(loaded);
  MANAKO_ASSIGN_OR_RETURN(const std::string certificate, ReadFile(Pem(flags), 1 << 20));
  MANAKO_ASSIGN_OR_RETURN(const std::string authority_pem, ReadFile(CaPem(flags), 1 << 20));
  MANAKO_ASSIGN_OR_RETURN(Certificate authority, ParseCertificate(authority_pem));
  GrpcChannel::Options options;
  MANAKO_ASSIGN_OR_RETURN(options.server, ParseServerAddress(config.server.address));
  options.authority = authority_pem;
  options.certificate = certificate;
  options.software = kVersion;
  if (config.server.proxy == "none") {
    ::unsetenv("https_proxy");
    ::unsetenv("grpc_proxy");
    ::unsetenv("http_proxy");
  } else if (!config.server.proxy.empty()) {
    ::setenv("grpc_proxy", config.server.proxy.c_str(), 1);
  }
  MANAKO_ASSIGN_OR_RETURN(auto channel, GrpcChannel::Connect(options, key));
  return Connection{std::move(key), std::move(authority), std::move(channel)};
}

// Before it runs out, for the same key; the old one counts until it expires.
absl::Status RenewIfDue(const SiteFlags& flags, const Connection& connection) {
  MANAKO_ASSIGN_OR_RETURN(const std::string pem, ReadFile(Pem(flags), 1 << 20));
  MANAKO_ASSIGN_OR_RETURN(const Certificate own, ParseCertificate(pem));
  if (!NeedsRenewal(own, absl::Now())) return absl::OkStatus();
  const auto renewed = connection.channel->Renew(connection.key, NowMs());
  if (!renewed.ok()) {
    return Annotate(renewed.status(),
                    fmt::format("this site's certificate ends on {} and could not be renewed",
                                ShowTime(absl::ToUnixMillis(own.not_after))));
  }
  MANAKO_RETURN_IF_ERROR(WriteFileAtomically(Pem(flags), renewed->certificate));
  connection.channel->Use(renewed->certificate);
  LogLine("This site's certificate was renewed.");
  return absl::OkStatus();
}

// Looks every few hours, as a site works for months; more often where the end is near.
void KeepCertificate(const SiteFlags& flags, const Connection& connection, std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  while (!stop.stop_requested()) {
    if (const absl::Status status = RenewIfDue(flags, connection); !status.ok())
      LogLine(MessageOf(status));
    absl::Duration wait = absl::Minutes(1);
    if (const auto pem = ReadFile(Pem(flags), 1 << 20); pem.ok()) {
      if (const auto own = ParseCertificate(*pem); own.ok())
        wait = UntilNextLook(*own, absl::Now());
    }
    wake.wait_for(lock, stop, absl::ToChronoMilliseconds(wait), [] { return false; });
  }
}

absl::Status Start(const SiteFlags& flags) {
  MANAKO_ASSIGN_OR_RETURN(const SiteConfig config, Config(flags));
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const int threads = config.compute.threads > 0
                          ? config.compute.threads
                          : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  PrepareLibtorch(threads);
  MANAKO_ASSIGN_OR_RETURN(const auto store, SiteStore::Open(flags.folder));
  for (const std::string& problem : store->problems()) LogLine(problem);
  MANAKO_RETURN_IF_ERROR(SetFlag(store->folder(), SiteFlag::kStop, false));
  MANAKO_ASSIGN_OR_RETURN(Connection connection, Connect(flags, config));
  MANAKO_ASSIGN_OR_RETURN(
      const auto ledger,
      Ledger::Open(store->folder().ledger(), connection.key,
                   {{config.server.address, connection.authority.fingerprint}, NowMs}));
  const auto work = MakeLocalWork(WorkOptions(flags, config, threads));
  SiteAgent::Options options;
  options.config = config;
  options.networks = ArchitectureNames();
  options.threads = threads;
  options.longest_retry_seconds = 10;
  options.retry_seed = std::hash<std::string>{}(config.server.site);
  SiteAgent agent(options, {connection.channel.get(), work.get(), store.get(), ledger.get(), NowMs,
                            LogLine, [&] { connection.channel->Cancel(); }});
  if (const auto greeting = connection.channel->Hello(NowMs()); greeting.ok()) {
    LogLine(fmt::format("Site {} of \"{}\": connected to {} (version {})", greeting->site,
                        greeting->federation, config.server.address, greeting->software));
    if (std::abs(greeting->clock_skew_ms) > 5 * 60'000) LogLine(ShowSkew(greeting->clock_skew_ms));
  } else {
    LogLine(fmt::format("Not connected yet: {}", MessageOf(greeting.status())));
  }
  const auto admin = MakeSiteAdmin(flags.folder, config);
  std::string why;
  MANAKO_ASSIGN_OR_RETURN(const auto page, ServeSitePage(flags.folder, admin.get(), &why));
  LogLine(page != nullptr ? "The web page is at " + page->url : why);
  std::stop_source stop;
  std::thread([&signals, stop]() mutable {
    int signal = 0;
    sigwait(&signals, &signal);
    LogLine(
        "The site ends behind what it is doing; once more ends it at once. Either way nothing is "
        "lost.");
    stop.request_stop();
    sigwait(&signals, &signal);
    _exit(kInterrupted);
  }).detach();
  const std::jthread renewal(
      [&](std::stop_token ended) { KeepCertificate(flags, connection, std::move(ended)); });
  const absl::Status ended = agent.Run(stop.get_token());
  if (ended.ok()) LogLine("The site has ended.");
  if (!ended.ok()) return ended;
  std::fflush(nullptr);
  _exit(kDone);
}

absl::Status Check(const SiteFlags& flags) {
  MANAKO_ASSIGN_OR_RETURN(const SiteConfig config, Config(flags));
  const int threads = config.compute.threads > 0
                          ? config.compute.threads
                          : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  PrepareLibtorch(threads);
  const auto work = MakeLocalWork(WorkOptions(flags, config, threads));
  auto connection = Connect(flags, config);
  SiteCheck check;
  check.folder = {flags.folder};
  check.config = config;
  check.key_files = {Key(flags)};
  // A run as it might be offered: the classes that this site's labels stand for.
  if (const auto found = Discover(WorkOptions(flags, config, threads).data); found.ok()) {
    for (const std::string& label : found->classes) {
      const auto mapped = config.labels.find(label);
      if (mapped != config.labels.end() && mapped->second.empty()) continue;
      const std::string name = mapped != config.labels.end() ? mapped->second.front() : label;
      auto& classes = check.sample.run.classes;
      if (std::find(classes.begin(), classes.end(), name) == classes.end()) classes.push_back(name);
    }
  }
  check.work = work.get();
  check.channel = connection.ok() ? connection->channel.get() : nullptr;
  check.now_ms = NowMs;
  const std::vector<Finding> findings = CheckSite(check);
  if (flags.json) {
    nlohmann::json out = nlohmann::json::array();
    for (const Finding& finding : findings)
      out.push_back({{"level", static_cast<int>(finding.level)},
                     {"what", finding.what},
                     {"fix", finding.fix}});
    PrintJson(out);
  } else {
    static constexpr const char* kMarks[] = {"ok      ", "note    ", "warning ", "ERROR   "};
    for (const Finding& finding : findings) {
      fmt::print("{}{}\n", kMarks[static_cast<int>(finding.level)], finding.what);
      if (!finding.fix.empty()) fmt::print("        -> {}\n", finding.fix);
    }
  }
  if (!connection.ok()) return connection.status();
  if (WorstOf(findings) == Finding::Level::kError)
    return FailedPrecondition("this site cannot take part yet: see above");
  return absl::OkStatus();
}

absl::Status Status(const SiteFlags& flags) {
  MANAKO_ASSIGN_OR_RETURN(const SiteConfig config, Config(flags));
  const SiteFolder folder{flags.folder};
  const bool runs = AgentRuns(folder);
  const auto report = ReadSiteReport(folder);
  if (flags.json) {
    nlohmann::json out = report.ok() ? nlohmann::json::parse(ToJson(*report), nullptr, false)
                                     : nlohmann::json::object();
    out["agent_runs"] = runs;
    out["site"] = config.server.site;
    PrintJson(out);
    return absl::OkStatus();
  }
  fmt::print("{} of \"{}\": {}\n", config.server.site, config.server.federation,
             !runs ? "not running (manako site start " + flags.folder + ")"
             : HasFlag(folder, SiteFlag::kPause) ? "paused"
                                                 : "running");
  if (!report.ok())
    return report.status().code() == absl::StatusCode::kNotFound ? absl::OkStatus()
                                                                 : report.status();
  if (runs) {
    fmt::print("{}", report->work.phase);
    if (!report->work.run.empty())
      fmt::print(", run {}, round {}", report->work.run, report->work.round);
    if (report->work.steps > 0)
      fmt::print(", step {} of {}", report->work.step, report->work.steps);
    fmt::print("\n");
  }
  if (!report->problem.empty()) fmt::print("Problem: {}\n", report->problem);
  if (report->questions > 0) {
    fmt::print("{} for a person: manako site approve {}\n",
               report->questions == 1 ? "1 question waits"
                                      : fmt::format("{} questions wait", report->questions),
               flags.folder);
  }
  if (report->runs.empty()) return absl::OkStatus();
  std::vector<std::vector<std::string>> rows = {{"RUN", "STAGE", "ROUND", "NAME", ""}};
  for (const RunReport& run : report->runs) {
    rows.push_back({run.run, run.stage,
                    run.rounds > 0 ? fmt::format("{}/{}", run.round, run.rounds) : "-", run.name,
                    run.why});
  }
  PrintTable(rows);
  return absl::OkStatus();
}

// Who answers, for the record: the account at this machine.
std::string Account() {
  if (const passwd* entry = ::getpwuid(::getuid()); entry != nullptr && entry->pw_name[0] != '\0')
    return entry->pw_name;
  return fmt::format("user {}", ::getuid());
}

absl::Status Approve(const SiteFlags& flags) {
  MANAKO_ASSIGN_OR_RETURN(const SiteConfig config, Config(flags));
  const SiteFolder folder{flags.folder};
  if (flags.run.empty()) {
    int open = 0;
    for (const Approval& approval : ListApprovals(folder)) {
      if (approval.consent != Consent::kNone) continue;
      ++open;
      fmt::print("{}{} \"{}\", asked {}\n", approval.run,
                 approval.round > 0 ? fmt::format(", round {},", approval.round) : "",
                 approval.name, ShowTime(approval.asked_ms));
      for (const std::string& fact : approval.facts) fmt::print("  {}\n", fact);
      const std::vector<std::string> leaves = LeavesOf(folder, approval.run, config.policy);
      if (!leaves.empty()) fmt::print("  What would leave this hospital:\n");
      for (const std::string& line : leaves) fmt::print("  - {}\n", line);
      if (std::filesystem::exists(folder.agreement(approval.run)))
        fmt::print("  The whole agreement: {}\n", folder.agreement(approval.run));
      fmt::print("  -> manako site approve {} {}{}   (or with --refuse)\n", flags.folder,
                 approval.run,
                 approval.round > 0 ? fmt::format(" --round {}", approval.round) : "");
    }
    if (open == 0) fmt::print("Nothing waits for an answer.\n");
    return absl::OkStatus();
  }
  MANAKO_RETURN_IF_ERROR(
      AnswerApproval(folder, flags.run, flags.round, !flags.refuse, Account(), NowMs()));
  fmt::print("{}.\n", flags.refuse ? "Refused" : "Approved");
  return absl::OkStatus();
}

// The key that signed the ledger's lines: a site that has left has only the public half.
absl::StatusOr<PublicKey> KeyOfLedger(const SiteFlags& flags) {
  if (std::filesystem::exists(LeftKey(flags))) {
    MANAKO_ASSIGN_OR_RETURN(const std::string pem, ReadFile(LeftKey(flags), 1 << 20));
    return PublicKey::Parse(pem);
  }
  MANAKO_ASSIGN_OR_RETURN(const PrivateKey key, PrivateKey::Load(Key(flags)));
  return key.public_key();
}

absl::Status ShowLedger(const SiteFlags& flags) {
  MANAKO_RETURN_IF_ERROR(Config(flags).status());
  MANAKO_ASSIGN_OR_RETURN(const PublicKey key, KeyOfLedger(flags));
  std::vector<LedgerLine> lines;
  const absl::Status good = Ledger::Verify(SiteFolder{flags.folder}.ledger(), key, &lines);
  if (good.code() == absl::StatusCode::kNotFound) {
    fmt::print("Nothing has left this site.\n");
    return absl::OkStatus();
  }
  if (flags.verify && !flags.json) {
    MANAKO_RETURN_IF_ERROR(good);
    fmt::print("{} lines, each signed by this site's key, none changed, none missing.\n",
               lines.size());
    return absl::OkStatus();
  }
  if (flags.json) {
    nlohmann::json out = nlohmann::json::array();
    for (const LedgerLine& line : lines) {
      nlohmann::json entry = {
          {"seq", line.seq},     {"time", line.time},     {"kind", line.kind},
          {"run", line.run},     {"round", line.round},   {"contents", line.contents},
          {"bytes", line.bytes}, {"sha256", line.sha256}, {"server", line.recipient.server}};
      if (line.l2) entry["l2"] = *line.l2;
      if (!line.receipt.empty()) entry["receipt"] = line.receipt;
      out.push_back(entry);
    }
    PrintJson({{"intact", good.ok()},
               {"problem", good.ok() ? "" : std::string(MessageOf(good))},
               {"lines", out}});
    return good;
  }
  std::vector<std::vector<std::string>> rows = {
      {"LINE", "TIME", "WHAT", "RUN", "ROUND", "BYTES", "SHA-256", "NORM", ""}};
  const size_t first = lines.size() > static_cast<size_t>(flags.lines)
                           ? lines.size() - static_cast<size_t>(flags.lines)
                           : 0;
  for (size_t i = first; i < lines.size(); ++i) {
    const LedgerLine& line = lines[i];
    rows.push_back({std::to_string(line.seq), line.time, line.kind, line.run,
                    line.round > 0 ? std::to_string(line.round) : "-",
                    line.bytes > 0 ? std::to_string(line.bytes) : "-", line.sha256.substr(0, 12),
                    line.l2 ? fmt::format("{:.4g}", *line.l2) : "-",
                    line.receipt.empty() ? line.contents : line.receipt});
  }
  PrintTable(rows);
  return good;
}

absl::Status Password(const SiteFlags& flags) {
  MANAKO_RETURN_IF_ERROR(Config(flags).status());
  return AskWebPassword(flags.folder, flags.user);
}
absl::Status Pause(const SiteFlags& flags) {
  MANAKO_RETURN_IF_ERROR(Config(flags).status());
  return SetFlag({flags.folder}, SiteFlag::kPause, true);
}
absl::Status Resume(const SiteFlags& flags) {
  MANAKO_RETURN_IF_ERROR(Config(flags).status());
  return SetFlag({flags.folder}, SiteFlag::kPause, false);
}
// Tells the server, then gives up the key: nobody can be this site any more. What has left, and the
// models, stay here.
absl::Status Leave(const SiteFlags& flags) {
  MANAKO_ASSIGN_OR_RETURN(const SiteConfig config, Config(flags));
  if (AgentRuns({flags.folder}))
    return FailedPrecondition("this site is at work: stop it first (manako site stop {})",
                              flags.folder);
  MANAKO_ASSIGN_OR_RETURN(const Connection connection, Connect(flags, config));
  if (!flags.offline) {
    const absl::Status told = connection.channel->Leave(flags.why);
    // Refused: it is no site there any more, by an earlier call of this or by the server.
    if (!told.ok() && !absl::IsPermissionDenied(told)) {
      return Annotate(told,
                      "the server could not be told (with --offline it is not; ask the central "
                      "hospital to revoke this site then)");
    }
  }
  MANAKO_RETURN_IF_ERROR(WriteFileAtomically(LeftKey(flags), connection.key.public_key().ToPem()));
  std::error_code error;
  if (!std::filesystem::remove(Key(flags), error))
    return FailedPrecondition("cannot remove {}: {}", Key(flags), error.message());
  fmt::print(
      "{} has left \"{}\"{}. Its key is gone.\n{}/ keeps the ledger and the models; images were "
      "never moved. Delete the folder when you need neither.\n",
      config.server.site, config.server.federation,
      flags.offline ? " (the server was not told)" : "", flags.folder);
  return absl::OkStatus();
}

absl::Status Stop(const SiteFlags& flags) {
  MANAKO_RETURN_IF_ERROR(Config(flags).status());
  return SetFlag({flags.folder}, SiteFlag::kStop, true);
}

}  // namespace

void AddSiteCommand(CLI::App& app, int* exit_code) {
  auto flags = std::make_shared<SiteFlags>();
  CLI::App* command = app.add_subcommand("site", "Branch hospital: join, check, start, ledger");
  command->require_subcommand(1);
  command->footer(
      "Examples:\n"
      "  manako site join \"manako://fed.example.org:8443/...\" site/ --data /srv/images\n"
      "  manako site check site/\n"
      "  manako site start site/\n"
      "  manako site approve site/\n"
      "  manako site ledger site/ --verify");
  const auto add = [&](const char* name, const char* what, absl::Status (*run)(const SiteFlags&)) {
    CLI::App* sub = command->add_subcommand(name, what);
    if (std::string(name) == "join")
      sub->add_option("invitation", flags->invitation, "The line that the central hospital sent")
          ->required();
    sub->add_option("folder", flags->folder, "This site's folder")->required();
    sub->callback([flags, exit_code, run] {
      while (flags->folder.size() > 1 && flags->folder.back() == '/') flags->folder.pop_back();
      if (const absl::Status status = run(*flags); !status.ok()) *exit_code = ReportError(status);
    });
    return sub;
  };
  CLI::App* join = add("join", "Join a federation with an invitation", Join);
  join->add_option("--data", flags->data, "This hospital's images: folder, manifest or .npz")
      ->required();
  join->add_option("--group-column", flags->group_column, "Manifest column with the patient");
  join->add_option("--split-column", flags->split_column,
                   "Manifest column with train, validation or test");
  join->add_option("--file-column", flags->file_column, "Manifest column with the image file");
  join->add_option("--label-column", flags->label_column, "Manifest column with the class");
  add("check", "Say what is wrong before a run does", Check)
      ->add_flag("--json", flags->json, "For machines");
  add("start", "Work, until stopped", Start);
  add("status", "What this site is doing", Status)->add_flag("--json", flags->json, "For machines");
  CLI::App* approve =
      add("approve", "See and answer the questions that wait for a person", Approve);
  approve->add_option("run", flags->run, "The run (default: list what waits)");
  approve->add_option("--round", flags->round, "The round that is asked for");
  approve->add_flag("--refuse", flags->refuse, "Refuse instead");
  CLI::App* ledger = add("ledger", "What has left this site", ShowLedger);
  ledger->add_flag("--verify", flags->verify, "Only check that nothing was changed");
  ledger->add_option("--lines", flags->lines, "How many of the last lines")->capture_default_str();
  ledger->add_flag("--json", flags->json, "For machines");
  add("password", "Let somebody sign in to this site's web page", Password)
      ->add_option("--user", flags->user, "Who")
      ->capture_default_str();
  add("pause", "Take no new work for now", Pause);
  add("resume", "Take work again", Resume);
  CLI::App* leave = add("leave", "Leave the federation for good", Leave);
  leave->add_option("--why", flags->why, "One line for the central hospital");
  leave->add_flag("--offline", flags->offline, "Do not tell the server (it cannot be reached)");
  add("stop", "End a running site behind what it is doing", Stop);
}

}  // namespace manako
