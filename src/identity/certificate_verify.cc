#include <openssl/x509_vfy.h>

#include <algorithm>

#include "identity/certificate.h"
#include "identity/names.h"
#include "identity/openssl_types.h"
#include "identity/x509.h"

namespace manako {
namespace {

std::string Date(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M UTC", time, absl::UTCTimeZone());
}

// "3 days", "5 hours", "1 minute".
std::string About(absl::Duration duration) {
  duration = absl::AbsDuration(duration);
  const auto count = [&](absl::Duration unit, std::string_view name) {
    const int64_t n =
        std::max<int64_t>(1, absl::IDivDuration(duration + unit / 2, unit, &duration));
    return fmt::format("{} {}{}", n, name, n == 1 ? "" : "s");
  };
  if (duration >= absl::Hours(36)) return count(absl::Hours(24), "day");
  if (duration >= absl::Minutes(90)) return count(absl::Hours(1), "hour");
  return count(absl::Minutes(1), "minute");
}

// Dates apart from OpenSSL's, which names one error and no numbers.
absl::Status CheckDates(const Certificate& certificate, std::string_view whose, absl::Time now) {
  if (now < certificate.not_before) {
    return FailedPrecondition(
        "the certificate of {} is valid from {} on, but the clock of this machine says {}, {} "
        "earlier: set the clock of this "
        "machine (or of the one that made the certificate)",
        whose, Date(certificate.not_before), Date(now), About(certificate.not_before - now));
  }
  if (now > certificate.not_after) {
    return FailedPrecondition(
        "the certificate of {} was valid until {}, but the clock of this machine says {}, {} "
        "later: if the clock is right, a new "
        "certificate is needed",
        whose, Date(certificate.not_after), Date(now), About(now - certificate.not_after));
  }
  return absl::OkStatus();
}

std::string HostsOf(const Certificate& certificate) {
  std::string text;
  for (const auto* names : {&certificate.dns_names, &certificate.ip_addresses}) {
    for (const std::string& name : *names) text += (text.empty() ? "" : ", ") + Printable(name);
  }
  return text.empty() ? "no host" : text.substr(0, 300);
}

struct Expected {
  int purpose;             // X509_PURPOSE_...
  std::string_view host;   // empty: none
  std::string_view whose;  // for messages
};

absl::Status VerifyUnder(const Certificate& leaf, const Certificate& authority,
                         const Expected& expected, absl::Time now) {
  const bool for_server = expected.purpose == X509_PURPOSE_SSL_SERVER;
  // OpenSSL takes a certificate that states no purpose for one of any.
  if (leaf.is_ca || !(for_server ? leaf.for_server : leaf.for_client)) {
    return absl::PermissionDeniedError(fmt::format("the certificate of {} is not one of a {}",
                                                   expected.whose, for_server ? "server" : "site"));
  }
  const X509Ptr leaf_x509 = ReadDer(leaf.der);
  X509Ptr authority_x509 = ReadDer(authority.der);
  const X509StorePtr store(X509_STORE_new());
  const X509StoreContextPtr context(X509_STORE_CTX_new());
  // No further certificates: between the authority and the others there is nothing.
  if (leaf_x509 == nullptr || authority_x509 == nullptr || store == nullptr || context == nullptr ||
      X509_STORE_add_cert(store.get(), authority_x509.get()) != 1 ||
      X509_STORE_CTX_init(context.get(), store.get(), leaf_x509.get(), nullptr) != 1) {
    return OpensslFailed("cannot check a certificate");
  }
  X509_VERIFY_PARAM* param = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
  X509_VERIFY_PARAM_set_auth_level(param, 2);  // 112 bits: no SHA-1, no short keys
  X509_VERIFY_PARAM_set_time(param, absl::ToTimeT(now));
  X509_VERIFY_PARAM_set_purpose(param, expected.purpose);
  if (!expected.host.empty()) {
    X509_VERIFY_PARAM_set_hostflags(
        param, X509_CHECK_FLAG_NO_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    const bool set =
        IsIpAddress(expected.host)
            ? X509_VERIFY_PARAM_set1_ip_asc(param, std::string(expected.host).c_str()) == 1
            : X509_VERIFY_PARAM_set1_host(param, expected.host.data(), expected.host.size()) == 1;
    if (!set) return OpensslFailed("cannot check a certificate's host");
  }
  const bool verified = X509_verify_cert(context.get()) == 1;
  const int error = X509_STORE_CTX_get_error(context.get());
  ERR_clear_error();
  if (verified) return absl::OkStatus();
  switch (error) {
    case X509_V_ERR_CERT_NOT_YET_VALID:
    case X509_V_ERR_CERT_HAS_EXPIRED:
      MANAKO_RETURN_IF_ERROR(CheckDates(authority, "the federation's authority", now));
      MANAKO_RETURN_IF_ERROR(CheckDates(leaf, expected.whose, now));
      break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return absl::PermissionDeniedError(
          fmt::format("the server's certificate is for {}, not for {}: use one of these, or have "
                      "the central hospital add this one",
                      HostsOf(leaf), expected.host));
    default:
      break;
  }
  return absl::PermissionDeniedError(fmt::format(
      "the certificate of {} is not one that this federation's authority has signed ({})",
      expected.whose, X509_verify_cert_error_string(error)));
}

}  // namespace

absl::StatusOr<Certificate> VerifyPinnedChain(std::string_view chain_pem,
                                              std::string_view ca_sha256, std::string_view host,
                                              absl::Time now) {
  MANAKO_RETURN_IF_ERROR(CheckHost(host));
  absl::StatusOr<std::vector<Certificate>> chain = ParseChain(chain_pem);
  if (!chain.ok()) return Annotate(chain.status(), fmt::format("what {} presented", host));
  const auto authority = std::find_if(
      chain->begin(), chain->end(),
      [&](const Certificate& certificate) { return certificate.fingerprint == ca_sha256; });
  if (authority == chain->end()) {
    return absl::PermissionDeniedError(fmt::format(
        "{} belongs to another authority (its last certificate's SHA-256 is {}) than the "
        "invitation names ({}): the address is "
        "another's, or something on the way pretends to be the server; ask the central hospital",
        host, chain->back().fingerprint, Printable(ca_sha256)));
  }
  if (!authority->is_ca) {
    return absl::PermissionDeniedError(
        fmt::format("the certificate of {} that the invitation names is not one of an authority: "
                    "ask the central hospital for another "
                    "invitation",
                    host));
  }
  MANAKO_RETURN_IF_ERROR(
      VerifyUnder(chain->front(), *authority,
                  {X509_PURPOSE_SSL_SERVER, host, fmt::format("the server {}", host)}, now));
  return *authority;
}

absl::StatusOr<std::string> VerifySiteCertificate(const Certificate& certificate,
                                                  const Certificate& authority, absl::Time now) {
  const std::string whose = fmt::format("site \"{}\"", Printable(certificate.common_name));
  MANAKO_RETURN_IF_ERROR(
      VerifyUnder(certificate, authority, {X509_PURPOSE_SSL_CLIENT, "", whose}, now));
  return SiteOf(certificate);
}

}  // namespace manako
