// What a round costs when nobody trains: the real server program, the real site agent in processes
// of its own, gRPC over TLS 1.3 on loopback, checksums, durable files and database; beside copying
// the same bytes in the same run.
//
//   bench_round --manako PATH [--elements 11689512] [--sites 3] [--rounds 6] [--encoding float32]
//   [--threads 1]
//
// The site's "training" adds a thousandth of a sine to the model. Seconds per round are from one
// round's opening to the next one's, as the server's database has them (the first round, in which
// connections are made and files are new, is left out). `floor` is the copy: as many processes as
// sites receive the wire's bytes of a model from one process through a plain TCP socket, and send
// as many back; before the run and behind it. Prints one line of JSON. TMPDIR says on which disk.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/files.h"
#include "base/status_macros.h"
#include "base/temporary_folder.h"
#include "bench/federation.h"
#include "core/parameter_set.h"
#include "server/run_folder.h"
#include "server/wake.h"
#include "site/agent.h"
#include "wire/grpc_channel.h"

namespace manako::bench {
namespace {

namespace fs = std::filesystem;

struct Flags {
  std::string manako, site, folder;
  int64_t elements = 11689512;  // ResNet-18
  int port = 0, sites = 3, rounds = 6, threads = 1;
  ArrayEncoding encoding = ArrayEncoding::kFloat32;
};

// ---- a site ----

class NoLearner : public Learner {
 public:
  explicit NoLearner(int site_index) : site_index_(site_index) {}
  absl::StatusOr<Update> Train(const TrainTask& task) override {
    Update update;
    update.model = task.model->Clone();
    float changes[256];
    for (int i = 0; i < 256; ++i)
      changes[i] = 1e-3f * static_cast<float>(std::sin(i * 0.7 + task.round + site_index_));
    float* values = update.model.values.data();
    for (int64_t i = 0; i < update.model.values.size(); ++i) values[i] += changes[i & 255];
    update.images = 80;
    update.visits = 80;
    return update;
  }
  absl::StatusOr<Predictions> Evaluate(const ParameterSet&, ExampleSet) override {
    Predictions predictions;
    predictions.classes = 2;
    for (int i = 0; i < 20; ++i) {
      predictions.images.push_back(i);
      predictions.labels.push_back(i % 2);
      predictions.probabilities.insert(predictions.probabilities.end(), {0.5f, 0.5f});
    }
    predictions.loss = 0.7;
    return predictions;
  }
  LearnerState SaveState() const override { return {}; }
  absl::Status RestoreState(LearnerState) override { return absl::OkStatus(); }

 private:
  int site_index_;
};

class NoWork : public SiteWork {
 public:
  explicit NoWork(int64_t elements) : spec_(SpecOf(elements)) {}
  absl::StatusOr<std::unique_ptr<PreparedRun>> Prepare(
      const FederatedRunConfig&, const std::function<void(int64_t, int64_t)>&) override {
    return std::make_unique<Prepared>(spec_);
  }

 private:
  class Prepared : public PreparedRun {
   public:
    explicit Prepared(std::shared_ptr<const ModelSpec> spec) : spec_(std::move(spec)) {}
    const SiteCounts& counts() const override { return counts_; }
    std::shared_ptr<const ModelSpec> spec() const override { return spec_; }
    absl::StatusOr<std::unique_ptr<Learner>> MakeLearner(const FederatedRunConfig&, const RunBasis&,
                                                         int site_index) override {
      return std::make_unique<NoLearner>(site_index);
    }
    absl::Status Export(const ParameterSet&, const std::string&, const std::string&) override {
      return absl::OkStatus();
    }

   private:
    std::shared_ptr<const ModelSpec> spec_;
    SiteCounts counts_ = {{40, 40}, {10, 10}, {10, 10}};
  };
  std::shared_ptr<const ModelSpec> spec_;
};

absl::Status RunSite(const Flags& flags) {
  MANAKO_ASSIGN_OR_RETURN(const PrivateKey key, PrivateKey::Load(flags.folder + "/site.key"));
  GrpcChannel::Options connection;
  connection.server = {"localhost", static_cast<uint16_t>(flags.port)};
  MANAKO_ASSIGN_OR_RETURN(connection.authority, ReadFile(flags.folder + "/ca.pem"));
  MANAKO_ASSIGN_OR_RETURN(connection.certificate, ReadFile(flags.folder + "/site.pem"));
  connection.software = "bench";
  MANAKO_ASSIGN_OR_RETURN(const auto channel, GrpcChannel::Connect(connection, key));
  MANAKO_ASSIGN_OR_RETURN(const auto store, SiteStore::Open(flags.folder));
  MANAKO_ASSIGN_OR_RETURN(const auto ledger,
                          Ledger::Open(store->folder().ledger(), key, {{"bench", "bench"}, NowMs}));
  NoWork work(flags.elements);
  SiteAgent::Options options;
  options.config.server.site = flags.site;
  options.config.policy.approval = "none";
  options.config.policy.keep_models = "none";
  options.threads = flags.threads;
  SiteAgent agent(options,
                  {channel.get(), &work, store.get(), ledger.get(), NowMs,
                   [](std::string_view line) { fmt::print(stderr, "{} {}\n", NowMs(), line); }});
  return agent.Run(std::stop_token());
}

// ---- copying alone ----

bool Move(int fd, int64_t bytes, std::vector<char>& buffer, bool send) {
  while (bytes > 0) {
    const size_t most =
        static_cast<size_t>(std::min<int64_t>(bytes, static_cast<int64_t>(buffer.size())));
    const ssize_t n =
        send ? ::send(fd, buffer.data(), most, MSG_NOSIGNAL) : ::recv(fd, buffer.data(), most, 0);
    if (n <= 0) return false;
    bytes -= n;
  }
  return true;
}

// Seconds for `bytes` to each of `sites` processes and back.
double Floor(int sites, int64_t bytes) {
  const int listening = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ::bind(listening, reinterpret_cast<sockaddr*>(&address), sizeof address);
  ::listen(listening, sites);
  socklen_t length = sizeof address;
  ::getsockname(listening, reinterpret_cast<sockaddr*>(&address), &length);
  std::vector<pid_t> children;
  for (int i = 0; i < sites; ++i) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      std::vector<char> buffer(1 << 20, 'x');
      const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
      const bool done = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                        Move(fd, bytes, buffer, false) && Move(fd, bytes, buffer, true);
      ::_exit(done ? 0 : 1);
    }
    children.push_back(pid);
  }
  std::vector<int> connections;
  for (int i = 0; i < sites; ++i) connections.push_back(::accept(listening, nullptr, nullptr));
  const double began = Seconds();
  std::vector<std::thread> threads;
  for (const int fd : connections) {
    threads.emplace_back([fd, bytes] {
      std::vector<char> buffer(1 << 20, 'y');
      Move(fd, bytes, buffer, true);
      Move(fd, bytes, buffer, false);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds = Seconds() - began;
  for (const int fd : connections) ::close(fd);
  ::close(listening);
  for (const pid_t child : children) ::waitpid(child, nullptr, 0);
  return seconds;
}

// ---- the run ----

absl::Status RunBench(const Flags& flags) {
  const TemporaryFolder folder;
  MANAKO_ASSIGN_OR_RETURN(Central central, MakeCentralFolder(folder / "central"));
  std::vector<std::string> folders;
  for (int i = 0; i < flags.sites; ++i) {
    folders.push_back(fmt::format("{}/site-{}", folder.path(), i + 1));
    MANAKO_RETURN_IF_ERROR(MakeSiteFolder(central, fmt::format("site-{}", i + 1), folders.back()));
  }
  RunShape shape;
  shape.elements = flags.elements;
  shape.rounds = flags.rounds;
  shape.encoding = flags.encoding;
  MANAKO_RETURN_IF_ERROR(StartRun(central, shape));
  const RunFolder files(central.folder + "/runs/" + shape.id);
  const int64_t wire_bytes = static_cast<int64_t>(
      fs::file_size(IsLossy(flags.encoding) ? files.WirePath(0) : files.ModelPath(0)));
  std::vector<double> floors = {Floor(flags.sites, wire_bytes), Floor(flags.sites, wire_bytes)};

  const std::string log = folder / "log";
  MANAKO_ASSIGN_OR_RETURN(const pid_t server,
                          Spawn({flags.manako, "server", "start", central.folder}, log));
  MANAKO_RETURN_IF_ERROR(AwaitPort(central.port));
  const int64_t server_idle_kb = StatusKb(server, "VmHWM");
  char self[4096] = {};
  if (::readlink("/proc/self/exe", self, sizeof self - 1) <= 0)
    return absl::InternalError("no /proc");
  std::vector<pid_t> sites;
  for (int i = 0; i < flags.sites; ++i) {
    MANAKO_ASSIGN_OR_RETURN(const pid_t pid, Spawn({self, "--site", fmt::format("site-{}", i + 1),
                                                    "--folder", folders[static_cast<size_t>(i)],
                                                    "--port", std::to_string(central.port),
                                                    "--elements", std::to_string(flags.elements),
                                                    "--threads", std::to_string(flags.threads)},
                                                   log));
    sites.push_back(pid);
  }
  std::string state;
  int64_t site_idle_kb = 0;
  // Looks rarely: it must not take part in what it measures.
  for (int i = 0; i < 100'000 && state != "finished" && state != "failed" && state != "cancelled";
       ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    MANAKO_ASSIGN_OR_RETURN(const RunRecord run, central.store->Run(shape.id));
    state = run.state;
    if (i == 0) site_idle_kb = StatusKb(sites[0], "VmHWM");
  }
  const int64_t server_kb = StatusKb(server, "VmHWM");
  double site_seconds = 0;
  int64_t site_kb = 0;
  for (const pid_t site : sites) {
    site_kb = std::max(site_kb, StatusKb(site, "VmHWM"));
    site_seconds += ProcessorSeconds(site);
  }
  const double server_seconds = ProcessorSeconds(server);
  for (const pid_t site : sites) Kill(site);
  Kill(server);
  floors.push_back(Floor(flags.sites, wire_bytes));
  floors.push_back(Floor(flags.sites, wire_bytes));
  if (state != "finished") {
    const auto text = ReadFile(log);
    return absl::InternalError(fmt::format("the run is {}: {}", state, text.value_or("")));
  }
  MANAKO_ASSIGN_OR_RETURN(const auto rounds, central.store->Rounds(shape.id));
  std::vector<double> seconds;
  for (const auto& round : rounds) {
    const auto next = std::find_if(rounds.begin(), rounds.end(), [&](const auto& other) {
      return other.round == round.round + 1;
    });
    if (round.round >= 2 && next != rounds.end())
      seconds.push_back(static_cast<double>(next->opened_ms - round.opened_ms) / 1000);
  }
  const double round = Median(seconds), floor = Median(floors);
  nlohmann::ordered_json out = {
      {"elements", flags.elements},
      {"encoding", NameOf(flags.encoding)},
      {"sites", flags.sites},
      {"wire_mb", Rounded(static_cast<double>(wire_bytes) / 1e6)},
      {"round_s", Rounded(round)},
      {"floor_s", Rounded(floor)},
      {"times", Rounded(round / floor)},
      {"rounds_s", seconds},
      {"floors_s", floors},
      {"server_peak_mb", Rounded(static_cast<double>(server_kb) / 1024)},
      {"server_idle_mb", Rounded(static_cast<double>(server_idle_kb) / 1024)},
      {"site_peak_mb", Rounded(static_cast<double>(site_kb) / 1024)},
      {"site_idle_mb", Rounded(static_cast<double>(site_idle_kb) / 1024)},
      {"server_cpu_s_per_round", Rounded(server_seconds / flags.rounds)},
      {"sites_cpu_s_per_round", Rounded(site_seconds / flags.rounds)}};
  fmt::print("{}\n", out.dump());
  return absl::OkStatus();
}

absl::Status Parse(int argc, char** argv, Flags& flags) {
  std::string encoding(NameOf(flags.encoding));
  MANAKO_RETURN_IF_ERROR(ParseFlags(argc, argv,
                                    {{"--manako", &flags.manako},
                                     {"--site", &flags.site},
                                     {"--folder", &flags.folder},
                                     {"--elements", &flags.elements},
                                     {"--port", &flags.port},
                                     {"--sites", &flags.sites},
                                     {"--rounds", &flags.rounds},
                                     {"--threads", &flags.threads},
                                     {"--encoding", &encoding}}));
  MANAKO_ASSIGN_OR_RETURN(flags.encoding, ParseArrayEncoding(encoding));
  if (flags.site.empty() && flags.manako.empty())
    return InvalidArgument("--manako PATH is needed: the program whose server is measured");
  if (flags.rounds < 3) return InvalidArgument("--rounds must be 3 or more");
  return absl::OkStatus();
}

}  // namespace
}  // namespace manako::bench

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  manako::bench::Flags flags;
  absl::Status status = manako::bench::Parse(argc, argv, flags);
  if (status.ok())
    status = flags.site.empty() ? manako::bench::RunBench(flags) : manako::bench::RunSite(flags);
  return manako::bench::ExitCode(status);
}
