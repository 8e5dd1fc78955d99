#include "round/round_state.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "base/status_macros.h"

namespace manako {
namespace {

constexpr std::string_view kNames[] = {"waiting", "answered", "refused", "failed", "late"};

}  // namespace

std::string_view NameOf(AskState state) { return kNames[static_cast<size_t>(state)]; }

void RoundState::Join(const std::string& site) {
  ready_.insert(site);
  // One that was given up in the open round may still answer it.
  if (const auto ask = asks_.find(site);
      ask != asks_.end() && ask->second.state == AskState::kFailed)
    AskAgain(site);
}

void RoundState::Leave(const std::string& site, const std::string& why) {
  ready_.erase(site);
  if (open_) Gave(site, AskState::kFailed, why);
}

bool RoundState::TryOpen(int64_t now_ms) {
  if (open_ || finished()) return false;
  if (ready_.empty() || static_cast<int>(ready_.size()) < options_.quorum) return false;
  std::vector<std::string> cohort(ready_.begin(), ready_.end());
  const auto share = static_cast<size_t>(
      std::ceil(options_.cohort_share * static_cast<double>(cohort.size()) - 1e-9));
  const size_t size =
      std::clamp(std::max(share, static_cast<size_t>(options_.quorum)), size_t{1}, cohort.size());
  if (size < cohort.size()) {
    Random(options_.seed, "cohort", static_cast<uint64_t>(round_)).Shuffle(cohort);
    cohort.resize(size);
  }
  asks_.clear();
  for (const std::string& site : cohort) asks_[site];
  open_ = true;
  extended_ = false;
  deadline_ms_ = options_.deadline_ms > 0 ? now_ms + options_.deadline_ms : 0;
  return true;
}

int RoundState::needed() const {
  if (options_.quorum > 0) return options_.quorum;
  // All that were asked, but for those who are gone for good.
  return static_cast<int>(std::count_if(asks_.begin(), asks_.end(), [&](const auto& ask) {
    return ready_.contains(ask.first) || ask.second.state == AskState::kAnswered;
  }));
}

int RoundState::Answered() const {
  return static_cast<int>(std::count_if(asks_.begin(), asks_.end(), [](const auto& ask) {
    return ask.second.state == AskState::kAnswered;
  }));
}

std::vector<std::string> RoundState::WaitingFor() const {
  std::vector<std::string> sites;
  for (const auto& [site, ask] : asks_) {
    if (open_ && ask.state != AskState::kAnswered &&
        (ask.state == AskState::kWaiting || Answered() < needed()))
      sites.push_back(site);
  }
  return sites;
}

bool RoundState::Wants(const std::string& site) const {
  const auto ask = asks_.find(site);
  return open_ && ask != asks_.end() && ask->second.state == AskState::kWaiting;
}

absl::StatusOr<RoundState::Verdict> RoundState::Judge(const std::string& site, int round,
                                                      const std::string& sha256) const {
  if (round > round_ || (round == round_ && !open_)) {
    return FailedPrecondition("{} answers round {}, but round {} is the next", site, round, round_);
  }
  const auto ask = asks_.find(site);
  if (round < round_) {
    const bool counts = options_.count_late && open_ && round == round_ - 1 && ask != asks_.end() &&
                        ask->second.state == AskState::kWaiting;
    return counts ? Verdict::kCount : Verdict::kLate;
  }
  if (ask == asks_.end()) return FailedPrecondition("{} was not asked in round {}", site, round);
  if (ask->second.state == AskState::kAnswered) {
    if (!sha256.empty() && ask->second.sha256 == sha256) return Verdict::kDuplicate;
    return FailedPrecondition("{} has already answered in round {}", site, round);
  }
  if (ask->second.state == AskState::kRefused && ask->second.sha256 == sha256 && !sha256.empty()) {
    return FailedPrecondition("the update of {} in round {} was refused: {}", site, round,
                              ask->second.why);
  }
  return Verdict::kCount;
}

void RoundState::AskAgain(const std::string& site) {
  if (const auto ask = asks_.find(site); open_ && ask != asks_.end()) ask->second = {};
}

void RoundState::Answered(const std::string& site, const UpdateFacts& facts,
                          const std::string& sha256, double l2, int trained_in) {
  asks_[site] = {AskState::kAnswered, facts, sha256, l2, "", trained_in};
}

void RoundState::Gave(const std::string& site, AskState refused_or_failed, const std::string& why) {
  const auto ask = asks_.find(site);
  if (!open_ || ask == asks_.end() || ask->second.state == AskState::kAnswered) return;
  ask->second.state = refused_or_failed;
  ask->second.why = why;
}

bool RoundState::IsOver(int64_t now_ms, bool* extended) {
  *extended = false;
  if (!open_) return false;
  const bool enough = Answered() > 0 && Answered() >= needed();
  const bool all = std::none_of(asks_.begin(), asks_.end(), [](const auto& ask) {
    return ask.second.state == AskState::kWaiting;
  });
  if (enough && all) return true;
  if (deadline_ms_ == 0 || now_ms < deadline_ms_) return false;
  if (enough) return true;
  if (!extended_ && options_.extension_ms > 0) {
    extended_ = *extended = true;
    deadline_ms_ += options_.extension_ms;
  }
  return false;
}

std::vector<std::string> RoundState::RefuseOutliers() {
  std::vector<std::string> refused;
  std::vector<double> norms;
  for (const std::string& site : Answers()) norms.push_back(asks_[site].l2);
  if (options_.max_norm_ratio <= 0 || norms.size() < 3) return refused;
  // The lower median: with few sites one large norm cannot raise its own bound.
  std::nth_element(norms.begin(),
                   norms.begin() + static_cast<std::ptrdiff_t>((norms.size() - 1) / 2),
                   norms.end());
  const double median = norms[(norms.size() - 1) / 2];
  for (const std::string& site : Answers()) {
    Ask& ask = asks_[site];
    if (!(ask.l2 > options_.max_norm_ratio * median)) continue;
    ask.state = AskState::kRefused;
    ask.why = fmt::format(
        "its change has norm {:.6g}, more than run.max_norm_ratio = {:g} times the round's median "
        "{:.6g}",
        ask.l2, options_.max_norm_ratio, median);
    refused.push_back(site);
  }
  return refused;
}

std::vector<std::string> RoundState::Answers() const {
  std::vector<std::string> sites;
  for (const auto& [site, ask] : asks_) {
    if (ask.state == AskState::kAnswered) sites.push_back(site);
  }
  return sites;
}

void RoundState::Close() {
  ++round_;
  open_ = extended_ = false;
  deadline_ms_ = 0;
  asks_.clear();
}

void RoundState::EndRun() {
  round_ = options_.rounds + 1;
  open_ = extended_ = false;
  deadline_ms_ = 0;
  asks_.clear();
}

void RoundState::ContinueBehind(int completed) {
  round_ = completed;
  Close();
}

nlohmann::json RoundState::ToJson() const {
  nlohmann::json asks = nlohmann::json::object();
  for (const auto& [site, ask] : asks_) {
    asks[site] = {{"state", NameOf(ask.state)},
                  {"images", ask.facts.images},
                  {"visits", ask.facts.visits},
                  {"sha256", ask.sha256},
                  {"l2", ask.l2},
                  {"why", ask.why}};
    if (ask.trained_in > 0) asks[site]["trained_in"] = ask.trained_in;
  }
  return {{"round", round_},       {"open", open_},
          {"extended", extended_}, {"deadline_ms", deadline_ms_},
          {"ready", ready_},       {"asks", asks}};
}

absl::Status RoundState::FromJson(const nlohmann::json& json) {
  try {
    RoundState state(options_);
    state.round_ = json.at("round").get<int>();
    state.open_ = json.at("open").get<bool>();
    state.extended_ = json.at("extended").get<bool>();
    state.deadline_ms_ = json.at("deadline_ms").get<int64_t>();
    state.ready_ = json.at("ready").get<std::set<std::string>>();
    for (const auto& [site, value] : json.at("asks").items()) {
      Ask ask;
      const auto name =
          std::find(std::begin(kNames), std::end(kNames), value.at("state").get<std::string>());
      if (name == std::end(kNames))
        return DataLoss("the state of round {} says nonsense of {}", state.round_, site);
      ask.state = static_cast<AskState>(name - std::begin(kNames));
      ask.facts = {value.at("images").get<int64_t>(), value.at("visits").get<int64_t>()};
      ask.sha256 = value.at("sha256").get<std::string>();
      ask.l2 = value.at("l2").get<double>();
      ask.why = value.at("why").get<std::string>();
      ask.trained_in = value.value("trained_in", 0);
      state.asks_[site] = std::move(ask);
    }
    *this = std::move(state);
    return absl::OkStatus();
  } catch (const nlohmann::json::exception& error) {
    return DataLoss("the state of a run's rounds cannot be read: {}", error.what());
  }
}

}  // namespace manako
