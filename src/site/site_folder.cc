#include "site/site_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/files.h"
#include "base/status_macros.h"

namespace manako {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr uint64_t kMostBytes = 1 << 20;

std::string NameOf(const std::string& run, int round) { return fmt::format("{}@{}", run, round); }
std::string Asked(const SiteFolder& folder, const std::string& run, int round) {
  return folder.approvals() + "/" + NameOf(run, round) + ".asked";
}
std::string Answered(const SiteFolder& folder, const std::string& run, int round) {
  return folder.approvals() + "/" + NameOf(run, round) + ".answer";
}
std::string FlagPath(const SiteFolder& folder, SiteFlag flag) {
  return folder.root + (flag == SiteFlag::kPause ? "/pause" : "/stop");
}

absl::StatusOr<json> ReadJson(const std::string& path) {
  MANAKO_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMostBytes));
  json value = json::parse(text, nullptr, false);
  if (!value.is_object()) return DataLoss("{} is not what manako writes there", path);
  return value;
}

// Text with bytes of anybody's making: what is no UTF-8 is replaced, not thrown at the caller.
std::string Dump(const json& value) {
  return value.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string WhereAndWhat(const Approval& approval) {
  return approval.round == 0 ? approval.run
                             : fmt::format("{} round {}", approval.run, approval.round);
}

}  // namespace

bool IsRunName(const std::string& name) {
  if (name.empty() || name.size() > 64) return false;
  const auto is_alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return is_alphanumeric(name[0]) && std::all_of(name.begin(), name.end(), [&](char c) {
           return is_alphanumeric(c) || c == '-' || c == '_' || c == '.';
         });
}

absl::Status AskApproval(const SiteFolder& folder, const Approval& question) {
  if (!IsRunName(question.run)) return InvalidArgument("a run cannot be called {}", question.run);
  MANAKO_RETURN_IF_ERROR(MakeFolders(folder.approvals()));
  const std::string path = Asked(folder, question.run, question.round);
  if (std::error_code ignored; fs::exists(path, ignored)) return absl::OkStatus();
  return WriteFileAtomically(path, Dump({{"run", question.run},
                                         {"round", question.round},
                                         {"name", question.name},
                                         {"facts", question.facts},
                                         {"asked_ms", question.asked_ms}}));
}

absl::StatusOr<Approval> GetApproval(const SiteFolder& folder, const std::string& run, int round) {
  if (!IsRunName(run)) return NotFound("{} is no name of a run", run);
  Approval approval;
  try {
    MANAKO_ASSIGN_OR_RETURN(const json asked, ReadJson(Asked(folder, run, round)));
    approval.run = run;
    approval.round = round;
    approval.name = asked.at("name").get<std::string>();
    approval.facts = asked.at("facts").get<std::vector<std::string>>();
    approval.asked_ms = asked.at("asked_ms").get<int64_t>();
    const auto answer = ReadJson(Answered(folder, run, round));
    if (absl::IsNotFound(answer.status())) return approval;
    MANAKO_RETURN_IF_ERROR(answer.status());
    approval.consent = answer->at("granted").get<bool>() ? Consent::kGranted : Consent::kRefused;
    approval.by = answer->at("by").get<std::string>();
    approval.answered_ms = answer->at("answered_ms").get<int64_t>();
  } catch (const json::exception&) {
    return DataLoss("{} or its answer is not what manako writes there", Asked(folder, run, round));
  }
  return approval;
}

std::vector<Approval> ListApprovals(const SiteFolder& folder) {
  std::vector<Approval> approvals;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder.approvals(), ignored)) {
    const std::string name = entry.path().filename().string();
    const size_t at = name.rfind('@');
    if (at == std::string::npos || entry.path().extension() != ".asked") continue;
    const int round = std::atoi(name.c_str() + at + 1);
    if (auto approval = GetApproval(folder, name.substr(0, at), round); approval.ok()) {
      approvals.push_back(*std::move(approval));
    }
  }
  std::sort(approvals.begin(), approvals.end(), [](const Approval& a, const Approval& b) {
    return std::tie(b.asked_ms, a.run, b.round) < std::tie(a.asked_ms, b.run, a.round);
  });
  return approvals;
}

absl::Status AnswerApproval(const SiteFolder& folder, const std::string& run, int round,
                            bool granted, const std::string& by, int64_t now_ms) {
  if (auto question = GetApproval(folder, run, round); absl::IsNotFound(question.status())) {
    std::string open;
    for (const Approval& approval : ListApprovals(folder)) {
      if (approval.consent == Consent::kNone)
        open += (open.empty() ? "" : ", ") + WhereAndWhat(approval);
    }
    Approval wanted;
    wanted.run = run;
    wanted.round = round;
    return NotFound("nobody asked for {}; open are: {}", WhereAndWhat(wanted),
                    open.empty() ? "none" : open);
  }
  return WriteFileAtomically(Answered(folder, run, round),
                             Dump({{"granted", granted}, {"by", by}, {"answered_ms", now_ms}}));
}

absl::Status SetFlag(const SiteFolder& folder, SiteFlag flag, bool on) {
  const std::string path = FlagPath(folder, flag);
  if (on) return WriteFileAtomically(path, "");
  std::error_code error;
  fs::remove(path, error);
  if (error)
    return absl::UnavailableError(fmt::format("cannot remove {}: {}", path, error.message()));
  return absl::OkStatus();
}

bool HasFlag(const SiteFolder& folder, SiteFlag flag) {
  return ::access(FlagPath(folder, flag).c_str(), F_OK) == 0;
}

std::string ToJson(const SiteReport& report) {
  json runs = json::array();
  for (const RunReport& run : report.runs) {
    runs.push_back({{"run", run.run},
                    {"name", run.name},
                    {"stage", run.stage},
                    {"why", run.why},
                    {"round", run.round},
                    {"rounds", run.rounds}});
  }
  const SiteStatus& work = report.work;
  return Dump({{"time_ms", report.time_ms},
               {"pid", report.pid},
               {"connected", report.connected},
               {"problem", report.problem},
               {"clock_skew_ms", report.clock_skew_ms},
               {"work",
                {{"phase", work.phase},
                 {"run", work.run},
                 {"round", work.round},
                 {"step", work.step},
                 {"steps", work.steps},
                 {"images_per_second", work.images_per_second}}},
               {"rounds_in_a_day", report.rounds_in_a_day},
               {"questions", report.questions},
               {"runs", runs}});
}

absl::StatusOr<SiteReport> ReadSiteReport(const SiteFolder& folder) {
  SiteReport report;
  try {
    MANAKO_ASSIGN_OR_RETURN(const json value, ReadJson(folder.status()));
    report.time_ms = value.at("time_ms").get<int64_t>();
    report.pid = value.at("pid").get<int64_t>();
    report.connected = value.at("connected").get<bool>();
    report.problem = value.at("problem").get<std::string>();
    report.clock_skew_ms = value.at("clock_skew_ms").get<int64_t>();
    const json& work = value.at("work");
    report.work.phase = work.at("phase").get<std::string>();
    report.work.run = work.at("run").get<std::string>();
    report.work.round = work.at("round").get<int>();
    report.work.step = work.at("step").get<int64_t>();
    report.work.steps = work.at("steps").get<int64_t>();
    report.work.images_per_second = work.at("images_per_second").get<double>();
    report.rounds_in_a_day = value.at("rounds_in_a_day").get<int>();
    report.questions = value.at("questions").get<int>();
    for (const json& run : value.at("runs")) {
      report.runs.push_back({run.at("run").get<std::string>(), run.at("name").get<std::string>(),
                             run.at("stage").get<std::string>(), run.at("why").get<std::string>(),
                             run.at("round").get<int>(), run.at("rounds").get<int>()});
    }
  } catch (const json::exception&) {
    return DataLoss("{} is not a status of this version", folder.status());
  }
  return report;
}

bool AgentRuns(const SiteFolder& folder) {
  const int fd = ::open((folder.root + "/.lock").c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool held = ::flock(fd, LOCK_SH | LOCK_NB) != 0;
  ::close(fd);
  return held;
}

}  // namespace manako
