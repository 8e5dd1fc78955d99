#include "identity/certificate.h"

#include <arpa/inet.h>
#include <openssl/pem.h>

#include <algorithm>
#include <ctime>
#include <optional>

#include "base/hash.h"
#include "identity/names.h"
#include "identity/openssl_types.h"
#include "identity/x509.h"

namespace manako {
namespace {

constexpr size_t kMaxCertificateBytes = 64 << 10;
constexpr size_t kMaxChain = 8;
constexpr std::string_view kSpace = " \t\r\n";

// An encrypted PEM would make OpenSSL ask at the terminal.
int NoPassword(char*, int, int, void*) { return -1; }

std::string Bytes(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<size_t>(ASN1_STRING_length(string))};
}

std::string CommonName(X509* x509) {
  const X509_NAME* name = X509_get_subject_name(x509);
  const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0) return "";
  unsigned char* utf8 = nullptr;
  const int size =
      ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
  std::string text;
  if (size > 0) text.assign(reinterpret_cast<const char*>(utf8), static_cast<size_t>(size));
  OPENSSL_free(utf8);
  return text;
}

absl::Status ReadAlternativeNames(X509* x509, Certificate& certificate) {
  int critical = 0;
  const GeneralNamesPtr names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(x509, NID_subject_alt_name, &critical, nullptr)));
  if (names == nullptr) {
    // -1: there is none. Otherwise there are two, or it is broken.
    if (critical == -1) return absl::OkStatus();
    return InvalidArgument("the certificate's alternative names cannot be read");
  }
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    int type = 0;
    const auto* value = static_cast<const ASN1_STRING*>(
        GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &type));
    if (type == GEN_DNS) certificate.dns_names.push_back(Bytes(value));
    if (type == GEN_URI) certificate.uris.push_back(Bytes(value));
    if (type == GEN_IPADD) {
      const std::string bytes = Bytes(value);
      char text[INET6_ADDRSTRLEN];
      if (bytes.size() != 4 && bytes.size() != 16)
        return InvalidArgument("an IP address of {} bytes", bytes.size());
      inet_ntop(bytes.size() == 4 ? AF_INET : AF_INET6, bytes.data(), text, sizeof text);
      certificate.ip_addresses.emplace_back(text);
    }
  }
  return absl::OkStatus();
}

std::optional<absl::Time> ReadTime(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  return absl::FromTimeT(timegm(&parts));
}

std::string Serial(X509* x509) {
  const BignumPtr number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(x509), nullptr));
  if (number == nullptr) return "";
  char* hex = BN_bn2hex(number.get());
  std::string text = hex != nullptr ? hex : "";
  OPENSSL_free(hex);
  for (char& c : text) c = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

std::string SpkiSha256(X509* x509) {
  unsigned char* bytes = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x509), &bytes);
  std::string hash;
  if (size > 0) hash = Sha256Hex({reinterpret_cast<const char*>(bytes), static_cast<size_t>(size)});
  OPENSSL_free(bytes);
  return hash;
}

// The next PEM certificate; null with an empty queue of errors at the end.
X509Ptr NextPem(BIO* bio) {
  ERR_clear_error();
  X509Ptr x509(PEM_read_bio_X509(bio, nullptr, NoPassword, nullptr));
  if (x509 == nullptr && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
    ERR_clear_error();
  return x509;
}

}  // namespace

absl::StatusOr<Certificate> Describe(X509* x509) {
  Certificate certificate;
  unsigned char* der = nullptr;
  const int size = i2d_X509(x509, &der);
  if (size <= 0) return InvalidArgument("not a certificate: {}", OpensslReason());
  certificate.der.assign(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  const BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), x509);
  certificate.pem = TakeBio(bio.get());
  certificate.fingerprint = Sha256Hex(certificate.der);
  // Makes OpenSSL read the extensions.
  X509_check_purpose(x509, -1, 0);
  const uint32_t flags = X509_get_extension_flags(x509);
  const bool broken = (flags & EXFLAG_INVALID) != 0;
  certificate.is_ca = X509_check_ca(x509) == 1;
  if ((flags & EXFLAG_XKUSAGE) != 0) {
    const uint32_t usage = X509_get_extended_key_usage(x509);
    certificate.for_server = (usage & XKU_SSL_SERVER) != 0;
    certificate.for_client = (usage & XKU_SSL_CLIENT) != 0;
  }
  certificate.common_name = CommonName(x509);
  certificate.serial = Serial(x509);
  certificate.spki_sha256 = SpkiSha256(x509);
  const std::optional<absl::Time> not_before = ReadTime(X509_get0_notBefore(x509));
  const std::optional<absl::Time> not_after = ReadTime(X509_get0_notAfter(x509));
  const absl::Status names = ReadAlternativeNames(x509, certificate);
  ERR_clear_error();
  MANAKO_RETURN_IF_ERROR(names);
  if (broken)
    return InvalidArgument(
        "the certificate has extensions that contradict each other or cannot be read");
  if (!not_before || !not_after) return InvalidArgument("the certificate has no readable dates");
  if (certificate.serial.empty() || certificate.spki_sha256.empty()) {
    return InvalidArgument("the certificate has no readable number or key");
  }
  certificate.not_before = *not_before;
  certificate.not_after = *not_after;
  return certificate;
}

X509Ptr ReadDer(std::string_view der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const auto* end = at + der.size();
  X509Ptr x509(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (x509 != nullptr && at != end) x509.reset();
  return x509;
}

absl::StatusOr<Certificate> ParseCertificate(std::string_view bytes) {
  if (bytes.size() > kMaxCertificateBytes) {
    return InvalidArgument("a certificate has at most {} bytes, but this one has {}",
                           kMaxCertificateBytes, bytes.size());
  }
  // DER begins with the tag of a sequence.
  if (bytes.starts_with('\x30')) {
    const X509Ptr x509 = ReadDer(bytes);
    if (x509 == nullptr) return InvalidArgument("not a certificate: {}", OpensslReason());
    return Describe(x509.get());
  }
  MANAKO_ASSIGN_OR_RETURN(std::vector<Certificate> chain, ParseChain(bytes));
  if (chain.size() != 1)
    return InvalidArgument("one certificate was expected, but there are {}", chain.size());
  return std::move(chain[0]);
}

absl::StatusOr<std::vector<Certificate>> ParseChain(std::string_view pem) {
  if (pem.size() > kMaxChain * kMaxCertificateBytes) {
    return InvalidArgument("a chain of certificates has at most {} bytes, but this one has {}",
                           kMaxChain * kMaxCertificateBytes, pem.size());
  }
  // OpenSSL would pass over anything before, between and behind.
  const size_t begin = pem.find_first_not_of(kSpace);
  const size_t end = pem.find_last_not_of(kSpace);
  constexpr std::string_view kEnd = "-----END CERTIFICATE-----";
  if (begin == std::string_view::npos ||
      !pem.substr(begin).starts_with("-----BEGIN CERTIFICATE-----") ||
      !pem.substr(0, end + 1).ends_with(kEnd)) {
    return InvalidArgument("not a certificate (PEM)");
  }
  const BioPtr bio = ReadingBio(pem);
  std::vector<Certificate> chain;
  while (X509Ptr x509 = NextPem(bio.get())) {
    if (chain.size() == kMaxChain)
      return InvalidArgument("a chain of more than {} certificates", kMaxChain);
    MANAKO_ASSIGN_OR_RETURN(Certificate certificate, Describe(x509.get()));
    chain.push_back(std::move(certificate));
  }
  if (ERR_peek_last_error() != 0)
    return InvalidArgument("not a certificate (PEM): {}", OpensslReason());
  if (chain.empty()) return InvalidArgument("not a certificate (PEM)");
  return chain;
}

bool NeedsRenewal(const Certificate& certificate, absl::Time now) {
  // The time before it was made does not count.
  const absl::Duration life = certificate.not_after - certificate.not_before - kBackdated;
  return certificate.not_after - now < life / 3;
}

absl::Duration UntilNextLook(const Certificate& certificate, absl::Time now) {
  return std::clamp((certificate.not_after - now) / 10, absl::Seconds(1), absl::Hours(6));
}

absl::StatusOr<std::string> SiteOf(const Certificate& certificate) {
  if (!CheckSiteName(certificate.common_name).ok() || certificate.uris.size() != 1 ||
      certificate.uris[0] != SiteUri(certificate.common_name)) {
    return InvalidArgument("the certificate \"{}\" (serial {}) names no site",
                           Printable(certificate.common_name), Printable(certificate.serial));
  }
  return certificate.common_name;
}

std::string SiteUri(std::string_view site) { return fmt::format("manako://site/{}", site); }

}  // namespace manako
