#include <openssl/pem.h>

#include <algorithm>

#include "identity/certificate.h"
#include "identity/names.h"
#include "identity/openssl_types.h"
#include "identity/random_token.h"
#include "identity/x509.h"

namespace manako {
namespace {

constexpr size_t kMaxRequestBytes = 16 << 10;

int NoPassword(char*, int, int, void*) { return -1; }

bool AddCommonName(X509_NAME* name, std::string_view text) {
  return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(text.data()),
                                    static_cast<int>(text.size()), -1, 0) == 1;
}

// 128 bits with the highest set, so that all are written alike. Nobody can guess the next one, and
// two never meet.
bool SetRandomSerial(X509* x509) {
  std::string bytes = RandomBytes(16);
  bytes[0] = static_cast<char>(bytes[0] | 0x80);
  const BignumPtr number(
      BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), 16, nullptr));
  return number != nullptr &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(x509)) != nullptr;
}

// `value` is one of our own texts: OpenSSL would read a language in it.
bool AddExtension(X509* x509, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, x509, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  return extension != nullptr && X509_add_ext(x509, extension.get(), -1) == 1;
}

// Takes `value`.
bool AddName(GENERAL_NAMES* names, int type, ASN1_STRING* value) {
  GeneralNamePtr name(GENERAL_NAME_new());
  if (name == nullptr || value == nullptr) {
    ASN1_STRING_free(value);
    return false;
  }
  GENERAL_NAME_set0_value(name.get(), type, value);
  if (sk_GENERAL_NAME_push(names, name.get()) <= 0) return false;
  (void)name.release();
  return true;
}

bool AddText(GENERAL_NAMES* names, int type, std::string_view text) {
  ASN1_STRING* value = ASN1_IA5STRING_new();
  if (value != nullptr && ASN1_STRING_set(value, text.data(), static_cast<int>(text.size())) != 1) {
    ASN1_STRING_free(value);
    return false;
  }
  return AddName(names, type, value);
}

struct Content {
  std::string_view common_name;
  EVP_PKEY* key;
  absl::Time not_before, not_after;
};

X509Ptr Begin(const Content& content) {
  X509Ptr x509(X509_new());
  if (x509 == nullptr || X509_set_version(x509.get(), X509_VERSION_3) != 1 ||
      !SetRandomSerial(x509.get()) ||
      ASN1_TIME_set(X509_getm_notBefore(x509.get()), absl::ToTimeT(content.not_before)) ==
          nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(x509.get()), absl::ToTimeT(content.not_after)) == nullptr ||
      X509_set_pubkey(x509.get(), content.key) != 1 ||
      !AddCommonName(X509_get_subject_name(x509.get()), content.common_name)) {
    return nullptr;
  }
  return x509;
}

// What the server's and the sites' certificates have in common.
absl::StatusOr<Certificate> Issue(const CertificateAuthority& authority, const PublicKey& key,
                                  std::string_view common_name, const char* usage,
                                  GENERAL_NAMES* names, absl::Time now, absl::Duration validity) {
  const X509Ptr issuer = ReadDer(authority.certificate.der);
  if (issuer == nullptr || X509_check_private_key(issuer.get(), authority.key.handle()) != 1) {
    ERR_clear_error();
    return FailedPrecondition(
        "the authority's key is not that of its certificate \"{}\": put the right pair back from "
        "the backup",
        Printable(authority.certificate.common_name));
  }
  if (validity <= absl::ZeroDuration())
    return InvalidArgument("a certificate's validity must be above 0");
  if (now >= authority.certificate.not_after) {
    return FailedPrecondition(
        "the federation's authority was valid until {}, so it signs nothing more: set this "
        "machine's clock if "
        "it is wrong, or found the federation anew",
        absl::FormatTime(authority.certificate.not_after, absl::UTCTimeZone()));
  }
  const X509Ptr x509 = Begin({common_name, key.handle(), now - kBackdated,
                              std::min(now + validity, authority.certificate.not_after)});
  if (x509 == nullptr ||
      X509_set_issuer_name(x509.get(), X509_get_subject_name(issuer.get())) != 1 ||
      !AddExtension(x509.get(), issuer.get(), NID_basic_constraints, "critical,CA:FALSE") ||
      !AddExtension(x509.get(), issuer.get(), NID_key_usage, "critical,digitalSignature") ||
      !AddExtension(x509.get(), issuer.get(), NID_ext_key_usage, usage) ||
      !AddExtension(x509.get(), issuer.get(), NID_subject_key_identifier, "hash") ||
      !AddExtension(x509.get(), issuer.get(), NID_authority_key_identifier, "keyid:always") ||
      X509_add1_ext_i2d(x509.get(), NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) != 1 ||
      X509_sign(x509.get(), authority.key.handle(), EVP_sha256()) == 0) {
    return OpensslFailed("cannot make a certificate");
  }
  return Describe(x509.get());
}

}  // namespace

absl::StatusOr<Certificate> MakeFederationCa(const PrivateKey& key,
                                             std::string_view federation_name, absl::Time now) {
  MANAKO_RETURN_IF_ERROR(CheckFederationName(federation_name));
  const X509Ptr x509 = Begin({federation_name, key.handle(), now - kBackdated, now + kCaValidity});
  if (x509 == nullptr || X509_set_issuer_name(x509.get(), X509_get_subject_name(x509.get())) != 1 ||
      !AddExtension(x509.get(), x509.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !AddExtension(x509.get(), x509.get(), NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !AddExtension(x509.get(), x509.get(), NID_subject_key_identifier, "hash") ||
      X509_sign(x509.get(), key.handle(), EVP_sha256()) == 0) {
    return OpensslFailed("cannot make the authority's certificate");
  }
  return Describe(x509.get());
}

absl::StatusOr<Certificate> MakeServerCertificate(const CertificateAuthority& authority,
                                                  const PublicKey& key,
                                                  std::span<const std::string> hosts,
                                                  absl::Time now, absl::Duration validity) {
  if (hosts.empty()) return InvalidArgument("a server's certificate needs at least one host");
  const GeneralNamesPtr names(GENERAL_NAMES_new());
  for (const std::string& host : hosts) {
    MANAKO_RETURN_IF_ERROR(CheckHost(host));
    const bool added = IsIpAddress(host)
                           ? AddName(names.get(), GEN_IPADD, a2i_IPADDRESS(host.c_str()))
                           : AddText(names.get(), GEN_DNS, host);
    if (!added) return OpensslFailed("cannot put a host into a certificate");
  }
  return Issue(authority, key, "manako server", "serverAuth", names.get(), now, validity);
}

absl::StatusOr<std::string> MakeSiteRequest(const PrivateKey& key, std::string_view site) {
  MANAKO_RETURN_IF_ERROR(CheckSiteName(site));
  const X509ReqPtr request(X509_REQ_new());
  if (request == nullptr || X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1 ||
      X509_REQ_set_pubkey(request.get(), key.handle()) != 1 ||
      !AddCommonName(X509_REQ_get_subject_name(request.get()), site) ||
      X509_REQ_sign(request.get(), key.handle(), EVP_sha256()) == 0) {
    return OpensslFailed("cannot make a certificate request");
  }
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509_REQ(bio.get(), request.get()) != 1)
    return OpensslFailed("cannot write a certificate request");
  return TakeBio(bio.get());
}

absl::StatusOr<PublicKey> CheckSiteRequest(std::string_view request_pem) {
  if (request_pem.size() > kMaxRequestBytes) {
    return InvalidArgument("a certificate request has at most {} bytes, but this one has {}",
                           kMaxRequestBytes, request_pem.size());
  }
  const BioPtr bio = ReadingBio(request_pem);
  const X509ReqPtr request(PEM_read_bio_X509_REQ(bio.get(), nullptr, NoPassword, nullptr));
  if (request == nullptr)
    return InvalidArgument("not a certificate request (PEM): {}", OpensslReason());
  // First the kind of key: others could make the check of the signature as slow as they like.
  EVP_PKEY* handle = X509_REQ_get0_pubkey(request.get());
  ERR_clear_error();
  const absl::StatusOr<PublicKey> key = PublicKey::FromHandle(handle);
  if (!key.ok()) return Annotate(key.status(), "the certificate request's key");
  if (X509_REQ_verify(request.get(), handle) != 1) {
    ERR_clear_error();
    return InvalidArgument(
        "the certificate request is not signed with its own key: its sender does not have the "
        "private key, or "
        "it was changed on the way");
  }
  return *key;
}

absl::StatusOr<Certificate> SignSiteRequest(const CertificateAuthority& authority,
                                            std::string_view request_pem, std::string_view site,
                                            absl::Time now, absl::Duration validity) {
  MANAKO_RETURN_IF_ERROR(CheckSiteName(site));
  MANAKO_ASSIGN_OR_RETURN(const PublicKey key, CheckSiteRequest(request_pem));
  const GeneralNamesPtr names(GENERAL_NAMES_new());
  if (!AddText(names.get(), GEN_URI, SiteUri(site)))
    return OpensslFailed("cannot put a site into a certificate");
  return Issue(authority, key, site, "clientAuth", names.get(), now, validity);
}

}  // namespace manako
