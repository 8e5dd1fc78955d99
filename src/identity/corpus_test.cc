// Replays the fuzzers' corpora, as they are and changed in every systematic way.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "base/files.h"
#include "identity/fuzz_bodies.h"

namespace manako {
namespace {

constexpr size_t kMostChanged = 600;

std::vector<std::string> Inputs(const std::string& folder) {
  std::vector<std::string> inputs;
  for (const auto& entry : std::filesystem::directory_iterator(
           MANAKO_SOURCE_DIR "/src/identity/fuzz_corpus/" + folder)) {
    inputs.push_back(*ReadFile(entry.path().string()));
  }
  EXPECT_GE(inputs.size(), 5u) << folder;
  return inputs;
}

template <typename Body>
void Replay(const std::string& folder, Body body, size_t stride = 1) {
  body(std::string_view());
  for (const std::string& input : Inputs(folder)) {
    body(input);
    if (input.size() > kMostChanged) continue;
    for (size_t i = 0; i < input.size(); i += stride) {
      body(std::string_view(input).substr(0, i));
      for (const int change : {0x01, 0x80, 0xff}) {
        std::string changed = input;
        changed[i] = static_cast<char>(changed[i] ^ change);
        body(changed);
      }
    }
  }
}

// Each costs some milliseconds of arithmetic, more with sanitizers.
TEST(CorpusTest, Certificates) { Replay("certificate", FuzzCertificate, 13); }
TEST(CorpusTest, Invitations) { Replay("invitation", FuzzInvitation); }
TEST(CorpusTest, SignedLogs) { Replay("signed_log", FuzzSignedLog); }

}  // namespace
}  // namespace manako
