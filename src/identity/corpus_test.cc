#include "base/corpus_testing.h"
#include "identity/fuzz_bodies.h"

namespace manako {
namespace {

constexpr size_t kMostChanged = 600;

// Each costs some milliseconds of arithmetic, more with sanitizers.
TEST(CorpusTest, Certificates) {
  ReplayCorpus("identity/fuzz_corpus/certificate", FuzzCertificate, {13, kMostChanged, 5});
}
TEST(CorpusTest, Invitations) {
  ReplayCorpus("identity/fuzz_corpus/invitation", FuzzInvitation, {1, kMostChanged, 5});
}
TEST(CorpusTest, SignedLogs) {
  ReplayCorpus("identity/fuzz_corpus/signed_log", FuzzSignedLog, {1, kMostChanged, 5});
}

}  // namespace
}  // namespace manako
