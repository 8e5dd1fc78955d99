// Reads testdata/*.txt: lines of a name and numbers, made by the scripts beside them. For tests
// only.
#ifndef MANAKO_REPORT_STATS_TEST_FIXTURES_H_
#define MANAKO_REPORT_STATS_TEST_FIXTURES_H_

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace manako::stats {

// All lines of that name, in order; at least one.
inline std::vector<std::vector<double>> FixtureLines(const std::string& file,
                                                     const std::string& name) {
  std::ifstream in(std::string(MANAKO_SOURCE_DIR) + "/src/report/stats/testdata/" + file);
  std::vector<std::vector<double>> found;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string first;
    words >> first;
    if (first != name) continue;
    found.emplace_back();
    for (double v; words >> v;) found.back().push_back(v);
  }
  EXPECT_FALSE(found.empty()) << name << " is not in " << file;
  if (found.empty()) found.emplace_back();
  return found;
}

inline std::vector<double> Fixture(const std::string& file, const std::string& name) {
  return FixtureLines(file, name)[0];
}

inline std::vector<uint8_t> FixtureFlags(const std::string& file, const std::string& name) {
  const std::vector<double> numbers = Fixture(file, name);
  return {numbers.begin(), numbers.end()};
}

}  // namespace manako::stats

#endif  // MANAKO_REPORT_STATS_TEST_FIXTURES_H_
