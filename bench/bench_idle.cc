// Many sites that wait for work, and how fast they hear that there is some: one process with a real
// TLS connection of its own for each site, against the real server program.
//
//   bench_idle --manako PATH [--sites 1000] [--seconds 10] [--heartbeat 5]
//
// Each site says hello and waits in NextTask, as the agent does, and tells its status every
// `heartbeat` seconds (0: never). After `seconds` a run is started: `start_s` is from the word in
// the database until the last site has its offer. `kb_per_site` is what the server's resident
// memory grew by, for each site, until just before. Prints one line of JSON.
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <variant>

#include "base/files.h"
#include "base/status_macros.h"
#include "base/temporary_folder.h"
#include "bench/federation.h"
#include "server/wake.h"
#include "wire/grpc_channel.h"

namespace manako::bench {
namespace {

struct Flags {
  std::string manako;
  int sites = 1000, seconds = 10, heartbeat = 5;
};

void Sleep(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

absl::StatusOr<std::unique_ptr<GrpcChannel>> Connect(Central& central, int number) {
  const std::string folder = fmt::format("{}/site-{}", central.folder, number);
  MANAKO_RETURN_IF_ERROR(MakeSiteFolder(central, fmt::format("site-{}", number), folder));
  MANAKO_ASSIGN_OR_RETURN(const PrivateKey key, PrivateKey::Load(folder + "/site.key"));
  GrpcChannel::Options options;
  options.server = {"localhost", static_cast<uint16_t>(central.port)};
  MANAKO_ASSIGN_OR_RETURN(options.authority, ReadFile(folder + "/ca.pem"));
  MANAKO_ASSIGN_OR_RETURN(options.certificate, ReadFile(folder + "/site.pem"));
  options.software = "bench";
  return GrpcChannel::Connect(options, key);
}

absl::Status Run(const Flags& flags) {
  const TemporaryFolder folder;
  MANAKO_ASSIGN_OR_RETURN(Central central, MakeCentralFolder(folder / "central"));
  std::vector<std::unique_ptr<GrpcChannel>> channels;
  for (int i = 0; i < flags.sites; ++i) {
    MANAKO_ASSIGN_OR_RETURN(auto channel, Connect(central, i));
    channels.push_back(std::move(channel));
  }
  const std::string log = folder / "log";
  MANAKO_ASSIGN_OR_RETURN(const pid_t server,
                          Spawn({flags.manako, "server", "start", central.folder}, log));
  MANAKO_RETURN_IF_ERROR(AwaitPort(central.port));
  Sleep(1);
  const int64_t before_kb = StatusKb(server, "VmRSS");

  // Each waits on a thread of its own, until it has an offer.
  std::atomic<int> connected = 0, errors = 0;
  std::mutex mutex;
  std::vector<double> offered;
  std::vector<std::jthread> waiting;
  const double began = Seconds();
  for (const auto& channel : channels) {
    waiting.emplace_back([&, raw = channel.get()](const std::stop_token& stop) {
      for (bool greeted = false; !stop.stop_requested();) {
        if (!greeted) {
          if (!raw->Hello(NowMs()).ok()) {
            ++errors;
            Sleep(1);
            continue;
          }
          greeted = true;
          ++connected;
        }
        const auto task = raw->NextTask();
        if (!task.ok() && !stop.stop_requested()) ++errors;
        if (task.ok() && std::holds_alternative<OfferTask>(*task)) {
          const std::lock_guard lock(mutex);
          offered.push_back(Seconds());
          return;
        }
      }
    });
  }
  while (connected < flags.sites && Seconds() - began < 120) Sleep(0.05);
  const double connect_s = Seconds() - began;
  // Heartbeats, spread evenly over their interval.
  std::atomic<int> heartbeats = 0;
  std::vector<std::jthread> beating;
  const size_t threads = std::min<size_t>(8, channels.size());
  for (size_t t = 0; flags.heartbeat > 0 && t < threads; ++t) {
    beating.emplace_back([&, t](const std::stop_token& stop) {
      SiteStatus status;
      status.phase = "idle";
      for (size_t i = t; !stop.stop_requested();
           i = i + threads < channels.size() ? i + threads : t) {
        const double due = Seconds() + flags.heartbeat * static_cast<double>(threads) /
                                           static_cast<double>(channels.size());
        channels[i]->ReportStatus(status).ok() ? ++heartbeats : ++errors;
        if (const double rest = due - Seconds(); rest > 0) Sleep(rest);
      }
    });
  }
  const double idle_cpu = ProcessorSeconds(server);
  Sleep(flags.seconds);
  const double cpu_share = (ProcessorSeconds(server) - idle_cpu) / flags.seconds;
  const int64_t idle_kb = StatusKb(server, "VmRSS");

  RunShape shape;
  shape.elements = 64;
  MANAKO_RETURN_IF_ERROR(StartRun(central, shape));
  const double started = Seconds();
  Ring(central.folder);
  const auto all = [&] {
    const std::lock_guard lock(mutex);
    return offered.size() == channels.size();
  };
  while (!all() && Seconds() - started < 60) Sleep(0.01);
  for (std::jthread& thread : beating) thread.request_stop();
  beating.clear();
  for (std::jthread& thread : waiting) thread.request_stop();
  for (const auto& channel : channels) channel->Cancel();
  waiting.clear();
  const int64_t peak_kb = StatusKb(server, "VmHWM");
  Kill(server);
  if (offered.size() != channels.size()) {
    return absl::InternalError(
        fmt::format("{} of {} sites were offered the run", offered.size(), channels.size()));
  }
  std::sort(offered.begin(), offered.end());
  nlohmann::ordered_json out = {
      {"sites", flags.sites},
      {"connect_s", Rounded(connect_s)},
      {"kb_per_site", Rounded(static_cast<double>(idle_kb - before_kb) / flags.sites)},
      {"start_s", Rounded(offered.back() - started)},
      {"start_median_s", Rounded(Median(offered) - started)},
      {"heartbeats", heartbeats.load()},
      {"errors", errors.load()},
      {"server_cpu_share", Rounded(cpu_share)},
      {"server_before_mb", Rounded(static_cast<double>(before_kb) / 1024)},
      {"server_peak_mb", Rounded(static_cast<double>(peak_kb) / 1024)}};
  fmt::print("{}\n", out.dump());
  return absl::OkStatus();
}

absl::Status Parse(int argc, char** argv, Flags& flags) {
  MANAKO_RETURN_IF_ERROR(ParseFlags(argc, argv,
                                    {{"--manako", &flags.manako},
                                     {"--sites", &flags.sites},
                                     {"--seconds", &flags.seconds},
                                     {"--heartbeat", &flags.heartbeat}}));
  if (flags.manako.empty())
    return InvalidArgument("--manako PATH is needed: the program whose server is measured");
  if (flags.sites < 1 || flags.seconds < 1)
    return InvalidArgument("--sites and --seconds must be above 0");
  return absl::OkStatus();
}

// A connection at both ends takes a descriptor.
void AllowManyConnections() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace
}  // namespace manako::bench

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  manako::bench::AllowManyConnections();
  manako::bench::Flags flags;
  absl::Status status = manako::bench::Parse(argc, argv, flags);
  if (status.ok()) status = manako::bench::Run(flags);
  return manako::bench::ExitCode(status);
}
