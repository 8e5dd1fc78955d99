#include "report/report_json.h"

#include <cmath>
#include <ctime>
#include <utility>

#include "report/arm_statistics.h"
#include "report/stats/roc.h"

namespace manako::report_json {

using Json = nlohmann::json;

Json ToJson(double number) { return std::isfinite(number) ? Json(number) : Json(); }

Json ToJson(const stats::Estimate& e) {
  return {{"value", ToJson(e.value)},
          {"low", ToJson(e.low)},
          {"high", ToJson(e.high)},
          {"method", e.method}};
}

Json Text(std::string en, std::string ja) { return {{"en", std::move(en)}, {"ja", std::move(ja)}}; }

std::string IsoTime(double seconds) {
  constexpr double kYear9999 = 253402300799.0;
  if (!(seconds > 0 && seconds < kYear9999)) return "";
  const std::time_t time = static_cast<std::time_t>(seconds);
  std::tm utc{};
  gmtime_r(&time, &utc);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

Json RocJson(const ClassTask& task, const ArmData& arm) {
  Json curves = Json::array();
  if (!task.binary() || arm.cells.empty()) return curves;
  for (const ArmModel& model : arm.cells[0].models) {
    std::vector<double> scores;
    std::vector<uint8_t> positive;
    for (size_t i = 0; i < model.test->size(); ++i) {
      scores.push_back(model.test->probability[i * task.classes + task.positive]);
      positive.push_back(model.test->label[i] == task.positive);
    }
    const stats::RocPoints points = stats::RocCurve(scores, positive);
    curves.push_back({{"label", arm.name == "alone" ? model.name.site : arm.name},
                      {"auc", ToJson(ModelAuc(task, model))},
                      {"fpr", points.fpr},
                      {"tpr", points.tpr}});
  }
  return curves;
}

Json CalibrationJson(const std::vector<stats::CalibrationBin>& curve) {
  Json bins = Json::array();
  for (const stats::CalibrationBin& bin : curve) {
    bins.push_back({{"predicted", bin.predicted},
                    {"observed", ToJson(bin.observed.value)},
                    {"low", ToJson(bin.observed.low)},
                    {"high", ToJson(bin.observed.high)},
                    {"count", bin.count}});
  }
  return bins;
}

std::string Dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace manako::report_json
