#include "bench/federation.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "absl/time/clock.h"
#include "base/files.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "core/federated_run_config.h"
#include "identity/invitation.h"
#include "server/run_folder.h"

namespace manako::bench {

int64_t NowMs() { return absl::ToUnixMillis(absl::Now()); }

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double Rounded(double value) { return std::round(value * 1000) / 1000; }

absl::Status ParseFlags(int argc, char** argv, const FlagPlaces& places) {
  for (int i = 1; i < argc; i += 2) {
    const auto found = places.find(argv[i]);
    if (found == places.end()) return InvalidArgument("unknown: {}", argv[i]);
    if (i + 1 == argc) return InvalidArgument("{} needs a value", argv[i]);
    const char* value = argv[i + 1];
    if (const auto text = std::get_if<std::string*>(&found->second)) **text = value;
    if (const auto number = std::get_if<int*>(&found->second)) **number = std::atoi(value);
    if (const auto number = std::get_if<int64_t*>(&found->second)) **number = std::atoll(value);
  }
  return absl::OkStatus();
}

int ExitCode(const absl::Status& status) {
  if (status.ok()) return 0;
  fmt::print(stderr, "{}\n", MessageOf(status));
  return 1;
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

int64_t StatusKb(pid_t pid, const std::string& field) {
  std::ifstream in(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(field + ":")) return std::atoll(line.c_str() + field.size() + 1);
  }
  return 0;
}

double ProcessorSeconds(pid_t pid) {
  std::ifstream in(fmt::format("/proc/{}/stat", pid));
  std::string text;
  std::getline(in, text);
  const size_t behind_name = text.rfind(')');
  if (behind_name == std::string::npos) return 0;
  std::istringstream fields(text.substr(behind_name + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0, system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

absl::StatusOr<pid_t> Spawn(const std::vector<std::string>& command, const std::string& log) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return absl::ResourceExhaustedError("cannot fork");
  if (pid > 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  ::dup2(fd, 1);
  ::dup2(fd, 2);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

void Kill(pid_t pid) {
  if (pid <= 0) return;
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

int FreePort() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  ::close(fd);
  return ntohs(address.sin_port);
}

absl::Status AwaitPort(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  for (int i = 0; i < 600; ++i) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    const bool open = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    if (open) return absl::OkStatus();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return absl::UnavailableError("the server does not come up");
}

std::shared_ptr<const ModelSpec> SpecOf(int64_t elements) {
  return std::make_shared<const ModelSpec>(
      *ModelSpec::Create({{"w", {elements}, TensorKind::kParameter}}));
}

absl::StatusOr<Central> MakeCentralFolder(const std::string& folder) {
  Central central;
  central.folder = folder;
  central.port = FreePort();
  MANAKO_RETURN_IF_ERROR(MakeCentral(
      folder,
      {.name = "Bench", .host = "localhost", .port = central.port, .more_hosts = {"127.0.0.1"}},
      NowMs()));
  MANAKO_ASSIGN_OR_RETURN(central.store, FederationStore::Open(folder + "/federation.db"));
  MANAKO_ASSIGN_OR_RETURN(central.enrolment, Enrolment::Open(folder, central.store.get()));
  return central;
}

absl::Status MakeSiteFolder(Central& central, const std::string& site, const std::string& folder) {
  MANAKO_RETURN_IF_ERROR(MakeFolders(folder));
  MANAKO_ASSIGN_OR_RETURN(const std::string line, central.enrolment->Invite(site, 1, NowMs()));
  MANAKO_ASSIGN_OR_RETURN(const Invitation invitation, ParseInvitation(line));
  MANAKO_ASSIGN_OR_RETURN(const PrivateKey key, PrivateKey::Generate());
  MANAKO_ASSIGN_OR_RETURN(const std::string request, MakeSiteRequest(key, site));
  MANAKO_ASSIGN_OR_RETURN(const auto enrolled,
                          central.enrolment->Enrol(invitation.token, request, NowMs()));
  MANAKO_RETURN_IF_ERROR(key.Save(folder + "/site.key"));
  MANAKO_RETURN_IF_ERROR(WriteFileAtomically(folder + "/ca.pem", enrolled.authority));
  return WriteFileAtomically(folder + "/site.pem", enrolled.certificate);
}

absl::Status StartRun(Central& central, const RunShape& shape) {
  FederatedRunConfig config;
  config.run.classes = {"detached", "normal"};
  config.run.encoding = std::string(NameOf(shape.encoding));
  config.run.test_every = 100'000;
  config.training.federation.rounds = shape.rounds;
  config.training.train.local_epochs = 1;
  config.training.train.learning_rate = 0.1;
  config.training.data.image_size = 64;
  MANAKO_RETURN_IF_ERROR(config.Validate());
  {
    ParameterSet initial = ParameterSet::Zero(SpecOf(shape.elements));
    Random random(1, "bench.model");
    // Numbers like a network's; drawn once for a stretch and shifted, which is quicker.
    std::vector<float> some(65521);
    for (float& value : some) value = static_cast<float>(random.Normal()) * 0.02f;
    for (int64_t i = 0; i < initial.values.size(); ++i) {
      initial.values.data()[i] =
          some[static_cast<size_t>(i) % some.size()] * (1.0f + static_cast<float>(i % 8191) / 8192);
    }
    const RunFolder folder(central.folder + "/runs/" + shape.id);
    MANAKO_RETURN_IF_ERROR(folder.Create(initial, shape.encoding, 1));
  }
  RunRecord record;
  record.id = shape.id;
  record.name = shape.id;
  record.config = config.ToToml();
  record.wanted = record.state = "created";
  MANAKO_RETURN_IF_ERROR(central.store->AddRun(record));
  return central.store->Want(shape.id, "running", NowMs());
}

}  // namespace manako::bench
