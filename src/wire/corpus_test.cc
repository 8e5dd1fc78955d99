#include "base/corpus_testing.h"
#include "wire/fuzz_bodies.h"

namespace manako {
namespace {

// Each costs writes to the disk.
TEST(CorpusTest, ServerCalls) {
  ReplayCorpus("wire/fuzz_corpus/server_call", FuzzServerCall, {.stride = 15});
}
TEST(CorpusTest, Uploads) { ReplayCorpus("wire/fuzz_corpus/upload", FuzzUpload, {.stride = 7}); }
TEST(CorpusTest, ServerAnswers) {
  ReplayCorpus("wire/fuzz_corpus/server_answer", FuzzServerAnswer, {.stride = 23});
}

}  // namespace
}  // namespace manako
