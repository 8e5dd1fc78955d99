#include "identity/invitation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.h"
#include "identity/random_token.h"

namespace manako {
namespace {

using testing::HasSubstr;

Invitation Example() {
  return {.server = {"fed.example.org", 8443},
          .site = "east-clinic",
          .ca_sha256 = Sha256Hex("authority"),
          .token = std::string(32, '\x5a'),
          .federation_name = "姫路 Eye/Federation"};
}

// The line with a checksum that fits, as a hostile program would write it.
std::string WithCheck(const std::string& text) {
  const Sha256Digest digest = Sha256(text);
  return text + ToBase64Url({reinterpret_cast<const char*>(digest.data()), 6});
}

TEST(InvitationTest, GoesThereAndBack) {
  for (const char* server : {"fed.example.org:8443", "10.0.0.1:1", "[2001:db8::1]:9000"}) {
    for (const char* name : {"", "Himeji Eye Federation", "姫路眼科連合"}) {
      Invitation invitation = Example();
      invitation.server = *ParseServerAddress(server);
      invitation.federation_name = name;
      const auto text = FormatInvitation(invitation);
      ASSERT_TRUE(text.ok()) << text.status();
      const auto parsed = ParseInvitation("  " + *text + "\r\n");
      ASSERT_TRUE(parsed.ok()) << parsed.status();
      EXPECT_EQ(*parsed, invitation);
      EXPECT_EQ(text->find_first_of(" \t\n?&*$;|<>'\"`\\(){}!#~="), std::string::npos)
          << "a shell would read " << *text;
    }
  }
}

TEST(InvitationTest, IsThisLine) {
  // Frozen: invitations are stored in people's mail.
  EXPECT_EQ(
      *FormatInvitation(Example()),
      "manako://fed.example.org:8443/v1/east-clinic/j3b9UBu2jvcfTidrwo8pvOEAOwwsnZR43oG1v8DN4ek/"
      "WlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo/%E5%A7%AB%E8%B7%AF%20Eye%2FFederation/j86Sp9sB");
}

TEST(InvitationTest, DefaultPort) {
  std::string text = *FormatInvitation(Example());
  text = text.substr(0, text.rfind('/') + 1);
  text.replace(text.find(":8443"), 5, "");
  EXPECT_EQ(*ParseInvitation(WithCheck(text)), Example());
}

TEST(InvitationTest, EveryTruncationSaysSo) {
  const std::string text = *FormatInvitation(Example());
  for (size_t size = std::string("manako://fed").size(); size < text.size(); ++size) {
    const absl::Status status = ParseInvitation(text.substr(0, size)).status();
    ASSERT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << size;
    // Where the version is what was cut, it may look like another one.
    if (text.substr(0, size).ends_with("/v")) continue;
    EXPECT_THAT(status.ToString(), HasSubstr("cut off")) << text.substr(0, size);
  }
}

TEST(InvitationTest, EveryTypoIsFound) {
  const std::string text = *FormatInvitation(Example());
  for (size_t i = 0; i < text.size(); ++i) {
    for (const char c : {'a', 'Z', '0', '-', '/', ' ', '\n', '\xe2', '\0'}) {
      std::string changed = text;
      if (changed[i] == c) continue;
      changed[i] = c;
      if (i + 1 == text.size() && (c == ' ' || c == '\n')) continue;  // that is a truncation
      const absl::Status status = ParseInvitation(changed).status();
      ASSERT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << i << " to " << c;
      EXPECT_EQ(status.message().find("WlpaWlpa"), absl::string_view::npos)
          << "the token is in " << status;
    }
    std::string without = text;
    without.erase(i, 1);
    ASSERT_FALSE(ParseInvitation(without).ok());
    std::string twice = text;
    twice.insert(i, 1, text[i]);
    ASSERT_FALSE(ParseInvitation(twice).ok());
  }
}

TEST(InvitationTest, SaysWhatIsWrong) {
  const std::string text = *FormatInvitation(Example());
  const auto why = [](const std::string& wrong) {
    return ParseInvitation(wrong).status().ToString();
  };
  EXPECT_THAT(why(""), HasSubstr("empty"));
  EXPECT_THAT(why("https://fed.example.org"), HasSubstr("begins with manako://"));
  EXPECT_THAT(why(text.substr(0, 60) + "\n" + text.substr(60)),
              HasSubstr("line end after 60 characters"));
  EXPECT_THAT(why("manako://a/v2/x"), HasSubstr("version \"v2\""));
  std::string typo = text;
  typo[70] = typo[70] == 'A' ? 'B' : 'A';
  EXPECT_THAT(why(typo), HasSubstr("checksum"));
  EXPECT_THAT(why(std::string(100000, 'x')), HasSubstr("begins with"));
  EXPECT_THAT(why("manako://" + std::string(100000, 'x')), HasSubstr("at most 2000"));
}

TEST(InvitationTest, AFittingChecksumIsNotEnough) {
  const std::string authority(43, 'A'), token(43, 'A');
  const auto line = [&](const std::string& server, const std::string& site, const std::string& ca,
                        const std::string& secret, const std::string& name) {
    return WithCheck("manako://" + server + "/v1/" + site + "/" + ca + "/" + secret + "/" + name +
                     "/");
  };
  EXPECT_TRUE(ParseInvitation(line("a", "s", authority, token, "")).ok());
  EXPECT_FALSE(ParseInvitation(line("", "s", authority, token, "")).ok());
  EXPECT_FALSE(ParseInvitation(line("a:0", "s", authority, token, "")).ok());
  EXPECT_FALSE(ParseInvitation(line("user@a", "s", authority, token, "")).ok());
  EXPECT_FALSE(ParseInvitation(line("a", "..", authority, token, "")).ok());
  EXPECT_FALSE(ParseInvitation(line("a", "", authority, token, "")).ok());
  EXPECT_FALSE(ParseInvitation(line("a", "s", std::string(42, 'A'), token, "")).ok());
  EXPECT_FALSE(ParseInvitation(line("a", "s", std::string(42, 'A') + "B", token, "")).ok());
  EXPECT_FALSE(ParseInvitation(line("a", "s", authority, std::string(22, 'A'), "")).ok());
  EXPECT_FALSE(ParseInvitation(line("a", "s", authority, "", "")).ok());
  for (const char* name :
       {"%", "%4", "%zz", "%41", "%0A", "%FF", "%e5%a7%ab", "a+b", "%20a", "%1B%5B2J"}) {
    EXPECT_FALSE(ParseInvitation(line("a", "s", authority, token, name)).ok()) << name;
  }
  EXPECT_FALSE(ParseInvitation(WithCheck("manako://a/s/" + authority + "/" + token + "//x/")).ok());
  EXPECT_FALSE(
      ParseInvitation(WithCheck("manako://a/v1/s/" + authority + "/" + token + "//x/")).ok());
}

TEST(InvitationTest, IsNotWrittenWithWrongFields) {
  const auto refused = [](auto change) {
    Invitation invitation = Example();
    change(invitation);
    return !FormatInvitation(invitation).ok();
  };
  EXPECT_FALSE(refused([](Invitation&) {}));
  EXPECT_TRUE(refused([](Invitation& i) { i.site = "East"; }));
  EXPECT_TRUE(refused([](Invitation& i) { i.server.host = "a/b"; }));
  EXPECT_TRUE(refused([](Invitation& i) { i.server.host = "UPPER"; }));
  EXPECT_TRUE(refused([](Invitation& i) { i.server.port = 0; }));
  EXPECT_TRUE(refused([](Invitation& i) { i.ca_sha256 = "abc"; }));
  EXPECT_TRUE(refused([](Invitation& i) { i.ca_sha256[0] = 'G'; }));
  EXPECT_TRUE(refused([](Invitation& i) { i.token.pop_back(); }));
  EXPECT_TRUE(refused([](Invitation& i) { i.federation_name = "a\nb"; }));
}

TEST(InvitationTest, TheHashIsNotTheToken) {
  const std::string token = NewInvitationToken();
  EXPECT_EQ(token.size(), 32u);
  EXPECT_NE(token, NewInvitationToken());
  EXPECT_EQ(TokenHash(token), Sha256Hex("manako invitation token v1\n" + token));
  EXPECT_NE(TokenHash("a"), TokenHash("b"));
}

}  // namespace
}  // namespace manako
