#include "server/enrolment.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/files.h"
#include "base/status_macros.h"
#include "identity/invitation.h"

namespace manako {
namespace {

absl::Time Time(int64_t ms) { return absl::FromUnixMillis(ms); }

// Tests shorten it, to see certificates renewed; nothing makes it longer.
absl::Duration Validity(absl::Duration usual) {
  const char* seconds = std::getenv("MANAKO_CERTIFICATE_SECONDS");
  const int given = seconds == nullptr ? 0 : std::atoi(seconds);
  return given > 0 ? std::min(usual, absl::Seconds(given)) : usual;
}

std::vector<std::string> AllHosts(const CentralOptions& options) {
  std::vector<std::string> hosts = {options.host};
  for (const std::string& host : options.more_hosts) hosts.push_back(host);
  return hosts;
}

SiteRecord RecordOf(const std::string& site, const Certificate& certificate, const PublicKey& key) {
  SiteRecord record;
  record.name = site;
  record.certificate_serial = certificate.serial;
  record.spki_sha256 = certificate.spki_sha256;
  record.public_key = key.ToPem();
  record.certificate_expires_ms = absl::ToUnixMillis(certificate.not_after);
  return record;
}

}  // namespace

absl::Status MakeCentral(const std::string& folder, const CentralOptions& options, int64_t now_ms) {
  MANAKO_RETURN_IF_ERROR(CheckFederationName(options.name));
  const std::vector<std::string> hosts = AllHosts(options);
  for (const std::string& host : hosts) MANAKO_RETURN_IF_ERROR(CheckHost(host));
  if (options.port < 1 || options.port > 65535)
    return InvalidArgument("the port must be from 1 to 65535, but is {}", options.port);
  if (std::filesystem::exists(folder + "/ca.pem")) {
    return absl::AlreadyExistsError(fmt::format(
        "{} is a central hospital's folder already: start it with `manako server start {}`", folder,
        folder));
  }
  MANAKO_RETURN_IF_ERROR(MakeFolders(folder + "/runs"));
  std::error_code ignored;
  std::filesystem::permissions(folder, std::filesystem::perms::owner_all, ignored);
  MANAKO_ASSIGN_OR_RETURN(const PrivateKey ca_key, PrivateKey::Generate());
  MANAKO_ASSIGN_OR_RETURN(const Certificate ca,
                          MakeFederationCa(ca_key, options.name, Time(now_ms)));
  MANAKO_ASSIGN_OR_RETURN(const PrivateKey server_key, PrivateKey::Generate());
  MANAKO_ASSIGN_OR_RETURN(
      const Certificate server,
      MakeServerCertificate({ca, ca_key}, server_key.public_key(), hosts, Time(now_ms)));
  MANAKO_ASSIGN_OR_RETURN(const auto store, FederationStore::Open(folder + "/federation.db"));
  MANAKO_RETURN_IF_ERROR(store->SetSetting("name", options.name));
  MANAKO_RETURN_IF_ERROR(store->SetSetting("host", options.host));
  MANAKO_RETURN_IF_ERROR(store->SetSetting("port", std::to_string(options.port)));
  MANAKO_RETURN_IF_ERROR(store->SetSetting("hosts", nlohmann::json(hosts).dump()));
  MANAKO_RETURN_IF_ERROR(ca_key.Save(folder + "/ca.key"));
  MANAKO_RETURN_IF_ERROR(server_key.Save(folder + "/server.key"));
  MANAKO_RETURN_IF_ERROR(WriteFileAtomically(folder + "/server.pem", server.pem));
  // Last: with it the folder is a central hospital's.
  return WriteFileAtomically(folder + "/ca.pem", ca.pem);
}

absl::Status CheckCentral(const std::string& folder) {
  std::error_code error;
  if (std::filesystem::exists(folder + "/ca.pem", error)) return absl::OkStatus();
  return NotFound(
      "{} is no central hospital's folder: make it one with `manako server init {} --name ... "
      "--host ...`",
      folder, folder);
}

absl::StatusOr<std::unique_ptr<Enrolment>> Enrolment::Open(const std::string& folder,
                                                           FederationStore* store) {
  MANAKO_RETURN_IF_ERROR(CheckCentral(folder));
  const auto ca_pem = ReadFile(folder + "/ca.pem", 1 << 20);
  MANAKO_RETURN_IF_ERROR(ca_pem.status());
  auto ca = ParseCertificate(*ca_pem);
  MANAKO_RETURN_IF_ERROR(Annotate(ca.status(), folder + "/ca.pem"));
  MANAKO_ASSIGN_OR_RETURN(PrivateKey ca_key, PrivateKey::Load(folder + "/ca.key"));
  MANAKO_ASSIGN_OR_RETURN(PrivateKey server_key, PrivateKey::Load(folder + "/server.key"));
  auto enrolment = std::unique_ptr<Enrolment>(
      new Enrolment(folder, store, {*std::move(ca), std::move(ca_key)}, std::move(server_key)));
  MANAKO_ASSIGN_OR_RETURN(enrolment->federation_, store->Setting("name"));
  MANAKO_ASSIGN_OR_RETURN(enrolment->host_, store->Setting("host"));
  MANAKO_ASSIGN_OR_RETURN(const std::string port, store->Setting("port"));
  enrolment->port_ = std::atoi(port.c_str());
  MANAKO_ASSIGN_OR_RETURN(const std::string hosts, store->Setting("hosts"));
  enrolment->hosts_ = nlohmann::json::parse(hosts, nullptr, false).get<std::vector<std::string>>();
  return enrolment;
}

absl::StatusOr<std::string> Enrolment::Invite(const std::string& site, double hours,
                                              int64_t now_ms) {
  MANAKO_RETURN_IF_ERROR(CheckSiteName(site));
  if (!(hours > 0 && hours <= 24 * 366))
    return InvalidArgument("an invitation is valid from 0 to 8784 hours, but not {}", hours);
  MANAKO_ASSIGN_OR_RETURN(const auto known, store_->Site(site));
  if (known && known->state == "enrolled") {
    return absl::AlreadyExistsError(
        fmt::format("{} is enrolled: to let it join from another machine, revoke it first (manako "
                    "server revoke)",
                    site));
  }
  Invitation invitation;
  invitation.server = {host_, static_cast<uint16_t>(port_)};
  invitation.site = site;
  invitation.ca_sha256 = authority_.certificate.fingerprint;
  invitation.token = NewInvitationToken();
  invitation.federation_name = federation_;
  MANAKO_RETURN_IF_ERROR(store_->AddInvitation(site, TokenHash(invitation.token), now_ms,
                                               now_ms + static_cast<int64_t>(hours * 3600e3)));
  return FormatInvitation(invitation);
}

absl::StatusOr<Enrolment::Enrolled> Enrolment::Enrol(const std::string& token,
                                                     const std::string& request_pem,
                                                     int64_t now_ms) {
  const std::string hash = TokenHash(token);
  MANAKO_ASSIGN_OR_RETURN(const std::string site, store_->InvitedSite(hash, now_ms));
  MANAKO_ASSIGN_OR_RETURN(const PublicKey key, CheckSiteRequest(request_pem));
  MANAKO_ASSIGN_OR_RETURN(
      const Certificate certificate,
      SignSiteRequest(authority_, request_pem, site, Time(now_ms), Validity(kSiteValidity)));
  MANAKO_RETURN_IF_ERROR(store_->Enrol(RecordOf(site, certificate, key), hash, now_ms));
  return Enrolled{site, federation_, certificate.pem, authority_.certificate.pem};
}

absl::StatusOr<Enrolment::Enrolled> Enrolment::Renew(const std::string& site,
                                                     const std::string& request_pem,
                                                     int64_t now_ms) {
  MANAKO_ASSIGN_OR_RETURN(const PublicKey key, CheckSiteRequest(request_pem));
  MANAKO_ASSIGN_OR_RETURN(
      const Certificate certificate,
      SignSiteRequest(authority_, request_pem, site, Time(now_ms), Validity(kSiteValidity)));
  MANAKO_RETURN_IF_ERROR(store_->Renewed(RecordOf(site, certificate, key)));
  return Enrolled{site, federation_, certificate.pem, authority_.certificate.pem};
}

namespace {

// What is in the file, if it serves.
std::optional<Certificate> Serving(const std::string& path, const PublicKey& key, int64_t now_ms) {
  const auto pem = ReadFile(path, 1 << 20);
  if (!pem.ok()) return std::nullopt;
  auto certificate = ParseCertificate(*pem);
  if (!certificate.ok() || NeedsRenewal(*certificate, Time(now_ms)) ||
      certificate->spki_sha256 != key.SpkiSha256())
    return std::nullopt;
  return *std::move(certificate);
}

}  // namespace

bool Enrolment::CertificateIsDue(int64_t now_ms) const {
  return !Serving(folder_ + "/server.pem", server_key_.public_key(), now_ms);
}

int64_t Enrolment::UntilNextLookMs(int64_t now_ms) const {
  const auto serving = Serving(folder_ + "/server.pem", server_key_.public_key(), now_ms);
  return serving ? absl::ToInt64Milliseconds(UntilNextLook(*serving, Time(now_ms))) : 1000;
}

absl::StatusOr<Certificate> Enrolment::ServerCertificate(int64_t now_ms) {
  const std::string path = folder_ + "/server.pem";
  if (auto certificate = Serving(path, server_key_.public_key(), now_ms))
    return *std::move(certificate);
  MANAKO_ASSIGN_OR_RETURN(Certificate fresh,
                          MakeServerCertificate(authority_, server_key_.public_key(), hosts_,
                                                Time(now_ms), Validity(kServerValidity)));
  MANAKO_RETURN_IF_ERROR(WriteFileAtomically(path, fresh.pem));
  return fresh;
}

}  // namespace manako
