#include "base/crash_point.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <cstdlib>
#include <mutex>
#include <set>

namespace manako {
namespace {

struct State {
  std::mutex mutex;
  std::set<std::string> names;
  std::string where;
  int passes_left = 0;
};

// Never destroyed: threads may pass a point while the program ends.
State& TheState() {
  static State* const state = new State;
  return *state;
}

// The only thing that a crash point costs when nobody tests.
std::atomic<bool> armed = false;

void Arm(std::string_view where) {
  State& state = TheState();
  state.passes_left = 1;
  if (const size_t colon = where.find(':'); colon != std::string_view::npos) {
    const std::string_view count = where.substr(colon + 1);
    std::from_chars(count.data(), count.data() + count.size(), state.passes_left);
    where = where.substr(0, colon);
  }
  state.where = where;
  armed = !where.empty();
}

const bool from_environment = [] {
  const char* where = std::getenv("MANAKO_CRASH_AT");
  if (where != nullptr) Arm(where);
  return where != nullptr;
}();

}  // namespace

std::vector<std::string> CrashPoints() {
  State& state = TheState();
  std::lock_guard lock(state.mutex);
  return {state.names.begin(), state.names.end()};
}

bool SetCrashPoint(std::string_view where) {
  State& state = TheState();
  std::lock_guard lock(state.mutex);
  Arm(where);
  return where.empty() || state.names.contains(state.where);
}

namespace crash_point {

bool Register(const char* name) {
  State& state = TheState();
  std::lock_guard lock(state.mutex);
  state.names.insert(name);
  return true;
}

void Pass(std::string_view name) {
  if (!armed.load(std::memory_order_relaxed)) return;
  State& state = TheState();
  std::lock_guard lock(state.mutex);
  // SIGKILL and nothing gentler: no destructor, no flushed buffer.
  if (name == state.where && --state.passes_left == 0) ::kill(::getpid(), SIGKILL);
}

}  // namespace crash_point
}  // namespace manako
