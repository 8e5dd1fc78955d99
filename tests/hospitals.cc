#include "hospitals.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <regex>
#include <thread>

namespace manako {

namespace fs = std::filesystem;

namespace {

const std::string& Images() {
  static const TemporaryFolder folder;
  static const std::string images = [] {
    const std::string out = folder / "images";
    const ProcessResult drawn =
        RunManako({"phantom", "--out", out, "--per-class", "45", "--seed", "3"});
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

namespace {

std::string RoundOf(const std::string& run, const std::string& round) { return run + " " + round; }

// The federation that every Hospitals is a copy of.
struct Template {
  TemporaryFolder folder;
  int port = FreePort();
  Template() {
    // Patients are dealt in the order in which they come; of each hospital's, every fifth is for
    // testing, the next for validation.
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
      const std::string& site = Hospitals::Sites()[static_cast<size_t>(n % 3)];
      const int of_site = n / 3 % 5;
      const char* split = of_site == 0 ? "test" : of_site == 1 ? "validation" : "train";
      const std::string line = fmt::format("{}/{},{},{},{},{}\n", Images(), row.at("file"),
                                           row.at("label"), patient, site, split);
      all += line;
      manifests[site] += line;
    }
    Spill(folder / "all.csv", all);
    const std::string central = folder / "federation/central";
    fs::create_directories(folder / "federation");
    const ProcessResult made =
        RunManako({"server", "init", central, "--name", "Test", "--host", "127.0.0.1", "--also",
                   "10.213.77.1", "--port", std::to_string(port)});
    EXPECT_EQ(made.exit_code, 0) << made.err;
    const auto server = Process::Start(
        {.arguments = {"server", "start", central, "--listen", fmt::format("127.0.0.1:{}", port)}});
    EXPECT_TRUE(server->WaitForError("listens at"));
    for (const std::string& name : Hospitals::Sites()) {
      const std::string site = folder / ("federation/" + name);
      Spill(folder / (name + ".csv"), header + manifests[name]);
      const ProcessResult invited = RunManako({"server", "invite", central, "--site", name});
      EXPECT_EQ(invited.exit_code, 0) << invited.err;
      const ProcessResult joined = RunManako({"site", "join", Lines(invited.out).at(0), site,
                                              "--data", folder / (name + ".csv"), "--group-column",
                                              "patient", "--split-column", "split"});
      EXPECT_EQ(joined.exit_code, 0) << joined.err;
      // Few images, nobody to ask, one thread as in the study.
      std::string config = Slurp(site + "/site.toml");
      for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
               {"approval = .*", "approval = \"none\""},
               {"threads = .*", "threads = 1"},
               {"min_images_per_class = .*", "min_images_per_class = 1"},
               {"min_count = .*", "min_count = 1"},
               {"reports = .*", "reports = \"scores\""}}) {
        config = std::regex_replace(config, std::regex("(^|\n)" + from), "$1" + to);
      }
      Spill(site + "/site.toml", config);
    }
    server->Signal(SIGKILL);
    server->Finish();
    fs::remove(central + "/wake");  // a socket, which cannot be copied
  }
};

const Template& Made() {
  static const Template made;
  return made;
}

}  // namespace

std::string Hospitals::union_manifest() { return Made().folder / "all.csv"; }
int Hospitals::port() { return Made().port; }

Hospitals::Hospitals() {
  fs::copy(Made().folder / "federation", folder_.path(), fs::copy_options::recursive);
  Start("server");
}

Hospitals::~Hospitals() {
  for (const std::string who : {"server", "east", "north", "west"}) {
    if (processes_[who] != nullptr) Kill(who);
  }
}

void Hospitals::Start(const std::string& who, const std::string& crash_at) {
  Start(who, How{crash_at, {}, {}});
}

void Hospitals::Start(const std::string& who, const How& how) {
  ProcessOptions options;
  if (who == "server") {
    options.arguments = {
        "server",    "start", central(), "--listen", fmt::format("0.0.0.0:{}", port()),
        "--threads", "1"};
  } else {
    options.arguments = {"site", "start", site(who)};
    had_[who].clear();
    for (const nlohmann::json& event : Events()) {
      if (event.value("event", "") == "update_kept" && event.value("site", "") == who)
        had_[who].insert(RoundOf(event.value("run", ""), std::to_string(event.value("round", 0))));
    }
  }
  if (!how.prefix.empty()) {
    options.program = how.prefix.front();
    std::vector<std::string> arguments(how.prefix.begin() + 1, how.prefix.end());
    arguments.push_back(MANAKO_PROGRAM);
    arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
    options.arguments = arguments;
  }
  options.environment = how.environment;
  if (!how.crash_at.empty()) options.environment.emplace_back("MANAKO_CRASH_AT", how.crash_at);
  options.timeout_ms = 1'200'000;
  processes_[who] = Process::Start(options);
  if (who == "server" && how.crash_at.empty()) {
    EXPECT_TRUE(processes_[who]->WaitForError("listens at"));
  }
}

void Hospitals::Configure(const std::string& name, const std::string& key,
                          const std::string& value) {
  const std::string path = site(name) + "/site.toml";
  Spill(path, std::regex_replace(Slurp(path), std::regex("(^|\n)" + key + " = .*"),
                                 "$1" + key + " = " + value));
}

void Hospitals::StartAll() {
  for (const std::string& name : Sites()) Start(name);
}

bool Hospitals::Runs(const std::string& who) {
  return processes_[who] != nullptr && !processes_[who]->WaitMs(0);
}

bool Hospitals::WaitUntilSays(const std::string& who, const std::string& text) {
  return processes_[who] != nullptr && processes_[who]->WaitForError(text);
}

std::string Hospitals::Said(const std::string& who) {
  return said_[who] + (processes_[who] != nullptr ? processes_[who]->ErrorSoFar() : "");
}

// No site trains again what it had submitted: not behind the server's word, and not in a process
// that began behind it.
void Hospitals::Hear(const std::string& who, const std::string& err) {
  said_[who] += err;
  if (who == "server") return;
  std::set<std::string> had = had_[who];
  static const std::regex training("run ([^ ]+) round ([0-9]+) of [0-9]+: training"),
      taken("run ([^ ]+) round ([0-9]+): the server has the update");
  for (const std::string& line : Lines(err)) {
    std::smatch match;
    if (std::regex_search(line, match, taken)) had.insert(RoundOf(match[1], match[2]));
    if (std::regex_search(line, match, training)) {
      ++trainings_;
      EXPECT_FALSE(had.contains(RoundOf(match[1], match[2])))
          << who << " trains again what it had submitted:\n"
          << err;
    }
  }
}

void Hospitals::Kill(const std::string& who) {
  if (processes_[who] == nullptr) return;
  processes_[who]->Signal(SIGKILL);
  const std::unique_ptr<Process> process = std::move(processes_[who]);
  Hear(who, process->Finish().err);
}

bool Hospitals::Ended(const std::string& who, ProcessResult* result) {
  auto& process = processes_[who];
  if (process == nullptr || !process->WaitMs(0)) return false;
  *result = process->Finish();
  process.reset();
  Hear(who, result->err);
  return true;
}

std::vector<nlohmann::json> Hospitals::Events() {
  std::vector<nlohmann::json> events;
  std::ifstream in(central() + "/server.log");
  for (std::string line; std::getline(in, line);) {
    nlohmann::json event = nlohmann::json::parse(line, nullptr, false);
    if (event.is_object()) events.push_back(std::move(event));
  }
  return events;
}

std::string Hospitals::CreateRun(const std::string& more_toml, const std::string& more_of_model,
                                 const std::string& more_of_train) {
  Spill(folder_ / "run.toml",
        "[run]\nname = \"test\"\nclasses = [\"detachment\", \"normal\"]\nseed = 5\nreport = "
        "\"scores\"\n" +
            more_toml + "\n[data]\nimage_size = 32\n[model]\narchitecture = \"cnn3\"\n" +
            more_of_model + "\n[train]\nlocal_epochs = 1\n" + more_of_train +
            "\n[federation]\nrounds = 3\nselect = \"last\"\n");
  const ProcessResult created =
      RunManako({"run", "create", central(), folder_ / "run.toml", "--start"});
  EXPECT_EQ(created.exit_code, 0) << created.err;
  return created.exit_code == 0 ? Lines(created.out).at(0) : "";
}

nlohmann::json Hospitals::Show(const std::string& run) {
  const ProcessResult shown = RunManako({"run", "show", central(), run, "--json"});
  EXPECT_EQ(shown.exit_code, 0) << shown.err;
  return nlohmann::json::parse(shown.out, nullptr, false);
}

std::string Hospitals::Digest(const std::string& run, int round) {
  const std::string out = folder_ / "export.pt";
  const ProcessResult exported =
      RunManako({"run", "export", central(), run, "--round", std::to_string(round), "--out", out});
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
