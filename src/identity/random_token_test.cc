#include "identity/random_token.h"

#include <gtest/gtest.h>

#include <set>

namespace manako {
namespace {

TEST(RandomTokenTest, NeverTheSame) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(seen.insert(NewSessionToken()).second);
  EXPECT_EQ(seen.begin()->size(), 43u);
  EXPECT_EQ(RandomBytes(0), "");
}

TEST(RandomTokenTest, Base64UrlAsInTheRfc) {
  EXPECT_EQ(ToBase64Url(""), "");
  EXPECT_EQ(ToBase64Url("f"), "Zg");
  EXPECT_EQ(ToBase64Url("foob"), "Zm9vYg");
  EXPECT_EQ(ToBase64Url("foobar"), "Zm9vYmFy");
  EXPECT_EQ(ToBase64Url("\xfb\xff"), "-_8");
  EXPECT_EQ(*FromBase64Url("-_8"), "\xfb\xff");
  EXPECT_EQ(*FromBase64Url(""), "");
}

TEST(RandomTokenTest, ReadsOnlyWhatWritingGives) {
  for (const char* wrong :
       {"Zg==", "Zh", "Z", "Zm9v ", " Zm9v", "Zm9v\n", "+/8", "Zm9v!", "Zm\xc3\xa9v"}) {
    EXPECT_FALSE(FromBase64Url(wrong).ok()) << wrong;
  }
  EXPECT_FALSE(FromBase64Url(std::string_view("Zm9v\0", 5)).ok());
}

TEST(RandomTokenTest, EveryTextHasOneSpelling) {
  int accepted = 0;
  for (int byte = 0; byte < 256; ++byte) {
    for (size_t at = 0; at < 4; ++at) {
      std::string text = "Zm9v";
      text[at] = static_cast<char>(byte);
      const auto read = FromBase64Url(text);
      if (!read.ok()) continue;
      ++accepted;
      EXPECT_EQ(ToBase64Url(*read), text) << byte;
    }
  }
  EXPECT_EQ(accepted, 4 * 64);
}

TEST(RandomTokenTest, ComparesAllBytes) {
  EXPECT_TRUE(ConstantTimeEqual("abc", "abc"));
  EXPECT_TRUE(ConstantTimeEqual("", ""));
  EXPECT_FALSE(ConstantTimeEqual("abc", "abd"));
  EXPECT_FALSE(ConstantTimeEqual("xbc", "abc"));
  EXPECT_FALSE(ConstantTimeEqual("abc", "abcd"));
}

}  // namespace
}  // namespace manako
