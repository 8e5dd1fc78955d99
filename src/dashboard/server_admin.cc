#include "dashboard/server_admin.h"

#include <algorithm>
#include <iterator>

#include "base/status_macros.h"

namespace manako {

absl::StatusOr<std::vector<EventInfo>> ServerAdmin::LatestEvents(int limit,
                                                                 const std::string& run) {
  constexpr int kAtOnce = 1000;
  std::vector<EventInfo> latest;
  for (int64_t behind = 0;;) {
    MANAKO_ASSIGN_OR_RETURN(std::vector<EventInfo> more, Events(behind, kAtOnce, run));
    if (more.empty()) return latest;
    behind = more.back().seq;
    std::move(more.begin(), more.end(), std::back_inserter(latest));
    const size_t keep = static_cast<size_t>(std::max(limit, 0));
    if (latest.size() > keep) {
      latest.erase(latest.begin(), latest.end() - static_cast<ptrdiff_t>(keep));
    }
  }
}

}  // namespace manako
