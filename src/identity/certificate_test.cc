#include "identity/certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.h"
#include "identity/certificate_testing.h"
#include "identity/names.h"
#include "identity/testing.h"

namespace manako {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using CertificateTest = FolderTest;

TEST_F(CertificateTest, SayWhatTheyAreMadeFor) {
  const TestFederation f;
  const Certificate& ca = f.authority.certificate;
  EXPECT_EQ(ca.common_name, "Himeji Eye Federation");
  EXPECT_TRUE(ca.is_ca);
  EXPECT_EQ(ca.not_before, kNow - absl::Hours(48));
  EXPECT_EQ(ca.not_after, kNow + kDay * 365 * 20);
  EXPECT_EQ(ca.fingerprint, Sha256Hex(ca.der));
  EXPECT_EQ(ca.spki_sha256, f.authority.key.public_key().SpkiSha256());
  EXPECT_THAT(f.server.dns_names, ElementsAre("fed.example.org"));
  EXPECT_THAT(f.server.ip_addresses, ElementsAre("10.0.0.1", "2001:db8::1"));
  EXPECT_TRUE(f.server.for_server);
  EXPECT_FALSE(f.server.for_client || f.server.is_ca);
  EXPECT_EQ(f.server.not_after, kNow + kDay * 365);
  EXPECT_EQ(f.server.spki_sha256, f.server_key.public_key().SpkiSha256());
  EXPECT_EQ(f.site.common_name, "east-clinic");
  EXPECT_THAT(f.site.uris, ElementsAre("manako://site/east-clinic"));
  EXPECT_THAT(f.site.dns_names, IsEmpty());
  EXPECT_TRUE(f.site.for_client);
  EXPECT_FALSE(f.site.for_server || f.site.is_ca);
  EXPECT_EQ(f.site.not_before, kNow - absl::Hours(48));
  EXPECT_EQ(f.site.not_after, kNow + kDay * 90);
  EXPECT_EQ(f.site.spki_sha256, f.site_key.public_key().SpkiSha256());
  EXPECT_EQ(f.site.serial.size(), 32u);
  EXPECT_NE(f.site.serial, f.server.serial);
  for (const Certificate* certificate : {&ca, &f.server, &f.site}) {
    for (const std::string& bytes :
         {certificate->pem, certificate->der, "\n" + certificate->pem + " \r\n"}) {
      const auto parsed = ParseCertificate(bytes);
      ASSERT_TRUE(parsed.ok()) << parsed.status();
      EXPECT_EQ(parsed->fingerprint, certificate->fingerprint);
      EXPECT_EQ(parsed->pem, certificate->pem);
    }
  }
}

// The request says one thing, the server another: the server decides.
TEST_F(CertificateTest, NothingButTheKeyIsTakenFromARequest) {
  const TestFederation f;
  const Certificate other = *SignSiteRequest(f.authority, f.request, "west-clinic", kNow, kDay);
  EXPECT_EQ(other.common_name, "west-clinic");
  EXPECT_EQ(*SiteOf(other), "west-clinic");
  EXPECT_EQ(other.not_after, kNow + kDay);
  MANAKO_NEED_OPENSSL();
  ASSERT_TRUE(f.site_key.Save(Path("key.pem")).ok());
  ASSERT_EQ(Openssl("req -new -key " + Path("key.pem") + " -out " + Path("evil.csr") +
                    " -subj '/O=Evil/CN=central' -addext basicConstraints=critical,CA:TRUE -addext "
                    "keyUsage=keyCertSign"
                    " -addext subjectAltName=DNS:fed.example.org,URI:manako://site/central -addext "
                    "extendedKeyUsage=serverAuth")
                .exit_code,
            0);
  const auto made = SignSiteRequest(f.authority, *ReadFile(Path("evil.csr")), "east-clinic", kNow);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_FALSE(made->is_ca || made->for_server);
  EXPECT_THAT(made->dns_names, IsEmpty());
  EXPECT_THAT(made->uris, ElementsAre("manako://site/east-clinic"));
  EXPECT_EQ(*VerifySiteCertificate(*made, f.authority.certificate, kNow), "east-clinic");
  EXPECT_THAT(Openssl("x509 -noout -text -in " + Write("made.pem", made->pem)).output,
              Not(HasSubstr("Evil")));
}

TEST_F(CertificateTest, RequestsThatAreRefused) {
  const TestFederation f;
  const auto code = [&](const std::string& request) {
    return SignSiteRequest(f.authority, request, "east-clinic", kNow).status();
  };
  EXPECT_EQ(code("").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(f.server.pem).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(std::string(1 << 20, 'x')).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(SignSiteRequest(f.authority, f.request, "East", kNow).ok());
  EXPECT_FALSE(SignSiteRequest(f.authority, f.request, "east-clinic", kNow, -kDay).ok());
  MANAKO_NEED_OPENSSL();
  for (const char* key :
       {"genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048", "genpkey -algorithm ed25519",
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384"}) {
    ASSERT_EQ(Openssl(std::string(key) + " -out " + Path("k")).exit_code, 0);
    ASSERT_EQ(Openssl("req -new -key " + Path("k") + " -subj /CN=x -out " + Path("r")).exit_code,
              0);
    EXPECT_THAT(code(*ReadFile(Path("r"))).ToString(), HasSubstr("P-256")) << key;
  }
  // Somebody else's key in a request of one's own: the signature is by another.
  ASSERT_EQ(Openssl("req -in " + Write("r.pem", f.request) + " -outform DER -out " + Path("r.der"))
                .exit_code,
            0);
  std::string der = *ReadFile(Path("r.der"));
  const std::string mine = f.site_key.public_key().ToDer();
  const std::string another = PrivateKey::Generate()->public_key().ToDer();
  const size_t at = der.find(mine);
  ASSERT_NE(at, std::string::npos);
  der.replace(at, mine.size(), another);
  Write("forged.der", der);
  ASSERT_EQ(Openssl("req -inform DER -in " + Path("forged.der") + " -out " + Path("forged.pem"))
                .exit_code,
            0);
  EXPECT_THAT(code(*ReadFile(Path("forged.pem"))).ToString(),
              HasSubstr("not signed with its own key"));
}

TEST_F(CertificateTest, AnAuthorityMustFitItsKeyAndBeValid) {
  TestFederation f;
  CertificateAuthority wrong{f.authority.certificate, f.site_key};
  EXPECT_EQ(SignSiteRequest(wrong, f.request, "a", kNow).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(SignSiteRequest(f.authority, f.request, "a", kNow + kDay * 365 * 21).status().code(),
            absl::StatusCode::kFailedPrecondition);
  // Nothing is valid for longer than its authority.
  const auto late = SignSiteRequest(f.authority, f.request, "a", kNow + kDay * (365 * 20 - 5));
  ASSERT_TRUE(late.ok());
  EXPECT_EQ(late->not_after, f.authority.certificate.not_after);
}

TEST_F(CertificateTest, WhatCannotBeInACertificateIsRefused) {
  const TestFederation f;
  for (const char* name : {"", "a\nb", "\xff"})
    EXPECT_FALSE(MakeFederationCa(f.site_key, name, kNow).ok());
  std::string longest;
  for (int i = 0; i < 64; ++i) longest += "眼";
  const auto ca = MakeFederationCa(f.site_key, longest, kNow);
  ASSERT_TRUE(ca.ok()) << ca.status();
  EXPECT_EQ(ca->common_name, longest);
  for (const char* host : {"", "*.example.org", "a,DNS:b", "a b", "10.0.0.0/8"}) {
    const std::vector<std::string> hosts = {host};
    EXPECT_FALSE(MakeServerCertificate(f.authority, f.server_key.public_key(), hosts, kNow).ok())
        << host;
  }
  EXPECT_FALSE(MakeServerCertificate(f.authority, f.server_key.public_key(), {}, kNow).ok());
  const std::vector<std::string> longest_host = {std::string(63, 'a') + "." + std::string(63, 'b') +
                                                 "." + std::string(63, 'c')};
  EXPECT_TRUE(
      MakeServerCertificate(f.authority, f.server_key.public_key(), longest_host, kNow).ok());
}

TEST_F(CertificateTest, RenewalComesWithTheLastThird) {
  Certificate certificate;
  certificate.not_before = kNow - kBackdated;
  certificate.not_after = kNow + kDay * 90;
  EXPECT_FALSE(NeedsRenewal(certificate, kNow));
  EXPECT_FALSE(NeedsRenewal(certificate, kNow + kDay * 60));
  EXPECT_TRUE(NeedsRenewal(certificate, kNow + kDay * 60 + absl::Seconds(1)));
  EXPECT_TRUE(NeedsRenewal(certificate, kNow + kDay * 100));
}

TEST_F(CertificateTest, NotACertificate) {
  const TestFederation f;
  for (const std::string& bytes :
       {std::string(), std::string("\x30"), f.request, f.server.pem.substr(0, 200),
        f.server.der + "x", "hello " + f.server.pem, f.server.pem + "hello",
        f.server.pem + f.server.pem, std::string(1 << 20, '\x30')}) {
    EXPECT_EQ(ParseCertificate(bytes).status().code(), absl::StatusCode::kInvalidArgument);
  }
  for (size_t size = 0; size < f.server.der.size(); ++size) {
    ASSERT_FALSE(ParseCertificate(f.server.der.substr(0, size)).ok()) << size;
  }
  std::string many;
  for (int i = 0; i < 8; ++i) many += f.server.pem;
  EXPECT_EQ(ParseChain(many)->size(), 8u);
  EXPECT_FALSE(ParseChain(many + f.server.pem).ok());
  std::string broken = f.server.pem + f.authority.certificate.pem;
  broken[f.server.pem.size() + 100] = '!';
  EXPECT_FALSE(ParseChain(broken).ok());
}

TEST_F(CertificateTest, OpensslReadsTheSame) {
  MANAKO_NEED_OPENSSL();
  const TestFederation f;
  const std::string ca = Write("ca.pem", f.authority.certificate.pem);
  const std::string server = Write("server.pem", f.server.pem);
  const std::string site = Write("site.pem", f.site.pem);
  const std::string text = Openssl("x509 -noout -text -in " + ca).output;
  for (const char* part :
       {"CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign", "CN = Himeji Eye Federation"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  const std::string server_text = Openssl("x509 -noout -text -in " + server).output;
  for (const char* part : {"CA:FALSE", "TLS Web Server Authentication",
                           "DNS:fed.example.org, IP Address:10.0.0.1", "Digital Signature"}) {
    EXPECT_THAT(server_text, HasSubstr(part));
  }
  EXPECT_THAT(Openssl("x509 -noout -text -in " + site).output,
              HasSubstr("URI:manako://site/east-clinic"));
  for (const auto& [file, certificate] :
       {std::pair{ca, &f.authority.certificate}, {server, &f.server}, {site, &f.site}}) {
    std::string fingerprint = Openssl("x509 -noout -fingerprint -sha256 -in " + file).output;
    std::erase_if(fingerprint, [](char c) { return c == ':' || c == '\n'; });
    for (char& c : fingerprint) c = static_cast<char>(tolower(c));
    EXPECT_THAT(fingerprint, HasSubstr(certificate->fingerprint));
    std::string serial = Openssl("x509 -noout -serial -in " + file).output;
    for (char& c : serial) c = static_cast<char>(tolower(c));
    EXPECT_EQ(serial, "serial=" + certificate->serial + "\n");
    std::string seconds = Openssl("x509 -noout -enddate -dateopt iso_8601 -in " + file).output;
    EXPECT_EQ(seconds, absl::FormatTime("notAfter=%Y-%m-%d %H:%M:%SZ\n", certificate->not_after,
                                        absl::UTCTimeZone()));
  }
  EXPECT_THAT(Openssl("req -noout -verify -subject -in " + Write("r.pem", f.request)).output,
              HasSubstr("verify OK"));
  const std::string at = " -x509_strict -attime 1800000000 -CAfile " + ca + " ";
  EXPECT_EQ(
      Openssl("verify -purpose sslserver -verify_hostname fed.example.org" + at + server).exit_code,
      0);
  EXPECT_EQ(Openssl("verify -purpose sslserver -verify_ip 2001:db8::1" + at + server).exit_code, 0);
  EXPECT_NE(Openssl("verify -purpose sslclient" + at + server).exit_code, 0);
  EXPECT_EQ(Openssl("verify -purpose sslclient" + at + site).exit_code, 0);
  EXPECT_NE(Openssl("verify -purpose sslserver" + at + site).exit_code, 0);
}

}  // namespace
}  // namespace manako
