// For the tests of this folder: a folder of their own and the openssl command as an independent
// opinion.
#ifndef MANAKO_IDENTITY_TESTING_H_
#define MANAKO_IDENTITY_TESTING_H_

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/files.h"
#include "base/temporary_folder.h"

namespace manako {

class FolderTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return folder_ / name; }
  std::string Write(const std::string& name, std::string_view bytes) const {
    EXPECT_TRUE(WriteFileAtomically(Path(name), bytes).ok());
    return Path(name);
  }
  const TemporaryFolder folder_;
};

inline bool HaveOpenssl() { return std::system("command -v openssl >/dev/null 2>&1") == 0; }
#define MANAKO_NEED_OPENSSL() \
  if (!HaveOpenssl()) GTEST_SKIP() << "needs the openssl command (apt-get install openssl)"

struct CommandResult {
  int exit_code;
  std::string output;  // both streams
};

inline CommandResult Openssl(const std::string& arguments) {
  FILE* pipe = popen(("openssl " + arguments + " 2>&1 </dev/null").c_str(), "r");
  CommandResult result{-1, ""};
  char piece[4096];
  while (const size_t n = fread(piece, 1, sizeof piece, pipe)) result.output.append(piece, n);
  result.exit_code = WEXITSTATUS(pclose(pipe));
  return result;
}

}  // namespace manako

#endif  // MANAKO_IDENTITY_TESTING_H_
