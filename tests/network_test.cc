// Bad lines between the sites and the server as it is started: cut anywhere, slow, parted, behind a
// proxy. The sites are the program's own agents with the program's own channel; only their training
// is an addition. Every run ends, with the bits of one over a good line.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <stop_token>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "core/site_work.h"
#include "fixtures.h"
#include "hospitals.h"
#include "peer.h"
#include "process.h"
#include "relay.h"
#include "server/run_folder.h"
#include "site/agent.h"
#include "site/ledger.h"
#include "site/site_store.h"

namespace manako {
namespace {

namespace fs = std::filesystem;

bool Soaks() { return std::getenv("MANAKO_SOAK") != nullptr; }

int64_t NowMs() { return absl::ToUnixMillis(absl::Now()); }

// Adds `add` to each number of the model.
class Adder : public Learner {
 public:
  Adder(float add, std::function<void(int round)> trained)
      : add_(add), trained_(std::move(trained)) {}
  absl::StatusOr<Update> Train(const TrainTask& task) override {
    Update update;
    update.model = task.model->Clone();
    for (const TensorSpec& tensor : update.model.spec->tensors()) {
      for (float& value : update.model.Tensor(tensor)) value += add_;
    }
    update.images = update.visits = 20;
    if (trained_) trained_(task.round);
    return update;
  }
  absl::StatusOr<Predictions> Evaluate(const ParameterSet&, ExampleSet) override {
    Predictions predictions;
    predictions.classes = 2;
    predictions.images = {0, 1, 2, 3};
    predictions.labels = {0, 1, 0, 1};
    predictions.probabilities = {0.6f, 0.4f, 0.4f, 0.6f, 0.7f, 0.3f, 0.2f, 0.8f};
    predictions.loss = 0.5;
    return predictions;
  }
  LearnerState SaveState() const override { return {}; }
  absl::Status RestoreState(LearnerState) override { return absl::OkStatus(); }

 private:
  float add_;
  std::function<void(int)> trained_;
};

class AdderWork : public SiteWork {
 public:
  std::shared_ptr<const ModelSpec> spec;
  float add = 0;
  std::function<void(int round)> trained;
  absl::StatusOr<std::unique_ptr<PreparedRun>> Prepare(
      const FederatedRunConfig&, const std::function<void(int64_t, int64_t)>&) override {
    return std::make_unique<Prepared>(this);
  }

 private:
  class Prepared : public PreparedRun {
   public:
    explicit Prepared(const AdderWork* work) : work_(work) {}
    const SiteCounts& counts() const override { return counts_; }
    std::shared_ptr<const ModelSpec> spec() const override { return work_->spec; }
    absl::StatusOr<std::unique_ptr<Learner>> MakeLearner(const FederatedRunConfig&, const RunBasis&,
                                                         int) override {
      return std::make_unique<Adder>(work_->add, work_->trained);
    }
    absl::Status Export(const ParameterSet& model, const std::string& path,
                        const std::string&) override {
      Spill(path, model.Digest());
      return absl::OkStatus();
    }

   private:
    const AdderWork* work_;
    SiteCounts counts_{{10, 10}, {2, 2}, {2, 2}};
  };
};

class NetworkTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder();
    port_ = FreePort();
    const ProcessResult made = RunManako({"server", "init", Central(), "--name", "Test", "--host",
                                          "127.0.0.1", "--port", std::to_string(port_)});
    ASSERT_EQ(made.exit_code, 0) << made.err;
    server_ = Process::Start({.arguments = {"server", "start", Central(), "--listen",
                                            fmt::format("127.0.0.1:{}", port_), "--threads", "1"},
                              .timeout_ms = 3'000'000})
                  .release();
    ASSERT_TRUE(server_->WaitForError("listens at"));
    for (const char* site : kSites) {
      const ProcessResult invited = RunManako({"server", "invite", Central(), "--site", site});
      ASSERT_EQ(invited.exit_code, 0) << invited.err;
      peers_[site] = new Peer(Lines(invited.out).at(0), port_, folder_->path());
    }
  }
  static void TearDownTestSuite() {
    for (auto& [name, peer] : peers_) delete peer;
    delete server_;
    delete folder_;
  }
  static std::string Central() { return *folder_ / "central"; }

  struct Outcome {
    std::string digest;
    int kept = 0;  // updates that the server wrote down
  };
  // A run of the sites through `port`. `trained` is called at the first site when it has trained a
  // round, before its upload.
  static Outcome Run(int port, const std::string& architecture, int rounds,
                     const std::function<void(int round)>& trained = nullptr) {
    Spill(*folder_ / "run.toml",
          fmt::format("[run]\nname = \"test\"\nclasses = [\"a\", \"b\"]\nseed = 5\nreport = "
                      "\"metrics\"\n[data]\nimage_size = 64\n[model]\n"
                      "architecture = \"{}\"\n[train]\nlocal_epochs = 1\n[federation]\nrounds = "
                      "{}\nselect = \"last\"\n",
                      architecture, rounds));
    const ProcessResult created =
        RunManako({"run", "create", Central(), *folder_ / "run.toml", "--start"});
    EXPECT_EQ(created.exit_code, 0) << created.err;
    if (created.exit_code != 0) return {};
    const std::string run = Lines(created.out).at(0);
    const auto spec = *RunFolder(Central() + "/runs/" + run).Spec();
    std::stop_source stop;
    std::vector<std::thread> threads;
    for (size_t i = 0; i < std::size(kSites); ++i) {
      threads.emplace_back([&, i] {
        const absl::Status status =
            WorkAs(kSites[i], port, spec, 0.125f * static_cast<float>(i + 1),
                   i == 0 ? trained : nullptr, stop.get_token());
        EXPECT_TRUE(status.ok()) << status;
      });
    }
    Outcome outcome;
    std::string state;
    for (int i = 0; i < 60'000 && state.empty(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      if (i % 5 != 4) continue;
      int ended = 0;
      outcome.kept = 0;
      std::ifstream in(Central() + "/server.log");
      for (std::string line; std::getline(in, line);) {
        const auto event = nlohmann::json::parse(line, nullptr, false);
        if (!event.is_object() || event.value("run", "") != run) continue;
        outcome.kept += event["event"] == "update_kept" ? 1 : 0;
        ended += event["event"] == "site_ended" ? 1 : 0;
        if (event["event"] == "run_failed" || event["event"] == "run_cancelled") state = "failed";
      }
      if (ended == static_cast<int>(std::size(kSites))) state = "ended";
    }
    stop.request_stop();
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(state, "ended");
    const auto model =
        ReadModelFile(RunFolder(Central() + "/runs/" + run).ModelPath(rounds), spec, 1);
    EXPECT_TRUE(model.ok()) << model.status();
    if (model.ok()) outcome.digest = model->Digest();
    return outcome;
  }
  // What the same run gives over a good line.
  static const std::string& Undisturbed(const std::string& architecture, int rounds) {
    static std::map<std::pair<std::string, int>, std::string> digests;
    std::string& digest = digests[{architecture, rounds}];
    if (digest.empty()) digest = Run(port_, architecture, rounds).digest;
    return digest;
  }
  static void ExpectSame(const Outcome& outcome, const std::string& architecture, int rounds) {
    EXPECT_EQ(outcome.kept, rounds * static_cast<int>(std::size(kSites)));
    EXPECT_EQ(outcome.digest, Undisturbed(architecture, rounds));
  }

  static constexpr const char* kSites[2] = {"east", "west"};
  static constexpr const char* kSmall = "cnn3";
  static constexpr const char* kLarge = "squeezenet1_1";  // several chunks long
  static TemporaryFolder* folder_;
  static int port_;
  static Process* server_;
  static std::map<std::string, Peer*> peers_;

 private:
  static absl::Status WorkAs(const std::string& site, int port,
                             std::shared_ptr<const ModelSpec> spec, float add,
                             std::function<void(int)> trained, std::stop_token stop) {
    const Peer& peer = *peers_[site];
    const std::string folder = *folder_ / ("site-" + site);
    fs::create_directories(folder);
    SiteAgent::Options options;
    options.config.server.address = fmt::format("127.0.0.1:{}", port);
    options.config.server.site = site;
    options.config.data.path = "/nowhere";
    options.config.policy.approval = "none";
    options.config.policy.keep_models = "none";
    options.config.policy.min_images_per_class = 1;
    options.config.policy.min_count = 1;
    options.networks = {kSmall, kLarge};
    options.first_retry_seconds = 0.05;
    options.longest_retry_seconds = 1;
    options.heartbeat_seconds = 1;
    AdderWork work;
    work.spec = std::move(spec);
    work.add = add;
    work.trained = std::move(trained);
    MANAKO_ASSIGN_OR_RETURN(const auto store, SiteStore::Open(folder));
    MANAKO_ASSIGN_OR_RETURN(const auto ledger,
                            Ledger::Open(store->folder().ledger(), peer.key(),
                                         {{options.config.server.address, "-"}, NowMs}));
    const auto channel = peer.Connect("", nullptr, port);
    const std::stop_callback cancel(stop, [&] { channel->Cancel(); });
    SiteAgent::Deps deps;
    deps.channel = channel.get();
    deps.work = &work;
    deps.store = store.get();
    deps.ledger = ledger.get();
    deps.now_ms = NowMs;
    const absl::Status status = SiteAgent(options, deps).Run(stop);
    return status;
  }
};
TemporaryFolder* NetworkTest::folder_ = nullptr;
int NetworkTest::port_ = 0;
Process* NetworkTest::server_ = nullptr;
std::map<std::string, Peer*> NetworkTest::peers_;

// In each round the connection is reset once in the upload and once in the next download, at a byte
// of every class: the handshake, a chunk's first, middle and last bytes, between two chunks, and
// behind the last one, where the call ends and the receipt is given.
TEST_F(NetworkTest, AResetAtAnyByte) {
  int64_t up = 0, down = 0;
  {
    // How long the transfers are on the line.
    Relay relay({.to_port = port_});
    ExpectSame(Run(relay.port(), kLarge, 1), kLarge, 1);
    up = relay.most_up();
    down = relay.most_down();
  }
  constexpr int64_t kChunk = 1 << 18;
  ASSERT_GT(up, 3 * kChunk);
  std::vector<int64_t> places = {1, 100, 1500};
  // TLS and HTTP/2 add some hundred bytes to each chunk: the bytes around where a boundary can be.
  const int64_t chunks = up / kChunk;
  const int fine = Soaks() ? 24 : 3;
  for (const int64_t chunk : std::set<int64_t>{1, chunks / 2, chunks}) {
    const int64_t boundary = chunk * kChunk + chunk * 500 + 2500;
    for (int i = -fine; i <= fine; ++i) places.push_back(boundary + i * (Soaks() ? 61 : 487));
    places.push_back(boundary - kChunk / 2);
  }
  for (int64_t at = up - 3000; at <= up + 200; at += Soaks() ? 40 : 900) places.push_back(at);
  const int rounds = static_cast<int>(places.size());
  Relay relay({.to_port = port_});
  const Outcome outcome = Run(relay.port(), kLarge, rounds, [&](int round) {
    relay.ResetAll();  // so that bytes are counted from here
    relay.CutUpAt(places[static_cast<size_t>(round - 1)]);
    relay.CutDownAt(std::max<int64_t>(1, down * ((round * 37) % 101) / 101));
  });
  ExpectSame(outcome, kLarge, rounds);
  // Places behind the end of a transfer, whose length differs a little from round to round, are not
  // reached.
  EXPECT_GE(relay.cuts(), rounds * 2 / 3);
  fmt::print("{} connections were reset in {} rounds\n", relay.cuts(), rounds);
}

TEST_F(NetworkTest, FarAwayAndLossy) {
  Relay relay({.to_port = port_,
               .delay_ms = 100,
               .stall_share = 0.05,
               .stall_ms = 300});  // 200 ms there and back
  ExpectSame(Run(relay.port(), Soaks() ? kLarge : kSmall, 2), Soaks() ? kLarge : kSmall, 2);
}

TEST_F(NetworkTest, AMegabitEachSecond) {
  Relay relay({.to_port = port_, .delay_ms = 20, .bytes_per_second = 125'000});
  ExpectSame(Run(relay.port(), Soaks() ? kLarge : kSmall, 2), Soaks() ? kLarge : kSmall, 2);
}

// The network is parted in the middle of an upload, for a while that is an hour scaled down; to
// soak, for longer than a connection is believed to be alive. Behind it connections still stand, or
// they are gone.
TEST_F(NetworkTest, APartitionHeals) {
  for (const bool gone : {false, true}) {
    SCOPED_TRACE(gone);
    Relay relay({.to_port = port_});
    std::thread healer;
    const Outcome outcome = Run(relay.port(), kLarge, 2, [&](int round) {
      if (round != 1) return;
      relay.Part();
      healer = std::thread([&] {
        std::this_thread::sleep_for(std::chrono::seconds(Soaks() ? 70 : 3));
        if (gone) relay.ResetAll();
        relay.Heal();
      });
    });
    healer.join();
    ExpectSame(outcome, kLarge, 2);
  }
}

// An attempt to connect that has failed makes the next calls fail at once, while gRPC connects
// again beside them: that must go on although nobody waits for it, however far the server is.
TEST_F(NetworkTest, AServerThatComesBackFarAway) {
  Relay relay({.to_port = port_, .delay_ms = 250});
  relay.Refuse();
  const auto channel = peers_[kSites[0]]->Connect("", nullptr, relay.port());
  EXPECT_EQ(channel->Hello(0).status().code(), absl::StatusCode::kUnavailable);
  relay.Admit();
  int attempts = 0;
  absl::Status status;
  do {
    std::this_thread::sleep_for(std::chrono::seconds(1));  // as a site does between attempts
    status = channel->Hello(0).status();
  } while (!status.ok() && ++attempts < 8);
  EXPECT_TRUE(status.ok()) << status;
}

// Hospitals' proxies end a connection after a minute, whatever it does: here after two seconds, on
// a line on which no transfer is done in that time.
TEST_F(NetworkTest, AProxyThatCutsEveryConnection) {
  Relay proxy({.to_port = port_, .bytes_per_second = 800'000, .proxy = true, .lifetime_ms = 2000});
  ASSERT_EQ(::setenv("grpc_proxy", fmt::format("http://127.0.0.1:{}", proxy.port()).c_str(), 1), 0);
  const Outcome outcome = Run(port_, kLarge, 2);
  ::unsetenv("grpc_proxy");
  ExpectSame(outcome, kLarge, 2);
  EXPECT_GT(proxy.connections(), 4);
  EXPECT_GT(proxy.cuts(), 3);
}

// The same with the kernel's own bad line, and the sites' own program in a network of its own.
TEST(NetemTest, TheKernelsBadLine) {
  if (::geteuid() != 0) GTEST_SKIP() << "networks of one's own need root";
  if (std::system("command -v ip >/dev/null 2>&1 && command -v tc >/dev/null 2>&1") != 0)
    GTEST_SKIP() << "no ip and tc here (package iproute2)";
  const std::string name = fmt::format("mnk{}", ::getpid() % 100'000);
  const auto sh = [](const std::string& command) {
    return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
  };
  const auto remove = [&] {
    sh("ip link del " + name + "a");
    sh("ip netns del " + name);
  };
  const bool made =
      sh("ip netns add " + name) &&
      sh(fmt::format("ip link add {0}a type veth peer name {0}b netns {0}", name)) &&
      sh(fmt::format("ip addr add 10.213.77.1/24 dev {}a && ip link set {}a up", name, name)) &&
      sh(fmt::format("ip -n {0} addr add 10.213.77.2/24 dev {0}b && ip -n {0} link set {0}b up && "
                     "ip -n {0} link set lo up",
                     name));
  if (!made) {
    remove();
    GTEST_SKIP() << "this system allows no networks of one's own";
  }
  if (!sh(fmt::format("tc -n {0} qdisc add dev {0}b root netem delay 200ms loss 5%", name))) {
    remove();
    GTEST_SKIP() << "this kernel has no netem (module sch_netem)";
  }
  {
    Hospitals hospitals;
    for (const std::string& site : Hospitals::Sites()) {
      // The server's certificate names this address too.
      const std::string config = hospitals.site(site) + "/site.toml";
      std::string text = Slurp(config);
      const size_t at = text.find("127.0.0.1:");
      ASSERT_NE(at, std::string::npos);
      text.replace(at, 9, "10.213.77.1");
      Spill(config, text);
      hospitals.Start(site, Hospitals::How{"", {}, {"/usr/bin/env", "ip", "netns", "exec", name}});
    }
    const std::string run = hospitals.CreateRun();
    bool parted = false;
    int turns = 0;
    EXPECT_TRUE(hospitals.WaitUntilFinished(run, [&] {
      // In the middle the line is gone for some seconds, and then slow.
      ++turns;
      if (turns == 500) parted = sh(fmt::format("ip link set {}a down", name));
      if (turns == 900)
        sh(fmt::format(
            "ip link set {0}a up && tc -n {0} qdisc change dev {0}b root netem rate 1mbit", name));
    }));
    EXPECT_TRUE(parted);
    int kept = 0;
    for (const auto& event : hospitals.Events()) kept += event["event"] == "update_kept" ? 1 : 0;
    EXPECT_EQ(kept, 9);
  }
  remove();
}

}  // namespace
}  // namespace manako
