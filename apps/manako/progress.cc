#include "apps/manako/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "core/run_config.h"

namespace manako {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::string Duration(double seconds) {
  const auto s = static_cast<int64_t>(seconds + 0.5);
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

std::string Number(const std::optional<double>& value) {
  return value ? fmt::format("{:.3f}", *value) : "-";
}

// How far the whole study is, in image visits.
class Pace {
 public:
  void OnEvent(const json& event) {
    const std::string kind = event.value("event", "");
    if (kind == "run_started" || kind == "run_resumed") {
      const auto config = RunConfig::FromToml(event.value("config", ""), "config");
      if (config.ok()) config_ = *config;
    } else if (kind == "cell_started") {
      double images = 0;
      for (const json& count : event.at("splits").at(0).at("per_class"))
        images += count.get<double>();
      for (const std::string& arm : config_.study.arms) {
        // Of each round; steps are of the whole batch in every arm.
        const double visits = config_.train.local_steps > 0
                                  ? 1.0 * config_.train.local_steps * config_.train.batch
                                  : images * config_.train.local_epochs;
        total_[arm] += visits * config_.federation.rounds;
      }
    }
  }
  void OnRound(const RoundRecord& record) {
    if (!started_) {
      begin_ = Clock::now();
      started_ = true;
    }
    done_[record.key.arm] += static_cast<double>(record.visits);
    worked_ += static_cast<double>(record.visits);
  }
  double speed() const { return started_ ? worked_ / std::max(1e-3, SecondsSince(begin_)) : 0; }
  std::string left() const {
    double rest = 0;
    for (const auto& [arm, total] : total_) {
      const auto found = done_.find(arm);
      rest += std::max(0.0, total - (found == done_.end() ? 0 : found->second));
    }
    return speed() > 0 ? Duration(rest / speed()) : "?";
  }
  double share(const std::string& arm) const {
    const auto total = total_.find(arm), done = done_.find(arm);
    return total == total_.end() || done == done_.end() || total->second == 0
               ? 0
               : std::min(1.0, done->second / total->second);
  }
  const RunConfig& config() const { return config_; }

 private:
  RunConfig config_;
  std::map<std::string, double> total_, done_;
  double worked_ = 0;
  Clock::time_point begin_;
  bool started_ = false;
};

std::string CellName(const ModelKey& key, const RunConfig& config) {
  std::string name;
  if (config.study.repeats > 1)
    name += fmt::format(" repeat {}/{}", key.repeat, config.study.repeats);
  if (config.study.folds > 1) name += fmt::format(" fold {}/{}", key.fold, config.study.folds);
  return name;
}

std::string ModelName(const json& event) {
  const std::string site = event.value("site", "");
  return event.value("arm", "") + (site.empty() ? "" : " " + site);
}

std::string DataSentence(const json& event) {
  const json& data = event.at("data");
  std::string text = fmt::format("{} images of {} classes", data.at("images").get<size_t>(),
                                 data.at("classes").size());
  if (data.at("patients").is_number())
    text += fmt::format(", {} patients", data.at("patients").get<size_t>());
  if (const size_t bad = data.at("bad").at("count").get<size_t>(); bad > 0)
    text += fmt::format(", {} unreadable and left out", bad);
  if (const int n = data.at("duplicates").at("images").get<int>(); n > 0)
    text += fmt::format(", {} in duplicates kept together", n);
  return text;
}

class Plain : public StudyObserver {
 public:
  void OnEvent(const json& event) override {
    pace_.OnEvent(event);
    const std::string kind = event.value("event", "");
    if (kind == "data_loaded") fmt::print(stderr, "Images: {}.\n", DataSentence(event));
    if (kind == "warning") fmt::print(stderr, "Note: {}\n", event.value("en", ""));
    if (kind == "model_stopped") {
      fmt::print(stderr, "{} stopped in round {}: {}\n", ModelName(event), event.value("round", 0),
                 event.value("en", ""));
    }
  }
  void OnRound(const RoundRecord& r) override {
    pace_.OnRound(r);
    if (r.round == 0) return;
    fmt::print(
        stderr,
        "{}{}{} round {}/{}: loss {}, validation AUC {}, test AUC {}, {:.0f} images/s, {} left\n",
        r.key.arm, r.key.site.empty() ? "" : " " + r.key.site, CellName(r.key, pace_.config()),
        r.round, r.rounds, Number(r.train_loss), Number(r.validation_auc), Number(r.test_auc),
        static_cast<double>(r.visits) / std::max(1e-3, r.seconds), pace_.left());
  }
  void OnNote(const std::string& note) override { fmt::print(stderr, "{}\n", note); }

 private:
  Pace pace_;
};

// One line for each arm, rewritten in place.
class Terminal : public StudyObserver {
 public:
  ~Terminal() override { std::fflush(stderr); }
  void OnDecoding(size_t done, size_t total) override {
    if (done != total && SecondsSince(last_) < 0.1) return;
    last_ = Clock::now();
    // The last one takes itself away: what was read is told by a line of its own, or the images are
    // refused.
    fmt::print(stderr, "\r\033[KReading images {}/{}{}", done, total,
               done == total ? "\r\033[K" : "");
    std::fflush(stderr);
  }
  void OnEvent(const json& event) override {
    pace_.OnEvent(event);
    const std::string kind = event.value("event", "");
    if (kind == "data_loaded") Above(fmt::format("Images: {}.", DataSentence(event)));
    if (kind == "warning") Above("Note: " + event.value("en", ""));
    if (kind == "model_stopped") {
      Above(fmt::format("{} stopped in round {}: {}", ModelName(event), event.value("round", 0),
                        event.value("en", "")));
    }
  }
  void OnRound(const RoundRecord& r) override {
    pace_.OnRound(r);
    Line& line = lines_[r.key.arm];
    line.last = r;
    if (r.visits > 0) line.speed = static_cast<double>(r.visits) / std::max(1e-3, r.seconds);
    Draw();
  }
  void OnNote(const std::string& note) override { Above(note); }

 private:
  struct Line {
    RoundRecord last;
    double speed = 0;
  };

  void Erase() {
    if (drawn_ > 0) fmt::print(stderr, "\033[{}A\r\033[J", drawn_);
    drawn_ = 0;
  }
  void Above(const std::string& text) {
    Erase();
    fmt::print(stderr, "{}\n", text);
    Draw();
  }
  void Draw() {
    Erase();
    winsize size{};
    const size_t width =
        ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
    for (const std::string& arm : pace_.config().study.arms) {
      const auto found = lines_.find(arm);
      if (found == lines_.end()) continue;
      const RoundRecord& r = found->second.last;
      std::string text = fmt::format(
          "{:<9} {:>3.0f}%{}{} round {}/{}  loss {}  AUC {}  {:.0f} images/s", arm,
          100 * pace_.share(arm), CellName(r.key, pace_.config()),
          r.key.site.empty() ? "" : " " + r.key.site, r.round, r.rounds, Number(r.train_loss),
          Number(r.validation_auc ? r.validation_auc : r.test_auc), found->second.speed);
      if (text.size() >= width) text.resize(width - 1);
      fmt::print(stderr, "{}\n", text);
      ++drawn_;
    }
    if (drawn_ > 0) {
      fmt::print(stderr, "          {} left\n", pace_.left());
      ++drawn_;
    }
    std::fflush(stderr);
  }

  Pace pace_;
  std::map<std::string, Line> lines_;
  Clock::time_point last_{};
  int drawn_ = 0;
};

class Json : public StudyObserver {
 public:
  void OnEvent(const json& event) override {
    fmt::print("{}\n", event.dump(-1, ' ', false, json::error_handler_t::replace));
    std::fflush(stdout);
  }
};

}  // namespace

std::unique_ptr<StudyObserver> MakeProgress(ProgressStyle style) {
  switch (style) {
    case ProgressStyle::kTerminal:
      return std::make_unique<Terminal>();
    case ProgressStyle::kJson:
      return std::make_unique<Json>();
    case ProgressStyle::kPlain:
      break;
  }
  return std::make_unique<Plain>();
}

}  // namespace manako
