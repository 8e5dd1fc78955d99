// Replays the fuzzers' corpora, as they are and damaged.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/files.h"
#include "wire/fuzz_bodies.h"

namespace manako {
namespace {

// `stride` because each costs writes to the disk.
void Replay(const std::string& folder, void (*body)(std::string_view), size_t stride) {
  body("");
  int inputs = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(MANAKO_SOURCE_DIR "/src/wire/fuzz_corpus/" + folder)) {
    const std::string input = *ReadFile(entry.path().string());
    ++inputs;
    body(input);
    for (size_t i = 0; i < input.size(); i += stride) {
      body(std::string_view(input).substr(0, i));
      std::string changed = input;
      changed[i] = static_cast<char>(changed[i] ^ 0x81);
      body(changed);
    }
  }
  EXPECT_GE(inputs, 3) << folder;
}

TEST(CorpusTest, ServerCalls) { Replay("server_call", FuzzServerCall, 5); }
TEST(CorpusTest, Uploads) { Replay("upload", FuzzUpload, 3); }
TEST(CorpusTest, ServerAnswers) { Replay("server_answer", FuzzServerAnswer, 11); }

}  // namespace
}  // namespace manako
