// What a refusal looks like to a user.
#ifndef MANAKO_TESTS_REFUSAL_H_
#define MANAKO_TESTS_REFUSAL_H_

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "fixtures.h"
#include "process.h"

namespace manako {

// The program ended by itself with `exit_code`, and its last line on standard error, the only one
// that begins with "manako: ", names every one of `words`. What is refused as it was given (2) has
// no line but that one; where it failed on the way (1) the progress of what went well may stand
// before it, never a library's own complaint.
inline void ExpectRefused(const ProcessResult& result, const std::vector<std::string>& words,
                          int exit_code = 2) {
  EXPECT_FALSE(result.timed_out);
  EXPECT_EQ(result.signal, 0) << "killed by a signal";
  EXPECT_EQ(result.exit_code, exit_code);
  EXPECT_EQ(result.out, "");
  const std::vector<std::string> lines = Lines(result.err);
  ASSERT_FALSE(lines.empty()) << "nothing on standard error";
  for (size_t i = 0; i + 1 < lines.size(); ++i) {
    const bool progress = lines[i].starts_with("Images: ") || lines[i].starts_with("Note: ") ||
                          lines[i].starts_with("Computing in ") ||
                          lines[i].starts_with("Training with ") ||
                          lines[i].find(" round ") != std::string::npos;
    EXPECT_TRUE(progress && exit_code != 2) << "more than one line: " << result.err;
  }
  EXPECT_TRUE(lines.back().starts_with("manako: ")) << result.err;
  EXPECT_LE(lines.back().size(), 500u) << "too long to read: " << lines.back();
  for (const std::string& word : words) {
    EXPECT_NE(lines.back().find(word), std::string::npos)
        << "\"" << word << "\" is not in: " << lines.back();
  }
}

}  // namespace manako

#endif  // MANAKO_TESTS_REFUSAL_H_
