#include "base/hash.h"

#include <gtest/gtest.h>

namespace manako {
namespace {

// FIPS 180-4's examples.
TEST(Sha256Test, KnownAnswers) {
  EXPECT_EQ(Sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256Test, PiecesMakeTheWhole) {
  Sha256Hasher hasher;
  hasher.Add("a");
  hasher.Add("bc");
  EXPECT_EQ(ToHex(hasher.Finish()), Sha256Hex("abc"));
}

TEST(Sha256Test, ADigestOnTheWayDisturbsNothing) {
  Sha256Hasher hasher;
  hasher.Add("a");
  EXPECT_EQ(ToHex(hasher.Digest()), Sha256Hex("a"));
  hasher.Add("bc");
  EXPECT_EQ(ToHex(hasher.Finish()), Sha256Hex("abc"));
}

TEST(Sha256Test, MissingFileIsNotFound) {
  EXPECT_EQ(Sha256HexOfFile("no/such/file").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace manako
