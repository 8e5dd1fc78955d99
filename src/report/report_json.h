// How numbers become the JSON of a report, a study's or a run's (web/src/report/data.ts).
#ifndef MANAKO_REPORT_REPORT_JSON_H_
#define MANAKO_REPORT_REPORT_JSON_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "report/arm_data.h"
#include "report/stats/calibration.h"
#include "report/stats/estimate.h"

namespace manako::report_json {

// null for what is no finite number.
nlohmann::json ToJson(double number);
nlohmann::json ToJson(const stats::Estimate& e);

// A sentence in both languages.
nlohmann::json Text(std::string en, std::string ja);

// ISO 8601 in UTC, of seconds since 1970; "" for a time that is none.
std::string IsoTime(double seconds);

// A curve for each model of the arm's first cell; none for several classes.
nlohmann::json RocJson(const ClassTask& task, const ArmData& arm);
nlohmann::json CalibrationJson(const std::vector<stats::CalibrationBin>& curve);

// Bytes that are no UTF-8 (file names may hold any) become U+FFFD.
std::string Dump(const nlohmann::json& json, int indent);

}  // namespace manako::report_json

#endif  // MANAKO_REPORT_REPORT_JSON_H_
