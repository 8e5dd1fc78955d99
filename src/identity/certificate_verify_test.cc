#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "identity/certificate.h"
#include "identity/certificate_testing.h"
#include "identity/testing.h"

namespace manako {
namespace {

using testing::HasSubstr;
using CertificateVerifyTest = FolderTest;

TEST_F(CertificateVerifyTest, TheInvitedServerIsAccepted) {
  const TestFederation f;
  const std::string& pin = f.authority.certificate.fingerprint;
  for (const char* host :
       {"fed.example.org", "FED.example.org", "10.0.0.1", "2001:db8::1", "2001:DB8:0::1"}) {
    const auto ca = VerifyPinnedChain(f.chain(), pin, host, kNow);
    ASSERT_TRUE(ca.ok()) << host << ca.status();
    EXPECT_EQ(ca->pem, f.authority.certificate.pem);
  }
  // Clocks may be a day off, either way.
  EXPECT_TRUE(VerifyPinnedChain(f.chain(), pin, "10.0.0.1", kNow - kDay).ok());
  EXPECT_TRUE(VerifyPinnedChain(f.chain(), pin, "10.0.0.1", kNow + kDay).ok());
}

std::string Refused(const absl::StatusOr<Certificate>& result, absl::StatusCode code) {
  EXPECT_EQ(result.status().code(), code) << result.status();
  EXPECT_EQ(result.status().message().find('\n'), absl::string_view::npos);
  EXPECT_LT(result.status().message().size(), 500u);
  return result.status().ToString();
}

TEST_F(CertificateVerifyTest, OthersAreNot) {
  const TestFederation f;
  const std::string& pin = f.authority.certificate.fingerprint;
  const auto refused = [&](const std::string& chain, std::string_view host = "fed.example.org") {
    return Refused(VerifyPinnedChain(chain, pin, host, kNow), absl::StatusCode::kPermissionDenied);
  };
  // Another federation of the same name.
  const TestFederation g;
  EXPECT_THAT(refused(g.chain()), HasSubstr(g.authority.certificate.fingerprint));
  // Its server behind the right authority's certificate, which anybody has.
  EXPECT_THAT(refused(g.server.pem + f.authority.certificate.pem), HasSubstr("has signed"));
  EXPECT_THAT(refused(g.server.pem + g.authority.certificate.pem + f.authority.certificate.pem),
              HasSubstr("has signed"));
  EXPECT_THAT(refused(f.server.pem), HasSubstr("another authority"));
  // The authority's certificate alone, or in the leaf's place.
  EXPECT_THAT(refused(f.authority.certificate.pem), HasSubstr("not one of a server"));
  EXPECT_THAT(refused(f.authority.certificate.pem + f.server.pem),
              HasSubstr("not one of a server"));
  // A site that would be the server.
  EXPECT_THAT(refused(f.site.pem + f.authority.certificate.pem), HasSubstr("not one of a server"));
  for (const char* host :
       {"other.example.org", "example.org", "a.fed.example.org", "10.0.0.2", "::1"}) {
    const std::string why = refused(f.chain(), host);
    EXPECT_THAT(why, HasSubstr("is for fed.example.org, 10.0.0.1, 2001:db8::1, not for " +
                               std::string(host)));
  }
  // The pin names the leaf.
  Refused(VerifyPinnedChain(f.chain(), f.server.fingerprint, "10.0.0.1", kNow),
          absl::StatusCode::kPermissionDenied);
  Refused(VerifyPinnedChain(f.chain(), "", "10.0.0.1", kNow), absl::StatusCode::kPermissionDenied);
  Refused(VerifyPinnedChain("", pin, "10.0.0.1", kNow), absl::StatusCode::kInvalidArgument);
  Refused(VerifyPinnedChain("junk", pin, "10.0.0.1", kNow), absl::StatusCode::kInvalidArgument);
  Refused(VerifyPinnedChain(f.chain(), pin, "*", kNow), absl::StatusCode::kInvalidArgument);
}

TEST_F(CertificateVerifyTest, SaysHowFarOffAClockIs) {
  const TestFederation f;
  const auto why = [&](absl::Time now) {
    return Refused(
        VerifyPinnedChain(f.chain(), f.authority.certificate.fingerprint, "fed.example.org", now),
        absl::StatusCode::kFailedPrecondition);
  };
  EXPECT_THAT(
      why(kNow - kDay * 5),
      HasSubstr("says 2027-01-10 08:00 UTC, 3 days earlier: set the clock of this machine"));
  EXPECT_THAT(why(kNow - kDay * 2 - absl::Minutes(1)), HasSubstr("1 minute earlier"));
  EXPECT_THAT(why(kNow + kDay * 365 + absl::Hours(5)),
              HasSubstr("the server fed.example.org was valid until 2028-01-15"));
  EXPECT_THAT(why(kNow + kDay * 365 + absl::Hours(5)), HasSubstr("5 hours later"));
}

TEST_F(CertificateVerifyTest, Sites) {
  const TestFederation f;
  const Certificate& ca = f.authority.certificate;
  EXPECT_EQ(*VerifySiteCertificate(f.site, ca, kNow), "east-clinic");
  const TestFederation g;
  EXPECT_EQ(VerifySiteCertificate(g.site, ca, kNow).status().code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(VerifySiteCertificate(f.server, ca, kNow).status().code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(VerifySiteCertificate(ca, ca, kNow).status().code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(VerifySiteCertificate(f.site, ca, kNow + kDay * 91).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(VerifySiteCertificate(f.site, ca, kNow - kDay * 3).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

// Any byte of it changed: it is no certificate, or not a signed one. (A second signature of the
// same content does not exist here.)
TEST_F(CertificateVerifyTest, EveryChangedByteIsFound) {
  const TestFederation f;
  for (size_t i = 0; i < f.site.der.size(); ++i) {
    std::string der = f.site.der;
    der[i] = static_cast<char>(der[i] ^ 1);
    const auto parsed = ParseCertificate(der);
    if (!parsed.ok()) continue;
    EXPECT_FALSE(VerifySiteCertificate(*parsed, f.authority.certificate, kNow).ok()) << i;
  }
}

// Certificates that openssl makes under our authority's key, as a thief of it or a careless
// administrator would.
TEST_F(CertificateVerifyTest, EvenWhatTheAuthorityHasSignedMustFit) {
  MANAKO_NEED_OPENSSL();
  const TestFederation f;
  ASSERT_TRUE(f.authority.key.Save(Path("ca.key")).ok());
  Write("ca.pem", f.authority.certificate.pem);
  const auto sign = [&](const std::string& extensions, const std::string& digest = "-sha256") {
    Write("r.pem", f.request);
    Write("ext", extensions);
    const CommandResult result =
        Openssl("x509 -req " + digest + " -days 9999 -in " + Path("r.pem") + " -CA " +
                Path("ca.pem") + " -CAkey " + Path("ca.key") + " -set_serial 7 -extfile " +
                Path("ext") + " -out " + Path("made.pem"));
    EXPECT_EQ(result.exit_code, 0) << result.output;
    return *ReadFile(Path("made.pem"));
  };
  const std::string common =
      "basicConstraints=critical,CA:FALSE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier="
      "keyid\n";
  const std::string host = "subjectAltName=DNS:fed.example.org\n";
  const absl::Time now = absl::Now() + absl::Hours(1);
  const auto verify = [&](const std::string& leaf) {
    return VerifyPinnedChain(leaf + f.authority.certificate.pem,
                             f.authority.certificate.fingerprint, "fed.example.org",
                             std::max(now, kNow))
        .status();
  };
  EXPECT_TRUE(verify(sign(common + host + "extendedKeyUsage=serverAuth\n")).ok());
  EXPECT_FALSE(verify(sign(common + host)).ok()) << "no purpose is not every purpose";
  EXPECT_FALSE(verify(sign(common + host + "extendedKeyUsage=serverAuth\n", "-sha1")).ok());
  EXPECT_FALSE(
      verify(sign(common + "subjectAltName=DNS:*.example.org\nextendedKeyUsage=serverAuth\n"))
          .ok());
  EXPECT_FALSE(verify(sign("basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier="
                           "hash\nauthorityKeyIdentifier=keyid\n" +
                           host + "extendedKeyUsage=serverAuth\n"))
                   .ok());
  // One site's name, another's URI.
  const auto site = ParseCertificate(
      sign(common + "subjectAltName=URI:manako://site/west\nextendedKeyUsage=clientAuth\n"));
  ASSERT_TRUE(site.ok());
  EXPECT_EQ(
      VerifySiteCertificate(*site, f.authority.certificate, std::max(now, kNow)).status().code(),
      absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace manako
