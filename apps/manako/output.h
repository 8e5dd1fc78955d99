// How commands that print state print it: a table for people, JSON with --json.
#ifndef MANAKO_APPS_MANAKO_OUTPUT_H_
#define MANAKO_APPS_MANAKO_OUTPUT_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace manako {

// Rows of cells, the first of them the headings, as columns that line up (double-width characters
// count two).
void PrintTable(const std::vector<std::vector<std::string>>& rows);
void PrintJson(const nlohmann::json& json);
// "2026-03-01 09:30" in local time; "-" for 0.
std::string ShowTime(int64_t ms);
// "3 min ago", "in 2 days"; "-" for 0.
std::string ShowAge(int64_t ms, int64_t now_ms);
int64_t NowMs();

}  // namespace manako

#endif  // MANAKO_APPS_MANAKO_OUTPUT_H_
