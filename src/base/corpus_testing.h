// Replays the files from which fuzzers begin, so that every test run sees them and their
// neighbours.
#ifndef MANAKO_BASE_CORPUS_TESTING_H_
#define MANAKO_BASE_CORPUS_TESTING_H_

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/files.h"

namespace manako {

struct CorpusReplay {
  size_t stride = 1;               // every so many bytes a file is cut, and changed
  size_t most_changed = SIZE_MAX;  // larger files are only taken as they are
  int least_files = 3;
};

// Calls body(std::string_view) with nothing, and with every file of src/`folder`: as it is, and at
// each stride cut there and with that byte changed in three ways.
template <typename Body>
void ReplayCorpus(const std::string& folder, Body body, const CorpusReplay& options = {}) {
  body(std::string_view());
  int files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(MANAKO_SOURCE_DIR "/src/" + folder)) {
    const auto input = ReadFile(entry.path().string());
    ASSERT_TRUE(input.ok()) << input.status();
    ++files;
    body(std::string_view(*input));
    if (input->size() > options.most_changed) continue;
    for (size_t i = 0; i < input->size(); i += options.stride) {
      body(std::string_view(*input).substr(0, i));
      for (const int change : {0x01, 0x80, 0xff}) {
        std::string changed = *input;
        changed[i] = static_cast<char>(changed[i] ^ change);
        body(std::string_view(changed));
      }
    }
  }
  EXPECT_GE(files, options.least_files) << folder;
}

}  // namespace manako

#endif  // MANAKO_BASE_CORPUS_TESTING_H_
