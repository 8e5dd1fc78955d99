#include "hospitals.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <regex>
#include <thread>

namespace manako {

int FreePort() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  ::close(fd);
  return ntohs(address.sin_port);
}

namespace {

const std::string& Images() {
  static const TemporaryFolder folder;
  static const std::string images = [] {
    const std::string out = folder / "images";
    const ProcessResult drawn = RunManako({"phantom", "--out", out, "--per-class", "45", "--seed", "3"});
    EXPECT_EQ(drawn.exit_code, 0) << drawn.err;
    return out;
  }();
  return images;
}

}  // namespace

const std::vector<std::string>& Hospitals::Sites() {
  static const std::vector<std::string> sites = {"east", "north", "west"};
  return sites;
}

void Hospitals::SleepMs(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

Hospitals::Hospitals() : port_(FreePort()) {
  // Patients are dealt in the order in which they come; of each hospital's, every fifth is for testing, the next for validation.
  std::map<std::string, std::string> manifests;
  const std::string header = "file,label,patient,site,split\n";
  std::string all = header;
  std::map<std::string, int> number;
  std::map<std::string, int> dealt;
  for (const auto& row : ReadCsv(Images() + "/manifest.csv")) {
    const std::string& patient = row.at("patient");
    const bool fresh = !number.contains(patient);
    if (fresh) number[patient] = dealt[row.at("label")]++;
    const int n = number[patient];
    const std::string& site = Sites()[static_cast<size_t>(n % 3)];
    const int of_site = n / 3 % 5;
    const char* split = of_site == 0 ? "test" : of_site == 1 ? "validation" : "train";
    const std::string line = fmt::format("{}/{},{},{},{},{}\n", Images(), row.at("file"), row.at("label"), patient, site, split);
    all += line;
    manifests[site] += line;
  }
  union_ = folder_ / "all.csv";
  Spill(union_, all);
  const ProcessResult made = RunManako({"server", "init", central(), "--name", "Test", "--host", "127.0.0.1", "--port", std::to_string(port_)});
  EXPECT_EQ(made.exit_code, 0) << made.err;
  Start("server");
  for (const std::string& name : Sites()) {
    Spill(folder_ / (name + ".csv"), header + manifests[name]);
    const ProcessResult invited = RunManako({"server", "invite", central(), "--site", name});
    EXPECT_EQ(invited.exit_code, 0) << invited.err;
    const ProcessResult joined = RunManako({"site", "join", Lines(invited.out).at(0), site(name), "--data", folder_ / (name + ".csv"),
                                            "--group-column", "patient", "--split-column", "split"});
    EXPECT_EQ(joined.exit_code, 0) << joined.err;
    // Few images, nobody to ask, one thread as in the study.
    std::string config = Slurp(site(name) + "/site.toml");
    for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
             {"approval = .*", "approval = \"none\""}, {"threads = .*", "threads = 1"}, {"min_images_per_class = .*", "min_images_per_class = 1"},
             {"min_count = .*", "min_count = 1"}, {"reports = .*", "reports = \"scores\""}}) {
      config = std::regex_replace(config, std::regex("(^|\n)" + from), "$1" + to);
    }
    Spill(site(name) + "/site.toml", config);
  }
}

Hospitals::~Hospitals() {
  for (auto& [who, process] : processes_) {
    if (process != nullptr) process->Signal(SIGKILL);
  }
}

void Hospitals::Start(const std::string& who, const std::string& crash_at) {
  ProcessOptions options;
  if (who == "server") {
    options.arguments = {"server", "start", central(), "--listen", fmt::format("127.0.0.1:{}", port_), "--threads", "1"};
  } else {
    options.arguments = {"site", "start", site(who)};
  }
  if (!crash_at.empty()) options.environment = {{"MANAKO_CRASH_AT", crash_at}};
  options.timeout_ms = 600'000;
  processes_[who] = Process::Start(options);
  if (who == "server") EXPECT_TRUE(processes_[who]->WaitForError("listens at"));
}

void Hospitals::Configure(const std::string& name, const std::string& key, const std::string& value) {
  const std::string path = site(name) + "/site.toml";
  Spill(path, std::regex_replace(Slurp(path), std::regex("(^|\n)" + key + " = .*"), "$1" + key + " = " + value));
}

void Hospitals::StartAll() {
  for (const std::string& name : Sites()) Start(name);
}

void Hospitals::Kill(const std::string& who) {
  processes_[who]->Signal(SIGKILL);
  processes_[who]->Finish();
  processes_[who].reset();
}

bool Hospitals::Ended(const std::string& who, ProcessResult* result) {
  auto& process = processes_[who];
  if (process == nullptr || !process->WaitMs(0)) return false;
  *result = process->Finish();
  process.reset();
  return true;
}

std::string Hospitals::CreateRun(const std::string& more_toml) {
  Spill(folder_ / "run.toml",
        "[run]\nname = \"test\"\nclasses = [\"detachment\", \"normal\"]\nseed = 5\nreport = \"scores\"\n" + more_toml +
            "\n[data]\nimage_size = 32\n[model]\narchitecture = \"cnn3\"\n[train]\nlocal_epochs = 1\n[federation]\nrounds = 3\nselect = \"last\"\n");
  const ProcessResult created = RunManako({"run", "create", central(), folder_ / "run.toml", "--start"});
  EXPECT_EQ(created.exit_code, 0) << created.err;
  return created.exit_code == 0 ? Lines(created.out).at(0) : "";
}

nlohmann::json Hospitals::Show(const std::string& run) {
  const ProcessResult shown = RunManako({"run", "show", central(), run, "--json"});
  EXPECT_EQ(shown.exit_code, 0) << shown.err;
  return nlohmann::json::parse(shown.out, nullptr, false);
}

std::string Hospitals::State(const std::string& run) { return Show(run).value("state", ""); }

std::string Hospitals::Digest(const std::string& run, int round) {
  const std::string out = folder_ / "export.pt";
  const ProcessResult exported = RunManako({"run", "export", central(), run, "--round", std::to_string(round), "--out", out});
  EXPECT_EQ(exported.exit_code, 0) << exported.err;
  return DigestOfModel(out);
}

std::string DigestOfModel(const std::string& path) {
  const std::string bytes = Slurp(path);
  // manako.json is stored as it is in the archive.
  const size_t at = bytes.find("\"digest\"");
  if (at == std::string::npos) return "no digest in " + path;
  const size_t begin = bytes.find_first_of("0123456789abcdef", at + 9);
  return bytes.substr(begin, 64);
}

}  // namespace manako
