#include "base/corpus_testing.h"
#include "data/fuzz_bodies.h"

namespace manako {
namespace {

TEST(CorpusTest, Csv) { ReplayCorpus("data/fuzz_corpus/csv", FuzzCsv); }
TEST(CorpusTest, Images) { ReplayCorpus("data/fuzz_corpus/decode", FuzzDecode, {.stride = 17}); }
TEST(CorpusTest, Npz) { ReplayCorpus("data/fuzz_corpus/npz", FuzzNpz, {.stride = 5}); }

}  // namespace
}  // namespace manako
