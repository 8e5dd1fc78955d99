#include "site/policy.h"

#include <algorithm>
#include <charconv>

#include "base/status_macros.h"

namespace manako {
namespace {

constexpr size_t kMostBytesOfWords = 300;

bool IsBuiltIn(const std::string& architecture, const std::vector<std::string>& networks) {
  if (!networks.empty()) {
    return std::find(networks.begin(), networks.end(), architecture) != networks.end();
  }
  return architecture.find_first_of("/\\.") == std::string::npos;
}

int LevelOf(std::string_view report) {
  return report == "scores" ? 2 : report == "histograms" ? 1 : 0;
}

// A path, or a name with an ending of letters: "images/7.png", "p0012.dcm", but not "0.5" or
// "classes.".
bool LooksLikeAFile(std::string_view word) {
  while (!word.empty() &&
         std::string_view(".,;:()\"'").find(word.back()) != std::string_view::npos) {
    word.remove_suffix(1);
  }
  if (word.find_first_of("/\\") != std::string_view::npos) return true;
  const size_t dot = word.rfind('.');
  if (dot == std::string_view::npos || dot == 0 || word.size() - dot > 6) return false;
  const std::string_view ending = word.substr(dot + 1);
  return std::any_of(ending.begin(), ending.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
}

// Settings are written like files ("train.learning_rate"), but their names are no secrets.
bool IsASetting(std::string_view word) {
  for (const std::string_view table :
       {"run.", "data.", "split.", "model.", "train.", "federation."}) {
    if (word.starts_with(table)) return word.find_first_of("/\\") == std::string_view::npos;
  }
  return false;
}

}  // namespace

std::vector<std::string> ReasonsAgainst(const SitePolicy& policy, const FederatedRunConfig& config,
                                        const std::vector<std::string>& networks) {
  std::vector<std::string> reasons;
  const std::string& architecture = config.training.model.architecture;
  if (!policy.torchscript && !IsBuiltIn(architecture, networks)) {
    reasons.push_back(
        "the run's network is not one that is built in (model.architecture), which "
        "policy.torchscript "
        "does not allow");
  }
  if (!policy.cross_site && config.run.cross_site) {
    reasons.push_back(
        "the run hands every site's own model to the other sites (run.cross_site), which "
        "policy.cross_site does not allow");
  }
  return reasons;
}

std::vector<std::string> TooFewImages(const SitePolicy& policy, const FederatedRunConfig& config,
                                      const SiteCounts& counts) {
  std::vector<std::string> reasons;
  const int wanted = std::max(policy.min_images_per_class, config.run.min_images_per_class);
  const char* field = policy.min_images_per_class >= config.run.min_images_per_class
                          ? "policy.min_images_per_class"
                          : "run.min_images_per_class";
  for (size_t c = 0; c < config.run.classes.size(); ++c) {
    const int64_t there = c < counts.train.size() ? counts.train[c] : 0;
    if (there < wanted) {
      reasons.push_back(fmt::format("fewer than {} training images of class {} ({})", wanted,
                                    config.run.classes[c], field));
    }
  }
  return reasons;
}

GateDecision MayJoin(const SitePolicy& policy, Consent run) {
  if (run == Consent::kRefused) return {Gate::kClosed, "a person at the site refused the run"};
  if (policy.approval == "run" && run != Consent::kGranted) return {Gate::kAsk, ""};
  return {};
}

GateDecision MayTrain(const SitePolicy& policy, const RoundCircumstances& now) {
  if (policy.max_rounds_per_day > 0 && now.rounds_in_a_day >= policy.max_rounds_per_day) {
    return {Gate::kClosed,
            fmt::format("the site has trained {} rounds in 24 hours, and more it does not "
                        "(policy.max_rounds_per_day)",
                        now.rounds_in_a_day)};
  }
  const bool asks =
      policy.approval == "each_round" || (policy.approval == "first_round" && now.first);
  if (!asks || now.consent == Consent::kGranted) return {};
  if (now.consent == Consent::kRefused)
    return {Gate::kClosed, "a person at the site refused the round"};
  return {Gate::kAsk, ""};
}

GateDecision MayTest(const SitePolicy& policy, const FederatedRunConfig& config,
                     const TestTask& task) {
  if (task.trained_by.empty() || (policy.cross_site && config.run.cross_site)) return {};
  return {Gate::kClosed,
          policy.cross_site
              ? "the run does not say that sites test each other's models (run.cross_site)"
              : "the site does not test other sites' models (policy.cross_site)"};
}

ReportLevel AgreedReport(const SitePolicy& policy, const RunSettings& run) {
  const int level = std::min(LevelOf(policy.reports), LevelOf(run.report));
  if (level == 2) return ReportLevel::kScores;
  return level == 1 && run.classes.size() == 2 ? ReportLevel::kHistograms : ReportLevel::kMetrics;
}

int64_t RoundedCount(const SitePolicy& policy, int64_t count) {
  return count > 0 ? std::max<int64_t>(count, policy.min_count) : 0;
}

SiteCounts RoundedCounts(const SitePolicy& policy, const SiteCounts& counts) {
  SiteCounts rounded = counts;
  for (std::vector<int64_t>* split : {&rounded.train, &rounded.validation, &rounded.test}) {
    for (int64_t& count : *split) count = RoundedCount(policy, count);
  }
  return rounded;
}

std::string WordsThatMayLeave(const SitePolicy& policy, std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f) {
      if (!word.empty()) words.push_back(std::move(word));
      word.clear();
    } else {
      word += c;
    }
  }
  if (!word.empty()) words.push_back(std::move(word));

  std::string out;
  for (size_t i = 0; i < words.size(); ++i) {
    std::string& at = words[i];
    int64_t number = 0;
    const auto [end, error] = std::from_chars(at.data(), at.data() + at.size(), number);
    const bool counts_images = error == std::errc() && end == at.data() + at.size() &&
                               i + 1 < words.size() && words[i + 1].starts_with("image");
    if (counts_images && number > 0 && number < policy.min_count) {
      at = fmt::format("fewer than {}", policy.min_count);
    } else if (LooksLikeAFile(at) && !IsASetting(at)) {
      // What was put behind the name ("a.png: cannot be read") still belongs to the sentence.
      const char last = at.back();
      at = "(file)";
      if (last == ':' || last == ',' || last == ';') at += last;
    }
    if (!out.empty()) out += ' ';
    out += at;
  }
  if (out.size() > kMostBytesOfWords) {
    size_t size = kMostBytesOfWords - 3;
    // Not within a character of UTF-8.
    while (size > 0 && (static_cast<unsigned char>(out[size]) & 0xc0) == 0x80) --size;
    out = out.substr(0, size) + "...";
  }
  return out;
}

}  // namespace manako
