// The structs of server_admin.h and site_admin.h as JSON: what the pages are given, and what the
// commands print with --json. web/src/dashboard/data.ts and web/src/site/data.ts read it. Keys are
// the fields' names; a number that does not exist is null.
#ifndef MANAKO_DASHBOARD_ADMIN_JSON_H_
#define MANAKO_DASHBOARD_ADMIN_JSON_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "dashboard/server_admin.h"
#include "dashboard/site_admin.h"

namespace manako {

nlohmann::json ToJson(const FederationInfo& info);
nlohmann::json ToJson(const SiteInfo& info);
nlohmann::json ToJson(const RunInfo& info);
nlohmann::json ToJson(const RunDetails& details);
nlohmann::json ToJson(const EventInfo& info);
nlohmann::json ToJson(const InvitationInfo& info);

nlohmann::json ToJson(const LocalStatus& status);
nlohmann::json ToJson(const LocalRun& run);
nlohmann::json ToJson(const QuestionInfo& question);
nlohmann::json ToJson(const LedgerEntry& entry);
nlohmann::json ToJson(const LedgerPage& page);

template <typename T>
nlohmann::json ToJson(const std::vector<T>& values) {
  nlohmann::json json = nlohmann::json::array();
  for (const T& value : values) json.push_back(ToJson(value));
  return json;
}

// On one line, whatever bytes the strings hold (what is no UTF-8 becomes U+FFFD).
std::string Write(const nlohmann::json& json);

}  // namespace manako

#endif  // MANAKO_DASHBOARD_ADMIN_JSON_H_
