#include "identity/names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace manako {
namespace {

using testing::HasSubstr;

TEST(NamesTest, Sites) {
  for (const char* good :
       {"a", "east-clinic", "0", "-", "abcdefghijklmnopqrstuvwxyz0123456789-abc"}) {
    EXPECT_TRUE(CheckSiteName(good).ok()) << good;
  }
  for (const char* bad : {"", "East", "a b", "a/b", "..", "a_b", "é", "a\n",
                          "abcdefghijklmnopqrstuvwxyz0123456789-abcde"}) {
    EXPECT_EQ(CheckSiteName(bad).code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_FALSE(CheckSiteName(std::string_view("a\0b", 3)).ok());
  // What is shown of a hostile name cannot run over the terminal.
  EXPECT_THAT(CheckSiteName("a\x1b[2J\n").ToString(), HasSubstr("a\\x1b[2J\\x0a"));
  EXPECT_LT(CheckSiteName(std::string(100000, 'x')).message().size(), 300u);
}

TEST(NamesTest, Federations) {
  for (const char* good :
       {"Himeji Eye Federation", "姫路眼科連合", "a", "Łódź, O'Neill & Co = 1/2"}) {
    EXPECT_TRUE(CheckFederationName(good).ok()) << good;
  }
  for (const char* bad :
       {"", " a", "a ", "a\nb", "\x7f", "\xc2\x85", "\xff", "\xc0\xaf", "\xed\xa0\x80", "a\xe3\x81",
        "\xe2\x80\xae"
        "cba",
        "\xf5\x80\x80\x80"}) {
    EXPECT_FALSE(CheckFederationName(bad).ok()) << bad;
  }
  std::string long_name;
  for (int i = 0; i < 64; ++i) long_name += "眼";
  EXPECT_TRUE(CheckFederationName(long_name).ok());
  EXPECT_FALSE(CheckFederationName(long_name + "a").ok());
}

TEST(NamesTest, Hosts) {
  for (const char* good :
       {"localhost", "fed.example.org", "10.0.0.1", "::1", "2001:db8::1", "a_b", "1a.b-c.2d"}) {
    EXPECT_TRUE(CheckHost(good).ok()) << good;
  }
  for (const char* bad :
       {"", ".", "a.", ".a", "a..b", "*.example.org", "-a", "a-", "a-.b", "10.0.0.256", "10.0.0",
        "[::1]", "a b", "a/b", "a:b", "例.jp", "::1%eth0"}) {
    EXPECT_FALSE(CheckHost(bad).ok()) << bad;
  }
  EXPECT_FALSE(CheckHost(std::string(254, 'a')).ok());
  EXPECT_FALSE(CheckHost(std::string(64, 'a')).ok());
  EXPECT_TRUE(CheckHost(std::string(63, 'a')).ok());
  EXPECT_FALSE(CheckHost(std::string_view("10.0.0.1\0", 9)).ok());
}

TEST(NamesTest, Addresses) {
  const auto parsed = [](std::string_view text) { return ToText(*ParseServerAddress(text)); };
  EXPECT_EQ(parsed("Fed.Example.org"), "fed.example.org:8443");
  EXPECT_EQ(parsed("fed.example.org:1"), "fed.example.org:1");
  EXPECT_EQ(parsed("10.0.0.1:65535"), "10.0.0.1:65535");
  EXPECT_EQ(parsed("[2001:db8::1]"), "[2001:db8::1]:8443");
  EXPECT_EQ(parsed("[::1]:9000"), "[::1]:9000");
  EXPECT_EQ(ParseServerAddress("[::1]:9000")->host, "::1");
  for (const char* bad :
       {"", ":8443", "a:", "a:0", "a:65536", "a:08", "a:-1", "a:1x", "a:99999999999999999999",
        "::1", "[::1", "[a]", "[::1]9", "[::1]:", "[10.0.0.1]:5", "a:1:2"}) {
    EXPECT_EQ(ParseServerAddress(bad).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_THAT(ParseServerAddress("::1").status().ToString(), HasSubstr("brackets"));
}

}  // namespace
}  // namespace manako
