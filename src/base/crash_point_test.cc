#include "base/crash_point.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace manako {
namespace {

using testing::Contains;

void Pass(int times) {
  for (int i = 0; i < times; ++i) MANAKO_CRASH_POINT("crash_point_test.passed");
}
// Never called: known all the same.
[[maybe_unused]] void NeverCalled() { MANAKO_CRASH_POINT("crash_point_test.never"); }
void (*volatile never_called)() = NeverCalled;

// How a child ends that passes the point so many times: the signal, or 0.
int EndOf(const char* where, int times) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (!SetCrashPoint(where)) ::_exit(2);
    Pass(times);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

TEST(CrashPointTest, AllAreKnownBeforeTheyArePassed) {
  EXPECT_THAT(CrashPoints(), Contains("crash_point_test.passed"));
  EXPECT_THAT(CrashPoints(), Contains("crash_point_test.never"));
}

TEST(CrashPointTest, TheNamedPointEndsTheProcessAtTheNamedTime) {
  EXPECT_EQ(EndOf("", 5), 0);
  EXPECT_EQ(EndOf("crash_point_test.never", 5), 0);
  EXPECT_EQ(EndOf("crash_point_test.passed", 1), SIGKILL);
  EXPECT_EQ(EndOf("crash_point_test.passed:3", 2), 0);
  EXPECT_EQ(EndOf("crash_point_test.passed:3", 3), SIGKILL);
}

TEST(CrashPointTest, ANameThatNoPointHasIsSaid) {
  EXPECT_EQ(EndOf("crash_point_test.misspelt", 1), -2);
}

}  // namespace
}  // namespace manako
