// A federation of real processes on this machine: a central hospital and three branch hospitals
// with synthetic images.
#ifndef MANAKO_TESTS_HOSPITALS_H_
#define MANAKO_TESTS_HOSPITALS_H_

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "fixtures.h"
#include "process.h"

namespace manako {

class Hospitals {
 public:
  // A federation that east, north and west have joined, with images dealt to them by patient: made
  // once for each test program, and copied. One at a time: they share a port. Its server runs.
  Hospitals();
  ~Hospitals();

  static const std::vector<std::string>& Sites();
  // All images of all sites with the columns file, label, patient, site and split: what a study
  // trains on.
  static std::string union_manifest();
  static int port();
  std::string central() const { return folder_ / central_; }
  // Another folder of `path()`'s is the central hospital's from the server's next start on.
  void UseCentral(const std::string& name) { central_ = name; }
  std::string site(const std::string& name) const { return folder_ / name; }
  std::string path(const std::string& name) const { return folder_ / name; }

  // Starts the server ("server") or a site; with the name of a crash point it dies there.
  void Start(const std::string& who, const std::string& crash_at = "");
  // The same with more environment, and a program before it (such as `ip netns exec NAME`).
  struct How {
    std::string crash_at;
    std::vector<std::pair<std::string, std::string>> environment;
    std::vector<std::string> prefix;
  };
  void Start(const std::string& who, const How& how);
  void StartAll();
  // Sets a key of a site's site.toml; the value as TOML.
  void Configure(const std::string& name, const std::string& key, const std::string& value);
  void Kill(const std::string& who);  // as kill -9 does
  bool Runs(const std::string& who);
  // Until the process has said that on standard error. False: it ended before, or it took too long.
  bool WaitUntilSays(const std::string& who, const std::string& text);
  // All that the processes of that name have said on standard error.
  std::string Said(const std::string& who);
  // Whether it has ended by itself or by a signal; then what it said.
  bool Ended(const std::string& who, ProcessResult* result);

  // Makes a run of 3 rounds and starts it. Returns its id. More lines for the file's tables run,
  // model and train.
  std::string CreateRun(const std::string& more_toml = "", const std::string& more_of_model = "",
                        const std::string& more_of_train = "");
  // finished, training, ... as `manako run show` says.
  std::string State(const std::string& run) { return Show(run).value("state", ""); }
  // The events of central/server.log.
  std::vector<nlohmann::json> Events();
  // Waits for the run to finish, calling `meanwhile` every few milliseconds. False: it failed, or
  // it took too long.
  template <typename Meanwhile>
  bool WaitUntilFinished(const std::string& run, Meanwhile meanwhile) {
    for (int i = 0; i < 15000; ++i) {
      meanwhile();
      if (i % 5 == 4) {
        for (const nlohmann::json& event : Events()) {
          const std::string kind = event.value("event", "");
          if (event.value("run", "") != run) continue;
          if (kind == "run_finished") return true;
          if (kind == "run_failed" || kind == "run_cancelled") return false;
        }
      }
      SleepMs(20);
    }
    return false;
  }
  static void SleepMs(int ms);
  // The digest of the last round's model (ParameterSet::Digest), from what `manako run export`
  // writes.
  std::string Digest(const std::string& run, int round);
  nlohmann::json Show(const std::string& run);
  // Rounds that the ended processes of all sites have begun to train.
  int trainings() const { return trainings_; }

 private:
  void Hear(const std::string& who, const std::string& err);

  TemporaryFolder folder_;
  std::string central_ = "central";
  std::map<std::string, std::unique_ptr<Process>> processes_;
  std::map<std::string, std::string> said_;  // by those that have ended
  // Runs and rounds whose update the server had when the site's present process began: it must not
  // train them.
  std::map<std::string, std::set<std::string>> had_;
  int trainings_ = 0;
};

// The digest that a model.pt names.
std::string DigestOfModel(const std::string& path);

}  // namespace manako

#endif  // MANAKO_TESTS_HOSPITALS_H_
