// What the fuzz targets do with hostile bytes, and the corpus test does again. Each aborts when
// something that was accepted is not what the headers promise.
#ifndef MANAKO_IDENTITY_FUZZ_BODIES_H_
#define MANAKO_IDENTITY_FUZZ_BODIES_H_

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "identity/certificate.h"
#include "identity/invitation.h"
#include "identity/random_token.h"
#include "identity/signed_log.h"

namespace manako {

inline void MustBe(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

// Base64 in lines between BEGIN and END: the fuzzer writes DER, which it can change to some
// purpose.
inline std::string ArmourForFuzz(std::string_view der, const std::string& label) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string pem = "-----BEGIN " + label + "-----\n";
  for (size_t i = 0; i < der.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; ++k)
      bits = bits << 8 | (i + k < der.size() ? static_cast<uint8_t>(der[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k)
      pem.push_back(i + k <= der.size() ? kDigits[bits >> (18 - 6 * k) & 63] : '=');
    if (i % 48 == 45) pem.push_back('\n');
  }
  return pem + (pem.back() == '\n' ? "" : "\n") + "-----END " + label + "-----\n";
}

inline void CheckOneLine(const absl::Status& status) {
  for (const char c : status.message())
    MustBe(c >= ' ' && c != '\x7f', "a message of one printable line");
}

inline void FuzzCertificate(std::string_view bytes) {
  const absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  const auto certificate = ParseCertificate(bytes);
  CheckOneLine(certificate.status());
  if (certificate.ok()) {
    const auto again = ParseCertificate(certificate->der);
    MustBe(again.ok() && again->fingerprint == certificate->fingerprint &&
               again->pem == certificate->pem,
           "one reading");
    MustBe(certificate->fingerprint == Sha256Hex(certificate->der), "the fingerprint of the DER");
    (void)NeedsRenewal(*certificate, now);
    CheckOneLine(SiteOf(*certificate).status());
    CheckOneLine(VerifySiteCertificate(*certificate, *certificate, now).status());
    CheckOneLine(
        VerifyPinnedChain(certificate->pem, certificate->fingerprint, "fed.example.org", now)
            .status());
  }
  const auto chain = ParseChain(bytes);
  CheckOneLine(chain.status());
  if (chain.ok()) {
    CheckOneLine(VerifyPinnedChain(bytes, chain->back().fingerprint, "10.0.0.1", now).status());
    CheckOneLine(VerifyPinnedChain(bytes, "", "10.0.0.1", now).status());
  }
  CheckOneLine(ParseChain(ArmourForFuzz(bytes, "CERTIFICATE")).status());
  CheckOneLine(CheckSiteRequest(bytes).status());
  CheckOneLine(CheckSiteRequest(ArmourForFuzz(bytes, "CERTIFICATE REQUEST")).status());
  const auto key = PublicKey::Parse(bytes);
  CheckOneLine(key.status());
  if (key.ok())
    MustBe(PublicKey::Parse(key->ToDer())->SpkiSha256() == key->SpkiSha256(),
           "one reading of a key");
  CheckOneLine(PrivateKey::FromPem(bytes).status());
}

inline void FuzzInvitation(std::string_view bytes) {
  // No fuzzer guesses a checksum.
  const std::string covered(bytes);
  const Sha256Digest digest = Sha256(covered);
  for (const std::string& text :
       {covered, covered + ToBase64Url({reinterpret_cast<const char*>(digest.data()), 6})}) {
    const auto invitation = ParseInvitation(text);
    CheckOneLine(invitation.status());
    if (!invitation.ok()) continue;
    const auto written = FormatInvitation(*invitation);
    MustBe(written.ok(), "what can be read can be written");
    MustBe(*ParseInvitation(*written) == *invitation, "one reading");
  }
}

inline void FuzzSignedLog(std::string_view bytes) {
  static const PrivateKey* key = new PrivateKey(*PrivateKey::Generate());
  static const PublicKey* public_key = new PublicKey(key->public_key());
  // Signatures and hashes are not guessed either: without a key, and each first line signed for it.
  LogVerifier verifier(nullptr);
  LogVerifier with_key(public_key);
  bool going_on = true;
  for (size_t begin = 0; begin <= bytes.size() && going_on;) {
    const std::string_view line = bytes.substr(begin, bytes.find('\n', begin) - begin);
    begin += line.size() + 1;
    nlohmann::ordered_json content;
    const absl::Status status = verifier.Next(line, &content);
    CheckOneLine(status);
    going_on = status.ok();
    if (going_on) {
      MustBe(content.at("seq").get<int64_t>() == verifier.head().seq, "lines count from 1");
      MustBe(content.dump() == line, "one spelling");
    }
    const size_t sig = line.rfind(",\"sig\":\"");
    std::string body = std::string(line.substr(0, sig));
    if (sig != std::string_view::npos) body += "}";
    if (body.empty() || body.size() > kMaxLogLineBytes) continue;
    const auto signature = key->Sign(body);
    body.pop_back();
    CheckOneLine(with_key.Next(body + ",\"sig\":\"" + ToBase64Url(*signature) + "\"}"));
  }
}

}  // namespace manako

#endif  // MANAKO_IDENTITY_FUZZ_BODIES_H_
