// Named places where a test can end the process as a power cut would: what has to hold after kill
// -9 is tested at each.
#ifndef MANAKO_BASE_CRASH_POINT_H_
#define MANAKO_BASE_CRASH_POINT_H_

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace manako {

// The names of all crash points that are linked into this program, sorted, each once.
std::vector<std::string> CrashPoints();

// Where this process dies: "name", or "name:3" for the third time that it is passed; empty:
// nowhere. Starts as the environment variable MANAKO_CRASH_AT says; for tests that fork. False when
// no crash point has that name.
bool SetCrashPoint(std::string_view where);

namespace crash_point {

template <size_t n>
struct Name {
  consteval Name(const char (&name)[n]) {
    std::copy_n(name, n, text);
  }  // NOLINT: implicit on purpose
  char text[n];
};

// `name` must outlive the program.
bool Register(const char* name);
void Pass(std::string_view name);

// One for each name; made before main(), so that CrashPoints() knows places that were never passed.
template <Name name>
struct Point {
  static inline const bool registered = Register(name.text);
};

}  // namespace crash_point
}  // namespace manako

// MANAKO_CRASH_POINT("site.round_committed"): "part.what_has_just_happened".
#define MANAKO_CRASH_POINT(name)                                       \
  do {                                                                 \
    static_cast<void>(::manako::crash_point::Point<name>::registered); \
    ::manako::crash_point::Pass(name);                                 \
  } while (false)

#endif  // MANAKO_BASE_CRASH_POINT_H_
