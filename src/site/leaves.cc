#include "site/leaves.h"

#include <fmt/format.h>

#include "base/files.h"
#include "site/policy.h"

namespace manako {

std::vector<std::string> LeavesOf(const FederatedRunConfig& config, const SitePolicy& policy) {
  std::vector<std::string> leaves;
  leaves.push_back(fmt::format(
      "after each round: what training changed in the model's parameters ({}), how many images "
      "they come from, the norm of the change, and the training loss",
      config.run.encoding));
  leaves.push_back(
      policy.min_count > 1
          ? fmt::format("once: how many images of each class there are to train, "
                        "validate and test; 1 to {} are told as {}",
                        policy.min_count - 1, policy.min_count)
          : "once: how many images of each class there are to train, validate and test");
  switch (AgreedReport(policy, config.run)) {
    case ReportLevel::kMetrics:
      leaves.push_back("of each test: loss, accuracy and AUC");
      break;
    case ReportLevel::kHistograms:
      leaves.push_back(
          fmt::format("of each test: loss, accuracy, AUC, and histograms of scores with {} bins",
                      config.run.bins));
      break;
    case ReportLevel::kScores:
      leaves.push_back(
          "of each test: loss, accuracy, AUC, and the class and scores of every image, without "
          "names and in an order that says nothing");
      break;
  }
  if (config.run.cross_site && policy.cross_site) {
    leaves.push_back("at the end: this site's own last model, which the other sites test");
  }
  leaves.push_back("while it works: what the agent is doing, at which step and how fast");
  leaves.push_back("if something fails: one line of text without names of files");
  return leaves;
}

std::vector<std::string> LeavesOf(const SiteFolder& folder, const std::string& run,
                                  const SitePolicy& policy) {
  const auto toml = ReadFile(folder.agreement(run), 1 << 20);
  if (!toml.ok()) return {};
  const auto config = FederatedRunConfig::FromToml(*toml, folder.agreement(run));
  return config.ok() ? LeavesOf(*config, policy) : std::vector<std::string>{};
}

}  // namespace manako
