// A federation of real processes on this machine: a central hospital and three branch hospitals with synthetic images.
#ifndef MANAKO_TESTS_HOSPITALS_H_
#define MANAKO_TESTS_HOSPITALS_H_

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fixtures.h"
#include "process.h"

namespace manako {

// A port of 127.0.0.1 that nobody listens at.
int FreePort();

class Hospitals {
 public:
  // Draws images (once for each test program), deals them to east, north and west by patient, makes the federation and lets
  // the three join.
  Hospitals();
  ~Hospitals();

  static const std::vector<std::string>& Sites();
  // All images of all sites with the columns file, label, patient, site and split: what a study trains on.
  const std::string& union_manifest() const { return union_; }
  std::string central() const { return folder_ / "central"; }
  std::string site(const std::string& name) const { return folder_ / name; }
  std::string path(const std::string& name) const { return folder_ / name; }

  // Starts the server ("server") or a site; with the name of a crash point it dies there.
  void Start(const std::string& who, const std::string& crash_at = "");
  void StartAll();
  // Sets a key of a site's site.toml; the value as TOML.
  void Configure(const std::string& name, const std::string& key, const std::string& value);
  void Kill(const std::string& who);  // as kill -9 does
  // Whether it has ended by itself or by a signal; then what it said.
  bool Ended(const std::string& who, ProcessResult* result);

  // Makes a run of 3 rounds and starts it. Returns its id.
  std::string CreateRun(const std::string& more_toml = "");
  // finished, training, ... as `manako run list --json` says.
  std::string State(const std::string& run);
  // Waits for the run to finish, calling `meanwhile` every few milliseconds. False: it failed, or it took too long.
  template <typename Meanwhile>
  bool WaitUntilFinished(const std::string& run, Meanwhile meanwhile) {
    for (int i = 0; i < 12000; ++i) {
      meanwhile();
      if (i % 50 == 49) {
        const std::string state = State(run);
        if (state == "finished") return true;
        if (state == "failed" || state == "cancelled") return false;
      }
      SleepMs(20);
    }
    return false;
  }
  static void SleepMs(int ms);
  // The digest of the last round's model (ParameterSet::Digest), from what `manako run export` writes.
  std::string Digest(const std::string& run, int round);
  nlohmann::json Show(const std::string& run);

 private:
  TemporaryFolder folder_;
  std::string union_;
  int port_ = 0;
  std::map<std::string, std::unique_ptr<Process>> processes_;
};

// The digest that a model.pt names.
std::string DigestOfModel(const std::string& path);

}  // namespace manako

#endif  // MANAKO_TESTS_HOSPITALS_H_
