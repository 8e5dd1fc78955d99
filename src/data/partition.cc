#include "data/partition.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "base/status_macros.h"

namespace manako {
namespace {

constexpr int kMaxDraws = 1000;
constexpr int kMaxSites = 10000;

std::vector<std::vector<double>> EqualShares(size_t classes, size_t sites) {
  return std::vector<std::vector<double>>(
      classes, std::vector<double>(sites, 1.0 / static_cast<double>(sites)));
}

// The first site without a group, or -1.
int EmptySite(const std::vector<int>& site_of, size_t sites) {
  std::vector<bool> has(sites, false);
  for (int site : site_of) {
    if (site >= 0) has[static_cast<size_t>(site)] = true;
  }
  const auto empty = std::find(has.begin(), has.end(), false);
  return empty == has.end() ? -1 : static_cast<int>(empty - has.begin());
}

std::string_view Unit(const Dataset& dataset) {
  return dataset.has_patients ? "patients" : "images";
}

absl::Status CheckEveryClassReaches(const Dataset& dataset, const std::vector<Group>& groups,
                                    const GroupList& train, int sites) {
  const std::vector<int> counts = CountGroups(groups, train, dataset.classes.size());
  for (size_t c = 0; c < counts.size(); ++c) {
    if (counts[c] >= sites) continue;
    return InvalidArgument(
        "class \"{}\" has {} {} to train on, fewer than the {} sites: set partition.sites to {} or "
        "less",
        dataset.classes[c], counts[c], Unit(dataset), sites, std::max(1, counts[c]));
  }
  return absl::OkStatus();
}

// The site of a group by column: that of most of its images, of equals the first by name. Empty: it
// names none.
std::string SiteByColumn(const Dataset& dataset, const Group& group) {
  std::map<std::string, int> votes;
  for (int i : group.images) {
    const std::string& site = dataset.images[static_cast<size_t>(i)].site;
    if (!site.empty()) ++votes[site];
  }
  std::string best;
  int most = 0;
  for (const auto& [site, count] : votes) {
    if (count > most) best = site, most = count;
  }
  return best;
}

absl::Status CheckPatientsStay(const Dataset& dataset) {
  if (!dataset.has_patients) return absl::OkStatus();
  std::map<std::string, std::string> site_of;
  for (const Image& image : dataset.images) {
    if (image.site.empty()) continue;
    const auto [at, is_new] = site_of.emplace(image.patient, image.site);
    if (at->second == image.site) continue;
    return InvalidArgument(
        "patient {} has images at two sites, {} and {} (data.site_column): keep each patient at "
        "one site, or give "
        "different people different ids",
        image.patient, at->second, image.site);
  }
  return absl::OkStatus();
}

absl::StatusOr<Partition> ByColumn(const Dataset& dataset, const std::vector<Group>& groups,
                                   const GroupList& train) {
  std::set<std::string> names;
  for (const Image& image : dataset.images) {
    if (!image.site.empty()) names.insert(image.site);
  }
  if (names.empty()) {
    return InvalidArgument(
        "partition.scheme is column, but the images name no site: set data.site_column");
  }
  MANAKO_RETURN_IF_ERROR(CheckPatientsStay(dataset));
  Partition partition;
  partition.sites.assign(names.begin(), names.end());
  for (int g : train) {
    const std::string site = SiteByColumn(dataset, groups[static_cast<size_t>(g)]);
    if (site.empty()) {
      const int image = groups[static_cast<size_t>(g)].images[0];
      return InvalidArgument(
          "{} names no site, but partition.scheme is column: fill in data.site_column",
          dataset.images[static_cast<size_t>(image)].file);
    }
    partition.site_of.push_back(static_cast<int>(std::distance(names.begin(), names.find(site))));
  }
  if (const int empty = EmptySite(partition.site_of, names.size()); empty >= 0) {
    return InvalidArgument(
        "site \"{}\" has no training images: leave its rows out, or give it some",
        partition.sites[static_cast<size_t>(empty)]);
  }
  return partition;
}

absl::Status CheckProportions(const PartitionConfig& config) {
  if (static_cast<int>(config.proportions.size()) != config.sites) {
    return InvalidArgument("partition.proportions has {} numbers for {} sites: give one for each",
                           config.proportions.size(), config.sites);
  }
  for (double value : config.proportions) {
    if (value > 0 && std::isfinite(value)) continue;
    return InvalidArgument("partition.proportions must be > 0, but one is {}", value);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Partition> PartitionGroups(const Dataset& dataset, const std::vector<Group>& groups,
                                          const GroupList& train, const PartitionConfig& config,
                                          uint64_t seed) {
  if (config.scheme == "column") return ByColumn(dataset, groups, train);
  if (config.sites < 1 || config.sites > kMaxSites) {
    return InvalidArgument("partition.sites must be 1 to {}, but is {}", kMaxSites, config.sites);
  }
  const auto sites = static_cast<size_t>(config.sites);
  const size_t classes = dataset.classes.size();
  Partition partition;
  for (size_t s = 1; s <= sites; ++s) partition.sites.push_back(fmt::format("site-{}", s));

  if (config.scheme == "dirichlet") {
    if (!(config.alpha > 0 && std::isfinite(config.alpha))) {
      return InvalidArgument("partition.alpha must be > 0, but is {}", config.alpha);
    }
    if (train.size() < sites) {
      return InvalidArgument(
          "{} {} to train on are fewer than the {} sites: set partition.sites to {} or less",
          train.size(), Unit(dataset), sites, std::max<size_t>(1, train.size()));
    }
    for (uint64_t draw = 0; draw < kMaxDraws; ++draw) {
      std::vector<std::vector<double>> shares;
      for (size_t c = 0; c < classes; ++c) {
        shares.push_back(
            Random(seed, "partition shares", draw, c).Dirichlet(config.alpha, config.sites));
      }
      partition.site_of = Deal(groups, train, shares, Random(seed, "partition", draw));
      if (EmptySite(partition.site_of, sites) < 0) return partition;
    }
    return InvalidArgument(
        "in {} draws with partition.alpha = {} some of the {} sites always stayed empty: raise "
        "partition.alpha, or take "
        "fewer sites",
        kMaxDraws, config.alpha, sites);
  }

  std::vector<std::vector<double>> shares = EqualShares(classes, sites);
  if (config.scheme == "proportions") {
    MANAKO_RETURN_IF_ERROR(CheckProportions(config));
    const double sum = std::accumulate(config.proportions.begin(), config.proportions.end(), 0.0);
    for (auto& of_class : shares) {
      for (size_t s = 0; s < sites; ++s) of_class[s] = config.proportions[s] / sum;
    }
  } else if (config.scheme != "iid") {
    return InvalidArgument(
        "partition.scheme must be iid, dirichlet, proportions or column, but is \"{}\"",
        config.scheme);
  }
  MANAKO_RETURN_IF_ERROR(CheckEveryClassReaches(dataset, groups, train, config.sites));
  partition.site_of = Deal(groups, train, shares, Random(seed, "partition"));
  if (const int empty = EmptySite(partition.site_of, sites); empty >= 0) {
    return InvalidArgument("{} gets no training images: raise its part of partition.proportions",
                           partition.sites[static_cast<size_t>(empty)]);
  }
  return partition;
}

std::vector<int> DealOthers(const Dataset& dataset, const std::vector<Group>& groups,
                            const GroupList& others, const Partition& partition, bool by_column,
                            Random random) {
  std::vector<int> site_of(others.size(), -1);
  GroupList evenly;
  for (size_t i = 0; i < others.size(); ++i) {
    if (by_column) {
      const std::string site = SiteByColumn(dataset, groups[static_cast<size_t>(others[i])]);
      const auto at = std::find(partition.sites.begin(), partition.sites.end(), site);
      if (at != partition.sites.end()) site_of[i] = static_cast<int>(at - partition.sites.begin());
    }
    if (site_of[i] < 0) evenly.push_back(others[i]);
  }
  const std::vector<int> dealt =
      Deal(groups, evenly, EqualShares(dataset.classes.size(), partition.sites.size()), random);
  for (size_t i = 0, next = 0; i < others.size(); ++i) {
    if (site_of[i] < 0) site_of[i] = dealt[next++];
  }
  return site_of;
}

}  // namespace manako
