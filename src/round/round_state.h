// Who is asked in a round, who has answered, and when the round is over: the rules, apart from
// arrays, files and networks.
#ifndef MANAKO_ROUND_ROUND_STATE_H_
#define MANAKO_ROUND_ROUND_STATE_H_

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "round/strategy.h"

namespace manako {

// What became of asking a site. Asked = answered + refused + failed + late + waiting, in every
// round, at any moment.
enum class AskState : uint8_t {
  kWaiting,   // nothing yet
  kAnswered,  // its update is kept and counts
  kRefused,   // by the site (policy, a person) or by the server (its update was not fit to count)
  kFailed,    // the site could not, or is gone
  kLate,      // its update came behind the round's end
};
std::string_view NameOf(AskState state);

struct Ask {
  AskState state = AskState::kWaiting;
  UpdateFacts facts;   // of an answer
  std::string sha256;  // of its array file; empty in a study
  double l2 = 0;       // norm of the change
  std::string why;     // of a refusal or failure, one line
  int trained_in = 0;  // the round before, where the answer is a late update for it; 0: this round
};

// One run's rounds. A state machine: it does nothing by itself, knows no clock, and depends on what
// it is told alone. Not thread-safe. Time is in milliseconds.
class RoundState {
 public:
  struct Options {
    int rounds = 0;
    int quorum = 0;             // answers that a round needs; 0: of the whole cohort
    double cohort_share = 1;    // of the ready sites
    int64_t deadline_ms = 0;    // from a round's opening; 0: none
    int64_t extension_ms = 0;   // once, where the quorum is missed at the deadline
    bool count_late = false;    // an update for the round just closed counts in the open one
    double max_norm_ratio = 0;  // of an update's norm to the round's median; 0: off
    uint64_t seed = 0;          // of the cohorts
  };
  explicit RoundState(Options options) : options_(options) {}

  // A site takes part from the next round on; also one that returns. Nothing for one that does
  // already.
  void Join(const std::string& site);
  // A site is gone for good (left, revoked). What it has already sent in the open round counts.
  void Leave(const std::string& site, const std::string& why);
  const std::set<std::string>& sites() const { return ready_; }

  // Opens the next round when none is open, rounds are left and enough sites are ready (the quorum;
  // without one, at least one site). False when it cannot yet.
  bool TryOpen(int64_t now_ms);

  // The open round, or the next one to open; rounds + 1 when all are done.
  int round() const { return round_; }
  bool open() const { return open_; }
  bool finished() const { return round_ > options_.rounds; }
  int64_t deadline_ms() const { return deadline_ms_; }  // 0: none
  bool extended() const { return extended_; }
  int needed() const;  // answers that the open round needs
  // The open round's cohort.
  const std::map<std::string, Ask>& asks() const { return asks_; }
  std::vector<std::string> WaitingFor() const;

  // Whether the site has work in the open round: it was asked and has not answered, or failed and
  // may try again.
  bool Wants(const std::string& site) const;

  enum class Verdict : uint8_t {
    kCount,      // keep it: it counts in the open round
    kDuplicate,  // the same bytes again: the receipt again
    kLate,       // its round is over
  };
  // What is to be done with a site's update for `round`. FailedPrecondition: a round that is not
  // yet open, a site that was not asked, or a second and different update.
  absl::StatusOr<Verdict> Judge(const std::string& site, int round,
                                const std::string& sha256) const;
  // What it sent is lost, or it may try again: it is waited for once more.
  void AskAgain(const std::string& site);
  // It was kept.
  void Answered(const std::string& site, const UpdateFacts& facts, const std::string& sha256,
                double l2, int trained_in = 0);
  // It could not or would not. Nothing when it has already answered.
  void Gave(const std::string& site, AskState refused_or_failed, const std::string& why);

  // Whether the open round is over: all of the cohort have answered one way or another and the
  // answers are enough, or the deadline is over and they are. Extends the deadline, once, when they
  // are not (true in *extended).
  bool IsOver(int64_t now_ms, bool* extended);
  // When IsOver() may change by time alone; 0: never.
  int64_t NextDeadline() const { return open_ ? deadline_ms_ : 0; }

  // Refuses answers whose norm is more than max_norm_ratio times the median of the round's answers
  // (of three or more), and gives the sites that it refused. Call before averaging; the round may
  // no longer be over afterwards.
  std::vector<std::string> RefuseOutliers();
  // The sites whose answers count, sorted.
  std::vector<std::string> Answers() const;

  // The next global model is safe: the round is closed.
  void Close();
  // Ends the run behind the open round (early stopping) or before it (cancelled).
  void EndRun();
  // Continues behind `completed` rounds.
  void ContinueBehind(int completed);

  // All of it as JSON, and back. DataLoss for what ToJson() could not have given.
  nlohmann::json ToJson() const;
  absl::Status FromJson(const nlohmann::json& json);

 private:
  int Answered() const;

  Options options_;
  std::set<std::string> ready_;
  int round_ = 1;
  bool open_ = false, extended_ = false;
  int64_t deadline_ms_ = 0;
  std::map<std::string, Ask> asks_;
};

}  // namespace manako

#endif  // MANAKO_ROUND_ROUND_STATE_H_
