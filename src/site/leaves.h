// What would leave a site if it took part in a run, for the person who decides.
#ifndef MANAKO_SITE_LEAVES_H_
#define MANAKO_SITE_LEAVES_H_

#include <string>
#include <vector>

#include "core/federated_run_config.h"
#include "site/site_config.h"
#include "site/site_folder.h"

namespace manako {

// One line each, by what run and policy agree upon; all of it, as answers.h makes it. The site's
// page has each line in Japanese, too (web/src/site/lines.ts).
std::vector<std::string> LeavesOf(const FederatedRunConfig& config, const SitePolicy& policy);
// The same of a run whose agreement is in the site's folder. None where it cannot be read.
std::vector<std::string> LeavesOf(const SiteFolder& folder, const std::string& run,
                                  const SitePolicy& policy);

}  // namespace manako

#endif  // MANAKO_SITE_LEAVES_H_
